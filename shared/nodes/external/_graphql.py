"""GraphQL over HTTP: one POST with JSON, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.external._exchange import exchange, retry_after
from shared.outbound.statuses import leaves_open, worth_another_try

_SAID: Final = 300  # characters of the service's own words


async def ask(call: Call) -> Outputs:
    """`{data, errors}`. Raises NodeError."""
    query, variables = call.inputs["query"], call.inputs.get("variables")
    if not isinstance(query, str) or not query.strip():
        raise NodeError("InvalidInput", "query is a text that is not empty", retryable=False)
    if variables is not None and not isinstance(variables, Mapping):
        raise NodeError("InvalidInput", "variables is an object", retryable=False)
    body = {"query": query, "variables": variables or {}, "operationName": call.config.get("operation_name")}
    accept = "application/graphql-response+json, application/json;q=0.9"
    inputs = {
        "url": call.config["url"],
        "headers": {"accept": accept, **call.config.get("headers", {})},
        "body": {name: value for name, value in body.items() if value is not None},
    }
    # A service may answer 400 and say in the body what is wrong with the query.
    config = {"method": "POST", "body_type": "json", "response_type": "auto", "fail_on_status": False}
    if "credential" in call.config:
        config["credential"] = call.config["credential"]
    answer = await exchange(replace(call, inputs=inputs, config=config))
    return _judged(answer, str(call.config.get("fail_on", "no_data")))


def _judged(answer: Outputs, fail_on: str) -> Outputs:
    body, status = answer["response"], int(answer["status"])
    busy, wait = worth_another_try(status), retry_after(answer["headers"])
    if not isinstance(body, Mapping) or not ("data" in body or "errors" in body):
        if status >= 400:
            said, unsure = f"the service answered {status}", leaves_open(status)
            raise NodeError("HttpError", said, retryable=busy, retry_after=wait, unsure=unsure)
        raise NodeError("InvalidResponse", "the answer is none of GraphQL's", retryable=False)
    data, errors = body.get("data"), body.get("errors") or []
    if not (data is None or isinstance(data, Mapping)) or not isinstance(errors, list):
        raise NodeError("InvalidResponse", "the answer is none of GraphQL's", retryable=False)
    if errors and (fail_on == "any_error" or (fail_on == "no_data" and data is None)):
        raise NodeError("GraphqlError", _said(errors), retryable=busy, retry_after=wait, unsure=leaves_open(status))
    return {"data": data, "errors": errors}


def _said(errors: list[Any]) -> str:
    messages = [str(e.get("message", "")) if isinstance(e, Mapping) else str(e) for e in errors]
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return messages[0][:_SAID] + more
