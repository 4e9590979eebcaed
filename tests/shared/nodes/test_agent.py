"""agent: its declaration, and single steps of it against a scripted endpoint over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shared.errors import NotFound
from shared.nodes.ai import _agent_state as states
from shared.nodes.base import Composite, NodeError
from shared.nodes.registry import get
from tests.shared.nodes.calls import Keyring, Outside, call, fits, problems, run
from tests.shared.nodes.http_server import Reply, Server, serving
from tests.stepfunctions.agents import completion

LOOK = {"name": "look", "kind": "http", "method": "POST", "url": "http://127.0.0.1:1/x", "description": "Looks."}
LOOK |= {"input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}


class Shelf:
    """Resources by kind and name."""

    def __init__(self, **held: Mapping[str, Any]) -> None:
        self.held = held

    def find(self, kind: str, named: str) -> Mapping[str, Any]:
        if named not in self.held:
            raise NotFound(f"no {kind} {named}")
        return self.held[named]


class Kept:
    """Threads that are empty, and what was said in them since."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def history(self, _thread_id: str, _limit: int) -> list[Any]:
        return []

    def append(self, _thread_id: str, said: Any, *, key: str) -> int:
        assert key
        self.said.append(said)
        return 0


AT_LIMIT = {"model": "m", "tools": ["look"], "max_steps": 1, "on_limit": "answer"}


@pytest.fixture
def replies() -> list[Reply]:
    return []


@pytest.fixture
def server(replies: list[Reply]) -> Iterator[Server]:
    with serving(lambda _asked: replies.pop(0)) as made:
        yield made


def composite() -> Composite:
    found = get("agent")
    assert isinstance(found, Composite)
    return found


def step(server: Server, state: Any = None, given: Any = "Hello", world: Outside | None = None, **config: Any) -> Any:
    """One step; without a state the first."""
    world = world or Outside(openai_base_url=f"{server.url}/v1", openai_api_key="k", resources=Shelf(look=LOOK))
    started = call("agent", {"model": "m", **config}, {"input": given}, world=world)
    wanted = {"state": composite().first(started) if state is None else state}
    return run(call("agent.model", {}, wanted, world=world), "agent.model")


def test_a_first_step_settles_who_the_agent_is(server: Server, replies: list[Reply]):
    replies += [Reply(completion([("look", {"n": 1}), ("look", {"n": 2})]))]
    given = step(
        server, tools=["look"], instructions="Be kind.", max_steps=3, parameters={"temperature": 0.5, "seed": 1}
    )
    state = given["state"]
    assert [(c["id"], c["arguments"]) for c in given["calls"]] == [("call-0-0", {"n": 1}), ("call-0-1", {"n": 2})]
    assert state["agent"]["tools"][0]["name"] == "look"
    assert (state["agent"]["max_steps"], state["usage"]["steps"], state["stopped"]) == (3, 1, None)
    asked = server.asked[0].json
    assert (asked["temperature"], asked["seed"]) == (0.5, 1)
    assert asked["messages"][0]["content"].startswith("Be kind.")
    assert "asking" not in given


def test_calls_without_ids_of_their_own_get_some(server: Server, replies: list[Reply]):
    body = completion([("look", {"n": 1}), ("look", {"n": 2})])
    for each in body["choices"][0]["message"]["tool_calls"]:
        each["id"] = "same"
    replies += [Reply(body), Reply(completion("Done."))]
    given = step(server, tools=["look"])
    assert [c["id"] for c in given["calls"]] == ["call_1_0", "call_1_1"]
    results = [{"id": "call_1_1", "result": "b"}, {"id": "call_1_0", "result": "a"}]
    state = states.gathered(given["state"], results)
    over = step(server, state)
    sent = server.asked[1].json["messages"]
    assert [(m["tool_call_id"], m["content"]) for m in sent if m["role"] == "tool"] == [
        ("call_1_0", "a"),
        ("call_1_1", "b"),
    ]
    assert [c["id"] for c in sent[2]["tool_calls"]] == ["call_1_0", "call_1_1"]
    assert composite().outcome(call("agent", {"model": "m"}), over["state"])["output"] == "Done."


