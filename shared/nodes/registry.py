"""All node types, found by listing this package's folders; each is imported when it is first asked for."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from pathlib import Path

from shared.nodes.base import Child, Container, Effect, NodeType, Pure, Question, Timer, Trigger, Wait

_BASES = (NodeType, Trigger, Pure, Effect, Wait, Timer, Question, Child, Container)


@cache
def names() -> dict[str, str]:
    """Type name → module, for every type there is, in alphabetical order. Modules with a leading `_` are no types."""
    root = Path(__file__).parent
    found = {
        f.stem: f"shared.nodes.{f.parent.name}.{f.stem}" for f in root.glob("*/*.py") if not f.stem.startswith("_")
    }
    return dict(sorted(found.items()))


@cache
def find(type_name: str) -> NodeType | None:
    """The type of that name, or None. Its class is the one NodeType subclass that its file defines."""
    module_name = names().get(type_name)
    if module_name is None:
        return None
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
    """The type of that name. Raises KeyError."""
    found = find(type_name)
    if found is None:
        raise KeyError(type_name)
    return found
