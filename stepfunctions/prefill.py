"""A journal that holds results before its run begins: pinned outputs, edited ones, those of another run.

The engine takes what is recorded as done, whoever recorded it; so this is all that replay, a single node's run and
pinned outputs need. The journal is complete before the run's record is there: whatever launches the run, now or the
sweeper later, finds it so. What a call that dies between the two leaves behind cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Invalid, NotFound, Problem
from shared.runs.model import NodeRecord, Origin, Run
from shared.runs.store import RunStore
from stepfunctions.engine.payloads import NotJson, Objects, Value, ValueTooLarge
from stepfunctions.plan import BoundNode, Plan

Outputs = Mapping[str, Mapping[str, Any]]  # by node, by port
_MAX_RECORD: Final = (
    300_000  # bytes of one node's outputs that do not lie in S3: an item of the table has at most 400 KB
)


def create(runs: RunStore, run: Run, given: Sequence[NodeRecord]) -> bool:
    """Write a new run whose journal begins with these records; False if a run of this id is there already."""
    if given and not _exists(runs, run.id):
        runs.put_nodes(run.id, given)
    return runs.create(run)


def _exists(runs: RunStore, execution_id: str) -> bool:
    try:
        runs.get(execution_id)
    except NotFound:
        return False
    return True


def given(plan: Plan, outputs: Outputs, objects: Objects, *, field: str, origin: Origin) -> list[NodeRecord]:
    """Records of nodes that are not run and deliver these outputs.

    Raises Invalid with a problem for each node and port that is not there, at `<field>.<node>.<port>`.
    """
    problems = [p for node, ports in outputs.items() for p in _problems(plan, node, ports, field)]
    if problems:
        raise Invalid("; ".join(p.message for p in problems[:3]), errors=problems)
    now = now_ms()
    records = []
    for node, ports in outputs.items():
        stored = {port: _stored(value, objects, f"{field}.{node}.{port}", node) for port, value in ports.items()}
        size = len(json.dumps(stored, ensure_ascii=False).encode())
        if size > _MAX_RECORD:
            message = (
                f"the outputs of {node} that are small one by one have {size:,} bytes; the limit is {_MAX_RECORD:,}"
            )
            raise Invalid(message, errors=[Problem("too_large", message, f"{field}.{node}", node)])
        records.append(
            NodeRecord(node, "", "completed", started_at=now, completed_at=now, outputs=stored, origin=origin)
        )
    return records


def _problems(plan: Plan, node_id: str, ports: Mapping[str, Any], field: str) -> list[Problem]:
    node, path = plan.nodes.get(node_id), f"{field}.{node_id}"[:200]
    if node is None:
        return [Problem("unknown_node", f"there is no node {node_id[:100]}", path)]
    if node.scope:
        message = f"{node_id} is inside {node.scope} and runs once a pass; name the outermost container instead"
        return [Problem("inside_container", message, path, node_id)]
    known = ports_of(node)
    listed = ", ".join(known) or "none"
    return [
        Problem(
            "unknown_port",
            f"{node_id} has no output port {p[:100]!r}; it has {listed}",
            f"{field}.{node_id}.{p}"[:200],
            node_id,
        )
        for p in ports
        if p not in known
    ]


def ports_of(node: BoundNode) -> tuple[str, ...]:
    """The ports on which a node may deliver: `error` is one where it is connected."""
    return (*node.outputs, "error") if node.on_error == "branch" else node.outputs


def _stored(value: Any, objects: Objects, path: str, node: str) -> Mapping[str, Any]:
    try:
        return Value(value).store(objects)
    except (NotJson, ValueTooLarge) as error:
        raise Invalid(str(error), errors=[Problem("bad_value", str(error), path[:200], node)]) from None
