"""The spread of repeated runs of one thing: taken from archived runs, kept as a small file, fitted to later ones."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from runner.errors import FileError, UsageError
from runner.report.comparison.evidence import METRICS, CellEvidence, GateMetric
from runner.report.comparison.rules import BETWEEN, IDENTITY, RULES, AnyCell
from runner.report.disk import replace_file
from runner.report.schema import Record
from runner.stats.spread import run_spreads
from runner.stats.unpaired import LEAST_RUNS, LogMean, RunSpread, difference, pooled

if TYPE_CHECKING:
    from runner.report.comparison.compare import Side

SPREAD_NAME = "spread.json"
SPREAD_VERSION: Final = 1
_LARGEST_LOG = 700.0
"""of a figure in s or J; beyond it there is no such number"""
ERROR_SHARE = 0.05
"""of comparisons of equal runs that may fail: all figures that one comparison judges share it"""


class RunFigure(Record):
    """What one run knew of a cell by one metric."""

    log_mean: float = Field(gt=-_LARGEST_LOG, lt=_LARGEST_LOG)
    log_variance: float = Field(ge=0, lt=_LARGEST_LOG)
    degrees_of_freedom: float = Field(gt=0, allow_inf_nan=False)


class SpreadCell(Record):
    """A cell of the repeated runs."""

    facts: dict[str, str]
    """by rule: what a later run must share"""
    figures: dict[GateMetric, tuple[RunFigure, ...]]
    """one per run"""


class Spread(Record):
    """What repeated runs of one thing said."""

    spread_version: Literal[1] = SPREAD_VERSION
    joulebatch: str
    runs: tuple[str, ...]
    """ids of the reports"""
    cells: dict[str, SpreadCell]
    """by key"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse what ``calibrate`` never writes, and no statistics can be made of."""
        if len(self.runs) < LEAST_RUNS:
            raise ValueError(f"{len(self.runs)} runs, at least {LEAST_RUNS} are needed")
        for key, cell in self.cells.items():
            for metric, figures in cell.figures.items():
                if len(figures) != len(self.runs):
                    raise ValueError(f"{key} {metric} has {len(figures)} figures of {len(self.runs)} runs")
        return self

    def of(
        self, key: str, facts: Mapping[str, str], allowed: frozenset[str], *, several_hosts: bool = False
    ) -> tuple[dict[GateMetric, RunSpread], str]:
        """Return the spread of a cell by metric, and why there is none where it does not fit.

        Args:
            key: of the cell.
            facts: of the cell, by rule.
            allowed: rules that may be broken.
            several_hosts: whether what is compared was measured on several machines.
        """
        cell = self.cells.get(key)
        if cell is None:
            return {}, "the spread was taken of other cells"
        for name in IDENTITY:
            mine, theirs = cell.facts.get(name), facts.get(name)
            if name not in allowed and mine and theirs and mine != theirs and RULES[name].metrics == METRICS:
                return {}, f"the spread was taken with another {name}: {mine}, and not {theirs}"
        if several_hosts and "host" not in allowed and BETWEEN not in cell.facts.get("host", ""):
            return {}, "the spread was taken on one machine, and these runs are of two"
        meters = cell.facts.get("meters")
        found = {}
        for metric in cell.figures:
            if metric == "energy" and meters != facts.get("meters") and "meters" not in allowed:
                continue
            alike = [own for own, other in self.cells.items() if metric in other.figures]
            spreads = run_spreads([_log_means(self.cells[own].figures[metric]) for own in alike])
            found[metric] = spreads[alike.index(key)]
        return found, ""


