"""`websocket` against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from shared.nodes.base import NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import Keyring, Outside, call, execute, run

BIG = 5_000_001


def behave(connection: ServerConnection) -> None:
    """What the server does is said by the path."""
    path = connection.request.path.partition("?")[0]
    if path == "/echo":
        for message in connection:
            connection.send(message)
    elif path == "/count":
        for n in range(5):
            connection.send(json.dumps({"n": n, "type": "last" if n == 3 else "more"}))
        connection.recv()
    elif path == "/bytes":
        connection.send(b"\x00\x01")
    elif path == "/text":
        connection.send("NaN")
    elif path == "/silent":
        connection.recv()
    elif path == "/bye":
        connection.close(1001)
    elif path == "/big":
        connection.send("x" * BIG)
        connection.recv()
    elif path == "/flood":
        for _ in range(6):
            connection.send("x" * 4_000_000)
    elif path == "/headers":
        connection.send(
            json.dumps(
                {
                    "authorization": connection.request.headers.get("Authorization"),
                    "path": connection.request.path,
                    "protocol": connection.subprotocol,
                }
            )
        )


def judge(connection: ServerConnection, request: Any) -> Any:
    if request.path == "/closed":
        return connection.respond(401, "no")
    if request.path == "/broken":
        return connection.respond(503, "no")
    if request.path == "/moved":
        answer = connection.respond(302, "")
        answer.headers["Location"] = "ws://127.0.0.2:9/echo"
        return answer
    return None


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(
        behave,
        "127.0.0.1",
        0,
        process_request=judge,
        select_subprotocol=lambda _, offered: offered[0] if offered else None,
    ) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made


@pytest.fixture
def base(server: Server) -> str:
    return "ws://{}:{}".format(*server.socket.getsockname()[:2])


def speak(base: str, path: str, config: Any = None, message: Any = None, **more: Any) -> Any:
    world = Outside(allowed_hosts=frozenset({base.removeprefix("ws://")}), **more)
    inputs = {"url": base + path, **({} if message is None else {"message": message})}
    return execute("websocket", config, inputs, world=world)


@pytest.mark.parametrize("message", ["hello", {"a": [1, None, "ä"]}, [1, 2], 0, False])
def test_what_is_sent_and_comes_back(base: str, message: Any) -> None:
    assert speak(base, "/echo", message=message) == {"response": message, "messages": [message]}


def test_a_message_that_is_text_goes_as_it_is(base: str) -> None:
    assert speak(base, "/echo", message='{"a":1}')["response"] == {"a": 1}


def test_as_many_as_are_wanted(base: str) -> None:
    found = speak(base, "/count", {"count": 3})
    assert [m["n"] for m in found["messages"]] == [0, 1, 2]
    assert found["response"] == {"n": 2, "type": "more"}


def test_until_one_matches(base: str) -> None:
    found = speak(base, "/count", {"count": 100, "until": "message.type = 'last'"})
    assert [m["n"] for m in found["messages"]] == [0, 1, 2, 3]


def test_what_has_come_when_the_time_is_over(base: str) -> None:
    assert len(speak(base, "/count", {"count": 100, "seconds": 0.3})["messages"]) == 5


def test_only_sending(base: str) -> None:
    assert speak(base, "/echo", {"count": 0}, "x") == {"response": None, "messages": []}


def test_bytes_and_text_that_is_no_json(base: str) -> None:
    assert speak(base, "/bytes")["response"] == {"base64": "AAE=", "size": 2}
    assert speak(base, "/text")["response"] == "NaN"


@pytest.mark.parametrize(
    ("kind", "values", "expected", "path"),
    [
        ("bearer", {"token": "t-1"}, "Bearer t-1", "/headers"),
        ("basic", {"username": "u", "password": "p"}, "Basic dTpw", "/headers"),
        ("api_key", {"name": "key", "value": "k 1", "in": "query"}, None, "/headers?a=1&key=k+1"),
    ],
)
def test_a_credential_signs_the_request(base: str, kind: str, values: Any, expected: Any, path: str) -> None:
    asked = "/headers?a=1" if "?" in path else "/headers"
    found = speak(base, asked, {"credential": "c"}, credentials=Keyring({"c": (kind, values)}))["response"]
    assert (found["authorization"], found["path"]) == (expected, path)


def test_a_subprotocol_is_agreed_on(base: str) -> None:
    assert speak(base, "/headers", {"subprotocols": ["chat"]})["response"]["protocol"] == "chat"


@pytest.mark.parametrize(
    ("path", "config", "error", "retryable"),
    [
        ("/silent", {"seconds": 0.2}, "Timeout", True),
        ("/count", {"count": 100, "until": "message.n = 9", "seconds": 0.3}, "Timeout", True),
        ("/count", {"count": 2, "until": "message.n = 9"}, "NoMatch", True),
        ("/count", {"until": "$error('no')"}, "ExpressionError", True),
        ("/bye", {}, "Closed", True),
        ("/big", {}, "ResponseTooLarge", False),
        ("/flood", {"count": 6}, "ResponseTooLarge", False),
        ("/closed", {}, "AuthenticationFailed", False),
        ("/broken", {}, "Rejected", True),
        ("/moved", {}, "Rejected", False),
        ("/echo", {"credential": "none"}, "CredentialNotFound", False),
    ],
)
def test_what_goes_wrong_is_said(base: str, path: str, config: Any, error: str, retryable: bool) -> None:
    world = Outside(allowed_hosts=frozenset({base.removeprefix("ws://")}), credentials=Keyring({}))
    with pytest.raises(NodeError) as failed:
        execute("websocket", config, {"url": base + path}, world=world)
    assert (failed.value.error, failed.value.retryable) == (error, retryable)
    assert error in get("websocket").errors


def test_a_credential_of_another_kind(base: str) -> None:
    with pytest.raises(NodeError, match="WrongCredential"):
        speak(base, "/echo", {"credential": "c"}, credentials=Keyring({"c": ("redis", {"url": "redis://x"})}))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://a.example", "InvalidInput"),
        ("ws://", "InvalidInput"),
        ("ws://u:p@a.example", "InvalidInput"),
        ("ws://a.example:99999", "InvalidInput"),
        ("ws://[::1", "InvalidInput"),
        (7, "InvalidInput"),
        ("ws://nowhere.invalid", "DnsError"),
        ("ws://127.0.0.1:9", "BlockedAddress"),
        ("ws://[::ffff:127.0.0.1]:9", "BlockedAddress"),
        ("ws://2130706433", "BlockedAddress"),
        ("wss://169.254.169.254/latest", "BlockedAddress"),
    ],
)
def test_addresses_that_are_refused(url: Any, error: str) -> None:
    with pytest.raises(NodeError) as failed:
        execute("websocket", {}, {"url": url})
    assert failed.value.error == error


def test_nobody_listens_there(base: str) -> None:
    with pytest.raises(NodeError) as failed:
        execute("websocket", {}, {"url": "ws://127.0.0.1:1"}, world=Outside(allowed_hosts=frozenset({"127.0.0.1:1"})))
    assert failed.value.error == "ConnectionFailed"


def test_the_nodes_own_time_is_over(base: str) -> None:
    world = Outside(allowed_hosts=frozenset({base.removeprefix("ws://")}))
    made = call("websocket", {"seconds": 60}, {"url": base + "/silent"}, world=world, timeout_seconds=0.3)
    with pytest.raises(NodeError, match="Timeout"):
        run(made, "websocket")


def test_a_server_that_is_no_websocket_server() -> None:
    async def talk() -> str:
        async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ready\r\n")
            writer.close()

        plain = await asyncio.start_server(answer, "127.0.0.1", 0)
        host = f"127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        made = call("websocket", {}, {"url": f"ws://{host}"}, world=Outside(allowed_hosts=frozenset({host})))
        async with plain:
            try:
                await get("websocket").execute(made)  # type: ignore[attr-defined]
            except NodeError as error:
                return error.error
        return "answered"

    assert asyncio.run(talk()) in ("Rejected", "ConnectionFailed")
