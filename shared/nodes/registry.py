"""All node types, found by listing this package's folders; each is imported when it is first asked for.

A composite's parts are types too: `agent.model` is in `_agent_model.py`. Only `get` knows them: no document has them.
"""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path

from shared.nodes.base import Child, Composite, Container, Effect, NodeType, Pure, Question, Timer, Trigger, Wait

_BASES = (NodeType, Trigger, Pure, Effect, Wait, Timer, Question, Child, Container, Composite)
_PART = re.compile(r"[a-z]+\.[a-z]+")


@cache
def names() -> dict[str, str]:
    """Type name → module, for every type of documents, in alphabetical order."""
    root = Path(__file__).parent
    found = {
        f.stem: f"shared.nodes.{f.parent.name}.{f.stem}" for f in root.glob("*/*.py") if not f.stem.startswith("_")
    }
    return dict(sorted(found.items()))


@cache
def find(type_name: str) -> NodeType | None:
    """The type of that name, or None. Its class is the one NodeType subclass that its file defines."""
    module_name = names().get(type_name)
    return _declared(type_name, module_name) if module_name is not None else None


def _declared(type_name: str, module_name: str) -> NodeType:
    module = importlib.import_module(module_name)
    (declared,) = (
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, NodeType)
        and value not in _BASES
        and value.__module__ == module_name
        and not value.__name__.startswith("_")
    )
    declared.type = type_name
    made: NodeType = declared()
    return made


def get(type_name: str) -> NodeType:
    """The type of that name, also that of a composite's part. Raises KeyError."""
    found = _part(type_name) if _PART.fullmatch(type_name) else find(type_name)
    if found is None:
        raise KeyError(type_name)
    return found


@cache
def _part(type_name: str) -> NodeType | None:
    found = next(Path(__file__).parent.glob(f"*/_{type_name.replace('.', '_')}.py"), None)
    return _declared(type_name, f"shared.nodes.{found.parent.name}.{found.stem}") if found is not None else None
