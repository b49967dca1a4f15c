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
