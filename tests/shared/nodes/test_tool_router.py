"""tool_router with a scripted model and real tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import NotFound
from shared.nodes.base import Ended, NodeError
from shared.nodes.registry import get
from tests.servers.mcp import own
from tests.shared.mcp.calls import shelf
from tests.shared.nodes.calls import Outside, call, fits, run
from tests.shared.nodes.http_server import Reply, Server, serving
from tests.shared.nodes.test_llm_chat import KEY, fails, says

SUM = {"name": "add_up", "description": "Adds.", "parameters": {"type": "object", "required": ["numbers"]}}
ASKING = {"kind": "builtin", "builtin": "calculate", "ask_a_person": True}


def calls(name: str, arguments: Any, *more: tuple[str, Any]) -> Reply:
    """A model's answer that calls tools."""
    made = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": n, "arguments": a if isinstance(a, str) else json.dumps(a)},
        }
        for i, (n, a) in enumerate([(name, arguments), *more])
    ]
    return says(None, made, "tool_calls")


def routed(
    server: Server, config: dict[str, Any] | None = None, world: dict[str, Any] | None = None, **inputs: Any
) -> dict[str, Any]:
    known = {"openai_base_url": f"{server.url}/v1", "openai_api_key": KEY, "resources": shelf(), **(world or {})}
    filled = {"model": "m-1", **(config or {})}
    made = call("tool_router", filled, {"query": "What is 6 times 7?", **inputs}, world=Outside(**known))
    return {**run(made, "tool_router"), "usage": made.usage}


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        routed(*args, **more)
    assert caught.value.error in get("tool_router").errors
    assert KEY not in str(caught.value)
    return caught.value


def test_the_model_picks_and_the_tool_is_called() -> None:
    with serving([calls("calculate", {"expression": "6 * 7"})]) as server:
        found = routed(server, {"tools": ["calculate", "current_time"], "instructions": "Be exact."})
    assert (found["tool"], found["args"], found["result"]) == ("calculate", {"expression": "6 * 7"}, {"result": 42})
    assert found["usage"]["total_tokens"] == 15
    sent = server.asked[0].json
    assert [t["function"]["name"] for t in sent["tools"]] == ["calculate", "current_time"]
    assert sent["tool_choice"] == "required"
    assert "Be exact." in sent["messages"][0]["content"]


def test_it_may_be_chosen_only() -> None:
    with serving([calls("calculate", {"expression": "6 * 7"})]) as server:
        assert routed(server, {"tools": ["calculate"], "execute": False})["result"] is None


def test_a_tool_that_asks_a_person_is_chosen_and_not_called() -> None:
    with serving([calls("sums", {"expression": "6 * 7"})]) as server:
        found = routed(server, {"tools": ["sums"]}, {"resources": shelf(sums=ASKING)})
    assert (found["tool"], found["result"]) == ("sums", None)


def test_tools_of_the_input_go_before_those_of_the_config() -> None:
    openai = {"type": "function", "function": {**SUM, "name": "other"}}
    with serving([calls("add_up", {"numbers": [6, 7]})]) as server:
        found = routed(server, {"tools": ["read_file"]}, tools=[SUM, openai, "calculate"])
    assert (found["tool"], found["args"], found["result"]) == ("add_up", {"numbers": [6, 7]}, None)
    assert [t["function"]["name"] for t in server.asked[0].json["tools"]] == ["calculate", "add_up", "other"]


def test_an_mcp_servers_tools_are_to_choose_from() -> None:
    with own.serving() as mcp, serving([calls("own__add", {"a": 6, "b": 7})]) as server:
        hosts = frozenset({mcp.host})
        found = routed(server, {"mcp_servers": ["own"]}, {"resources": shelf(mcp.document()), "allowed_hosts": hosts})
    assert found["result"] == {"total": 13}


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (calls("multiply", {"a": 6}), "there is no tool 'multiply'; there is calculate"),
        (calls("calculate", {}), "'expression' is a required property"),
        (calls("calculate", "{broken"), "no JSON object"),
        (calls("calculate", [1]), "no JSON object"),
        (calls("nothing", {}, ("calculate", {})), "there is no tool 'nothing'"),
        (says("42, of course."), "no tool was called"),
    ],
)
def test_a_choice_that_cannot_be_used_is_repaired(first: Reply, said: str) -> None:
    with serving([first, calls("calculate", {"expression": "6 * 7"})]) as server:
        found = routed(server, {"tools": ["calculate"]})
    assert found["result"] == {"result": 42}
    assert found["usage"]["total_tokens"] == 30
    assert said in json.dumps(server.asked[1].json["messages"]).replace('\\\\\\"', '"')


