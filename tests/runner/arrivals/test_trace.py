from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.arrivals.interface import Rates
from runner.arrivals.registry import parse_arrivals
from runner.arrivals.trace import Trace
from runner.errors import FileError, UsageError


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def replay(spec: str) -> list[float]:
    arrivals = parse_arrivals(spec)
    assert not arrivals.takes_rate
    assert arrivals.available is not None
    times_s: list[float] = arrivals.times_s(None, arrivals.available, rng()).tolist()
    return times_s


@pytest.mark.parametrize(
    "text",
    [
        "0\n0.5\n0.5\n2e0\n",
        "0\r\n0.5\r\n0.5\r\n2\r\n",
        "\ufeff0\n\n 0.5 \n+0.5\n2.0",
        "-0\n.5\n5e-1\n2\n\n\n",
    ],
)
def test_a_line_is_a_time_and_empty_lines_are_none(text: str) -> None:
    Path("Trace.txt").write_bytes(text.encode())
    assert replay("TRACE:Trace.txt") == [0, 0.5, 0.5, 2]


@pytest.mark.parametrize(
    "text",
    [
        "model,time_s\nvit,0.25\nalexnet,3\n",
        '\ufefftime_s , model\n0.25,"v,\nit"\n\n3\n',
        "time_s,time_s\n0.25,9\n3,8",
    ],
)
def test_a_column_of_a_csv_is_a_trace(text: str) -> None:
    Path("log.csv").write_text(text)
    assert replay("trace:log.csv:time_s") == [0.25, 3]


def test_a_colon_in_a_file_s_name_is_no_column() -> None:
    Path("at:noon").write_text("1\n")
    Path("at").write_text("noon\n2\n")
    assert replay("trace:at:noon") == [1]
    Path("at:noon").rename("12:00.csv")
    assert replay("trace:at:noon") == [2]
    Path("12:00.csv").write_text("t\n3\n")
    assert replay("trace:12:00.csv:t") == [3]


def test_the_spec_is_as_written_and_is_read_again() -> None:
    Path("A.csv").write_text("t\n3\n")
    spec = parse_arrivals(" Trace:A.csv:t ").spec
    assert spec == "trace:A.csv:t"
    assert replay(spec) == [3]


@given(
    gaps_s=st.lists(st.floats(0, 1e6), min_size=1, max_size=40),
    rows=st.integers(1, 4),
    size=st.integers(1, 50),
)
def test_chunks_give_all_rows_the_whole_trace_and_end(gaps_s: list[float], rows: int, size: int) -> None:
    recorded_s = np.cumsum(gaps_s)
    chunks = list(Trace("trace:any", recorded_s).chunks(None, rows, size, rng()))
    assert {chunk.shape for chunk in chunks[:-1]} <= {(rows, size)}
    assert 1 <= chunks[-1].shape[1] <= size
    assert np.concatenate(chunks, axis=1).tolist() == [recorded_s.tolist()] * rows


def test_what_a_caller_does_with_times_leaves_the_trace_as_it_was() -> None:
    trace = Trace("trace:any", np.array([1.0, 2.0]))
    trace.times_s(None, 2, rng())[:] = 9
    next(trace.chunks(None, 1, 2, rng()))[:] = 9
    assert trace.times_s(None, 1, rng()).tolist() == [1]
    assert trace.times_s(None, 2, rng()).tolist() == [1, 2]


def test_fewer_arrivals_than_asked_for_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Trace("trace:a.txt", np.array([1.0, 2.0])).times_s(None, 3, rng())
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "Cannot replay trace:a.txt: expected at least 3 arrivals, got 2. Pass --requests 2 or a longer trace."
    )


@pytest.mark.parametrize(("rate_hz", "got"), [(32.0, "32"), (np.array([0.5, 1.0]), "0.5")])
def test_a_rate_is_refused_because_the_file_has_its_own(rate_hz: Rates, got: str) -> None:
    trace = Trace("trace:a.txt", np.array([1.0]))
    message = (
        "Cannot replay trace:a.txt: expected no request rate, because the file says when requests arrive, "
        f"got {got}. Leave out --request-rate."
    )
    with pytest.raises(UsageError) as caught:
        trace.times_s(rate_hz, 1, rng())
    assert (str(caught.value), caught.value.exit_code) == (message, 2)
    with pytest.raises(UsageError, match="Cannot replay"):
        trace.chunks(rate_hz, 2, 1, rng())


