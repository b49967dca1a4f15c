from pathlib import Path

import pytest

from runner.onnx_sources import OnnxSource, parse_source, sources_of


@pytest.mark.parametrize(
    ("text", "label", "path"),
    [
        ("net.onnx", None, "net.onnx"),
        ("base=net.onnx", "base", "net.onnx"),
        ("v1.2_a-B=a/net.onnx", "v1.2_a-B", "a/net.onnx"),
        ("new=a=b.onnx", "new", "a=b.onnx"),
        ("./a=b.onnx", None, "a=b.onnx"),
        ("a b=c.onnx", None, "a b=c.onnx"),
        ("=net.onnx", None, "=net.onnx"),
        ("new=", None, "new="),
    ],
)
def test_a_word_before_an_equals_sign_is_a_label(text: str, label: str | None, path: str) -> None:
    assert parse_source(text) == OnnxSource(label, Path(path))


def test_the_files_of_a_model_are_found_as_they_were_written() -> None:
    texts = ("a/net.onnx", "base=old/head.onnx", "b/tail.onnx", "new=head2.onnx")
    assert sources_of(texts, "head") == ("base=old/head.onnx", "new=head2.onnx")
    assert sources_of(texts, "tail") == ("b/tail.onnx",)
    assert sources_of(texts, "head2") == sources_of((), "net") == ()


def test_the_path_of_a_file_that_is_there_is_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("lr=0.1/net.onnx").label == "lr"
    (tmp_path / "lr=0.1").mkdir()
    (tmp_path / "lr=0.1" / "net.onnx").touch()
    assert parse_source("lr=0.1/net.onnx") == OnnxSource(None, Path("lr=0.1/net.onnx"))
