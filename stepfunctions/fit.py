"""Whether what a run has recorded fits another version of its workflow.

What counts is what cannot be had again for nothing: results of nodes that touched the world, answers of people, values
that somebody gave. Each of those must come about in the other version as it did in this one: the node is still there,
in the same place, does the same, and is given the same. Pure nodes have no say of their own, since they are computed
again; but where such a result was made from what a pure node gave, that one must not have changed either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.errors import Problem
from shared.runs.model import NodeRecord
from stepfunctions.plan import BoundNode, Plan, canonical, exact
from stepfunctions.prefill import ports_of
from stepfunctions.recorded import SETTLED

# A container's settings that say how its passes are made, not what is in them. They may change between two passes.
_PACE: Final = frozenset(
    {"on_item_error", "max_concurrency", "max_iterations", "max_retries", "interval_seconds", "backoff_rate"}
)
_LISTED: Final = 5


class Fit:
    """Compares two plans of one workflow. `kept`: the records that go on to count."""

    def __init__(self, old: Plan, new: Plan, kept: Sequence[NodeRecord]) -> None:
        self._old = old
        self._new = new
        self._kept = kept
        self._leaves = {r.node for r in kept}
        self._known: dict[str, bool] = {}  # whether a node differs

    def problems(self, trigger_node: str | None) -> list[Problem]:
        """What does not fit: one problem for each node with a record, and one for the trigger."""
        found = list(self._trigger(trigger_node))
        by_node: dict[str, NodeRecord] = {}
        for record in self._kept:
            by_node.setdefault(record.node, record)
        for record in self._kept:
            for container in self._old.around(self._old.nodes[record.node].scope):
                by_node.setdefault(container, NodeRecord(container, "", "running"))
        for node_id, record in by_node.items():
            if reasons := self.reasons(record):
                code = "question_changed" if record.status == "paused" else reasons[0][0]
                message = f"{node_id}: " + "; ".join(words for _, words in reasons)
                found.append(Problem(code, message, f"nodes.{node_id}", node_id))
        return found

    def _trigger(self, node_id: str | None) -> Iterator[Problem]:
        if node_id is None:
            if any(n.kind == "trigger" for n in self._new.nodes.values()):
                yield Problem("trigger_changed", "the run started at no trigger, and this version has one")
            return
        node = self._new.nodes.get(node_id)
        if node is None:
            yield Problem("node_gone", f"{node_id}: the run started here, and it is gone", f"nodes.{node_id}", node_id)
        elif node.type != self._old.nodes[node_id].type:
            message = f"{node_id}: the run started here, and it is a {node.type} now"
            yield Problem("type_changed", message, f"nodes.{node_id}", node_id)

    def reasons(self, record: NodeRecord) -> list[tuple[str, str]]:
        """Why the record does not fit, as `(code, words)`; nothing if it does."""
        if record.node not in self._new.nodes:
            return [("node_gone", "it is gone")]
        node = self._new.nodes[record.node]
        if record.origin in ("edited", "pinned"):  # given by somebody: whatever the node does, it does not do it
            lacking = [p for p in record.outputs if p not in ports_of(node)]
            gone = [("ports_changed", f"it has no output port {', '.join(lacking)} any more")] if lacking else []
            return [*self._place(record.node), *gone]
        begun = record.status == "running"
        found = list(self._own(record.node, begun=begun))
        if record.status == "failed" and node.on_error != self._old.nodes[record.node].on_error:
            found.append(("on_error_changed", "its failure was handled in another way"))
        if not begun and record.status in SETTLED:
            changed = [n for n in self._body(record.node) if self._differs(n)]
            if changed:
                found.append(("body_changed", f"what is in it has changed ({_some(changed)})"))
        changed = [n for n in self._upstream(record.node, begun=begun) if self._differs(n)]
        if changed:
            found.append(("sources_changed", f"what it was given came from nodes that have changed ({_some(changed)})"))
        return found

    def _differs(self, node_id: str) -> bool:
        if node_id not in self._known:
            self._known[node_id] = self._compared(node_id)
        return self._known[node_id]

    def _compared(self, node_id: str) -> bool:
        if node_id not in self._new.nodes or node_id not in self._old.nodes:
            return True
        if self._old.nodes[node_id].kind == "trigger":  # it hands on what the run was started with
            return self._old.nodes[node_id].type != self._new.nodes[node_id].type
        return any(True for _ in self._own(node_id))

    def _place(self, node_id: str) -> Iterator[tuple[str, str]]:
        old, new = self._old.nodes[node_id], self._new.nodes[node_id]
        if old.scope != new.scope:
            yield "container_changed", f"it was in {old.scope or 'no container'} and is in {new.scope or 'none'}"

    def _own(self, node_id: str, *, begun: bool = False) -> Iterator[tuple[str, str]]:
        """What of a node itself has changed. `begun`: a container of whose passes something is recorded."""
        old, new = self._old.nodes[node_id], self._new.nodes[node_id]
        if old.type != new.type:
            yield "type_changed", f"it was a {old.type} and is a {new.type}"
            return
        yield from self._place(node_id)
        if old.disabled != new.disabled:
            yield "config_changed", f"it {'was' if old.disabled else 'is'} disabled"
        if begun and old.opened != new.opened:
            yield "body_changed", "its passes would be run in another way, since what waits in it has changed"
        left_out = _PACE if begun and not old.opened else frozenset()
        config = [k for k in _changed(old.config, new.config) if k not in left_out]
        if config:
            yield "config_changed", f"its config has changed ({_some(config)})"
        inputs = _changed(old.inputs, new.inputs)
        if inputs:
            yield "inputs_changed", f"its inputs have changed ({_some(inputs)})"
        ports = _changed(_sources(self._old, node_id), _sources(self._new, node_id))
        if ports:
            yield "connections_changed", f"what leads into it has changed ({_some(ports)})"
        variables = _changed(_variables(self._old, old), _variables(self._new, new))
        if variables:
            yield "variables_changed", f"variables that it reads have changed ({_some(variables)})"

    def _body(self, container: str) -> list[str]:
        """Every node in a container, of both versions."""
        found: dict[str, None] = {}
        for plan in (self._old, self._new):
            stack = [container]
            while stack:
                below = plan.members.get(stack.pop(), ())
                stack += below
                found |= dict.fromkeys(below)
        return list(found)

    def _upstream(self, node_id: str, *, begun: bool) -> list[str]:
        """The nodes whose outputs went into the record and are not recorded themselves."""
        inside, found = set(self._body(node_id)), dict[str, None]()
        if begun:  # what its passes read counts for those of their nodes that are recorded
            stack = [*_named(self._old.nodes[node_id]), *(e.source for e in self._old.incoming[node_id])]
        else:
            stack = [s for n in (node_id, *inside) if n in self._old.nodes for s in _reads(self._old.nodes[n])]
        while stack:
            each = stack.pop()
            if each in found or each in self._leaves or each in inside or each not in self._old.nodes:
                continue
            within = self._body(each)
            found |= dict.fromkeys([each, *within])
            stack += [s for n in (each, *within) if n in self._old.nodes for s in _reads(self._old.nodes[n])]
        return list(found)


def _reads(node: BoundNode) -> list[str]:
    return [*node.waits_for, *_named(node)]


def _named(node: BoundNode) -> list[str]:
    return [name[1] for name in node.names if name[0] == "nodes"]


def _sources(plan: Plan, node_id: str) -> dict[str, list[tuple[str, str]]]:
    """What leads into each port, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for edge in plan.incoming[node_id]:
        found.setdefault(edge.target_port, []).append((edge.source, edge.source_port))
    return found


def _variables(plan: Plan, node: BoundNode) -> dict[str, Any]:
    names = [name[1:2] for name in node.names if name[0] == "variables"]
    wanted = set(plan.variables) if () in names else {name[0] for name in names if name}
    return {n: plan.variables[n] for n in wanted if n in plan.variables}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in old.keys() | new.keys() if k not in old or k not in new or _text(k, old) != _text(k, new))


def _text(name: str, values: Mapping[str, Any]) -> bytes:
    """A value as it is compared: of objects, the order counts only among a switch's cases."""
    return (exact if name == "cases" else canonical)(values[name])


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