def calibrate(side: "Side", version: str, allowed: frozenset[str] = frozenset()) -> Spread:
    """Return the spread of runs of one thing.

    Args:
        side: the runs.
        version: of joulebatch.
        allowed: rules that the runs may break among each other; that of the host they always may: their spread then
            holds what machines of one kind differ by.

    Raises:
        UsageError: too few runs, one twice, or runs that differ.
    """
    runs = side.report_ids
    what = "Cannot calibrate"
    if len(set(runs)) != len(runs):
        twice = next(run for run in runs if runs.count(run) > 1)
        raise UsageError(what, expected="different runs", got=f"{twice} twice", fix="Leave it out once")
    if len(runs) < LEAST_RUNS:
        raise UsageError(
            what,
            expected=f"at least {LEAST_RUNS} runs of the same thing",
            got=str(len(runs)),
            fix="Run the same joulebatch command more often, minutes or hours apart",
        )
    cells = {}
    for key, evidence in side.cells.items():
        _check_alike(key, side.facts[key], allowed | {"host"})
        own = [run for run in evidence if run and not run.excluded]
        figures = {
            metric: tuple(_figure(run, metric) for run in own)
            for metric in METRICS
            if len(own) == len(runs) and all(metric in run.figures for run in own)
        }
        if figures:
            facts = {name: side.facts[key][name] for name in (*IDENTITY, "host")}
            cells[key] = SpreadCell(facts=facts, figures=figures)
    if not cells:
        raise UsageError(what, expected="a cell that every run measured", got="none")
    return Spread(joulebatch=version, runs=runs, cells=cells)


def rows_of(side: "Side", spread: Spread) -> Iterator[tuple[AnyCell, GateMetric, float, float]]:
    """Yield of each cell and metric the standard deviation between runs, and what one run against one finds."""
    for key in spread.cells:
        cell = next(run.cell for run in side.cells[key] if run)
        for metric, found in spread.of(key, side.facts[key], frozenset())[0].items():
            runs = [run.figures[metric] for run in side.cells[key] if run]
            typical = replace(pooled(runs), log_variance=found.within_variance, run_count=1)
            least = difference(typical, typical, found).detectable(1.0, ERROR_SHARE)
            yield cell, metric, sqrt(found.variance), least


def write_spread(path: Path, spread: Spread) -> None:
    """Write a spread, whole or not at all.

    Raises:
        UsageError: what is there is no spread.
        FileError: the disk refuses.
    """
    if path.exists():
        try:
            read_spread(path)
        except FileError as error:
            raise UsageError(
                f"Cannot write {path}",
                expected="a new file or a spread to replace",
                got="a file of something else",
                fix="Pass another --spread, or move it away",
            ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (spread.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise FileError(
            f"Cannot write {path}", got=str(error.strerror), fix="Pass another --spread"
        ) from error


def read_spread(path: Path) -> Spread:
    """Return a spread.

    Raises:
        FileError: it cannot be read, is none of ours, or has another version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FileError(
            f"Cannot read {path}",
            got=str(error.strerror),
            fix="Make it with joulebatch reports compare --calibrate",
        ) from error
    try:
        return Spread.model_validate_json(text)
    except ValidationError as error:
        version = _version(text)
        detail = error.errors(include_url=False, include_input=False)[0]
        raise FileError(
            f"Cannot read {path}",
            expected=f"a spread of version {SPREAD_VERSION}",
            got=f"version {version}"
            if version not in {None, SPREAD_VERSION}
            else f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}".removeprefix(": "),
            fix="Make it again with joulebatch reports compare --calibrate",
        ) from error


def _version(text: bytes) -> object:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data.get("spread_version") if isinstance(data, dict) else None


def _check_alike(key: str, facts: Mapping[str, str], allowed: frozenset[str]) -> None:
    for name in RULES:
        if name not in allowed and BETWEEN in facts[name]:
            raise UsageError(
                f"Cannot calibrate {key}",
                expected=f"runs of the same {name}",
                got=facts[name],
                fix=f"Leave out the runs that differ, or pass --allow {name}",
            )


def _figure(run: CellEvidence, metric: GateMetric) -> RunFigure:
    figure = run.figures[metric]
    return RunFigure(
        log_mean=figure.log_mean,
        log_variance=figure.log_variance,
        degrees_of_freedom=figure.degrees_of_freedom,
    )


def _log_means(runs: Sequence[RunFigure]) -> list[LogMean]:
    return [LogMean(run.log_mean, run.log_variance, run.degrees_of_freedom) for run in runs]
