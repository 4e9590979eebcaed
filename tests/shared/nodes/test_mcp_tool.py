from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.mcp.sessions import MAX_BYTES
from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.servers.mcp import own
from tests.servers.mcp.own import Own
from tests.shared.mcp.calls import world
from tests.shared.nodes.calls import call, execute, fits, run


@pytest.fixture(scope="module")
def server() -> Iterator[Own]:
    with own.serving() as running:
        yield running


def called(server: Own, tool: str, args: Any = None, timeout_seconds: float = 20, **document: Any) -> dict[str, Any]:
    config, inputs = {"server": "own", "tool": tool}, {"args": args}
    mine = world(server.document(**document))
    return execute("mcp_tool", config, inputs, world=mine, timeout_seconds=timeout_seconds)


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        called(*args, **more)
    assert caught.value.error in get("mcp_tool").errors
    return caught.value


def test_a_structured_result(server: Own) -> None:
    found = called(server, "add", {"a": 1, "b": 2})
    assert found["result"] == {"total": 3}
    assert found["content"][0]["type"] == "text"


def test_what_it_took(server: Own) -> None:
    inputs = {"args": {"a": 1, "b": 2}}
    made = call("mcp_tool", {"server": "own", "tool": "add"}, inputs, world=world(server.document()))
    run(made, "mcp_tool")
    assert made.usage["bytes"] > 100
    assert made.usage["milliseconds"] >= 0


@pytest.mark.parametrize(
    ("tool", "args", "result"),
    [
        ("words", {"text": "a b"}, "a\nb"),
        ("as_json", None, {"n": [1, 2]}),
        ("picture", None, [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]),
    ],
)
def test_other_results(server: Own, tool: str, args: Any, result: Any) -> None:
    assert called(server, tool, args)["result"] == result


def test_the_server_may_come_from_a_connection(server: Own) -> None:
    there = world(server.document())
    connection = execute("mcp_server", {"server": "own"}, {}, world=there)["connection"]
    inputs = {"connection": connection, "args": {"a": 2, "b": 2}}
    assert execute("mcp_tool", {"tool": "add"}, inputs, world=there)["result"] == {"total": 4}


@pytest.mark.parametrize(
    ("tool", "args", "error"),
    [
        ("add", {"a": 1}, "InvalidArguments"),
        ("add", {"a": "1", "b": 2}, "InvalidArguments"),
        ("add", None, "InvalidArguments"),
        ("add", [1, 2], "InvalidInput"),
        ("add", "1 + 2", "InvalidInput"),
        ("nothing", {}, "ToolNotFound"),
        ("fails", {"text": "no"}, "ToolFailed"),
        ("huge", {"size": MAX_BYTES + 1}, "ResponseTooLarge"),
    ],
)
def test_bad_input(server: Own, tool: str, args: Any, error: str) -> None:
    before = len(server.calls)
    assert failure(server, tool, args).error == error
    assert len(server.calls) == before  # nothing that does not fit is sent


def test_a_tool_that_takes_too_long(server: Own) -> None:
    error = failure(server, "slow", timeout_seconds=0.5)
    assert (error.error, error.retryable) == ("Timeout", True)
    assert called(server, "add", {"a": 1, "b": 2})["result"] == {"total": 3}  # the server is none the worse


def test_a_tool_that_is_not_allowed(server: Own) -> None:
    assert failure(server, "words", {"text": "x"}, allowed_tools=["add"]).error == "NotAllowed"


@pytest.mark.parametrize(
    "inputs", [{}, {"connection": None}, {"connection": "own"}, {"connection": {}}, {"connection": {"server": 7}}]
)
def test_no_server_is_named(inputs: dict[str, Any]) -> None:
    with pytest.raises(NodeError, match="InvalidInput"):
        execute("mcp_tool", {"tool": "add"}, inputs, world=world())


@pytest.mark.parametrize("config", [{}, {"tool": ""}, {"tool": "x", "server": "Not a name"}, {"tool": 7}])
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("mcp_tool"), config)
