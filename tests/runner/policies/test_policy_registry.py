import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.policies.registry import LARGEST_BATCH, POLICIES, PolicySpec, parse_policy

sizes = st.integers(1, LARGEST_BATCH)
delays_s = st.floats(1e-9, 1e9)


@st.composite
def specs(draw: st.DrawFn) -> PolicySpec:
    kind = draw(st.sampled_from(tuple(POLICIES)))
    return PolicySpec(kind, draw(sizes), draw(delays_s) if POLICIES[kind].takes_delay else 0.0)


@pytest.mark.parametrize("name", POLICIES)
def test_every_kind_is_registered_under_its_own_name_and_says_what_it_is(name: str) -> None:
    kind = POLICIES[name]
    assert kind.name == name
    assert kind.form.startswith(f"{name}:")
    assert ("@" in kind.form) == kind.takes_delay
    assert kind.summary


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("fixed:16", PolicySpec("fixed", 16, 0.0)),
        (" Greedy:0128 ", PolicySpec("greedy", 128, 0.0)),
        ("timeout:16@50ms", PolicySpec("timeout", 16, 0.05)),
        ("DEADLINE:65536@1.5 S", PolicySpec("deadline", 65_536, 1.5)),
        ("timeout:4@2m", PolicySpec("timeout", 4, 120.0)),
    ],
)
def test_a_spec_is_read(text: str, spec: PolicySpec) -> None:
    assert parse_policy(text) == spec


@given(spec=specs())
def test_a_spec_is_written_as_it_is_read_and_so_is_its_policy(spec: PolicySpec) -> None:
    assert parse_policy(str(spec)) == spec
    if spec.largest_batch < 100:
        policy = spec.policy(np.ones(100))
        assert policy.spec == str(spec)
        assert policy.largest_batch == spec.largest_batch


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixd:16", "Unknown policy 'fixd'. Did you mean fixed? Valid: fixed, greedy, timeout, deadline."),
        ("Fxd:16", "Unknown policy 'Fxd'. Did you mean fixed? Valid: fixed, greedy, timeout, deadline."),
        ("16", "Unknown policy '16'. Valid: fixed, greedy, timeout, deadline."),
        ("", "Unknown policy ''. Valid: fixed, greedy, timeout, deadline."),
        *(
            (
                f"fixed{rest}",
                (f"Cannot read policy 'fixed{rest}': expected fixed:B with a batch size from 1 to 65536, "
                f"got '{rest.removeprefix(':')}'."),
            )
            for rest in ("", ":", ":0", ":-1", ":1.5", ":B", ":65537", ":9999999", ":٣", ":²", ":16@", ":16:2")
        ),
        (
            "greedy:16@50ms",
            ("Cannot read policy 'greedy:16@50ms': expected greedy:MAX with a batch size from 1 to 65536, "
            "got '16@50ms'."),
        ),
        (
            "timeout:16",
            "Cannot read policy 'timeout:16': expected timeout:B@T with a batch size from 1 to 65536, got '16'.",
        ),
        *(
            (
                f"{kind}:16@{delay}",
                (f"Cannot read policy '{kind}:16@{delay}': expected a positive number with ms, s or m, "
                f"got '{delay}'. Write for example 200ms, 30s or 5m."),
            )
            for kind in ("timeout", "deadline")
            for delay in ("", "50", "0ms", "-5ms", "5h", "50ms@50ms")
        ),
    ],
)  # fmt: skip
def test_a_spec_that_is_none_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(text)
    assert (str(caught.value), caught.value.exit_code) == (message, 2)


@pytest.mark.parametrize("service_s", [None, np.ones(16)])
def test_a_deadline_is_no_policy_without_a_service_time_for_every_batch(
    service_s: np.ndarray[tuple[int], np.dtype[np.float64]] | None,
) -> None:
    with pytest.raises(AssertionError):
        parse_policy("deadline:16@50ms").policy(service_s)
