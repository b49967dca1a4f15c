import pytest

from runner.render.waiting import tracked


def test_a_terminal_sees_how_far_it_is_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes any stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert list(tracked([3, 1, 2], "Reading reports")) == [3, 1, 2]
    out = capsys.readouterr()
    assert out.out == ""
    assert "Reading reports" in out.err
    assert "3/3" in out.err
    assert "0:00:0" in out.err


@pytest.mark.parametrize("dumb", [False, True])
def test_where_no_line_can_be_drawn_anew_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, dumb: bool
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if dumb:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "dumb")
    assert list(tracked([3, 1, 2], "Reading reports")) == [3, 1, 2]
    assert capsys.readouterr() == ("", "")