def test_an_answer_that_is_cut_off_says_so(server: Server, replies: list[Reply]):
    cut, whole = completion("Half an ans"), completion([("look", {"n": 1})])
    for body in (cut, whole):
        body["choices"][0]["finish_reason"] = "length"
    replies += [Reply(whole), Reply(cut), Reply(completion("Done."))]
    world = Outside(openai_base_url=f"{server.url}/v1", openai_api_key="k", resources=Shelf(look=LOOK))
    calling = step(server, world=world, tools=["look"])
    state = states.gathered(calling["state"], [{"id": "call-0-0", "result": "b"}])
    over = step(server, state, world=world)
    given = composite().outcome(call("agent", {"model": "m"}, world=world), over["state"])
    assert (given["output"], given["usage"]["finish_reason"]) == ("Half an ans", "length")
    assert [level for level, _ in world.lines] == ["warning"] * 3  # of two steps, and of the agent
    later = step(server, state, world=world)
    assert "finish_reason" not in composite().outcome(call("agent", {"model": "m"}), later["state"])["usage"]


def test_tools_that_ask_are_not_offered_where_nobody_is_asked(server: Server, replies: list[Reply]):
    world = Outside(
        openai_base_url=f"{server.url}/v1", openai_api_key="k", resources=Shelf(look={**LOOK, "ask_a_person": True})
    )
    replies += [Reply(completion("Hi.")), Reply(completion([("look", {"n": 1})]))]
    step(server, world=world, tools=["look"], approval="never")
    assert "tools" not in server.asked[0].json
    given = step(server, world=world, tools=["look"], assignees=["boss"])
    assert given["asking"][0]["shown"] == {"tool": "look", "description": "Looks.", "arguments": {"n": 1}}
    assert (given["asking"][0]["assignees"], "calls" in given) == (["boss"], False)


@pytest.mark.parametrize(
    ("given", "config", "error"),
    [
        ("", {}, "InvalidInput"),
        (None, {}, "InvalidInput"),
        ("x", {"model": "", "agent": "nobody"}, "AgentNotFound"),
        ("x", {"model": "", "agent": "look"}, "InvalidInput"),
        ("x", {"tools": ["gone"]}, "ToolNotFound"),
        ("x", {"mcp_servers": ["gone"]}, "ServerNotFound"),
        ("x", {"credential": "gone"}, "CredentialNotFound"),
        ("x", {"credential": "other"}, "WrongCredential"),
        ("x", {"provider": "anthropic"}, "NotConfigured"),
    ],
)
def test_bad_first_steps(server: Server, given: Any, config: dict[str, Any], error: str):
    world = Outside(openai_base_url=f"{server.url}/v1", openai_api_key="k", resources=Shelf(look=LOOK))
    world.credentials = Keyring({"other": ("bearer", {"token": "t"})})
    with pytest.raises(NodeError) as caught:
        step(server, given=given, world=world, **config)
    assert caught.value.error == error
    assert error in composite().errors
    assert server.asked == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"error": {"message": "no"}}, 401), "AuthenticationFailed"),
        (Reply({"error": {"message": "no"}}, 404), "ModelNotFound"),
        (Reply(b"not json"), "ModelError"),
    ],
)
def test_an_endpoint_that_fails(server: Server, replies: list[Reply], reply: Reply, error: str):
    replies += [reply] * 5
    with pytest.raises(NodeError) as caught:
        step(server)
    assert caught.value.error == error
    assert error in composite().errors


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Hi", [{"role": "user", "content": "Hi"}]),
        ({"role": "user", "content": "Hi"}, [{"role": "user", "content": "Hi"}]),
        ([{"role": "system", "content": "A"}, {"role": "user", "content": "B"}], None),
        ({"order": 7}, [{"role": "user", "content": '{"order": 7}'}]),
        ([1, 2], [{"role": "user", "content": "[1, 2]"}]),
        ([{"role": "boss", "content": "B"}], [{"role": "user", "content": '[{"role": "boss", "content": "B"}]'}]),
        (0, [{"role": "user", "content": "0"}]),
    ],
)
def test_an_input_is_told_as_messages(given: Any, expected: list[dict[str, Any]] | None):
    assert states.told(given) == (given if expected is None else expected)


