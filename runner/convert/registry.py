"""The one registry of converters; help, docs and checks derive from it, and loading it costs nothing."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # loads pydantic, which no help needs
    from runner.convert.interface import Converter


@dataclass(frozen=True, slots=True)
class Entry:
    """A converter by where it is; its summary stands here so that the help need not load it."""

    target: str
    summary: str
    options: tuple[str, ...] = ("output",)
    """those of its command that it takes beside the ones that all take"""


CONVERTERS = {
    "pyperf": Entry(
        "runner.convert.pyperf_suite:convert",
        "JSON for `pyperf compare_to`, `hist`, `check` and `stats`; needs the extra pyperf",
    ),
    "mlflow": Entry(
        "runner.convert.mlflow_run:convert",
        "A run on an MLflow tracking server, with the report's files; needs the extra mlflow",
        ("tracking_uri", "experiment"),
    ),
    "github-action-benchmark": Entry(
        "runner.convert.github_action_benchmark:convert",
        "JSON for that action's `customSmallerIsBetter`: latency, CPU time and energy",
    ),
    "html": Entry(
        "runner.convert.html_page:convert",
        "The page that `report.html` is, also of an interrupted run; with plotly in it if asked",
        ("output", "self_contained"),
    ),
    "csv": Entry("runner.convert.tables:to_csv", "What `reports show -f csv` writes"),
    "md": Entry("runner.convert.tables:to_markdown", "What `reports show -f md` writes"),
}
"""the word after ``--to``, and what is loaded for it"""


def find_converter(name: str) -> "Converter":
    """Return a converter of ``CONVERTERS``, loaded."""
    module, _, attribute = CONVERTERS[name].target.partition(":")
    return cast("Converter", getattr(import_module(module), attribute))
