"""The body of a container, run once: each pass is a scope of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.nodes.base import Call, Container, NodeError
from shared.nodes.registry import get
from shared.runs.model import NodeRecord
from stepfunctions.engine.control import Control
from stepfunctions.engine.errors import Failure
from stepfunctions.engine.execute import NewWorld
from stepfunctions.engine.frame import Frame, ScopedExpressions
from stepfunctions.engine.journal import Journal
from stepfunctions.plan import BoundNode


class Flow(Protocol):
    """The dataflow that a body is run by: `stepfunctions.engine.dataflow`, which runs containers in its turn."""

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        ...

    @property
    def control(self) -> Control:
        """What stops the call."""
        ...

    @property
    def new_world(self) -> NewWorld:
        """Makes the world of a node run."""
        ...

    async def run(self, frame: Frame, node_ids: Iterable[str]) -> None:
        """Settle these nodes of a scope."""
        ...

    async def rest(self, node: BoundNode, until_ms: int) -> None:
        """Rest until a moment, or be stopped."""
        ...


@dataclass(frozen=True, slots=True)
class Body:
    """A container's body in one run of it. `call` is the container's; `before` what earlier calls have recorded."""

    flow: Flow
    frame: Frame
    node: BoundNode
    call: Call
    before: Mapping[str, list[NodeRecord]]

    @property
    def config(self) -> Mapping[str, Any]:
        """The container's config."""
        return self.call.config

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Its inputs."""
        return self.call.inputs

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes of the body, in an order in which they can run."""
        return self.frame.plan.members.get(self.node.id, ())

    def failed_at(self, number: int) -> int | None:
        """When this pass failed, in milliseconds since the epoch, if that was in an earlier call."""
        records = self.before.get(self.frame.inside(self.node.id, number, {}).path, ())
        times = [r.completed_at for r in records if r.status == "failed" and not r.handled and r.completed_at]
        return max(times, default=None)

    async def run(self, number: int, local: Mapping[str, Any]) -> Any:
        """One pass; gives its result. Raises Failure, NodeError for the result, or what stops the call."""
        late = self.flow.control.out_of_time()
        if late is not None:
            raise late
        inner = self.frame.inside(self.node.id, number, local)
        inner.below = self.before
        inner.take_over(self.before.get(inner.path, ()))
        await self.flow.run(inner, self.members)
        if inner.path not in self.before:  # a pass that was only read again brings the run no further
            self.flow.control.done_something()
        return self.result(inner)

    def evaluate(self, expression: str, local: Mapping[str, Any]) -> Any:
        """An expression of the container's over `local` and what is outside of it. Raises NodeError."""
        return ScopedExpressions({**self._names(self.frame), **local}).evaluate(expression)

    def _names(self, frame: Frame) -> dict[str, Any]:
        """What the container's expressions read; the inputs may be large, and are there only where they do."""
        names = frame.names_for(self.node)
        return {**names, "inputs": self.inputs} if any(n[0] == "inputs" for n in self.node.names) else names

    def result(self, inner: Frame) -> Any:
        """`config.result` over the body's scope, else what its only sink gives, else what each sink gives.

        Raises NodeError, for a loop Failure: there it is the item that has failed.
        """
        expression = self.config.get("result")
        if expression:
            try:
                return ScopedExpressions(self._names(inner)).evaluate(expression)
            except NodeError as error:
                node_type = get(self.node.type)
                if not (isinstance(node_type, Container) and node_type.repeats == "each"):
                    raise
                raise Failure(self.node.id, error.error, error.message, 1) from error
        plan = inner.plan
        sources = {e.source for e in plan.edges if plan.nodes[e.target].scope == inner.scope}
        sinks = [plan.nodes[n] for n in self.members if n not in sources]
        values = {n.id: _first_output(inner, n) for n in sinks}
        return next(iter(values.values())) if len(values) == 1 else values


def _first_output(inner: Frame, node: BoundNode) -> Any:
    outcome = inner.outcomes[node.id]
    value = outcome.outputs.get(node.outputs[0]) if node.outputs else None
    return value.get() if value is not None else None
