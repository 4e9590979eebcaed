"""Sessions with MCP servers that work, and with servers that do not."""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shared.mcp import sessions
from shared.mcp.errors import SESSION_ERRORS
from shared.mcp.results import plain
from shared.mcp.sessions import MAX_BYTES, MAX_LISTED, Session
from shared.nodes import json_schemas
from shared.nodes._credentials import CREDENTIAL_ERRORS
from shared.nodes.base import NodeError
from tests.servers.mcp import TIME_SERVER, own
from tests.servers.mcp.scripted import document, listed, scripted, text, tool
from tests.shared.mcp.calls import failure, inside, world
from tests.shared.nodes.calls import Keyring, execute
from tests.shared.nodes.http_server import Reply, serving

SECRET = "hush-hush-token"
JSON = {"Content-Type": "application/json"}
HTML = Reply(b"<html>", 200, {"Content-Type": "text/html"})
HUGE = Reply(b"x" * (MAX_BYTES + 1), 200, JSON)
PACKED = Reply(gzip.compress(b"0" * 1_000_000), 200, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
RATED = Reply(b"", 429, {"Retry-After": "7"})


async def names(server: Session) -> list[str]:
    return [t["name"] for t in await server.tools()]


async def act(server: Session) -> Any:
    return plain(await server.call_tool("act", {}))


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_tool_is_called_over(transport: str) -> None:
    async def add(server: Session) -> Any:
        return server.about()["name"], plain(await server.call_tool("add", {"a": 1, "b": 2}))

    with own.serving(transport) as server:
        assert inside(server.document(transport), add) == ("own", {"total": 3})


def test_a_server_of_the_older_kind_is_spoken_to_in_its_own_words() -> None:
    with scripted({"tools/list": listed(tool()), "tools/call": text("done")}) as server:
        assert inside(document(server), act) == "done"


def test_lists_have_pages() -> None:
    def page(params: dict[str, Any]) -> dict[str, Any]:
        at = int(params.get("cursor", "0"))
        return listed(tool(f"t{at}"), **({"nextCursor": str(at + 1)} if at < 4 else {}))

    with scripted({"tools/list": page}) as server:
        assert inside(document(server), names) == ["t0", "t1", "t2", "t3", "t4"]


def test_only_allowed_tools_are_seen_and_called() -> None:
    with own.serving() as server:
        only = server.document(allowed_tools=["add"])
        assert inside(only, names) == ["add"]
        refused = failure(only, lambda s: s.call_tool("words", {"text": "x"}))
        assert refused.error == "NotAllowed"


def test_a_list_that_changes_is_the_one_of_now() -> None:
    with own.serving() as server:
        assert failure(server.document(), lambda s: s.call_tool("grown", {})).error == "ToolNotFound"
        inside(server.document(), lambda s: s.call_tool("grow", {}))
        assert "grown" in inside(server.document(), names)
        server.mcp.remove_tool("add")
        assert failure(server.document(), lambda s: s.call_tool("add", {"a": 1, "b": 2})).error == "ToolNotFound"


CREDENTIALS: dict[str, tuple[str, dict[str, Any]]] = {
    "bearer": ("bearer", {"token": SECRET}),
    "key": ("api_key", {"name": "X-Key", "value": SECRET}),
    "query": ("api_key", {"name": "key", "value": SECRET, "in": "query"}),
    "basic": ("basic", {"username": "ada", "password": SECRET}),
    "oauth": ("oauth2_client_credentials", {"token_url": "https://x", "client_id": "i", "client_secret": "s"}),
    "wrong": ("postgres", {"host": "h", "database": "d", "username": "u", "password": SECRET}),
    "unsendable": ("bearer", {"token": "a\nb"}),
}


class Ring(Keyring):
    async def access_token(self, name: str, stale: str | None = None) -> str:
        del name, stale
        return SECRET


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("bearer", "authorization", f"Bearer {SECRET}"),
        ("key", "x-key", SECRET),
        ("basic", "authorization", "Basic YWRhOmh1c2gtaHVzaC10b2tlbg=="),
        ("oauth", "authorization", f"Bearer {SECRET}"),
    ],
)
@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_credential_goes_with_every_request(transport: str, name: str, header: str, value: str) -> None:
    with own.serving(transport, demands=(header, value)) as server:
        mine = server.document(transport, credential=name, headers={"x-team": "blue"})
        assert "add" in inside(mine, names, credentials=Ring(CREDENTIALS))
        assert {(h[header], h["x-team"]) for h, _ in server.asked} == {(value, "blue")}
        refused = failure(server.document(transport), names)
        assert (refused.error, refused.retryable) == ("AuthenticationFailed", False)


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
def test_a_token_that_is_refused_is_replaced_once(transport: str) -> None:
    class Renewing(Ring):
        async def access_token(self, name: str, stale: str | None = None) -> str:
            fetched.append(stale)
            return SECRET if stale else "stale-token"

    fetched: list[str | None] = []
    ring = Renewing(CREDENTIALS)
    with own.serving(transport, demands=("authorization", f"Bearer {SECRET}")) as server:
        assert "add" in inside(server.document(transport, credential="oauth"), names, credentials=ring)
        assert fetched == [None, "stale-token"]
        server.demands = ("authorization", "Bearer of others")
        refused = failure(server.document(transport, credential="oauth"), names, credentials=ring)
    assert (refused.error, fetched) == ("AuthenticationFailed", [None, "stale-token"] * 2)


