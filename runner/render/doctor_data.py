"""What ``joulebatch doctor`` found out, as JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TextIO

from runner.diagnosis import MachineFacts
from runner.errors import JoulebatchError
from runner.model_diagnosis import ModelFacts


def write_facts_json(facts: MachineFacts | ModelFacts, stream: TextIO) -> None:
    """Write the whole of it; null is what is not known, and an answer with an ``error`` did not open the file."""
    stream.write(json.dumps(_plain(facts), indent=1, allow_nan=False) + "\n")


def _plain(value: object) -> object:
    match value:
        case JoulebatchError():
            return {"error": str(value)}
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
        case _ if is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
    return str(value) if isinstance(value, Path) else value
