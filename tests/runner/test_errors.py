import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import errors
from runner.errors import AbsentError, FileError, GateError, JoulebatchError, UsageError, nearest
from runner.interruption import InterruptedRunError


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(GateError, 1), (UsageError, 2), (AbsentError, 3), (FileError, 4), (JoulebatchError, 70)],
)
def test_each_kind_has_the_exit_code_that_the_manual_names(
    kind: type[JoulebatchError], exit_code: int
) -> None:
    assert kind("x").exit_code == exit_code


@pytest.mark.parametrize(("signum", "exit_code"), [(1, 129), (2, 130), (15, 143)])
def test_an_interruption_has_the_exit_code_of_its_signal(signum: int, exit_code: int) -> None:
    assert InterruptedRunError(signum).exit_code == exit_code


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "Cannot x."),
        ({"expected": "a"}, "Cannot x: expected a."),
        ({"got": "b."}, "Cannot x: got b."),
        ({"expected": "a", "got": "b"}, "Cannot x: expected a, got b."),
        ({"fix": "Do y"}, "Cannot x. Do y."),
        ({"expected": "a", "got": "b", "fix": "Do y"}, "Cannot x: expected a, got b. Do y."),
        ({"got": "a\n  long\tstory"}, "Cannot x: got a long story."),
    ],
)
def test_a_message_says_what_was_expected_what_came_and_what_to_do(parts: dict[str, str], text: str) -> None:
    assert str(UsageError("Cannot x", **parts)) == text


@given(st.text(), st.text(), st.text(), st.text())
def test_a_message_is_one_line(what: str, expected: str, got: str, fix: str) -> None:
    assert len(str(UsageError(what, expected=expected, got=got, fix=fix)).splitlines()) <= 1


def test_the_nearest_name_comes_first_and_all_are_named() -> None:
    assert nearest("CUDNA", ("cpu", "cuda")) == "Did you mean cuda? Valid: cpu, cuda"
    assert nearest("xyz", ("cpu", "cuda")) == "Valid: cpu, cuda"


def test_every_error_of_the_tree_is_documented() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert all(kind.__doc__ and issubclass(kind, JoulebatchError) for kind in kinds)