def test_a_key_in_the_query_goes_with_every_request() -> None:
    with own.serving() as server:
        inside(server.document(credential="query"), names, credentials=Ring(CREDENTIALS))
        assert {query for _, query in server.asked} == {f"key={SECRET}"}


@pytest.mark.parametrize(
    ("name", "error"),
    [("wrong", "WrongCredential"), ("unsendable", "WrongCredential"), ("nobody", "CredentialNotFound")],
)
def test_a_credential_that_does_not_do(name: str, error: str) -> None:
    with own.serving() as server:
        found = failure(server.document(credential=name), names, credentials=Ring(CREDENTIALS))
        assert (found.error, found.retryable, server.asked) == (error, False, [])
        assert SECRET not in str(found)


def test_what_a_tool_says_is_told_but_no_secret_of_ours() -> None:
    with own.serving() as server:
        said = failure(server.document(), lambda s: s.call_tool("fails", {"text": "No such customer."}))
        assert (said.error, said.retryable) == ("ToolFailed", False)
        assert "No such customer." in said.message
        mine = server.document(credential="bearer")
        told = failure(mine, lambda s: s.call_tool("tells_headers", {}), credentials=Ring(CREDENTIALS))
        assert told.message.endswith(": …")
        assert SECRET not in told.message
        many = failure(
            mine, lambda s: s.call_tool("fails", {"text": SECRET * 200 + "x" * 3_000}), credentials=Ring(CREDENTIALS)
        )
        assert (len(many.message), SECRET[:4] in many.message) == (2_000, False)


OTHER_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
BROKEN = {"type": "object", "required": 1}
ELSEWHERE = {"type": "object", "$ref": "http://127.0.0.1:9/s"}
LONG = "a" * 60 + "!"
BOMB = {"type": "object", "properties": {"t": {"type": "string", "pattern": "^(a|aa)+$"}}}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no MCP": ({"initialize": HTML}, "ServerError"),
    "no JSON": ({"initialize": Reply(b"{", 200, JSON)}, "ServerError"),
    "nothing": ({"initialize": {}}, "InvalidResponse"),
    "not found": ({"initialize": Reply(b"", 404)}, "HttpError"),
    "unauthorized": ({"initialize": Reply({"secret": 1}, 401)}, "AuthenticationFailed"),
    "forbidden in the middle": ({"tools/list": Reply(b"", 403)}, "AuthenticationFailed"),
    "down": ({"initialize": Reply(b"", 503)}, "HttpError"),
    "too many requests": ({"tools/list": RATED}, "HttpError"),
    "cut off": ({"tools/list": Reply({"jsonrpc": "2.0"}, 200, JSON, cut=4)}, "ConnectionFailed"),
    "hung up": ({"tools/list": Reply(b"", cut=0)}, "ConnectionFailed"),
    "too large": ({"tools/list": HUGE}, "ResponseTooLarge"),
    "packed": ({"tools/list": PACKED}, "ServerError"),
    "no tools after all": ({}, "NotSupported"),
    "tools that are none": ({"tools/list": {"tools": [{"name": 7}]}}, "InvalidResponse"),
    "a list without an end": ({"tools/list": lambda _: listed(*[tool()] * 200, nextCursor="x")}, "ResponseTooLarge"),
    "no such tool": ({"tools/list": listed(tool("other"))}, "ToolNotFound"),
    "no result": ({"tools/list": listed(tool()), "tools/call": {"content": "x"}}, "InvalidResponse"),
    "it failed": ({"tools/list": listed(tool()), "tools/call": text("no", isError=True)}, "ToolFailed"),
    "a schema that is none": ({"tools/list": listed(tool(inputSchema=BROKEN))}, "InvalidResponse"),
    "a schema of elsewhere": ({"tools/list": listed(tool(inputSchema=ELSEWHERE))}, "InvalidResponse"),
    "arguments that do not fit": ({"tools/list": listed(tool(inputSchema=OTHER_SCHEMA))}, "InvalidArguments"),
    "a result that does not fit": (
        {"tools/list": listed(tool(outputSchema=OTHER_SCHEMA)), "tools/call": text("x", structuredContent={"n": "7"})},
        "InvalidResponse",
    ),
    "a result that takes for ever": (
        {"tools/list": listed(tool(outputSchema=BOMB)), "tools/call": text("x", structuredContent={"t": LONG})},
        "InvalidResponse",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_a_failure_of_that_name(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schemas, "BUDGET_SECONDS", 0.5)
    script, error = FAULTS[fault]
    with scripted(script) as server:
        began = time.monotonic()
        found = failure(document(server), act)
    assert found.error == error, found
    assert found.error in {*SESSION_ERRORS, *CREDENTIAL_ERRORS}
    assert time.monotonic() - began < 20
    if fault == "too many requests":
        assert found.retry_after == 7


@pytest.mark.parametrize(("status", "unsure"), [(502, True), (504, True), (503, False)])
def test_what_a_gateway_answers_leaves_open_whether_a_tool_was_called(status: int, unsure: bool) -> None:
    with scripted({"tools/list": listed(tool()), "tools/call": Reply(b"", status)}) as server:
        found = failure(document(server), act)
    assert (found.error, found.retryable, found.unsure) == ("HttpError", True, unsure)


def test_a_list_is_not_longer_than_it_may_be() -> None:
    with scripted({"tools/list": listed(*(tool(f"t{i}") for i in range(MAX_LISTED)))}) as server:
        assert len(inside(document(server), names)) == MAX_LISTED


def test_all_pages_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_BYTES", 20_000)
    page = listed(tool(description="x" * 15_000), nextCursor="x")
    with scripted({"tools/list": lambda _: page}) as server:
        assert failure(document(server), names).error == "ResponseTooLarge"
        assert len(server.asked) < 20


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:9/mcp", "BlockedAddress"),
        ("http://169.254.169.254/mcp", "BlockedAddress"),
        ("http://[::ffff:10.0.0.1]/mcp", "BlockedAddress"),
        ("http://2130706433/mcp", "BlockedAddress"),
        ("http://localhost/mcp", "BlockedAddress"),
        ("http://no-such-host.invalid/mcp", "DnsError"),
    ],
)
def test_private_addresses_are_not_reached(transport: str, url: str, error: str) -> None:
    mine = {"name": "own", "transport": transport, "url": url, "headers": {}, "allowed_tools": None}
    assert failure(mine, names, allowed_hosts=frozenset()).error == error


