"""A backend of ONNX Runtime that is a row of facts about its provider: most providers differ in nothing else."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from runner.backends import nvidia
from runner.backends.interface import Device, Io, Missing, OpenRequest, Option, Passing, Session
from runner.backends.plugins import Plugin, bundled_providers, describe_device, find_devices, is_installed
from runner.backends.provider_options import split_options
from runner.backends.session_options import restrict_cores, threads
from runner.backends.wheels import installed_wheels, missing_wheel, own_environment
from runner.errors import AbsentError
from runner.variants import VARIANTS

_SPELT = {"on": "1", "off": "0"}
_SYSTEMS = {"Windows": "Windows", "Darwin": "macOS"}
"""by ``platform.system``: what people call it"""


@dataclass(frozen=True, slots=True)
class Library:
    """A library that a provider loads at run time and its wheel does not bring."""

    title: str
    """what people call it"""
    file: str
    """as the loader looks for it"""
    folder: str = ""
    """of the package that may bring it"""
    pip: str = ""
    """what pip calls that package"""


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """What sets one provider apart from the others."""

    name: str
    """in a backend spec"""
    provider: str
    """as ONNX Runtime calls it"""
    title: str
    """as its vendor calls it"""
    summary: str
    device: Device
    tolerance_ratio: Callable[[Mapping[str, str]], float]
    """of parity, by the options in force, those passed on included"""
    label: str
    """of the interpreter that our advice names"""
    wheel: str = ""
    """the distribution that brings it in place of onnxruntime; empty: none does"""
    build: str = ""
    """the flag that builds it into onnxruntime, where nothing is published that brings it"""
    plugin: Plugin | None = None
    """the package that brings it beside onnxruntime"""
    system: str = ""
    """the only one it is for, as ``platform.system`` calls it"""
    needs_nvidia: bool = False
    """whether it needs an NVIDIA GPU with its driver"""
    libraries: tuple[Library, ...] = ()
    """in the order in which they are loaded"""
    options: tuple[Option, ...] = ()
    """of a backend spec"""
    keys: Mapping[str, str] = field(default_factory=dict)
    """the provider's key by the option of ours that sets it"""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """what the provider is always given"""
    refused: tuple[str, ...] = ()
    """keys that may not be passed on: addresses in memory, and what this project's way of running rules out"""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """what the provider is given unless a spec passes another value on"""
    fallbacks: tuple[str, ...] = ()
    """providers that take what it leaves, before the CPU does"""
    host_memory: bool = False
    """whether it computes in the host's memory, so that arrays can be bound without copies"""
    tensors_on: str = ""
    """ONNX Runtime's word for the memory in which io=device leaves tensors; empty: it has none to bind"""


class ProviderBackend:
    """A provider of ONNX Runtime as a backend: its wheel or plugin is looked for, and what it lacks is named."""

    needs_manifest = False
    variants = VARIANTS

    def __init__(self, row: ProviderRow) -> None:
        self.row = row
        self.name, self.summary, self.device, self.options = row.name, row.summary, row.device, row.options
        self.ios: tuple[Io, ...] = ("host", "device") if row.tensors_on else ("host",)
        taken = {key.lower(): option for option, key in row.keys.items()}
        self.passing: Passing | None = Passing(
            taken | dict.fromkeys(map(str.lower, (*row.fixed, *row.refused)), "")
        )

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        """Return the tolerance that the precision in force implies."""
        return self.row.tolerance_ratio(options)

    def missing(self) -> Missing | None:
        """Return what is missing: system, wheel or plugin, its devices, driver, libraries."""
        row = self.row
        if row.system and row.system != platform.system():
            return Missing(f"{row.title} is of {_SYSTEMS[row.system]} alone", "Pass --backend cpu here")
        if wheel := missing_wheel():
            return wheel
        if row.provider not in bundled_providers():
            return self._missing_plugin()
        driver = [nvidia.missing_driver()] if row.needs_nvidia else []
        if row.needs_nvidia:
            nvidia.preload()
        unloaded = [library for library in row.libraries if not nvidia.loads(library.file, library.folder)]
        absent = [*filter(None, driver), *(f"{each.title} ({each.file} does not load)" for each in unloaded)]
        if not absent:
            return None
        pip = "".join(f" (pip install {each.pip})" for each in unloaded if each.pip)
        return Missing(f"no {'; no '.join(absent)}", f"Install what is missing{pip}, or pass --backend cpu")

    def open(self, request: OpenRequest) -> Session:
        """Return the session."""
        from runner.backends.onnxruntime_session import ProviderUse, open_session  # noqa: PLC0415 - only a worker opens

        row = self.row
        restrict_cores(request.options.get("affinity", "any"))
        if row.needs_nvidia:
            nvidia.preload()
        for library in row.libraries:
            nvidia.loads(library.file, library.folder)  # where the provider's own look-up would not find it
        bundled = row.provider in bundled_providers()
        devices = () if bundled or row.plugin is None else find_devices(row.plugin, row.provider)
        if isinstance(devices, Missing):
            raise AbsentError(f"Cannot open {request.model_path.name} on {row.name}", got=devices.reason)
        ours, passed = split_options(request.options, row.options)
        use = ProviderUse(
            row.provider,
            {**self.provider_options(ours), **passed},
            passed,
            fallbacks=row.fallbacks,
            devices=devices,
            host_memory=row.host_memory,
            tensors_on=(row.tensors_on, int(ours["device"])) if row.tensors_on else None,
            facts={"device": "; ".join(map(describe_device, devices))} if devices else {},
        )
        return open_session(replace(request, options=ours), use)

    def provider_options(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return our options as the provider spells them, and what it is given besides."""
        ours = {"threads": str(threads(options))} if "threads" in options else {}
        given = {key: {**options, **ours}[option] for option, key in self.row.keys.items()}
        spelt = {key: _SPELT.get(value, value) for key, value in given.items() if value != "default"}
        return {**self.row.defaults, **spelt, **self.row.fixed}

    def _missing_plugin(self) -> Missing | None:
        row = self.row
        fix = f"Build onnxruntime with it: {row.build}"
        if row.wheel:
            fix = own_environment(row.name, row.label, row.wheel)
        elif row.plugin:
            fix = f"Install it beside onnxruntime: pip install {row.plugin.distribution}"
        if row.plugin is None or not is_installed(row.plugin):
            return Missing(f"no {row.title} in {'/'.join(installed_wheels())}", fix)
        found = find_devices(row.plugin, row.provider)
        if not isinstance(found, Missing):
            return None
        return Missing(found.reason, found.fix or (fix if row.wheel else "Pass --backend cpu here"))