def test_a_model_that_does_not_learn() -> None:
    with serving([calls("multiply", {})]) as server:
        error = failure(server, {"tools": ["calculate"], "repair_attempts": 1})
        assert (error.error, len(server.asked)) == ("InvalidResponse", 2)
    with serving([says("I would rather not.")]) as server:
        assert failure(server, {"tools": ["calculate"], "repair_attempts": 0}).error == "NoTool"


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "InvalidInput"),
    ({"tools": ["calculate"]}, {"query": ""}, "InvalidInput"),
    ({"tools": ["calculate"]}, {"query": 7}, "InvalidInput"),
    ({}, {"tools": "calculate"}, "InvalidInput"),
    ({}, {"tools": [7]}, "InvalidInput"),
    ({}, {"tools": [{"description": "nameless"}]}, "InvalidInput"),
    ({}, {"tools": [{"name": "x" * 65}]}, "InvalidInput"),
    ({}, {"tools": [{"name": "x", "parameters": {"type": "nonsense"}}]}, "InvalidInput"),
    ({}, {"tools": [{"name": f"t{i}"} for i in range(129)]}, "InvalidInput"),
    ({"tools": ["nobody_knows"]}, {}, "ToolNotFound"),
    ({"mcp_servers": ["nobody_knows"]}, {}, "ServerNotFound"),
    ({"tools": ["calculate"], "credential": "nobody_knows"}, {}, "CredentialNotFound"),
]


@pytest.mark.parametrize(("config", "inputs", "error"), BAD)
def test_bad_input(config: dict[str, Any], inputs: dict[str, Any], error: str) -> None:
    class Ring:
        def open(self, name: str) -> Any:
            raise NotFound(name)

    with serving([says("never")]) as server:
        assert failure(server, config, {"credentials": Ring()}, **inputs).error == error
        assert server.asked == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [(fails(401), "AuthenticationFailed"), (fails(404), "ModelNotFound"), (fails(429), "RateLimited")],
)
def test_a_model_that_is_not_there(reply: Reply, error: str) -> None:
    with serving([reply]) as server:
        assert failure(server, {"tools": ["calculate"], "max_retries": 0}).error == error


def test_another_choice_of_another_attempt_is_another_call() -> None:
    asked = []

    class Runs:
        def run(self, _workflow: str, _version: Any, data: Any, *, occasion: str, **_more: Any) -> Ended:
            asked.append(occasion)
            return Ended("ex_2", "completed", data)

    flow = {"kind": "workflow", "workflow_id": "wf_1"}
    with serving([calls("flow", {"n": n}) for n in (1, 1, 2)]) as server:
        there = {"resources": shelf(flow=flow), "workflows": Runs()}
        found = [routed(server, {"tools": ["flow"]}, there)["result"] for _ in range(3)]
    assert found == [{"n": 1}, {"n": 1}, {"n": 2}]
    assert asked[0] == asked[1] != asked[2]


def test_the_tools_own_failure_is_the_nodes() -> None:
    class Runs:
        def run(self, *_: Any, **__: Any) -> Ended:
            return Ended("ex_2", "failed", None, {"error": "HttpError", "message": "down"})

    flow = {"kind": "workflow", "workflow_id": "wf_1"}
    with serving([calls("refund", {})]) as server:
        error = failure(server, {"tools": ["refund"]}, {"resources": shelf(refund=flow), "workflows": Runs()})
    assert error.error == "ToolFailed"


@pytest.mark.parametrize("config", [{}, {"model": ""}, {"model": "m", "provider": "x"}, {"model": "m", "tools": [7]}])
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("tool_router"), config)
