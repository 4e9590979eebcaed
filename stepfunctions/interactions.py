"""A run as a conversation shows it: the run is the parent, and each step that has begun is a child of it, in order."""

from __future__ import annotations

from typing import Any, Final

from shared.nodes.base import Trigger
from shared.nodes.registry import find
from shared.store import pages
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.steps.from_nodes import word_of
from stepfunctions.history import execution_view, offset_of

Json = dict[str, Any]
RUN: Final = "workflow.run"
# The input that is shown of a step, where that is not all of them.
_SHOWN: Final = {
    "agent": "input",
    "function_call": "args",
    "human_in_the_loop": "input",
    "llm_chat": "messages",
    "mcp_tool": "args",
    "sub_workflow": "input",
}
_NOT_BEGUN: Final = ("pending", "skipped")
_SAME: Final = ("status", "error", "started_at", "completed_at", "duration_ms", "usage")


def interactions(tenant: Tenant, execution_id: str, cursor: str | None, limit: int) -> Json:
    """The run and a page of its steps that have begun, in the order in which they did: `{parent, items, next_cursor}`.

    Triggers, outputs and what is inside an agent are no steps. Raises NotFound, BadRequest.
    """
    run = execution_view(tenant, execution_id)
    begun = [
        (node_id, node)
        for node_id, node in run["node_executions"].items()
        if node["status"] not in _NOT_BEGUN and _is_step(node_id, node["type"])
    ]
    begun.sort(
        key=lambda each: (each[1]["started_at"] is None, each[1]["started_at"] or "")
    )  # stable: the plan's order
    listed = f"interactions {execution_id}"
    first = offset_of(pages.decode(tenant, listed, cursor))
    page = begun[first : first + limit]
    more = first + limit < len(begun)
    last = {"PK": TenantTable(tenant).keys.run(execution_id).pk, "SK": str(first + limit)} if more else None
    return {
        "parent": _parent(run),
        "items": [_child(execution_id, first + place, *each) for place, each in enumerate(page)],
        "next_cursor": pages.encode(tenant, listed, last),
    }


def _is_step(node_id: str, type_name: str) -> bool:
    return "." not in node_id and type_name != "output" and not isinstance(find(type_name), Trigger)


def _parent(run: Json) -> Json:
    above = run["parent"]
    return {
        "id": run["id"],
        "type": RUN,
        "parent_id": f"{above['execution_id']}.{above['node_id']}" if above else None,
        "workflow_id": run["workflow_id"],
        "version": run["version"],
        "pause_reason": run["pause_reason"],
        "input": run["trigger_data"],
        "output": run["final_output"],
        **{name: run[name] for name in _SAME},
    }


def _child(execution_id: str, index: int, node_id: str, node: Json) -> Json:
    return {
        "id": f"{execution_id}.{node_id}",
        "parent_id": execution_id,
        "index": index,
        "step_id": node_id,
        "type": word_of(node["type"]),
        "input": node["inputs"].get(_SHOWN[node["type"]]) if node["type"] in _SHOWN else node["inputs"],
        "output": _output(node),
        **{name: node[name] for name in _SAME},
        "task_id": node["task_id"],
        "child_execution_id": node["child_execution_id"],
        "iterations": node.get("iterations"),
    }


def _output(node: Json) -> Any:
    """What the step gave: the value where a model's answer has one, else its first output."""
    outputs = node["outputs"]
    if outputs.get("json") is not None and "response" in outputs:
        return outputs["json"]
    node_type = find(node["type"])
    declared = [*(node_type.outputs if node_type else ()), *outputs]
    return next((outputs[port] for port in declared if port in outputs), None)
