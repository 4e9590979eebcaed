"""Another workflow of the tenant, run as one node of this one."""

from __future__ import annotations

from typing import Final

from shared.nodes.base import Call, Child, Ended, NodeError, Outputs, Port, Wanted

_DAY: Final = 86_400
_YEAR: Final = 365 * _DAY
_MAX_MESSAGE: Final = 1_000  # a child's error may tell of its own child's, and so on


class SubWorkflow(Child):
    """Starts a run of another workflow and rests until that has ended."""

    category = "logic"
    display_name = "Sub-workflow"
    description = "Runs another workflow with its input, and waits for what that workflow gives."
    inputs = {"input": Port("any", description="What the other workflow is started with, as its trigger's data.")}
    outputs = {"output": Port("any", description="The other run's final output.")}
    config_schema = {
        "type": "object",
        "properties": {
            "workflow_id": {
                "type": "string",
                "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,99}$",
                "title": "Workflow",
                "description": "The workflow to run, by its id. It must be published when this node is reached.",
            },
            "version": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 999_999,
                "title": "Version",
                "description": "Which of its versions; none given: the one that is published then.",
                "default": None,
            },
            "timeout_seconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": _YEAR,
                "title": "Time to wait (seconds)",
                "description": "At most a year. Then the node fails with Timeout, and the other run is cancelled.",
                "default": _DAY,
            },
        },
        "required": ["workflow_id"],
        "additionalProperties": False,
    }
    errors = (
        "WorkflowNotFound",
        "NotPublished",
        "InvalidInput",
        "TooDeep",
        "QuotaExceeded",
        "ChildFailed",
        "ChildCancelled",
        "Timeout",
    )
    example = {"config": {"workflow_id": "refund-check"}, "inputs": {"input": {"order": 7}}}

    def wanted(self, call: Call) -> Wanted:
        """The workflow of the config, with this node's input."""
        return Wanted(call.config["workflow_id"], call.config.get("version"), call.inputs.get("input"))

    def ended(self, call: Call, run: Ended) -> Outputs:
        """`output`. Raises NodeError ChildFailed, with what the other run failed of, or ChildCancelled."""
        del call
        if run.status == "completed":
            return {"output": run.output}
        if run.status == "cancelled":
            raise NodeError("ChildCancelled", f"execution {run.execution_id} was cancelled", retryable=False)
        if run.status == "lost":
            said = f"execution {run.execution_id} was deleted, or retried by itself, before its result was read"
        else:
            error = run.error or {}
            at = f" at {error['node_id']}" if error.get("node_id") else ""
            said = f"execution {run.execution_id} failed{at}: {error.get('error')}: {error.get('message')}"
        raise NodeError("ChildFailed", said[:_MAX_MESSAGE], retryable=False)

    def lapsed(self, call: Call) -> Outputs:
        """Raises NodeError Timeout."""
        seconds = int(call.config.get("timeout_seconds", _DAY))
        raise NodeError("Timeout", f"the sub-workflow did not end within {seconds} seconds", retryable=False)
