"""What lies behind the product: executions and their histories, logs, the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infrastructure.local.stack import Stack

FUNCTIONS = ("api", "webhook", "runner", "tasks", "dispatcher", "run_events", "stream", "websocket")


def executions(local: Stack) -> Iterator[str]:
    """The ARN of every execution of every state machine."""
    client = local.client("stepfunctions")
    for machines in client.get_paginator("list_state_machines").paginate():
        for machine in machines["stateMachines"]:
            arn = machine["stateMachineArn"]
            for page in client.get_paginator("list_executions").paginate(stateMachineArn=arn):
                yield from (execution["executionArn"] for execution in page["executions"])


def execution_of(local: Stack, run_id: str, attempt: int = 0) -> str:
    """The ARN of a run's execution."""
    found = [arn for arn in executions(local) if arn.endswith(f":{run_id}-{attempt}")]
    assert len(found) == 1, found
    return found[0]


def history(local: Stack, execution_arn: str) -> list[dict[str, Any]]:
    """An execution's events, with all that they hold."""
    pages = local.client("stepfunctions").get_paginator("get_execution_history")
    return [e for page in pages.paginate(executionArn=execution_arn) for e in page["events"]]


def log_of(local: Stack, function: str) -> Iterator[str]:
    """Every line that a function has written."""
    name = f"statewright-{function.replace('_', '-')}"
    pages = local.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{name}"):
        yield from (event["message"] for event in page["events"])


def items(local: Stack) -> Iterator[dict[str, Any]]:
    """Everything in the table, as DynamoDB gives it."""
    pages = local.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=local.outputs["TableName"]):
        yield from page["Items"]


def of_run(local: Stack, tenant_id: str, run_id: str) -> list[dict[str, Any]]:
    """Everything in a run's partition of the table."""
    pages = local.client("dynamodb").get_paginator("query")
    wanted = {
        "TableName": local.outputs["TableName"],
        "KeyConditionExpression": "PK = :pk",
        "ExpressionAttributeValues": {":pk": {"S": f"T#{tenant_id}#EX#{run_id}"}},
    }
    return [item for page in pages.paginate(**wanted) for item in page["Items"]]