def test_nobody_listens() -> None:
    mine = {"name": "own", "transport": "streamable_http", "url": "http://127.0.0.1:9/mcp"}
    assert failure(mine, names).error == "ConnectionFailed"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_elsewhere_are_not_followed(status: int) -> None:
    with serving([Reply({"secret": "of the inside"})]) as hidden:
        away = Reply(b"", status, {"Location": f"{hidden.url}/mcp"})
        with scripted({"initialize": away, "server/discover": away}) as server:
            hosts = frozenset({server.host, hidden.host})
            assert failure(document(server), names, allowed_hosts=hosts).error in ("HttpError", "ServerError")
        assert hidden.asked == []


def test_a_server_over_sse_may_not_send_us_elsewhere() -> None:
    with serving([Reply(b"")]) as hidden:
        stream = f"event: endpoint\ndata: {hidden.url}/messages\n\n".encode()
        with serving([Reply(stream, 200, {"Content-Type": "text/event-stream"})]) as server:
            mine = {**document(server), "transport": "sse"}
            there = world(mine, allowed_hosts=frozenset({server.host, hidden.host}))
            with pytest.raises(NodeError) as caught:
                execute("mcp_server", {"server": "scripted"}, {}, world=there, timeout_seconds=1)
        assert caught.value.error in ("InvalidResponse", "ConnectionFailed", "Timeout")
        assert hidden.asked == []


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    script = {"tools/list": Reply(json.dumps({"leak": SECRET}).encode(), 200, JSON)}
    with scripted(script) as server:
        failure(document(server, credential="query"), names, credentials=Ring(CREDENTIALS))
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_a_command_that_says_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_BYTES", 100)
    mine = {"name": "time", "transport": "stdio", "command": "time"}
    commands = {"time": [TIME_SERVER, "--local-timezone", "UTC"]}
    said = failure(mine, lambda s: s.call_tool("get_current_time", {"timezone": "UTC"}), mcp_commands=commands)
    assert said.error == "ResponseTooLarge"


def test_a_command_has_to_be_allowed() -> None:
    mine = {"name": "time", "transport": "stdio", "command": "time"}
    assert failure(mine, names).error == "NotAllowed"
    assert failure(mine, names, mcp_commands={"time": ["/nowhere/at-all"]}).error == "ConnectionFailed"
    assert failure(mine, names, mcp_commands={"time": ["false"]}).error == "ConnectionFailed"


def test_a_command_has_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    seen = tmp_path / "environment"
    program = f"import os; open({str(seen)!r}, 'w').write(repr((dict(os.environ), os.getcwd())))"
    mine = {"name": "spy", "transport": "stdio", "command": "spy"}
    assert failure(mine, names, mcp_commands={"spy": [sys.executable, "-c", program]}).error == "ConnectionFailed"
    assert SECRET not in seen.read_text()
    assert "AWS_" not in seen.read_text()
    assert str(Path.cwd()) not in seen.read_text().rsplit(",", 1)[1]
