from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.servers.mcp import own
from tests.shared.mcp.calls import shelf, world
from tests.shared.nodes.calls import Keyring, Outside, execute, fits
from tests.shared.nodes.http_server import Reply, serving


def result(there: Outside, **inputs: Any) -> Any:
    return execute("function_call", {}, inputs, world=there)["result"]


def failure(there: Outside, **inputs: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        result(there, **inputs)
    assert caught.value.error in get("function_call").errors
    return caught.value


def test_a_built_in_tool() -> None:
    assert result(Outside(resources=shelf()), name=" calculate ", args={"expression": "6 * 7"}) == {"result": 42}


def test_a_request_carries_the_nodes_own_key() -> None:
    with serving([Reply({"id": 7})]) as server:
        order = {"kind": "http", "method": "POST", "url": server.url}
        there = Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host}))
        assert result(there, name="order", args={"sum": 3}) == {"id": 7}
    assert server.asked[0].headers["idempotency-key"] == "ex_1:n1"


def test_a_request_whose_token_server_refuses() -> None:
    order = {"kind": "http", "method": "GET", "url": "https://shop.example", "credential": "shop"}
    keys = Keyring({"shop": ("oauth2_client_credentials", {})})
    failed = failure(Outside(resources=shelf(order=order), credentials=keys), name="order")
    assert (failed.error, failed.retryable) == ("TokenRefused", False)


def test_a_tool_of_an_mcp_server() -> None:
    with own.serving() as server:
        there = world(server.document())
        there.resources = shelf(server.document(), sums={"kind": "mcp", "server": "own", "tool": "add"})
        assert result(there, name="sums", args={"a": 1, "b": 2}) == {"total": 3}


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({}, "InvalidInput"),
        ({"name": ""}, "InvalidInput"),
        ({"name": 7}, "InvalidInput"),
        ({"name": "nobody_knows"}, "ToolNotFound"),
        ({"name": "calculate"}, "InvalidArguments"),
        ({"name": "calculate", "args": "6 * 7"}, "InvalidArguments"),
        ({"name": "calculate", "args": {"expression": 42}}, "InvalidArguments"),
        ({"name": "calculate", "args": {"expression": "1 +"}}, "ExpressionError"),
    ],
)
def test_bad_input(inputs: dict[str, Any], error: str) -> None:
    assert failure(Outside(resources=shelf()), **inputs).error == error


def test_faults_of_the_other_side() -> None:
    with serving([Reply({"secret": "echoed"}, 500)]) as server:
        order = {"kind": "http", "method": "GET", "url": server.url}
        there = Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host}))
        error = failure(there, name="order")
    assert error.error == "HttpError"
    assert "echoed" not in error.message
    assert failure(there, name="order").error == "ConnectionFailed"


def test_configs_that_do_not_fit() -> None:
    assert not fits(get("function_call"), {"name": "calculate"})
