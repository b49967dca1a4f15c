"""What a terminal and a log are told, also before the first model and after the last."""

import io

import pytest
from rich.console import Console

from runner.progress import LineProgress, Progress
from runner.render.progress import TerminalProgress


def _terminal(stream: io.StringIO) -> Progress:
    return TerminalProgress(Console(file=stream, force_terminal=True, width=80), budget_s=300.0)


@pytest.mark.parametrize("make", [LineProgress, _terminal])
def test_what_is_done_is_told_before_any_model_and_with_its_name_from_then_on(
    make: type[LineProgress],
) -> None:
    stream = io.StringIO()
    progress = make(stream)
    progress.say("measuring the idle machine")
    assert "measuring the idle machine" in stream.getvalue()
    assert ": measuring" not in stream.getvalue()
    progress.begin_model("vit", 2, 3)
    progress.say("opening")
    assert "2/3 vit" in stream.getvalue()
    progress.close()


def test_the_time_left_of_like_steps_and_of_the_budget_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("runner.render.progress.monotonic", lambda: now_s)
    stream = io.StringIO()
    progress = _terminal(stream)
    progress.say("first of four", 0.0)
    assert "left of these" not in stream.getvalue()
    now_s += 20
    progress.say("second of four", 0.25)
    assert "at most 4 min 40 s left, 1 min 0 s left of these" in stream.getvalue()
    progress.say("other steps", 0.0)
    now_s += 300
    progress.say("other steps", 0.5)
    assert "at most 0 s left, 5 min 0 s left of these" in stream.getvalue()
    progress.close()


def test_a_dumb_terminal_gets_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("runner.render.progress.monotonic", lambda: now_s)
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    progress = _terminal(stream)
    for second in range(25):
        now_s = 100.0 + second
        progress.say(f"step {second}")
    progress.close()
    told = [line.rpartition("]  ")[2].rstrip() for line in stream.getvalue().splitlines()]
    assert told == ["step 0", "step 10", "step 20"]
    assert "\x1b" not in stream.getvalue()