NO_NUMBER = (
    "expected an arrival time in seconds, got {}. Write a number per line, or name the column of a CSV: "
    "trace:FILE:COLUMN."
)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", "", "Cannot replay bad: expected at least one arrival time, got none."),
        ("\n \n", "", "Cannot replay bad: expected at least one arrival time, got none."),
        ("t\n", ":t", "Cannot replay bad: expected at least one arrival time, got none."),
        ("", ":t", "Cannot find column 't' in bad. There are none to choose from."),
        (
            "tme, model\n1,vit\n",
            ":time",
            "Cannot find column 'time' in bad. Did you mean tme? Valid: tme, model.",
        ),
        ("0\n\n1s\n", "", "Cannot read line 3 of bad: " + NO_NUMBER.format("'1s'")),
        ("time_s\n0\n", "", "Cannot read line 1 of bad: " + NO_NUMBER.format("'time_s'")),
        ("0\nnan\n", "", "Cannot read line 2 of bad: " + NO_NUMBER.format("'nan'")),
        ("0\ninf\n", "", "Cannot read line 2 of bad: " + NO_NUMBER.format("'inf'")),
        ("x" * 500, "", "Cannot read line 1 of bad: " + NO_NUMBER.format(f"'{'x' * 40}'")),
        ("a,t\n1,2\n3\n", ":t", "Cannot read line 3 of bad: " + NO_NUMBER.format("''")),
        ("a,t\n1,2\n3,\n", ":t", "Cannot read line 3 of bad: " + NO_NUMBER.format("''")),
        (
            "0\n2\n1.5\n",
            "",
            (
                "Cannot replay line 3 of bad: expected times that ascend, so 2.0 or later, got 1.5. "
                "Sort the file by time."
            ),
        ),
        (
            't,note\n0,"a\nb"\n3,\n2,\n',
            ":t",
            (
                "Cannot replay line 5 of bad: expected times that ascend, so 3.0 or later, got 2.0. "
                "Sort the file by time."
            ),
        ),
        (
            "-0.5\n0\n",
            "",
            (
                "Cannot replay line 1 of bad: expected no negative times, got -0.5. "
                "Shift the times to begin at 0."
            ),
        ),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(text: str, column: str, message: str) -> None:
    Path("bad").write_text(text)
    with pytest.raises(UsageError) as caught:
        parse_arrivals(f"trace:bad{column}")
    assert (str(caught.value), caught.value.exit_code) == (message, 2)


def test_a_cell_beyond_what_csv_reads_is_refused_with_its_line() -> None:
    Path("bad").write_text("t\n1\n" + "2" * 200_000)
    with pytest.raises(UsageError) as caught:
        parse_arrivals("trace:bad:t")
    assert str(caught.value) == (
        "Cannot read line 3 of bad: expected CSV, got field larger than field limit (131072)."
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("trace:gone", "Cannot read gone: expected a text file of arrival times, got No such file or directory."),
        ("trace:gone:t", "Cannot read gone: expected a text file of arrival times, got No such file or directory."),
        ("trace:folder", "Cannot read folder: expected a text file of arrival times, got Is a directory."),
        ("trace:model.onnx", "Cannot read model.onnx: expected a text file of arrival times, got something else."),
        (
            f"trace:{'a' * 300}:t",
            f"Cannot read {'a' * 300}:t: expected a text file of arrival times, got File name too long.",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(spec: str, message: str) -> None:
    Path("folder").mkdir()
    Path("model.onnx").write_bytes(b"\x08\x0a\xff\xfe")
    with pytest.raises(FileError) as caught:
        parse_arrivals(spec)
    assert (str(caught.value), caught.value.exit_code) == (f"{message} Correct --arrivals.", 4)
