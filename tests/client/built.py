"""The Python client, generated once for a test process."""

from __future__ import annotations

import importlib
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from infrastructure.client import build


@cache
def statewright() -> ModuleType:
    """The package as a user installs it."""
    folder = build(Path(tempfile.mkdtemp(prefix="statewright-client-")) / "made")
    sys.path.insert(0, str(folder))
    import statewright as made

    return made


def operation(name: str) -> ModuleType:
    """A module of `statewright.api`, as `workflows.workflows_get`."""
    statewright()
    return importlib.import_module(f"statewright.api.{name}")


def body(name: str, fields: dict[str, Any]) -> Any:
    """A body of this name, of the fields that are sent."""
    statewright()
    return getattr(importlib.import_module("statewright.models"), name).from_dict(fields)
