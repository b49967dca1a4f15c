import pytest

from runner.arrivals.registry import ARRIVALS, parse_arrivals
from runner.errors import UsageError


@pytest.mark.parametrize("name", ARRIVALS)
def test_every_kind_is_registered_under_its_own_name_and_says_what_it_is(name: str) -> None:
    kind = ARRIVALS[name]
    assert kind.name == name
    assert kind.form.startswith(name)
    assert kind.summary


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("uniform", "uniform"),
        (" Poisson ", "poisson"),
        ("CONSTANT", "constant"),
        ("burst", "burst:22"),
        ("burst:5", "burst:5"),
        ("Burst:999999", "burst:999999"),
    ],
)
def test_a_spec_is_read_and_written_in_full(text: str, spec: str) -> None:
    arrivals = parse_arrivals(text)
    assert arrivals.spec == spec
    assert parse_arrivals(spec) == arrivals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "posson",
            "Unknown arrivals 'posson'. Did you mean poisson? Valid: uniform, poisson, constant, burst, trace.",
        ),
        ("", "Unknown arrivals ''. Valid: uniform, poisson, constant, burst, trace."),
        (":5", "Unknown arrivals ''. Valid: uniform, poisson, constant, burst, trace."),
        ("uniform:0.2", "Cannot read arrivals 'uniform:0.2': expected uniform, got ':0.2'."),
        ("constant:", "Cannot read arrivals 'constant:': expected constant, got ':'."),
        *(
            (
                f"burst{rest}",
                f"Cannot read arrivals 'burst{rest}': expected burst[:N] with N from 1 to 999999, got '{rest}'.",
            )
            for rest in (":", ":0", ":-3", ":2.5", ":many", ":1000000", ":٣")
        ),
        ("trace", "Cannot read arrivals 'trace': expected trace:FILE[:COLUMN], got ''."),
        ("trace:", "Cannot read arrivals 'trace:': expected trace:FILE[:COLUMN], got ':'."),
    ],
)
def test_a_spec_that_is_none_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_arrivals(text)
    assert (str(caught.value), caught.value.exit_code) == (message, 2)
