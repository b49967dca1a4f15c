from functools import cache
from importlib.metadata import EntryPoint

import pytest

from runner.backends import registry
from runner.backends.interface import Missing
from runner.backends.registry import backend_names, find_backend
from runner.backends.spec import parse_spec
from runner.errors import AbsentError, UsageError


@pytest.mark.usefixtures("third_party")
def test_a_third_party_backend_joins_by_its_entry_point() -> None:
    assert "faulty" in backend_names()
    assert find_backend("faulty").summary == "fails as asked"


# Backends that other distributions add (torch among them) are under contract wherever they are installed.
@pytest.mark.parametrize("name", backend_names())
def test_every_backend_keeps_the_contract(name: str) -> None:
    backend = find_backend(name)
    assert backend.name == name == name.lower()
    assert backend.summary
    assert "\n" not in backend.summary
    assert backend.device in {"cpu", "gpu", "other"}
    assert backend.ios[0] == "host"
    assert set(backend.ios) <= {"host", "device"}
    assert isinstance(backend.missing(), Missing | None)
    assert isinstance(backend.needs_manifest, bool)
    options = parse_spec(name).options
    assert 0 < backend.parity_tolerance_ratio(options) < 1


@pytest.mark.parametrize("name", backend_names())
def test_every_option_has_a_default_that_may_be_given(name: str) -> None:
    for option in find_backend(name).options:
        assert option.name == option.name.lower()
        assert option.summary
        assert (option.check == "choice") == bool(option.choices)
        assert not option.choices or option.default in option.choices
        assert all(choice == choice.lower() for choice in option.choices)  # specs are lower-cased
        assert parse_spec(f"{name}:{option.name}={option.default}").options == parse_spec(name).options


def test_built_in_backends_come_first_and_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, EntryPoint("cpu", "nowhere:X", registry.ENTRY_POINT_GROUP))
    assert backend_names() == tuple(registry.BUILT_IN)
    assert type(find_backend("cpu")).__module__ == "runner.backends.cpu"


@pytest.mark.parametrize("value", ["not_installed_anywhere:BACKEND", "runner.backends.cpu:NOTHING"])
def test_an_added_backend_that_does_not_load_is_absent(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    _install(monkeypatch, EntryPoint("tpu", value, registry.ENTRY_POINT_GROUP))
    with pytest.raises(
        AbsentError, match=rf"Cannot load backend tpu: expected {value} to import.*Reinstall tpu"
    ):
        find_backend("tpu")


def test_an_unknown_backend_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Did you mean cuda"):
        find_backend("cudnn")


def _install(monkeypatch: pytest.MonkeyPatch, point: EntryPoint) -> None:
    monkeypatch.setattr(registry, "_added", cache(registry._added.__wrapped__))
    monkeypatch.setattr(registry, "entry_points", lambda group: (point,) if group == point.group else ())
