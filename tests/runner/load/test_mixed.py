import pytest

from runner.load.mixed import in_turn


def test_every_call_is_made_once_in_order() -> None:
    events: list[int] = []
    run = in_turn([lambda: events.append(4), lambda: events.append(1), lambda: events.append(16)])
    run()
    run()
    assert events == [4, 1, 16, 4, 1, 16]


def test_nothing_is_put_around_a_single_call() -> None:
    def run() -> None: ...

    assert in_turn([run]) is run


def test_a_call_that_fails_ends_the_pass() -> None:
    events: list[int] = []

    def fail() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        in_turn([lambda: events.append(1), fail, lambda: events.append(2)])()
    assert events == [1]
