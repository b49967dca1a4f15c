from pathlib import Path

import pytest

from exporter.staging import publish, staging
from runner.errors import FileError


def test_files_move_out_and_the_folder_goes(tmp_path: Path) -> None:
    models_dir = tmp_path / "new" / "models"
    with staging(models_dir, "net") as folder:
        (folder / "net.onnx").write_text("new")
        assert not (models_dir / "net.onnx").exists()
        publish(folder, models_dir, ("net.onnx",))
    assert [path.name for path in models_dir.iterdir()] == ["net.onnx"]


def fail(models_dir: Path) -> None:
    with staging(models_dir, "net") as folder:
        (folder / "net.onnx").write_text("half")
        raise ZeroDivisionError


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    stale = tmp_path / ".export-dead"
    stale.mkdir()
    (stale / "dead.onnx").write_text("half")
    with staging(tmp_path, "alive") as alive:
        assert not stale.exists()
        with staging(tmp_path, "other"):
            assert alive.exists()
        with pytest.raises(FileError, match="no other export"), staging(tmp_path, "alive"):
            pass
        assert alive.exists()


def test_a_folder_that_cannot_be_written_is_an_error_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="--models-dir"), staging(tmp_path / "file" / "models", "net"):
        pass
