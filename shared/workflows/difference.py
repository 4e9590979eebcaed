"""What two documents of a workflow differ in, by what it means: nodes by their ids, connections by their ends.

What only people see — where a node stands, what it is called, notes, metadata — is told apart from what a run sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]

COSMETIC: Final = ("position", "name", "notes", "metadata")  # of a node
_ABOUT: Final = ("name", "description", "category", "tags")  # of a workflow
_LONGEST: Final = 2_000  # characters of a value that is shown
_MOST: Final = 500  # changes that are listed; the others are counted
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Changed:
    """A value that changed. `kind`: `added`, `removed`, `changed`. A long value is shown as the start of its text."""

    path: str
    kind: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What changed of a node that both have."""

    id: str
    type: str
    changes: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a document and a later one. Nodes that came and went are `{id, type, name, parent}`, connections their ends.

    `reordered`: nodes or connections stand in another order, which is the order of values at a port that takes several.
    """

    added: tuple[Json, ...]
    removed: tuple[Json, ...]
    changed: tuple[NodeChange, ...]
    cosmetic: tuple[NodeChange, ...]
    connections_added: tuple[Json, ...]
    connections_removed: tuple[Json, ...]
    reordered: bool
    variables: tuple[Changed, ...]
    settings: tuple[Changed, ...]
    about: tuple[Changed, ...]

    @property
    def same(self) -> bool:
        """Whether a run could not tell them apart."""
        told = (self.added, self.removed, self.changed, self.connections_added, self.connections_removed)
        return not (any(told) or self.reordered or self.variables or self.settings)


def difference(before: Json, after: Json) -> Difference:
    """What has become of the first document in the second."""
    old, new = ({n["id"]: n for n in document["nodes"]} for document in (before, after))
    changed: list[NodeChange] = []
    cosmetic: list[NodeChange] = []
    for node_id in (n for n in old if n in new):
        found = list(_changes(_filled(old[node_id]), _filled(new[node_id]), ""))
        for into, wanted in ((changed, False), (cosmetic, True)):
            some = tuple(c for c in found if (c.path.partition(".")[0] in COSMETIC) is wanted)
            if some:
                into.append(NodeChange(node_id, new[node_id]["type"], some[:_MOST]))
    wires = [[_ends(c) for c in document["connections"]] for document in (before, after)]
    ends = [{tuple(w.values()): w for w in each} for each in wires]
    kept = [[n for n in document if n in old and n in new] for document in (old, new)]
    tied = [[e for e in each if e in ends[0] and e in ends[1]] for each in ends]
    return Difference(
        added=tuple(_shown_node(n) for i, n in new.items() if i not in old),
        removed=tuple(_shown_node(n) for i, n in old.items() if i not in new),
        changed=tuple(changed),
        cosmetic=tuple(cosmetic),
        connections_added=tuple(w for e, w in ends[1].items() if e not in ends[0]),
        connections_removed=tuple(w for e, w in ends[0].items() if e not in ends[1]),
        reordered=kept[0] != kept[1] or tied[0] != tied[1],
        variables=_both(before.get("variables", {}), after.get("variables", {})),
        settings=_both(before.get("settings", {}), after.get("settings", {})),
        about=_both(_about(before), _about(after)),
    )


def _both(before: Json, after: Json) -> tuple[Changed, ...]:
    return tuple(_changes(before, after, ""))[:_MOST]


def _filled(node: Json) -> dict[str, Any]:
    """A node's fields but its id; what is not set is left out, so that a default that is written down is no change."""
    filled = {name: value for name, value in node.items() if name != "id" and value is not None}
    return {"metadata": {}, **filled}


def _about(document: Json) -> dict[str, Any]:
    return {**{name: document.get(name) for name in _ABOUT}, "metadata": document.get("metadata") or {}}


def _shown_node(node: Json) -> dict[str, Any]:
    return {name: node.get(name) for name in ("id", "type", "name", "parent")}


def _ends(connection: Json) -> dict[str, str]:
    return {name: connection[name] for name in ("source_node", "source_port", "target_node", "target_port")}


def _changes(before: Any, after: Any, path: str) -> Iterator[Changed]:
    """Field by field; lists as wholes, for nothing says which of their values are the same ones."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if path == "config.cases" and list(before) != list(after) and before.keys() == after.keys():
            yield Changed("config.cases", "changed", list(before), list(after))  # a switch takes the first that holds
        for name in [*before, *(n for n in after if n not in before)]:
            inner = f"{path}.{name}" if path else name
            yield from _changes(before.get(name, _ABSENT), after.get(name, _ABSENT), inner[:200])
    elif before is _ABSENT:
        yield Changed(path, "added", None, cut(after))
    elif after is _ABSENT:
        yield Changed(path, "removed", cut(before), None)
    elif _text(before) != _text(after):
        yield Changed(path, "changed", cut(before), cut(after))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)  # as text: in Python, 1 and true are equal


def cut(value: Any, longest: int = _LONGEST) -> Any:
    """A value as it is shown: of one that is long, the start of its text."""
    text = value if isinstance(value, str) else _text(value)
    return value if len(text) <= longest else text[:longest] + "…"
