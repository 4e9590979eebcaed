"""The tenants' MCP servers on the local AWS, with the official client over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json
from tests.functions.api.over_mcp import talk
from tests.functions.api.workflows_over_http import adder, asker

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def tool(document: Json, name: str) -> Json:
    return {**document, "settings": {"mcp": {"name": name}}}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_clients_talk_with_a_tenants_server(mine: Caller, theirs: Caller, local: Stack, mode: str) -> None:
    mine.published(tool(adder(description="Adds one."), f"add_{mode}"))
    mine.published(tool(asker(), f"ask_{mode}"))

    async def use(client: Any) -> tuple[list[str], Any, Any, Any]:
        names = [t.name for t in (await client.list_tools()).tools]
        sum_ = await client.call_tool(f"add_{mode}", {"a": 41})
        asked = (await client.call_tool(f"ask_{mode}", {})).structured_content
        ended = await client.call_tool("cancel_run", {"execution_id": asked["execution_id"]})
        return names, sum_, asked, ended

    url = f"{local.api_url}/api/v1/mcp"
    names, added, asked, ended = talk(mine.key, use, mode, httpx2.AsyncHTTPTransport(), url)
    assert {f"add_{mode}", f"ask_{mode}", "get_run", "cancel_run"} <= set(names)
    assert (added.is_error, added.structured_content["output"]) == (False, 42)
    assert mine.run(added.structured_content["execution_id"])["triggered_by"]["kind"] == "mcp"
    assert (asked["status"], [t["title"] for t in asked["tasks"]]) == ("paused", ["May I?"])
    assert ended.structured_content["status"] == "cancelled"

    async def other(client: Any) -> tuple[list[str], Any]:
        run = {"execution_id": asked["execution_id"]}
        return [t.name for t in (await client.list_tools()).tools], await client.call_tool("get_run", run)

    names, answer = talk(theirs.key, other, mode, httpx2.AsyncHTTPTransport(), url)
    assert f"add_{mode}" not in names
    assert answer.structured_content["error"]["error"] == "NotFound"
