"""The tools of a tenant: found by name, held against their schemas, called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from shared.errors import Conflict, Invalid, NotFound, Unavailable
from shared.nodes.base import Ended, NodeError
from shared.tools import toolbox as under_test
from shared.tools.errors import TOOL_ERRORS
from shared.tools.toolbox import Toolbox, ToolSpec
from tests.servers.mcp import own
from tests.servers.mcp.scripted import document, listed, scripted, tool
from tests.shared.mcp.calls import shelf, world
from tests.shared.nodes.calls import Keyring, Outside, call
from tests.shared.nodes.http_server import Asked, Reply, serving

SECRET = "hush-hush-token"


def box(there: Outside) -> Toolbox:
    return Toolbox(call("function_call", {}, {}, world=there))


def catalogue(there: Outside, names: Sequence[str] = (), servers: Sequence[str] = ()) -> list[ToolSpec]:
    return asyncio.run(box(there).catalogue(names, servers))


def called(there: Outside, name: str, args: Any = None, *, key: str = "k", timeout: float = 10) -> Any:
    """The result of a tool by its name, of the tenant's or of a server's."""

    async def do() -> Any:
        spec = ToolSpec.from_dict((await box(there).find(name)).as_dict())  # as one that was stored
        return await box(there).call(spec, {} if args is None else args, idempotency_key=key, timeout=timeout)

    return asyncio.run(do())


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        called(*args, **more)
    assert caught.value.error in TOOL_ERRORS
    return caught.value


def test_a_catalogue_of_every_kind() -> None:
    http = {"kind": "http", "method": "GET", "url": "https://x.example", "description": "Finds.", "ask_a_person": True}
    flow = {"kind": "workflow", "workflow_id": "wf_1", "input_schema": {"type": "object", "required": ["a"]}}
    with own.serving() as server:
        mine = world(server.document(allowed_tools=["add", "words"]))
        of_server = {"kind": "mcp", "server": "own", "tool": "add"}
        mine.resources = shelf(server.document(allowed_tools=["add", "words"]), http=http, flow=flow, sums=of_server)
        found = catalogue(mine, ["http", "flow", "sums", "calculate", "http"], ["own", "own"])
    assert [(s.name, s.kind, s.asks) for s in found] == [
        ("http", "http", True),
        ("flow", "workflow", False),
        ("sums", "mcp", False),
        ("calculate", "builtin", False),
        ("own__add", "mcp", False),
        ("own__words", "mcp", False),
    ]
    assert found[0].input_schema == {"type": "object"}
    assert found[1].input_schema["required"] == ["a"]
    assert (found[2].description, found[2].input_schema["required"]) == ("Adds two numbers.", ["a", "b"])
    assert found[4].source == {"kind": "mcp", "server": "own", "tool": "add"}


def test_no_other_name_leads_around_a_persons_consent() -> None:
    with own.serving() as server:
        mine = world(server.document(allowed_tools=["add", "words"]))
        guarded = {"kind": "mcp", "server": "own", "tool": "add", "ask_a_person": True}
        mine.resources = shelf(server.document(allowed_tools=["add", "words"]), sums=guarded)
        found = catalogue(mine, ["sums"], ["own"])
    assert [(s.name, s.asks) for s in found] == [("sums", True), ("own__words", False)]


def test_a_server_that_fails_leaves_no_session_with_the_others_open() -> None:
    done = threading.Event()

    def slow(_params: Any) -> Any:
        done.wait(10)
        return listed()

    async def left_over(there: Outside) -> int:
        with pytest.raises(NodeError, match="ServerNotFound"):
            await box(there).catalogue([], ["scripted", "missing"])
        return len(asyncio.all_tasks()) - 1

    with scripted({"tools/list": slow}) as server:
        try:
            assert asyncio.run(left_over(world(document(server)))) == 0
        finally:
            done.set()


def test_names_are_such_as_models_take_and_unique() -> None:
    names = ["päck/äge", "päck.äge", "x" * 90, "x" * 91]
    with scripted({"tools/list": listed(*map(tool, names))}) as server:
        mine = world(document(server))
        found = [s.name for s in catalogue(mine, [], ["scripted"])]
    assert found[:2] == ["scripted__p_ck__ge", "scripted__p_ck__ge_2"]
    assert len(set(found)) == 4
    assert max(map(len, found)) == 64


def test_a_tenants_tool_goes_before_the_built_in_one() -> None:
    theirs = {"kind": "builtin", "builtin": "current_time", "description": "Mine."}
    spec = catalogue(Outside(resources=shelf(calculate=theirs)), ["calculate"])[0]
    assert (spec.description, spec.source["builtin"]) == ("Mine.", "current_time")


@pytest.mark.parametrize(
    ("names", "servers", "error"),
    [
        (["nobody"], [], "ToolNotFound"),
        (["", "calculate"], [], "ToolNotFound"),
        ([], ["nobody"], "ServerNotFound"),
        (["lost"], [], "ServerNotFound"),
    ],
)
def test_what_is_not_there(names: list[str], servers: list[str], error: str) -> None:
    lost = {"kind": "mcp", "server": "nobody", "tool": "x"}
    with pytest.raises(NodeError) as caught:
        catalogue(Outside(resources=shelf(lost=lost)), names, servers)
    assert caught.value.error == error


def test_an_mcp_tool_that_its_server_no_longer_has() -> None:
    with own.serving() as server:
        mine = world(server.document())
        mine.resources = shelf(server.document(), old={"kind": "mcp", "server": "own", "tool": "gone"})
        assert failure(mine, "old").error == "ToolNotFound"
        mine.resources = shelf(
            server.document(),
            old={
                "kind": "mcp",
                "server": "own",
                "tool": "gone",
                "description": "d",
                "input_schema": {"type": "object"},
            },
        )
        assert failure(mine, "old").error == "ToolNotFound"


def test_a_store_that_is_down() -> None:
    class Down:
        def find(self, kind: str, named: str) -> Any:
            raise Unavailable("the database is busy; try again")

    assert failure(Outside(resources=Down()), "calculate").error == "Unavailable"


SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["id"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("args", [{}, {"id": "7"}, {"id": 7, "x": 1}, [7], "7", 7])
def test_arguments_that_do_not_fit_are_not_sent(args: Any) -> None:
    with serving([Reply({})]) as server:
        order = {"kind": "http", "method": "GET", "url": server.url, "input_schema": SCHEMA}
        error = failure(Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host})), "order", args)
        assert (error.error, server.asked) == ("InvalidArguments", [])


HTTP: list[tuple[dict[str, Any], dict[str, Any], str, str, Any]] = [
    ({"url": "/orders/{id}"}, {"id": 7, "note": "a b"}, "GET", "/orders/7?note=a+b", None),
    ({"url": "/orders/{id}/x"}, {"id": "../../admin?x=1#y"}, "GET", "/orders/..%2F..%2Fadmin%3Fx%3D1%23y/x", None),
    ({"url": "/orders", "method": "DELETE"}, {"id": 7}, "DELETE", "/orders?id=7", None),
    ({"url": "/orders?v=1", "method": "POST"}, {"id": 7}, "POST", "/orders?v=1", {"id": 7}),
    ({"url": "/orders/{id}", "method": "PUT"}, {"id": True}, "PUT", "/orders/true", None),
    (
        {"url": "/find", "query": {"q": "{{ args.note }}", "n": 5}},
        {"note": "é&x"},
        "GET",
        "/find?q=%C3%A9%26x&n=5",
        None,
    ),
    (
        {"url": "/orders", "method": "POST", "body": {"order": "{{ args.id }}", "by": ["me", "{{ args.note }}!"]}},
        {"id": 7, "note": "you"},
        "POST",
        "/orders",
        {"order": 7, "by": ["me", "you!"]},
    ),
]


@pytest.mark.parametrize(("source", "args", "method", "path", "body"), HTTP)
def test_a_request(source: dict[str, Any], args: dict[str, Any], method: str, path: str, body: Any) -> None:
    with serving([Reply({"found": True})]) as server:
        order = {"kind": "http", "method": "GET", "headers": {"x-note": "{{ args.id }}"}, **source}
        order["url"] = server.url + source["url"]
        mine = Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host}))
        assert called(mine, "order", args, key="key-7") == {"found": True}
    asked = server.asked[0]
    assert (asked.method, asked.path) == (method, path)
    assert (asked.json if asked.body else None) == body
    assert asked.headers.get("idempotency-key") == (None if method == "GET" else "key-7")
    assert asked.headers.get("x-note") == (
        "true" if args.get("id") is True else str(args["id"]) if "id" in args else None
    )


@pytest.mark.parametrize("value", [None, "", ".", "..", {"a": 1}, ["x"]])
def test_what_cannot_stand_in_an_address(value: Any) -> None:
    with serving([Reply({})]) as server:
        order = {"kind": "http", "method": "GET", "url": f"{server.url}/orders/{{id}}"}
        mine = Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host}))
        assert failure(mine, "order", {"id": value}).error == "InvalidArguments"
        assert server.asked == []


def test_a_tool_sees_its_arguments_and_nothing_of_the_run() -> None:
    with serving([Reply({})]) as server:
        spy = {
            "kind": "http",
            "method": "POST",
            "url": server.url,
            "body": {"x": "{{ inputs }}", "y": "{{ secrets.k }}"},
        }
        mine = Outside(resources=shelf(spy=spy), allowed_hosts=frozenset({server.host}))
        called(mine, "spy", {})
        assert server.asked[0].json == {"x": None, "y": None}


def test_a_credential_goes_with_the_request_and_into_no_failure() -> None:
    ring = Keyring({"shop": ("bearer", {"token": SECRET}), "odd": ("postgres", {"password": SECRET})})

    def answer(asked: Asked) -> Reply:
        return Reply({"you_sent": asked.headers.get("authorization")}, 403)

    with serving(answer) as server:
        order = {"kind": "http", "method": "GET", "url": server.url, "credential": "shop"}
        tools = {"order": order, "odd": {**order, "credential": "odd"}, "none": {**order, "credential": "nobody"}}
        mine = Outside(resources=shelf(**tools), allowed_hosts=frozenset({server.host}), credentials=ring)
        refused = failure(mine, "order")
        assert (refused.error, SECRET in str(refused)) == ("HttpError", False)
        assert server.asked[0].headers["authorization"] == f"Bearer {SECRET}"
        assert failure(mine, "odd").error == "WrongCredential"
        assert failure(mine, "none").error == "CredentialNotFound"
        assert len(server.asked) == 1


def test_private_addresses_are_not_reached() -> None:
    with serving([Reply({})]) as server:
        tools = {"order": {"kind": "http", "method": "GET", "url": server.url}}
        assert failure(Outside(resources=shelf(**tools)), "order").error == "BlockedAddress"
        assert failure(Outside(resources=shelf()), "fetch_url", {"url": server.url}).error == "BlockedAddress"
        assert server.asked == []


def test_a_result_has_a_limit() -> None:
    with serving([Reply({"x": "x" * under_test.MAX_RESULT})]) as server:
        order = {"kind": "http", "method": "GET", "url": server.url}
        mine = Outside(resources=shelf(order=order), allowed_hosts=frozenset({server.host}))
        assert failure(mine, "order").error == "ResponseTooLarge"


def test_a_tool_has_its_time() -> None:
    with own.serving() as server:
        mine = world(server.document())
        mine.resources = shelf(server.document(), late={"kind": "mcp", "server": "own", "tool": "slow"})
        error = failure(mine, "late", timeout=0.5)
        assert (error.error, error.retryable) == ("Timeout", True)


class Runs:
    """Runs that end as a test says."""

    def __init__(self, end: Any) -> None:
        self.end = end
        self.asked: list[Any] = []

    def run(self, workflow_id: str, version: int | None, data: Any, **more: Any) -> Ended | None:
        self.asked.append((workflow_id, version, data, more["caller"], more["occasion"]))
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


def with_flow(runs: Runs) -> Outside:
    flow = {"kind": "workflow", "workflow_id": "wf_1", "workflow_version": 3}
    return Outside(resources=shelf(flow=flow), workflows=runs)


def test_a_workflow_is_run_with_the_arguments() -> None:
    runs = Runs(Ended("ex_2", "completed", {"sum": 3}))
    assert called(with_flow(runs), "flow", {"a": 1}, key="k-1") == {"sum": 3}
    assert runs.asked == [("wf_1", 3, {"a": 1}, "ex_1", "k-1")]


@pytest.mark.parametrize(
    ("end", "error", "retryable"),
    [
        (None, "Timeout", True),
        (Ended("ex_2", "failed", None, {"error": "HttpError", "message": "down"}), "ToolFailed", False),
        (Ended("ex_2", "cancelled"), "ToolFailed", False),
        (NotFound("there is no workflow wf_1"), "WorkflowNotFound", False),
        (Conflict("x", code="not_published"), "NotPublished", False),
        (Conflict("x", code="not_short"), "NotShort", False),
        (Conflict("x", code="too_deep"), "TooDeep", False),
        (Invalid("x"), "InvalidArguments", False),
        (Unavailable("x"), "Unavailable", True),
    ],
)
def test_how_a_workflow_can_fail(end: Any, error: str, retryable: bool) -> None:
    found = failure(with_flow(Runs(end)), "flow")
    assert (found.error, found.retryable) == (error, retryable)
