"""How long a run took, all its stretches together, from its journal."""

from runner.report.lines import EndLine, IdleLine, Line, ResumeLine, WindowLine


class WallTime:
    """Adds up wall time line by line; of a stretch that was killed, what its windows and those at rest span."""

    def __init__(self) -> None:
        self._earlier_s = self._stretch_s = 0.0
        self._began_s: float | None = None
        """when the first window of this stretch did; a boot sets the clock back, but only between stretches"""

    @property
    def total_s(self) -> float:
        """Up to the last line."""
        return self._earlier_s + self._stretch_s

    def add(self, line: Line) -> None:
        """Take the next line."""
        match line:
            case WindowLine(entry=window) | IdleLine(entry=window):
                self._began_s = window.started_s if self._began_s is None else self._began_s
                self._stretch_s = max(self._stretch_s, window.started_s + window.wall_s - self._began_s)
            case ResumeLine(entry=resume):
                self._earlier_s, self._stretch_s, self._began_s = resume.measured_s, 0.0, None
            case EndLine(measured_s=measured_s):
                self._stretch_s = measured_s
