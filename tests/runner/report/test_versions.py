"""What an older version wrote stays readable for ever; what this one does not know is kept."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_regressions.file_regression import FileRegressionFixture

from runner.errors import FileError
from runner.extensible import Extensible
from runner.render import FORMATS, render
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.folders import JOURNAL_NAME
from runner.report.journal import Journal, read_journal
from runner.report.lines import HeaderLine, NoteLine, ResumeLine
from runner.report.listing import listing
from runner.report.schema import SCHEMA_VERSION, Record, Report, Resume, known_names, unknown_of
from runner.report.verify import verify
from runner.report.versions import STEPS
from tests.golden.write import GOLDEN, write_golden
from tests.hostile import at, objects_in, replaced
from tests.processes import ROOT

VERSIONS = tuple(range(SCHEMA_VERSION + 1))
SCHEMA = ROOT / "docs" / "report.schema.json"
ARCHIVED = (*(GOLDEN / f"v{version}" for version in VERSIONS), *(ROOT / "reports" / "reference").glob("2*"))


def test_every_version_has_a_golden_report_and_every_older_one_a_step() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"v{version}" for version in VERSIONS}
    assert set(STEPS) == set(range(SCHEMA_VERSION))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_of_any_version_is_listed_loaded_and_shown_in_every_format(version: int) -> None:
    folder = GOLDEN / f"v{version}"
    assert json.loads((folder / "report.json").read_bytes())["schema_version"] == version
    report = archive.load(folder)
    assert (report.schema_version, report.status, len(report.findings) > 0) == (
        SCHEMA_VERSION,
        "complete",
        True,
    )
    assert {cell.status for cell in report.cells} == {"measured", "failed", "skipped", "overloaded"}
    assert {energy.status for window in report.windows for energy in window.energy} == {
        "measured",
        "estimated",
        "unavailable",
    }
    assert report.queue
    assert any(cell.prediction for cell in report.queue.cells)
    for name in FORMATS:
        stream = io.StringIO()
        render(report, name, stream, details=True, width=100)
        assert report.model_names[0] in stream.getvalue()
    (row,) = (row for row in listing(GOLDEN) if row.report_id == folder.name)
    assert (row.status, row.cell_count) == ("complete", len(report.cells))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_figure_of_any_version_is_recomputed(version: int) -> None:
    checks = list(verify(GOLDEN / f"v{version}", RENDERINGS))
    assert [difference for check in checks for difference in check.differences] == []
    assert next(check.count for check in checks if check.unit == "figures") > 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_of_any_version_that_was_interrupted_loads_and_goes_on(version: int, tmp_path: Path) -> None:
    lines = (GOLDEN / f"v{version}" / JOURNAL_NAME).read_bytes().splitlines(keepends=True)
    whole = len(archive.load(GOLDEN / f"v{version}").windows)
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    report = archive.load(tmp_path)
    assert (report.status, 0 < len(report.windows) < whole) == ("interrupted", True)
    at_s = "2026-11-28T08:00:00+00:00"
    with Journal(tmp_path) as journal:  # as a run of today that goes on
        journal.write(
            ResumeLine(entry=Resume(at=at_s, argv=("joulebatch",), dropped_bytes=0, measured_s=9.0))
        )
        journal.write(NoteLine(text="went on"))
    report = archive.load(tmp_path)
    assert (report.resumes[-1].at, report.notes[-1]) == (at_s, "went on")
    header, *_, resumed, _ = map(json.loads, path.read_bytes().splitlines())
    assert (header["schema_version"], resumed["schema_version"]) == (version, SCHEMA_VERSION)


@pytest.mark.parametrize(("found", "fix"), [(SCHEMA_VERSION + 1, "Upgrade joulebatch."), (-1, "")])
def test_a_journal_of_an_unknown_version_is_one_line(tmp_path: Path, found: int, fix: str) -> None:
    data = (GOLDEN / f"v{SCHEMA_VERSION}" / JOURNAL_NAME).read_bytes()
    stated = f'"schema_version":{SCHEMA_VERSION}'.encode()
    (tmp_path / JOURNAL_NAME).write_bytes(data.replace(stated, f'"schema_version":{found}'.encode(), 1))
    with pytest.raises(FileError) as caught:
        archive.load(tmp_path)
    expected = f"expected schema version {SCHEMA_VERSION} or older, got {found}. {fix}".strip()
    assert str(caught.value) == f"Cannot read {tmp_path / JOURNAL_NAME}: {expected}"


@pytest.fixture(scope="module")
def tree() -> Any:
    return json.loads((GOLDEN / f"v{SCHEMA_VERSION}" / "report.json").read_bytes())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(data=st.data())
def test_fields_of_a_later_version_survive_a_round_trip_wherever_they_are(
    tree: Any, data: st.DataObject
) -> None:
    places = [path for path in objects_in(tree) if not path or path[0] != "windows" or path[1] in {0, 9}]
    chosen = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=4))
    added = tree
    for number, path in enumerate(chosen):
        # Even a name that a class has for something else: a property, a method.
        name = data.draw(
            st.sampled_from(
                [f"new_{number}", "baselines", "contender", "model_dump", "__class__", "__dict__"]
            )
        )
        value = data.draw(JSON)
        if _is_mapping_of_numbers_or_texts(path):
            continue
        added = replaced(added, path, {**at(added, path), name: value})
    written = Report.model_validate_json(json.dumps(added)).model_dump_json()
    assert json.loads(written) == added
    assert Report.model_validate_json(written).model_dump_json() == written


def _is_mapping_of_numbers_or_texts(path: tuple[str | int, ...]) -> bool:
    """Return whether an object is no record but a mapping whose values all have one type."""
    named = {"options", "versions", "files", "facts", "nodes_by_provider", "published_accuracy"}
    return bool(path) and path[-1] in named


def test_a_loaded_report_keeps_what_it_does_not_know_when_it_changes(tree: Any) -> None:
    energy = ("windows", 0, "energy", 0)
    added = replaced(tree, energy, {**at(tree, energy), "phase": "l1"})
    report = Report.model_validate_json(json.dumps(added))
    window = report.windows[0].model_copy(update={"outlier": True})
    assert json.loads(window.model_dump_json())["energy"][0]["phase"] == "l1"
    assert window.model_dump()["energy"][0]["phase"] == "l1"


def test_nothing_that_we_write_ourselves_is_unknown(tmp_path: Path) -> None:
    write_golden(tmp_path / "golden")
    values = [*_within(archive.load(tmp_path / "golden"))]
    values += [each for line in read_journal(tmp_path / "golden") for each in _within(line)]
    assert len(values) > 1000
    assert {type(value).__name__: dict(unknown_of(value)) for value in values if unknown_of(value)} == {}


def _within(value: object) -> list[Record | Extensible]:
    """Return every record and dataclass within a value."""
    found: list[Record | Extensible] = []
    if isinstance(value, Record | Extensible):
        inner = (getattr(value, name) for name in known_names(value))
        found = [value, *(each for part in inner for each in _within(part))]
    elif isinstance(value, tuple):
        found = [each for item in value for each in _within(item)]
    return found


def test_the_json_schema_is_that_of_the_code(file_regression: FileRegressionFixture) -> None:
    from runner.report.schema.document import json_schema  # noqa: PLC0415 - only here

    file_regression.check(json_schema(), fullpath=SCHEMA, extension=".json", encoding="utf-8")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("folder", ARCHIVED, ids=lambda folder: folder.name)
def test_every_archived_report_is_valid_against_the_json_schema(
    folder: Path, validator: jsonschema.Draft202012Validator
) -> None:
    raw = json.loads((folder / "report.json").read_bytes())
    if raw["schema_version"] == SCHEMA_VERSION:
        validator.validate(raw)
    validator.validate(json.loads(archive.load(folder).model_dump_json()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("measured_s",), "soon"),
        (("windows", 0, "inference_count"), 0),
        (("windows", 0, "wall_s"), 0.0),
        (("windows", 0, "energy", 0, "status"), "guessed"),
        (("cells", 0, "status"), "lost"),
        (("schema_version",), 0),
    ],
)
def test_what_the_reader_refuses_the_json_schema_refuses(
    tree: Any,
    validator: jsonschema.Draft202012Validator,
    path: tuple[str | int, ...],
    value: object,
    tmp_path: Path,
) -> None:
    broken = replaced(tree, path, value)
    assert list(validator.iter_errors(broken))
    if path == ("schema_version",):
        return  # an older version has its own schema
    shutil.copytree(GOLDEN / f"v{SCHEMA_VERSION}", tmp_path / "broken")
    (tmp_path / "broken" / "report.json").write_text(json.dumps(broken))
    with pytest.raises(FileError):
        archive.load(tmp_path / "broken")


def test_the_header_of_a_journal_states_its_version(tmp_path: Path) -> None:
    write_golden(tmp_path / "golden")
    header = next(read_journal(tmp_path / "golden"))
    assert isinstance(header, HeaderLine)
    assert header.schema_version == SCHEMA_VERSION
