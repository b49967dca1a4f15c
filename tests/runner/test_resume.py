"""What a journal tells the run that goes on, and when it must not go on."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config import RunConfig
from runner.contender import Contender
from runner.errors import FileError, UsageError
from runner.report.archive import finish
from runner.report.assemble import assemble
from runner.report.folders import JOURNAL_NAME, REPORT_NAME
from runner.report.journal import Journal
from runner.report.lines import (
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    IdleLine,
    Line,
    ModelEndLine,
    ResumeLine,
    WindowLine,
)
from runner.report.schema import Resume, SessionEntry
from runner.resume import check_session, check_unchanged, read_so_far, resumable, resumed_config
from runner.so_far import LATE_FLAG, ModelSoFar
from tests.fakes import GPU, cell_key, make_journal

MODELS = ("alexnet", "vit_b_16")
FIRST, SECOND = MODELS
LINES = make_journal(MODELS, blocks=3, ending=None)
(HEADER,) = (line for line in LINES if isinstance(line, HeaderLine))
CELL = cell_key("alexnet", "cpu", 1)


def write(folder: Path, lines: Iterable[Line]) -> Path:
    folder.mkdir(exist_ok=True)
    with Journal(folder) as journal:
        for line in lines:
            journal.write(line)
    return folder


def place(lines: tuple[Line, ...], kind: type, number: int = 0) -> int:
    """Return where the n-th line of a kind is."""
    return [index for index, line in enumerate(lines) if isinstance(line, kind)][number]


def resumed(measured_s: float) -> ResumeLine:
    entry = Resume(at="2026-11-24T08:00:00+00:00", argv=(), dropped_bytes=0, measured_s=measured_s)
    return ResumeLine(entry=entry)


def latest(lines: tuple[Line, ...], key: str) -> CellLine:
    return [line for line in lines if isinstance(line, CellLine) and line.entry.key == key][-1]


def windows_of(lines: Iterable[Line], cell: str) -> list[WindowLine]:
    return [line for line in lines if isinstance(line, WindowLine) and line.entry.cell == cell]


def test_a_run_killed_at_once_knows_its_plan_and_nothing_else(tmp_path: Path) -> None:
    so_far = read_so_far(write(tmp_path, LINES[:1]))
    assert so_far.header == HEADER
    assert list(so_far.models) == [FIRST, SECOND]
    model = so_far.models[FIRST]
    assert list(model.cells.values()) == [cell for cell in HEADER.cells if cell.model == "alexnet"]
    assert (model.done, model.blocks, len(model.repeated), model.means_s, model.sessions) == (
        False,
        0,
        0,
        {},
        {},
    )
    assert (so_far.measured_s, so_far.idle, so_far.torn_bytes) == (0, (), 0)


def test_finished_blocks_count_and_the_open_one_does_not(tmp_path: Path) -> None:
    lines = LINES[: place(LINES, BlockLine, 2)]
    assert isinstance(lines[-1], WindowLine)
    model = read_so_far(write(tmp_path, lines)).models[FIRST]
    assert model.blocks == 2
    assert not model.done
    expected = {line.entry.block: line.entry.latency_mean_s for line in windows_of(lines, CELL)[:2]}
    assert model.means_s[CELL] == expected
    assert model.means_s.keys() == model.cells.keys()
    assert model.cells[CELL] == latest(lines, CELL).entry
    assert model.sessions.keys() == {Contender("fp32", "cpu"), Contender("fp32", "torch")}


def test_a_model_is_done_once_it_says_so(tmp_path: Path) -> None:
    end = place(LINES, ModelEndLine)
    before = read_so_far(write(tmp_path / "before", LINES[:end]))
    after = read_so_far(write(tmp_path / "after", LINES[: end + 1]))
    assert [model.done for model in before.models.values()] == [False, False]
    assert [model.done for model in after.models.values()] == [True, False]
    assert after.models[FIRST].blocks == 3
    assert after.models[SECOND].blocks == 0


def test_windows_of_a_block_that_was_open_when_the_run_went_on_stay_out(tmp_path: Path) -> None:
    lines = make_journal(MODELS, blocks=3, killed_in=1)
    assert len(windows_of(lines, CELL)) >= 3
    model = read_so_far(write(tmp_path, lines)).models[FIRST]
    assert model.blocks == 3
    for cell in model.cells:
        own = windows_of(lines[place(lines, ResumeLine) :], cell)
        assert model.means_s[cell][1] == next(w.entry.latency_mean_s for w in own if w.entry.block == 1)
        assert model.means_s[cell].keys() == {0, 1, 2}


def test_a_disturbed_block_waits_until_it_is_repeated(tmp_path: Path) -> None:
    lines = make_journal(blocks=4, disturbed={1: "steal", 3: "stopped"}, ending=None)
    repeats = [
        index for index, line in enumerate(lines) if isinstance(line, BlockLine) and line.repeats is not None
    ]
    before, between, after = (
        read_so_far(write(tmp_path / str(end), lines[:end])).models[FIRST]
        for end in (repeats[0], repeats[0] + 1, repeats[1] + 1)
    )
    assert (before.blocks, len(before.repeated), before.disturbed) == (4, 0, {1: "steal", 3: "stopped"})
    assert (between.blocks, len(between.repeated), between.disturbed) == (5, 1, {3: "stopped"})
    assert (after.blocks, len(after.repeated), after.disturbed) == (6, 2, {})


def test_late_windows_of_finished_blocks_are_counted(tmp_path: Path) -> None:
    lines = [
        line.model_copy(update={"entry": line.entry.model_copy(update={"flags": (LATE_FLAG,)})})
        if isinstance(line, WindowLine) and line.entry.cell == CELL and line.entry.block != 1
        else line
        for line in LINES[: place(LINES, BlockLine, 2)]
    ]
    model = read_so_far(write(tmp_path, lines)).models[FIRST]
    assert model.late[CELL] == 1, "block 0; block 1 was in time, and block 2 is open"
    assert sum(model.late.values()) == 1


def test_what_a_run_learns_is_what_its_journal_says(tmp_path: Path) -> None:
    lines = make_journal(blocks=4, disturbed={2: "steal"}, pace_hz=2)
    learned, windows = ModelSoFar(), []
    for line in lines:
        if isinstance(line, WindowLine):
            windows.append(line.entry)
        elif isinstance(line, BlockLine):
            learned.finish_block(line, windows)
            windows = []
    read = read_so_far(write(tmp_path, lines)).models[FIRST]
    assert replace(read, cells={}, sessions={}, done=False, workers={}) == learned


def test_a_cell_is_closed_by_what_its_last_line_says() -> None:
    keys = [cell_key("alexnet", backend, size) for backend in ("cpu", "torch") for size in (1, 4)]
    lines = make_journal(
        outcomes={
            keys[1]: ("failed", "out of memory"),
            keys[2]: ("skipped", "budget: needs 9 s"),
            keys[3]: ("overloaded", "too slow"),
        }
    )
    (header,) = (line for line in lines if isinstance(line, HeaderLine))
    model = ModelSoFar(cells={line.entry.key: line.entry for line in lines if isinstance(line, CellLine)})
    assert [
        model.is_closed(cell) for cell in sorted(header.cells, key=lambda cell: keys.index(cell.key))
    ] == [
        False,
        True,
        True,
        True,
    ]
    assert not ModelSoFar().is_closed(header.cells[0])


def test_measured_time_adds_up_over_stretches(tmp_path: Path) -> None:
    end = EndLine(status="interrupted", ended_at="2026-11-23T21:39:05+00:00", measured_s=100.0)
    third = place(LINES, BlockLine, 2)
    said = write(tmp_path / "said", (*LINES[:third], end))
    assert read_so_far(said).measured_s == 100
    write(said, (resumed(100.0),))
    assert read_so_far(said).measured_s == 100
    windows = [line for line in LINES[third:] if isinstance(line, WindowLine)][:3]
    write(said, windows)
    span_s = windows[2].entry.started_s + windows[2].entry.wall_s - windows[0].entry.started_s
    assert read_so_far(said).measured_s == pytest.approx(100 + span_s)
    assert (
        assemble((*LINES[:third], end, resumed(100.0), *windows, resumed(100 + span_s), end)).measured_s
        == 200 + span_s
    )


def test_a_killed_run_took_as_long_as_its_windows_and_its_rest(tmp_path: Path) -> None:
    lines = make_journal(MODELS, blocks=3, idle_w=(10.0, 10.0), ending=None)
    entries = [line.entry for line in lines if isinstance(line, IdleLine | WindowLine)]
    span_s = entries[-1].started_s + entries[-1].wall_s - entries[0].started_s
    assert read_so_far(write(tmp_path, lines)).measured_s == pytest.approx(span_s)
    assert assemble(lines).measured_s == pytest.approx(span_s)


def test_a_boot_between_stretches_sets_the_clock_back_and_nothing_else(tmp_path: Path) -> None:
    third = place(LINES, BlockLine, 2)
    windows = [line for line in LINES[third:] if isinstance(line, WindowLine)][:2]
    early = [
        line.model_copy(
            update={"entry": line.entry.model_copy(update={"started_s": line.entry.started_s - 1000})}
        )
        for line in windows
    ]
    later = read_so_far(write(tmp_path / "later", (*LINES[:third], resumed(60.0), *windows)))
    booted = read_so_far(write(tmp_path / "booted", (*LINES[:third], resumed(60.0), *early)))
    assert booted.measured_s == pytest.approx(later.measured_s)


def test_every_process_of_a_backend_has_a_number_of_its_own(tmp_path: Path) -> None:
    assert read_so_far(write(tmp_path / "none", LINES[:1])).models[FIRST].workers == {}
    lines = make_journal(MODELS, blocks=4, workers=2, killed_in=3, ending=None)
    open_block = lines[: place(lines, ResumeLine)]
    so_far = read_so_far(write(tmp_path / "open", open_block))
    assert max(so_far.models[FIRST].workers.values()) == 2, "those of the open block count, too"
    assert so_far.models[SECOND].workers == {}
    assert read_so_far(write(tmp_path / "all", lines)).models[FIRST].workers == {
        Contender("fp32", "cpu"): 3,
        Contender("fp32", "torch"): 3,
    }


def test_idle_windows_are_kept(tmp_path: Path) -> None:
    lines = make_journal(idle_w=(20.0, 21.0))
    assert [each.moment for each in read_so_far(write(tmp_path, lines)).idle] == ["before", "after"]


def test_a_torn_line_is_measured(tmp_path: Path) -> None:
    write(tmp_path, LINES[:20])
    with (tmp_path / JOURNAL_NAME).open("ab") as stream:
        stream.write(b'{"kind":"win')
    so_far = read_so_far(tmp_path)
    assert so_far.torn_bytes == 12
    (tmp_path / JOURNAL_NAME).write_bytes(b'{"kind":"header"')
    with pytest.raises(
        FileError, match=r"expected a journal\.jsonl that begins with a header.*Start a new run"
    ):
        read_so_far(tmp_path)


def reports(folder: Path) -> list[Path]:
    """Return, in order of time, one that was killed, one that was killed and one that is complete."""
    folders = [folder / f"2026-11-23T21-34-0{second}-abcd" for second in range(3)]
    for each in folders:
        write(each, make_journal())
    finish(folders[2], {"report.md": lambda report: report.report_id})
    return folders


def test_latest_is_the_newest_that_is_not_complete(tmp_path: Path) -> None:
    folders = reports(tmp_path)
    assert resumable(tmp_path, "latest") == folders[1]
    assert resumable(tmp_path, folders[0].name) == folders[0]
    assert resumable(tmp_path / "elsewhere", str(folders[0])) == folders[0]


def test_what_cannot_go_on_is_refused_with_the_reason(tmp_path: Path) -> None:
    first, second, complete = reports(tmp_path)
    with pytest.raises(UsageError, match="expected a report that is not complete, got one that is"):
        resumable(tmp_path, complete.name)
    with (
        Journal(second),
        pytest.raises(UsageError, match="expected a run that has ended, got one that goes on"),
    ):
        resumable(tmp_path, "latest")
    for each in (first, second):
        (each / REPORT_NAME).write_bytes((complete / REPORT_NAME).read_bytes())
    with pytest.raises(UsageError, match="that is not complete, got none"):
        resumable(tmp_path, "latest")
    with pytest.raises(FileError, match="got none"):
        resumable(tmp_path / "empty", "2026")


def test_the_configuration_is_the_one_of_the_header(tmp_path: Path) -> None:
    config = RunConfig.read(
        {
            "batch_sizes": "1,4",
            "target_ci_ratio": "3%",
            "paces": ("8@4",),
            "models_dir": Path("models"),
            "reports_dir": tmp_path,
        }
    )
    assert resumed_config(_with_config(config.model_dump(mode="json"))) == config
    later = config.model_dump(mode="json") | {"unheard_of": 1}
    with pytest.raises(
        FileError, match=r"begun by joulebatch 0\.1\.0.*unheard_of.*Resume it with that version"
    ):
        resumed_config(_with_config(later))


def _with_config(config: dict[str, Any]) -> HeaderLine:
    provenance = HEADER.provenance.model_copy(update={"config": config})
    return HEADER.model_copy(update={"provenance": provenance})


def _changed(part: str, **facts: Any) -> HeaderLine:
    """Return the header with other facts in its environment, or in the first of its models, backends or meters."""
    value = getattr(HEADER, part)
    new = (
        (value[0].model_copy(update=facts), *value[1:])
        if isinstance(value, tuple)
        else value.model_copy(update=facts)
    )
    return HEADER.model_copy(update={part: new})


@pytest.mark.parametrize(
    ("now", "was", "became"),
    [
        (_changed("models", sha256="f" * 64), f"model alexnet fp32 sha256 {'0' * 64}", "sha256 ffff"),
        (_changed("environment", host="other"), "expected host bench", "host other"),
        (_changed("environment", kernel="7.0.0"), "kernel 6.12.48", "kernel 7.0.0"),
        (_changed("environment", cpu="486"), "CPU Intel", "CPU 486"),
        (_changed("environment", cores=4), r"cores 2 \(2 usable\)", r"cores 4 \(2 usable\)"),
        (_changed("environment", usable_cores=0.5), r"cores 2 \(2 usable\)", r"cores 2 \(0.5 usable\)"),
        (_changed("environment", memory_bytes=4_000_000_000), "memory 8335749120 bytes", "memory 4000000000 bytes"),
        (_changed("environment", gpus=(GPU,)), "GPUs none", "GPUs NVIDIA H100"),
        (_changed("environment", python="3.12.1"), "python 3.11.14", "python 3.12.1"),
        (
            _changed("environment", versions=HEADER.environment.versions | {"onnxruntime": "1.99.0"}),
            "expected onnxruntime 1.32.0",
            "onnxruntime 1.99.0",
        ),
        (
            _changed("environment", versions={"onnxruntime": "1.32.0", "joulebatch": "0.1.0"}),
            "torch 2.13.0",
            "torch absent",
        ),
        (
            _changed("provenance", files={"arrivals trace:day.txt": "f" * 64}),
            "arrivals trace:day.txt absent",
            "arrivals trace:day.txt sha256 ffff",
        ),
        (_changed("backends", options={"threads": "1"}), "backend cpu cpu:threads=2", "cpu:threads=1"),
        (_changed("backends", interpreter="/opt/python"), "backend cpu", "by /opt/python"),
        (_changed("meters", status="measured", source="pyRAPL"), "cpu_package unavailable", "measured pyRAPL"),
        (_changed("cells", key="new"), "cpu/b1/host as number 1, cell new absent", "b1/host absent, cell new"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_changed_is_named_old_and_new(tmp_path: Path, now: HeaderLine, was: str, became: str) -> None:
    so_far = read_so_far(write(tmp_path, LINES))
    with pytest.raises(FileError, match=f"(?s)Cannot resume.*{was}.*got.*{became}.*Go back to what it was"):
        check_unchanged(so_far, now)


def test_what_does_not_matter_may_change(tmp_path: Path) -> None:
    so_far = read_so_far(write(tmp_path, LINES))
    check_unchanged(so_far, HEADER)
    check_unchanged(so_far, HEADER.model_copy(update={"started_at": "2027-01-01T00:00:00+00:00"}))
    check_unchanged(so_far, _changed("environment", governor="performance", git=None))
    some_pages = HEADER.environment.memory_bytes + 40 * 4096
    check_unchanged(so_far, _changed("environment", memory_bytes=some_pages))
    check_unchanged(so_far, _changed("meters", tick_s=0.00101))


def test_a_session_that_opens_otherwise_is_refused(tmp_path: Path) -> None:
    was = read_so_far(write(tmp_path, LINES)).models[FIRST].sessions[Contender("fp32", "cpu")]
    check_session(was, was.model_copy(update={"open_s": 9.0, "parity": None}))
    check_session(
        was, SessionEntry(model="alexnet", variant="fp32", backend="cpu", status="failed", reason="x")
    )
    check_session(None, was)
    with pytest.raises(
        FileError, match=r"alexnet on cpu: expected onnxruntime absent, got onnxruntime 1\.24"
    ):
        check_session(was, was.model_copy(update={"facts": {**was.facts, "onnxruntime": "1.24"}}))
    with pytest.raises(FileError, match=r"nodes .*CPUExecutionProvider.*Other"):
        check_session(was, was.model_copy(update={"nodes_by_provider": {"Other": 120}}))
