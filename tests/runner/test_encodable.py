import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.encodable import encodable, never_fail


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp437", "utf-8"]))
def test_any_text_can_be_written_and_json_stays_what_it_was(text: str, encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    never_fail(stream)
    stream.write(json.dumps(text, ensure_ascii=False))
    stream.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == text


def test_undecodable_file_names_are_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    never_fail(stream)
    stream.write("a\udcff")
    stream.flush()
    assert raw.getvalue() == b"a\\udcff"


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("±2 %", "ascii", "+-2 %"),
        ("±2 %", "latin-1", "±2 %"),
        ("▁█…", "ascii", "18..."),
        ("ö", "ascii", "\\u00f6"),
        ("±▁ö…", "utf-8", "±▁ö…"),
    ],
)
def test_people_get_something_readable(text: str, encoding: str, expected: str) -> None:
    assert encodable(text, encoding) == expected
