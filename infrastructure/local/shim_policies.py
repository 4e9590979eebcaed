"""What MiniStack's IAM lacks for judging the tenants' policies.

- Policy variables such as `${aws:PrincipalTag/TenantID}`. One without a value makes its statement match nothing.
- `dynamodb:LeadingKeys`: the partition keys that a request names. (The project's table and its indexes only: their
  partition keys are called PK, GSI1PK, GSI2PK.)
- `kms:EncryptionContext:<name>`.
- The resource that a call is about: a schedule by its group, an answered task by the state machine that waits for it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from ministack.core import iam_actions, iam_evaluator
from ministack.services import stepfunctions

from infrastructure.local.deploy import STACK_NAME

_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")
_EQUALS: Final = re.compile(r"([#\w]+)\s*=\s*(:\w+)")


def apply() -> None:
    """Patch the collecting of condition keys and the evaluation of policies."""
    original = iam_actions.request_tag_context
    evaluate = iam_evaluator.evaluate
    resource_of = iam_actions.extract_resource_arn

    def with_better_resources(
        service: str, method: str, path: str, headers: Any, body: bytes, params: Any, region: str, account: str
    ) -> Any:
        better = resource(service, path, body, params, f"{region}:{account}")
        return better or resource_of(service, method, path, headers, body, params, region, account)

    def with_more_keys(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        return {**original(service, action, body, params), **condition_keys(service, body)}

    def with_variables(context: Any, *layers: list[list[Any]]) -> Any:
        # A layer is a list of policies, a policy a list of statements.
        filled = [[[s for s in (filled_in(s, context) for s in policy) if s] for policy in layer] for layer in layers]
        return evaluate(context, *filled)

    iam_actions.request_tag_context = with_more_keys
    iam_actions.extract_resource_arn = with_better_resources
    iam_evaluator.evaluate = with_variables


def filled_in(statement: Any, context: Any) -> Any | None:
    """A statement with its variables replaced by what they stand for; None if one of them stands for nothing."""

    def value(match: re.Match[str]) -> str:
        found = iam_evaluator._resolve_condition_key(match[1], context)
        if not isinstance(found, str):
            raise LookupError
        return found

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return _VARIABLE.sub(value, part)
        if isinstance(part, list):
            return [fill(p) for p in part]
        return {k: fill(v) for k, v in part.items()} if isinstance(part, dict) else part

    try:
        return dataclasses.replace(
            statement,
            resources=fill(statement.resources),
            not_resources=fill(statement.not_resources),
            conditions=fill(statement.conditions),
        )
    except LookupError:
        return None


def condition_keys(service: str, body: bytes) -> dict[str, Any]:
    """The keys of one request's context that are to be added."""
    request = _json(body) if service in ("dynamodb", "kms") else {}
    if service == "kms":
        return {f"kms:EncryptionContext:{k}": v for k, v in request.get("EncryptionContext", {}).items()}
    leading = list(_leading(request)) if service == "dynamodb" else []
    return {"dynamodb:LeadingKeys": leading} if leading else {}


def resource(service: str, path: str, body: bytes, params: dict[str, Any], place: str) -> str | None:
    """The ARN that AWS holds a call against, where MiniStack's is another; `place` is region and account."""
    if service == "scheduler" and path.startswith("/schedules/"):
        group = params.get("groupName") or _json(body).get("GroupName") or "default"
        group = group[0] if isinstance(group, list) else group
        return f"arn:aws:scheduler:{place}:schedule/{group}/{path.split('/')[2]}"
    token = _json(body).get("taskToken") if service == "states" else None
    if token is None:
        return None
    waiting = stepfunctions._task_tokens.get(token) or {}
    # A token that nobody waits for: let the service say so, not the policy.
    return str(waiting.get("machine") or f"arn:aws:states:{place}:stateMachine:{STACK_NAME}-unknown")


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _leading(request: dict[str, Any]) -> Iterator[str]:
    for holder in _holders(request):
        for part in ("Item", "Key"):
            if part in holder:
                yield from holder[part].get("PK", {}).values()
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    for name, value in _EQUALS.findall(request.get("KeyConditionExpression", "")):
        if names.get(name, name).endswith("PK"):
            yield from values.get(value, {}).values()


def _holders(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield request
    for entry in request.get("TransactItems", []):
        yield from entry.values()
    for entries in request.get("RequestItems", {}).values():
        if isinstance(entries, dict):
            yield from ({"Key": key} for key in entries.get("Keys", []))
        else:
            for entry in entries:
                yield from entry.values()
