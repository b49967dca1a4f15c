"""What a run tells while it goes on; drawn between windows only, and nothing at all by default."""

from runner.report.schema import Cell


class Progress:
    """Says nothing; what a terminal shows is in ``runner.render.progress``."""

    def begin_model(self, name: str, number: int, models: int) -> None:
        """Turn to a model."""

    def say(self, text: str) -> None:
        """Tell what is done now."""

    def visit(self, cell: Cell, block: int) -> None:
        """Tell which cell's window comes next."""

    def close(self) -> None:
        """Leave the terminal as it was."""