def test_a_history_is_trimmed_to_whole_turns():
    def said(*texts: str) -> list[dict[str, str]]:
        return [{"role": "user" if i % 2 == 0 else "assistant", "content": t} for i, t in enumerate(texts)]

    history = said("a" * 400, "b" * 40, "c" * 40, "d" * 40)
    assert states.trimmed(history, 1_000) == history
    assert [m["content"][0] for m in states.trimmed(history, 40)] == ["c", "d"]
    assert states.trimmed(history, 15) == []


def test_what_tools_gave_is_no_history_without_their_calls():
    history = [
        {"role": "user", "content": "a"},
        {"role": "tool", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert states.trimmed(history, 1_000) == [history[0], history[2]]


def test_what_a_refusal_took_is_reported(server: Server, replies: list[Reply]):
    body: Any = completion("")
    body["choices"][0]["message"] |= {"content": None, "refusal": "no"}
    replies += [Reply(body)]
    world = Outside(openai_base_url=f"{server.url}/v1", openai_api_key="k")
    started = call("agent", {"model": "m"}, {"input": "Hello"}, world=world)
    asked = call("agent.model", {}, {"state": composite().first(started)}, world=world)
    with pytest.raises(NodeError, match="Refused"):
        run(asked, "agent.model")
    assert asked.usage["total_tokens"] == body["usage"]["total_tokens"] > 0


def test_at_a_limit_without_an_answer_the_thread_keeps_the_question(server: Server, replies: list[Reply]):
    replies += [Reply(completion([("look", {"n": 1})]))]
    world = Outside(openai_base_url=f"{server.url}/v1", openai_api_key="k", resources=Shelf(look=LOOK), threads=Kept())
    started = call("agent", AT_LIMIT, {"input": "Hello", "thread_id": "t"}, world=world)
    made = run(call("agent.model", {}, {"state": composite().first(started)}, world=world), "agent.model")
    assert made["turn"] == {"thread_id": "t", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_long_conversation_does_not_fail_when_it_is_paid_for():
    world = Outside(threads=Kept())
    said = [{"role": "user", "content": "\U0001f600" * 39_000}] * 120 + [{"role": "assistant", "content": "yes"}]
    run(call("agent.memory", {}, {"turn": {"thread_id": "t", "messages": said}}, world=world), "agent.memory")
    [kept] = world.threads.said
    assert 10 < len(kept) <= 90
    assert kept[-1]["content"] == "yes"
    assert sum(len(m["content"].encode()) for m in kept) < 3_500_000


def test_configs():
    assert problems("agent", {}) == ["config.model"]
    assert problems("agent", {"agent": "boss"}) == []
    assert problems("agent", {"model": "m", "output_schema": {"type": "no"}}) == ["config.output_schema.type"]
    for wrong in (
        {"agent": "No Name"},
        {"tools": ["A"]},
        {"max_steps": 101},
        {"token_budget": 0},
        {"approval": "sometimes"},
        {"on_approval_timeout": "branch"},
        {"memory": {"messages": 1}},
        {"parameters": {"tools": []}},
        {"unknown": 1},
    ):
        assert not fits(get("agent"), {"model": "m", **wrong}), wrong


@pytest.mark.parametrize("error", ["MaxSteps", "BudgetExceeded", "InvalidResponse"])
def test_what_stopped_it(error: str):
    state = {
        "stopped": {"error": error, "message": "m"},
        "output": "so far",
        "messages": [],
        "tool_calls": [],
        "usage": {},
    }
    assert not composite().goes_on(state)
    with pytest.raises(NodeError) as caught:
        composite().outcome(call("agent", {"model": "m"}), state)
    assert (caught.value.error, caught.value.retryable) == (error, False)
    lenient = call("agent", {"model": "m", "on_limit": "answer"})
    if error == "InvalidResponse":
        with pytest.raises(NodeError):
            composite().outcome(lenient, state)
    else:
        assert composite().outcome(lenient, state)["output"] == "so far"
