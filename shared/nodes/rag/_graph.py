"""Both ways of asking a graph."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from shared.errors import AppError, Conflict, Invalid, TooLarge
from shared.graphs.errors import GraphQueryFailed
from shared.graphs.values import found, of_engine
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.world import Credential

_AGAIN = frozenset({"Timeout", "Unavailable", "ConnectionFailed", "DnsError", "Busy"})


async def embedded(call: Call) -> Outputs:
    """Ask a graph of the tenant's own."""
    began = time.monotonic()
    write = call.config["mode"] == "write"

    def work() -> Any:
        return call.world.graphs.run(
            call.config["graph"],
            call.inputs.get("query"),
            _params(call),
            write=write,
            occasion=call.idempotency_key,
            seconds=max(0.1, call.timeout_seconds),
        )

    try:
        rows = await asyncio.to_thread(work)
    except GraphQueryFailed as failed:
        raise NodeError(failed.error, failed.message, retryable=failed.error in _AGAIN) from None
    except Invalid as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None
    except TooLarge as error:
        raise NodeError("TooLarge", error.detail, retryable=False) from None
    except Conflict as error:
        raise NodeError("Busy", error.detail, retry_after=1) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
    call.usage["milliseconds"] = round((time.monotonic() - began) * 1000)
    return _outputs(of_engine(rows))


async def connected(call: Call, opened: Credential) -> Outputs:
    """Ask a Neo4j or a Neptune."""
    from shared.outbound.neo4j import Refused, ask

    query, params = call.inputs.get("query"), _params(call)
    if not isinstance(query, str) or not query.strip():
        raise NodeError("InvalidInput", "a query is a text that is not empty", retryable=False)
    if not isinstance(params, dict):
        raise NodeError("InvalidInput", "params is an object", retryable=False)
    seconds, write = max(0.1, call.timeout_seconds), call.config["mode"] == "write"

    allowed = call.world.allowed_hosts
    try:
        rows = await ask(opened.values, query, params, write=write, seconds=seconds, allowed=allowed)
    except Refused as refused:
        raise NodeError(refused.error, refused.message, retryable=refused.error in _AGAIN) from None
    return _outputs(rows)


def _params(call: Call) -> Any:
    given = call.inputs.get("params")
    return {} if given is None else given


def _outputs(rows: list[dict[str, Any]]) -> Outputs:
    nodes, edges = found(rows)
    return {"nodes": nodes, "edges": edges, "rows": rows}
