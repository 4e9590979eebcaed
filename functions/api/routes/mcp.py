"""The tenant's MCP server: published workflows that are marked as tools, for clients of the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request, Response

from functions.api import problems
from functions.api.deps import require
from functions.api.schemas.mcp import McpToolsOut
from shared import strict_json
from shared.tenancy import Principal

router = APIRouter(prefix="/mcp", tags=["mcp"])
Reader = Annotated[Principal, require("viewer", "mcp:read")]
_MESSAGE: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "JsonRpcMessage",
                "type": "object",
                "required": ["jsonrpc", "method"],
                "properties": {
                    "jsonrpc": {"const": "2.0"},
                    "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "method": {"type": "string"},
                    "params": {"type": "object"},
                },
            }
        }
    },
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A JSON-RPC response.", "content": {"application/json": {"schema": {"type": "object"}}}},
    202: {"description": "A notification was taken."},
    "4XX": {
        "description": "A problem, or, where a message is none of JSON-RPC's, its error",
        "content": {**problems.RESPONSES["4XX"]["content"], "application/json": {"schema": {"type": "object"}}},
    },
}


def _may_call(who: Principal) -> None:
    who.require("operator", "mcp:write")


@router.post("", responses=_ANSWERS, openapi_extra={"requestBody": _MESSAGE})
async def message(request: Request, who: Reader) -> Response:
    """A message of the Model Context Protocol (streamable HTTP, without sessions; answers are JSON)."""
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "send the message as application/json")
    body = await request.body()
    asked = strict_json.loads(body)
    if isinstance(asked, dict) and asked.get("method") == "tools/call":
        _may_call(who)
    from functions.api.mcp_server import McpResponse  # with the SDK, which takes a while to import
    from stepfunctions.mcp_tools import Toolbox

    return McpResponse(body, Toolbox(who), lambda: _may_call(who))


@router.get("/tools")
def tools(who: Reader) -> McpToolsOut:
    """The published workflows that are marked as tools, also those whose name another one has."""
    from stepfunctions.mcp_tools import workflow_tools

    return McpToolsOut.model_validate({"items": workflow_tools(who.tenant)})
