"""A tool that is a workflow: started with the arguments, and waited for in this call, so only a short one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import AppError, Conflict, Invalid, NotFound
from shared.nodes.base import Call, NodeError

_CODES: Final = {"not_published": "NotPublished", "not_short": "NotShort", "too_deep": "TooDeep"}
_SPARE_SECONDS: Final = 1.0


async def run(call: Call, source: Mapping[str, Any], args: dict[str, Any], key: str, timeout: float) -> Any:
    """The run's final output. Raises NodeError; after `Timeout` the same key finds the same run."""
    wait = max(0.0, timeout - _SPARE_SECONDS)
    try:
        ended = await asyncio.to_thread(
            lambda: call.world.workflows.run(
                source["workflow_id"],
                source.get("workflow_version"),
                args,
                caller=call.execution_id,
                occasion=key,
                wait_seconds=wait,
            )
        )
    except NotFound as error:
        raise NodeError("WorkflowNotFound", error.detail, retryable=False) from None
    except Conflict as error:
        raise NodeError(_CODES.get(error.code, "ToolFailed"), error.detail, retryable=False) from None
    except Invalid as error:
        raise NodeError("InvalidArguments", error.detail, retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
    if ended is None:
        raise NodeError("Timeout", f"workflow {source['workflow_id']} did not end within {wait:g} seconds")
    if ended.status == "completed":
        return ended.output
    error_of = ended.error or {}
    said = f"execution {ended.execution_id} {ended.status}: {error_of.get('error')}: {error_of.get('message')}"
    raise NodeError("ToolFailed", said[:1_000], retryable=False)
