"""Which contenders of a report may be recommended, and what ranks them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.contender import Contender
from runner.errors import AbsentError, UsageError, nearest
from runner.meters.interface import Domain
from runner.report.evidence import Evidence, all_gpus_counted, energy_ranks, exclusion, summary_of
from runner.report.schema import Cell, Quality, Report
from runner.stats.summary import Numbers
from runner.twin.answers import Excluded
from runner.twin.calibrate import calibrate, what_to_run
from runner.twin.calibration import Calibration, Uncalibrated


@dataclass(frozen=True, slots=True)
class Eligible:
    """Contenders that may be compared by cost."""

    model: str
    calibrations: tuple[Calibration, ...]
    """at least one; all with cost in one unit, over one set of domains"""
    excluded: tuple[Excluded, ...]
    baseline: Contender | None
    variant: str | None
    """the only one in question; None where several are"""

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Whose joules rank; none where CPU time does."""
        return self.calibrations[0].domains


def find_eligible(
    report: Report,
    latencies_s: Sequence[Numbers],
    model: str | None = None,
    labels: Sequence[str] = (),
    *,
    allow_unverified: bool = False,
) -> Eligible:
    """Return the contenders that the twin can stand for, with the one cost that ranks them all.

    Joules rank where they were measured over one set of domains that holds every device in question; else CPU time
    does, at equal images/s, among backends of one type of device (docs/measurement.md, section 5).

    Args:
        report: with its figures.
        latencies_s: of every inference, by window.
        model: its name or the unique beginning of it; the only one by default.
        labels: of backends, all by default.
        allow_unverified: whether variants of unverified quality may win, beside what the run was asked for.

    Raises:
        UsageError: an unknown model or backend, or no model where the report holds several.
        AbsentError: no backend is left, or no cost ranks those that are.
    """
    name = _find_model(report, model)
    barred = dict(report.barred)
    if allow_unverified:
        barred = {key: quality for key, quality in barred.items() if quality != "unverified"}
    excluded: list[Uncalibrated] = []
    found: list[Calibration] = []
    for contender in _contenders(report, name, _find_backends(report, labels)):
        reason = _exclusion(report, name, contender, barred)
        calibration = reason or calibrate(report, latencies_s, name, *contender)
        if isinstance(calibration, Calibration):
            found.append(calibration)
        else:
            excluded.append(calibration)
    if not found:
        raise _nobody(report, name, excluded)
    if domains := _ranking_domains(report, name, found):
        priced = [calibrate(report, latencies_s, name, *each.contender, domains) for each in found]
        found = [each for each in priced if isinstance(each, Calibration)]
        excluded += [each for each in priced if isinstance(each, Uncalibrated)]
    reasons = tuple(Excluded(each.backend, each.reason, each.variant) for each in excluded)
    files = report.variants_of(name)
    only = files[0].variant if len(files) == 1 else None
    return Eligible(name, tuple(found), reasons, report.baselines.get(name), only)


def _find_model(report: Report, asked: str | None) -> str:
    names = report.model_names
    if asked is None and len(names) == 1:
        return names[0]
    if asked is None:
        raise UsageError(
            f"Cannot choose a model of report {report.report_id}",
            expected="--model, because it holds several",
            got=", ".join(names),
            fix=f"Pass for example -m {names[0]}",
        )
    matches = [name for name in names if name == asked] or [
        name for name in names if name.lower().startswith(asked.lower())
    ]
    if len(matches) != 1:
        raise UsageError(f"Unknown model {asked!r} in report {report.report_id}", fix=nearest(asked, names))
    return matches[0]


def _find_backends(report: Report, asked: Sequence[str]) -> tuple[str, ...]:
    by_name = {entry.spec: entry.label for entry in report.backends}
    by_name |= {entry.label: entry.label for entry in report.backends}
    for name in asked:
        if name not in by_name:
            labels = tuple(entry.label for entry in report.backends)
            raise UsageError(
                f"Unknown backend {name!r} in report {report.report_id}", fix=nearest(name, labels)
            )
    chosen = {by_name[name] for name in asked or by_name}
    return tuple(entry.label for entry in report.backends if entry.label in chosen)


def _contenders(report: Report, model: str, labels: Sequence[str]) -> Iterator[Contender]:
    """Yield who was planned of a model; of a single file every backend, planned or not."""
    files, planned = (
        report.variants_of(model),
        {cell.contender for cell in report.cells if cell.model == model},
    )
    for file in files:
        for label in labels:
            contender = Contender(file.variant, label)
            if contender in planned or len(files) == 1:
                yield contender


def _cells(report: Report, model: str, contender: Contender) -> list[Cell]:
    who = (model, contender, "host")
    return [cell for cell in report.cells if (cell.model, cell.contender, cell.io) == who]


def _exclusion(
    report: Report, model: str, contender: Contender, barred: Mapping[tuple[str, str], Quality]
) -> Uncalibrated | None:
    """Return why a contender may not win, whatever it costs."""

    def because(reason: str) -> Uncalibrated:
        return Uncalibrated(contender.backend, reason, variant=contender.variant)

    if quality := barred.get((model, contender.variant)):
        return because(f"quality {quality}")
    session = next((s for s in report.sessions if (s.model, s.contender) == (model, contender)), None)
    if session and session.status == "failed":
        return because(f"could not be opened: {session.reason}")
    cells = [cell for cell in _cells(report, model, contender) if cell.status == "measured"]
    reasons = [exclusion(cell, session) for cell in cells]
    return because(reasons[0]) if reasons and reasons[0] else None


def _nobody(report: Report, model: str, excluded: Sequence[Uncalibrated]) -> AbsentError:
    reasons: dict[str, list[str]] = {}
    for each in excluded:
        reasons.setdefault(each.reason, []).append(str(each.contender))
    helped = [each for each in excluded if each.sizes]
    sizes = sorted({size for each in helped for size in each.sizes})
    return AbsentError(
        f"Cannot predict {model} from report {report.report_id}",
        got="; ".join(f"{', '.join(backends)}: {reason}" for reason, backends in reasons.items()),
        fix=what_to_run(
            report,
            model,
            [each.backend for each in helped],
            sizes,
            tuple(dict.fromkeys(each.variant for each in helped)),
        )
        if helped
        else "Measure a backend that can be trusted",
    )


def _ranking_domains(report: Report, model: str, calibrations: Sequence[Calibration]) -> tuple[Domain, ...]:
    """Return the domains whose joules rank these backends; none where CPU time does."""
    cells = [
        cell
        for each in calibrations
        for cell in _cells(report, model, each.contender)
        if cell.status == "measured" and cell.summary
    ]
    devices = {entry.label: entry.device for entry in report.backends}
    if energy_ranks(Evidence(tuple(cells), {}, {}, devices, all_gpus_counted(report)), cells):
        energy = summary_of(cells[0]).energy
        return energy.domains if energy else ()
    types = {each.device: each.backend for each in calibrations}
    if len(types) > 1:
        raise AbsentError(
            f"Cannot rank {' and '.join(types.values())} by cost",
            expected="joules of the CPU package and of all GPUs for both",
            got="CPU time, which leaves out what a GPU does",
            fix=f"Pass --backend {calibrations[0].backend} to choose among backends of one type of device",
        )
    return ()
