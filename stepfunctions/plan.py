"""The plan: what one published version compiles to. Immutable, content-addressed, JSON in S3.

    {format, document: {id, version, name}, nodes: [...], edges: [...], segments: [...], skeleton: {...}, …}

A scope is named by the container whose body it is; the workflow itself is `""`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Literal

FORMAT: Final = 2
_PARTS: Final = ("format", "nodes", "edges", "segments", "questions", "turns")

Kind = Literal["trigger", "pure", "effect", "timer", "question", "container"]


@dataclass(frozen=True, slots=True)
class BoundNode:
    """A node with everything that its type and its config say, so that the runner looks nothing up.

    `names` are the references of its expressions; `waits_for` the nodes of its scope that it depends on;
    `pure`: may be computed again at any time, and comes to the same (a container is pure when its whole body is).
    `opened`: a container whose passes the state machine runs, since something in them rests.
    """

    id: str
    type: str
    kind: Kind
    pure: bool
    opened: bool
    scope: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    templates: tuple[str, ...]  # config fields with templates in them
    outputs: tuple[str, ...]
    required: tuple[str, ...]
    multiple: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    waits_for: tuple[str, ...]
    retry: Mapping[str, float] | None
    timeout_seconds: float
    on_error: Literal["fail", "continue", "branch"]
    idempotent: bool
    disabled: bool
    runner: Literal["runner", "documents"] = "runner"  # the function that has its libraries, or its body's

    @property
    def breaks(self) -> bool:
        """Whether the state machine has states of its own for the node."""
        return self.opened or self.kind in ("timer", "question")


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection."""

    source: str
    source_port: str
    target: str
    target_port: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The nodes that one Task state runs in one call.

    `arms`: timers whose moment this call computes for the Wait states behind it. `closes`: nothing of the scope comes
    after it, so the call ends the run, or the pass of the container that `scope` names.
    """

    id: int
    nodes: tuple[str, ...]
    arms: tuple[str, ...] = ()
    closes: bool = False
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question node with the pure nodes that its state computes before it asks."""

    node: str
    nodes: tuple[str, ...]
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Turning:
    """An opened container, with the pure nodes that its deciding call computes first.

    `lead`: the segment of a pass that the same call runs, if any. `lanes`: passes at once. `apart`: in executions of
    their own; `lots`: one such execution, and one call, has many passes.
    """

    node: str
    nodes: tuple[str, ...]
    lead: int | None
    lanes: int
    apart: bool
    lots: bool


@dataclass(frozen=True)
class Plan:
    """See the module."""

    workflow_id: str
    version: int
    name: str
    nodes: Mapping[str, BoundNode]  # each after those it depends on
    edges: tuple[Edge, ...]  # in document order
    variables: Mapping[str, Any]
    segments: tuple[Segment, ...]
    questions: tuple[Asking, ...]  # by their position in the skeleton
    turns: tuple[Turning, ...]  # likewise
    timeout_seconds: int
    granularity: Literal["segment", "node"]
    skeleton: Mapping[str, Any]
    # What models may use in a run: `{tokens?, nano?}`, with billionths of a US dollar. In the JSON only if it is said.
    budget: Mapping[str, int] | None = None
    max_concurrency: int | None = None  # likewise

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges by target, in document order."""
        found: dict[str, list[Edge]] = {n: [] for n in self.nodes}
        for e in self.edges:
            found[e.target].append(e)
        return {n: tuple(es) for n, es in found.items()}

    @cached_property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes of each scope, in an order in which they can run."""
        found: dict[str, list[str]] = {"": []}
        for n in self.nodes.values():
            found.setdefault(n.scope, []).append(n.id)
        return {s: tuple(ids) for s, ids in found.items()}

    @cached_property
    def opened(self) -> frozenset[str]:
        """The opened containers."""
        return frozenset(n.id for n in self.nodes.values() if n.opened)

    @cached_property
    def in_lots(self) -> frozenset[str]:
        """The opened containers that one call works through in lots."""
        return frozenset(t.node for t in self.turns if t.lots)

    def around(self, scope: str) -> tuple[str, ...]:
        """The containers that a scope lies in, the outermost first; none for the workflow."""
        found: list[str] = []
        while scope:
            found.append(scope)
            scope = self.nodes[scope].scope
        return tuple(reversed(found))

    @cached_property
    def machine(self) -> str:
        """The name of the state machine, without its prefix: the hash of the skeleton."""
        return hashlib.sha256(canonical(self.skeleton)).hexdigest()[:32]

    @cached_property
    def digest(self) -> str:
        """The hash of the whole plan: its name in S3."""
        return hashlib.sha256(exact(self.as_dict())).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "format": FORMAT,
            "workflow_id": self.workflow_id,
            "version": self.version,
            "name": self.name,
            "nodes": [asdict(n) for n in self.nodes.values()],
            "edges": [[e.source, e.source_port, e.target, e.target_port] for e in self.edges],
            "variables": dict(self.variables),
            "segments": [asdict(s) for s in self.segments],
            "questions": [asdict(q) for q in self.questions],
            "turns": [asdict(t) for t in self.turns],
            "timeout_seconds": self.timeout_seconds,
            "granularity": self.granularity,
            "skeleton": dict(self.skeleton),
            **({} if self.budget is None else {"budget": dict(self.budget)}),
            **({} if self.max_concurrency is None else {"max_concurrency": self.max_concurrency}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The plan from its JSON. Raises ValueError for a format this code does not know."""
        if data["format"] != FORMAT:
            raise ValueError(f"plan format {data['format']}; this code reads {FORMAT}")
        rest: dict[str, Any] = {k: v for k, v in data.items() if k not in _PARTS}
        return cls(
            nodes={n["id"]: _bound(n) for n in data["nodes"]},
            edges=tuple(Edge(*e) for e in data["edges"]),
            segments=tuple(
                Segment(s["id"], tuple(s["nodes"]), tuple(s["arms"]), s["closes"], s["scope"]) for s in data["segments"]
            ),
            questions=tuple(Asking(q["node"], tuple(q["nodes"]), q["timeout_seconds"]) for q in data["questions"]),
            turns=tuple(Turning(**{**t, "nodes": tuple(t["nodes"])}) for t in data["turns"]),
            **rest,
        )


def _bound(data: Mapping[str, Any]) -> BoundNode:
    tuples = {k: tuple(data[k]) for k in ("templates", "outputs", "required", "multiple", "waits_for")}
    return BoundNode(**{**data, **tuples, "names": tuple(tuple(p) for p in data["names"])})


def exact(value: Any) -> bytes:
    """The text of a value in its own order, which counts: the first case of a switch wins, forms have an order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def canonical(value: Any) -> bytes:
    """One text for one value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
