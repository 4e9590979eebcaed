from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.servers.mcp import own
from tests.servers.mcp.scripted import document, scripted
from tests.shared.mcp.calls import world
from tests.shared.nodes.calls import Keyring, Outside, execute, fits
from tests.shared.nodes.http_server import Reply

SECRET = "hush-hush-token"


def failure(config: dict[str, Any], **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        execute("mcp_server", config, {}, **more)
    assert caught.value.error in get("mcp_server").errors
    return caught.value


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_server_that_answers_says_what_it_has(transport: str) -> None:
    ring = Keyring({"crm": ("bearer", {"token": SECRET})})
    with own.serving(transport, demands=("authorization", f"Bearer {SECRET}")) as server:
        mine = server.document(transport, credential="crm", allowed_tools=["add"])
        found = execute("mcp_server", {"server": "own"}, {}, world=world(mine, credentials=ring))["connection"]
    assert (found["server"], found["about"]["name"], found["about"]["instructions"]) == ("own", "own", "Be kind.")
    assert [t["name"] for t in found["tools"]] == ["add"]
    assert found["tools"][0]["input_schema"]["required"] == ["a", "b"]
    assert {"notes://today", "notes://{day}"} <= {r["uri"] for r in found["resources"]}
    assert found["prompts"][0]["arguments"] == [
        {"name": "text", "description": "", "required": True},
        {"name": "tone", "description": "", "required": False},
    ]
    assert SECRET not in json.dumps(found)


def test_servers_that_are_not_there() -> None:
    assert failure({"server": "own"}, world=world()).error == "ServerNotFound"
    mine = {"name": "own", "transport": "streamable_http", "url": "http://127.0.0.1:9/mcp"}
    assert failure({"server": "own"}, world=world(mine)).error == "ConnectionFailed"
    assert failure({"server": "own"}, world=world(mine, allowed_hosts=frozenset())).error == "BlockedAddress"


def test_a_server_that_takes_too_long() -> None:
    stop = threading.Event()

    def wait(_params: dict[str, Any]) -> Reply:
        stop.wait(20)
        return Reply(b"", 503)

    with scripted({"initialize": wait}) as server:
        error = failure({"server": "scripted"}, world=world(document(server)), timeout_seconds=0.5)
        stop.set()
    assert (error.error, error.retryable) == ("Timeout", True)


@pytest.mark.parametrize(
    "config", [{}, {"server": ""}, {"server": 7}, {"server": "Not a name"}, {"server": "a", "x": 1}]
)
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("mcp_server"), config)


def test_a_store_that_is_down() -> None:
    class Down:
        def find(self, kind: str, named: str) -> Any:
            raise Unavailable("the database is busy; try again")

    error = failure({"server": "own"}, world=Outside(resources=Down()))
    assert (error.error, error.retryable) == ("Unavailable", True)
