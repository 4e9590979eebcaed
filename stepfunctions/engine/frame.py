"""A scope while it runs: the workflow, or one iteration of a container's body, with what is known of its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.clock import iso
from shared.expressions.jsonata import ExpressionFailed, evaluate
from shared.nodes.base import NodeError
from shared.runs.model import NodeRecord, Run
from stepfunctions.engine.errors import Failure
from stepfunctions.engine.payloads import Objects, Value
from stepfunctions.plan import BoundNode, Plan


@dataclass(slots=True)
class Outcome:
    """What became of a node, with its values at hand."""

    record: NodeRecord
    outputs: dict[str, Value]

    @property
    def settled(self) -> bool:
        """Whether its connections are resolved."""
        return self.record.status in ("completed", "failed", "skipped")


@dataclass(slots=True)
class Frame:
    """`scope` is the container's id (`""`: the workflow), `path` names the iteration; `local` holds `item`, `index`."""

    plan: Plan
    run: Run
    trigger: Value
    objects: Objects
    scope: str = ""
    path: str = ""
    parent: Frame | None = None
    local: Mapping[str, Any] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)  # pure containers that an earlier call has begun
    below: Mapping[str, list[NodeRecord]] | None = None  # in a body: what earlier calls have recorded, by scope

    def inside(self, container: str, iteration: int, local: Mapping[str, Any]) -> Frame:
        """The frame of one iteration of a container in this scope."""
        path = "/".join(p for p in (self.path, container, str(iteration)) if p)
        return Frame(self.plan, self.run, self.trigger, self.objects, container, path, self, local)

    def adopt(self, record: NodeRecord) -> Outcome:
        """Take over a record of this scope."""
        outputs = {port: Value(encoded=stored, objects=self.objects) for port, stored in record.outputs.items()}
        outcome = self.outcomes[record.node] = Outcome(record, outputs)
        return outcome

    def take_over(self, records: Iterable[NodeRecord]) -> None:
        """Adopt what earlier calls have settled or set waiting; the rest is to be done (again). Raises Failure."""
        for record in records:
            again = not record.handled and self.plan.nodes[record.node].pure  # failed in an earlier attempt of the run
            known = record.status in ("completed", "skipped", "failed", "paused")
            if (known or self.plan.nodes[record.node].opened) and not again:
                self.adopt(record)
                raise_unhandled(record)
            elif record.status == "pending" and self.plan.nodes[record.node].pure:
                self.begun.add(record.node)

    def find(self, node_id: str) -> Outcome | None:
        """What became of a node that is visible from here."""
        scope = self.plan.nodes[node_id].scope
        frame: Frame | None = self
        while frame is not None and frame.scope != scope:
            frame = frame.parent
        return frame.outcomes.get(node_id) if frame is not None else None

    def delivered(self, node: BoundNode) -> tuple[bool, dict[str, list[Value]]]:
        """Whether anything leads to the node, and the values delivered to each of its ports, in document order."""
        edges = self.plan.incoming[node.id]
        found: dict[str, list[Value]] = {}
        for edge in edges:
            if edge.source == self.scope:
                found.setdefault(edge.target_port, []).append(Value(self.local.get(edge.source_port)))
                continue
            outcome = self.outcomes[edge.source]
            if edge.source_port in outcome.outputs:
                found.setdefault(edge.target_port, []).append(outcome.outputs[edge.source_port])
        return bool(edges), found

    def far_values(self, node: BoundNode) -> list[Value]:
        """What has to be read from S3 before the node's expressions can be evaluated."""
        return [v for v in self._named(node).values() if v.is_far]

    def _named(self, node: BoundNode) -> dict[tuple[str, ...], Value]:
        """The values that the node's expressions read: the trigger's, and ports of other nodes."""
        found: dict[tuple[str, ...], Value] = {}
        for name in node.names:
            if name[0] == "trigger":
                found[("trigger",)] = self.trigger
            elif name[0] == "nodes":
                outcome = self.find(name[1])
                for port, value in outcome.outputs.items() if outcome else ():
                    if len(name) == 2 or name[2] == port:
                        found["nodes", name[1], port] = value
        return found

    def names_for(self, node: BoundNode) -> dict[str, Any]:
        """The scope of the node's expressions: just the names that they read."""
        scope: dict[str, Any] = {}
        for name, value in self._named(node).items():
            if name[0] == "trigger":
                scope["trigger"] = value.get()
            else:
                scope.setdefault("nodes", {}).setdefault(name[1], {})[name[2]] = value.get()
        roots = {name[0] for name in node.names}
        if "variables" in roots:
            scope["variables"] = dict(self.plan.variables)
        if "execution" in roots:
            scope["execution"] = {
                "id": self.run.id,
                "workflow_id": self.run.workflow_id,
                "started_at": iso(self.run.started_at or self.run.created_at),
            }
        frame: Frame | None = self
        while frame is not None:
            for local, given in frame.local.items():
                if local in roots:
                    scope.setdefault(local, given)
            frame = frame.parent
        return scope


def raise_unhandled(record: NodeRecord) -> None:
    """Raise the Failure of a record that says the node failed and nothing handled it."""
    if record.status == "failed" and not record.handled:
        raise failure_of(record)


def failure_of(record: NodeRecord) -> Failure:
    """The failure that a failed node's record tells of."""
    error = record.error or {"error": "Internal", "message": ""}
    return Failure(record.node, error["error"], error["message"], record.attempts)


class ScopedExpressions:
    """Evaluates a node's expressions over the names in its scope."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self._scope = scope

    def evaluate(self, expression: str, extra: Mapping[str, Any] | None = None) -> Any:
        """See `shared.nodes.base.Expressions`."""
        try:
            return evaluate(expression, {**self._scope, **extra} if extra else self._scope)
        except ExpressionFailed as error:
            raise NodeError("ExpressionError", str(error), retryable=False) from None
