import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from runner.errors import FileError
from runner.report.folders import JOURNAL_NAME, is_being_written
from runner.report.journal import Journal, read_journal, torn_bytes
from runner.report.lines import Line, NoteLine
from tests.fakes import cell_key, make_journal
from tests.queues import with_queue

BARE = make_journal(
    backends=("cpu", "torch", "cuda"),
    pace_hz=2,
    energy="measured",
    outcomes={cell_key("alexnet", "torch", 4): ("failed", "out of memory")},
    notes=("Random weights",),
    idle_w=(20.0, 21.0),
    disturbed={1: "steal"},
    killed_in=2,
)
LINES = with_queue(BARE, requests=5)


def test_every_kind_of_line_survives_the_disk_in_full_precision(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for line in LINES:
            journal.write(line)
    assert tuple(read_journal(tmp_path)) == LINES
    assert {type(line) for line in LINES} == set(get_args(Line))


def test_a_line_is_readable_as_soon_as_it_was_written(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for count, line in enumerate(LINES[:5], start=1):
            journal.write(line)
            assert tuple(read_journal(tmp_path)) == LINES[:count]


def test_the_names_of_journal_and_folder_are_on_the_disk_before_the_first_line(
    tmp_path: Path, synced: Callable[[Path], bool]
) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    with Journal(folder):
        assert synced(folder)
        assert synced(tmp_path)


def test_a_journal_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for line in LINES[:2]:
        with Journal(tmp_path) as journal:
            journal.write(line)
    assert tuple(read_journal(tmp_path)) == LINES[:2]


def test_a_killed_run_loses_at_most_the_line_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    whole = b"".join(line.model_dump_json().encode() + b"\n" for line in LINES[:4])
    first_three = LINES[:3]
    fourth_start = whole[:-1].rindex(b"\n") + 1
    for end in range(fourth_start, len(whole)):
        path.write_bytes(whole[:end])
        assert tuple(read_journal(tmp_path)) == first_three


def test_a_torn_line_is_cut_off_before_the_next_and_not_sooner(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    whole = b"".join(line.model_dump_json().encode() + b"\n" for line in LINES[:2])
    torn = LINES[2].model_dump_json().encode()
    for length in (0, 1, len(torn) // 2, len(torn)):
        path.write_bytes(whole + torn[:length])
        with Journal(tmp_path) as journal:
            assert torn_bytes(tmp_path) == length
            assert path.read_bytes() == whole + torn[:length], (
                "a run that is refused leaves the file as it was"
            )
            journal.write(LINES[3])
        assert tuple(read_journal(tmp_path)) == (*LINES[:2], LINES[3])
        assert torn_bytes(tmp_path) == 0


@pytest.mark.parametrize("length", [1 << 16, (1 << 16) + 1, 200_000])
def test_a_torn_line_may_be_longer_than_what_is_read_at_a_time(tmp_path: Path, length: int) -> None:
    whole = LINES[0].model_dump_json().encode() + b"\n"
    (tmp_path / JOURNAL_NAME).write_bytes(whole + b"x" * length)
    assert torn_bytes(tmp_path) == length
    (tmp_path / JOURNAL_NAME).write_bytes(b"x" * length)
    assert torn_bytes(tmp_path) == length, "not even the header is whole"


@pytest.fixture
def limited() -> Iterator[Callable[[int], None]]:
    """Files cannot grow beyond a limit: what a full disk does to a write, to the byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN, "Python ignores it, so that write says EFBIG"
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_line_that_found_no_room_is_gone_once_there_is_some(
    tmp_path: Path, limited: Callable[[int], None], room: int
) -> None:
    with Journal(tmp_path) as journal:
        journal.write(LINES[0])
        size = (tmp_path / JOURNAL_NAME).stat().st_size
        limited(size + room)
        with pytest.raises(FileError, match="free some space"):
            journal.write(LINES[1])
        assert torn_bytes(tmp_path) == room
        limited(resource.RLIM_INFINITY)
        journal.write(LINES[2])
    assert tuple(read_journal(tmp_path)) == (LINES[0], LINES[2])


def test_a_broken_line_before_the_last_is_named(tmp_path: Path) -> None:
    note = NoteLine(text="kept").model_dump_json().encode() + b"\n"
    (tmp_path / JOURNAL_NAME).write_bytes(note + b'{"kind": "unheard of"}\n' + note)
    lines = read_journal(tmp_path)
    assert next(lines) == NoteLine(text="kept")
    with pytest.raises(
        FileError, match=r"journal\.jsonl: expected a journal line of schema version 1, got line 2:"
    ):
        next(lines)


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="expected a journal"):
        tuple(read_journal(tmp_path))
    with pytest.raises(FileError, match="expected a journal"):
        torn_bytes(tmp_path)


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Pass another --reports-dir"):
        Journal(tmp_path / "absent")


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).symlink_to("/dev/full")
    with (
        Journal(tmp_path) as journal,
        pytest.raises(FileError, match=r"No space left on device.*free some space"),
    ):
        journal.write(NoteLine(text="lost"))


def test_one_run_at_a_time_writes_a_folder(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert is_being_written(tmp_path)
        with pytest.raises(FileError, match="another run"):
            Journal(tmp_path)
        journal.write(NoteLine(text="still writing"))
    assert not is_being_written(tmp_path)
    assert tuple(read_journal(tmp_path)) == (NoteLine(text="still writing"),)
