"""Workflows, and tests of them that pass, or fail for a reason."""

from __future__ import annotations

from typing import Any

from shared.workflows.model import Document
from tests.stepfunctions.compiler.documents import document, node

DAY_MS = 86_400_000
START, OUT = node("start", "manual_trigger"), node("out", "output")
ADDER = document(
    [START, node("add", "transform", {"expression": "inputs.input.a + 1"}), OUT],
    "start.trigger -> add.input; add.output -> out.value",
)
OFF = document([node("start", "manual_trigger", disabled=True), OUT], "start.trigger -> out.value")
CALLER = document(
    [
        node("start", "manual_trigger"),
        node("big", "condition", {"condition": "trigger.n > 10"}),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}, retry={"max_attempts": 2}),
        node("out", "output"),
        node("small", "output"),
    ],
    "start.trigger -> big.input; big.true -> call.body; call.response -> out.value; big.false -> small.value",
)
ASKER = document(
    [
        node("start", "manual_trigger"),
        node("rest", "delay", {"ms": 20 * DAY_MS}),
        node(
            "ask",
            "human_in_the_loop",
            {"title": "May I?", "form": {"type": "object", "required": ["why"]}, "on_timeout": "branch"},
        ),
        node("out", "output"),
        node("late", "output"),
    ],
    "start.trigger -> rest.input; rest.output -> ask.input; ask.response -> out.value; ask.timeout -> late.value",
    settings={"timeout_seconds": 60 * 86_400},
)
LOOP = document(
    [
        node("start", "manual_trigger"),
        node("each", "loop", {"max_concurrency": 3, "on_item_error": "null"}),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="each"),
        node("ask", "human_in_the_loop", parent="each"),
        node("out", "output"),
    ],
    "start.trigger -> each.items; each.item -> call.body; call.response -> ask.input; each.results -> out.value",
)
AGENT = document(
    [
        node("start", "manual_trigger"),
        node("bot", "agent", {"model": "m"}),
        node("out", "output"),
    ],
    "start.trigger -> bot.input; bot.output -> out.value",
)
PARENT = document(
    [
        node("start", "manual_trigger"),
        node("call", "sub_workflow", {"workflow_id": "other"}, on_error="branch"),
        node("out", "output"),
        node("bad", "output"),
    ],
    "start.trigger -> call.input; call.output -> out.value; call.error -> bad.value",
)

NESTED = document(
    [
        START,
        node("outer", "loop", {"max_concurrency": 1}),
        node("inner", "loop", {"max_concurrency": 1}, parent="outer"),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="inner"),
        OUT,
    ],
    "start.trigger -> outer.items; outer.item -> inner.items; inner.item -> call.body; outer.results -> out.value",
)
OPENED = document(
    [
        START,
        node("each", "loop", {"max_concurrency": 1}),
        node("rest", "delay", {"ms": 10}, parent="each"),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="each"),
        OUT,
    ],
    "start.trigger -> each.items; each.item -> rest.input; rest.output -> call.body; each.results -> out.value",
)
TWICE = document(
    [
        START,
        node("first", "http_request", {}, inputs={"url": "https://x.example"}, on_error="continue"),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}),
        OUT,
    ],
    "start.trigger -> first.body; first.response -> call.body; call.response -> out.value",
)
BESIDE = document(
    [
        START,
        node("outer", "loop"),
        node("each", "loop", {"on_item_error": "null"}, inputs={"items": [1]}, parent="outer"),
        node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="each"),
        node("then", "http_request", {}, inputs={"url": "https://x.example"}, parent="outer"),
        OUT,
    ],
    """start.trigger -> outer.items; each.item -> call.body; each.results -> then.body
    outer.results -> out.value""",
)


OK = {"outputs": {"response": {"ok": 1}}}
PASSING: dict[str, tuple[Document, dict[str, Any]]] = {
    "pure nodes run": (ADDER, {"trigger_data": {"a": 1}, "expected_output": {"equals": 2}}),
    "numbers are what they mean": (ADDER, {"trigger_data": {"a": 1}, "expected_output": {"equals": 2.0}}),
    "a pure node may be mocked": (
        ADDER,
        {"mocks": {"add": {"outputs": {"output": 7}}}, "expected_output": {"equals": 7}},
    ),
    "a mock stands in for the world": (
        CALLER,
        {
            "trigger_data": {"n": 11},
            "mocks": {"call": OK},
            "expected_output": {"contains": {"ok": 1}},
            "assertions": {"call": {"attempts": 1, "runs": 1}, "small": {"was_skipped": True}},
        },
    ),
    "what is not reached needs no mock, and is not run because of one": (
        CALLER,
        {
            "trigger_data": {"n": 1},
            "mocks": {"call": OK},
            "expected_output": {"equals": {"n": 1}},
            "assertions": {"call": {"was_skipped": True}, "out": {"was_skipped": True}},
        },
    ),
    "mocks one after the other, under the node's retry policy": (
        CALLER,
        {
            "trigger_data": {"n": 11},
            "mocks": {"call": [{"error": "Timeout"}, {"error": "HttpError", "message": "500"}, OK]},
            "assertions": {"call": {"attempts": 3, "should_error": False}},
        },
    ),
    "an expected failure": (
        CALLER,
        {
            "trigger_data": {"n": 11},
            "mocks": {"call": {"error": "HttpError", "message": "500"}},
            "expected_error": {"error": "HttpError", "node_id": "call"},
            "assertions": {"call": {"should_error": "HttpError", "attempts": 3}},
        },
    ),
    "a failure of the node that should fail": (
        CALLER,
        {
            "trigger_data": {"n": 11},
            "mocks": {"call": {"error": "HttpError"}},
            "assertions": {"call": {"should_error": True}, "out": {"was_skipped": True}},
        },
    ),
    "a failure of a pure node that should fail": (
        ADDER,
        {"trigger_data": {"a": "x"}, "assertions": {"add": {"should_error": True}}},
    ),
    "a failure that its container passes on": (
        NESTED,
        {
            "trigger_data": [[1], [2, 3]],
            "mocks": {"call": [OK, OK, {"error": "HttpError"}]},
            "assertions": {"outer/1/inner/1/call": {"should_error": "HttpError"}},
        },
    ),
    "a failure that an opened container passes on": (
        OPENED,
        {
            "trigger_data": [1, 2],
            "mocks": {"call": [OK, {"error": "HttpError"}]},
            "assertions": {"call": {"should_error": True}},
        },
    ),
    "a person answers after a delay that takes no time": (
        ASKER,
        {
            "trigger_data": 1,
            "answers": {"ask": {"decision": "approve", "data": {"why": "so"}, "after_seconds": 3_600}},
            "expected_output": {"contains": {"decision": "approved", "why": "so"}},
        },
    ),
    "nobody answers": (
        ASKER,
        {"answers": {"ask": {"timeout": True}}, "assertions": {"late": {"runs": 1}, "out": {"was_skipped": True}}},
    ),
    "somebody answers too late": (
        ASKER,
        {
            "answers": {"ask": {"decision": "approve", "data": {"why": 1}, "after_seconds": 8 * 86_400}},
            "assertions": {"late": {"runs": 1}},
        },
    ),
    "passes of a loop, by their order": (
        LOOP,
        {
            "trigger_data": [1, 2, 3],
            "mocks": {"call": [OK, {"error": "HttpError"}, OK]},
            "answers": {"ask": [{"decision": "approve"}, {"decision": "reject", "comment": "no"}]},
            "expected_output": {"contains": [{"decision": "approved"}, None, {"comment": "no"}]},
            "assertions": {
                "call": {"runs": 3, "should_error": True},
                "each/1/call": {"should_error": "HttpError"},
                "each/2/ask": {"output": {"contains": {"decision": "rejected"}}},
            },
        },
    ),
    "a loop mocked as a whole": (
        LOOP,
        {"trigger_data": [1], "mocks": {"each": {"outputs": {"results": [9]}}}, "expected_output": {"equals": [9]}},
    ),
    "an agent mocked as a whole": (
        AGENT,
        {"mocks": {"bot": {"outputs": {"output": "Hi"}}}, "expected_output": {"equals": "Hi"}},
    ),
    "an agent that fails": (
        AGENT,
        {"mocks": {"bot": {"error": "ModelRefused"}}, "expected_error": {"error": "ModelRefused", "node_id": "bot"}},
    ),
    "another workflow, mocked": (
        PARENT,
        {"mocks": {"call": {"outputs": {"output": 5}}}, "expected_output": {"equals": 5}},
    ),
    "another workflow that fails": (
        PARENT,
        {
            "mocks": {"call": {"error": "ChildFailed", "message": "no"}},
            "expected_output": {"contains": {"error": "ChildFailed"}},
        },
    ),
    "a schema": (
        ADDER,
        {"trigger_data": {"a": 1}, "expected_output": {"schema": {"type": "integer", "minimum": 2}}},
    ),
}  # fmt: skip


# The codes of the problems, the paths of the differences.
FAILING: dict[str, tuple[Document, dict[str, Any], list[str], list[str]]] = {
    "another output": (ADDER, {"trigger_data": {"a": 1}, "expected_output": {"equals": 3}}, [], ["output"]),
    "a boolean is no number": (ADDER, {"trigger_data": {"a": 0}, "expected_output": {"equals": True}}, [], ["output"]),
    "more fields than expected": (
        CALLER,
        {"trigger_data": {"n": 1, "m": {"k": 2}}, "expected_output": {"equals": {"n": 1, "m": {}}}},
        [],
        ["output.m.k"],
    ),
    "fewer": (
        CALLER,
        {"trigger_data": {"n": 1}, "expected_output": {"contains": {"n": 1, "x": 1}}},
        [],
        ["output.x"],
    ),
    "a schema": (ADDER, {"trigger_data": {"a": 1}, "expected_output": {"schema": {"type": "string"}}}, [], ["output"]),
    "no mock": (CALLER, {"trigger_data": {"n": 11}}, ["NotMocked", "status"], []),
    "too few mocks": (
        CALLER,
        {"trigger_data": {"n": 11}, "mocks": {"call": [{"error": "A"}]}},
        ["NotMocked", "status"],
        [],
    ),
    "no mock, and an error that is handled": (LOOP, {"trigger_data": [1]}, ["NotMocked"], []),
    "no mock for another workflow": (PARENT, {}, ["NotMocked"], []),
    "no mock for an agent": (AGENT, {}, ["NotMocked", "status"], []),
    "a failure that is not expected": (ADDER, {"trigger_data": {"a": "x"}}, ["status"], []),
    "a failure of another error than should be": (
        CALLER,
        {
            "trigger_data": {"n": 11},
            "mocks": {"call": {"error": "HttpError"}},
            "assertions": {"call": {"should_error": "Timeout"}},
        },
        ["should_error"],
        [],
    ),
    "a failure of a node that should not": (
        ADDER,
        {"trigger_data": {"a": "x"}, "assertions": {"add": {"should_error": False}}},
        ["status", "should_error"],
        [],
    ),
    "a failure of another node than should": (
        TWICE,
        {
            "mocks": {"first": {"error": "HttpError"}, "call": {"error": "HttpError"}},
            "assertions": {"first": {"should_error": True}},
        },
        ["status"],
        [],
    ),
    "a failure where the run is to complete all the same": (
        ADDER,
        {"trigger_data": {"a": "x"}, "expected_status": "completed", "assertions": {"add": {"should_error": True}}},
        ["status"],
        [],
    ),
    "an item's failure that is let pass, and another node's that is not": (
        BESIDE,
        {
            "trigger_data": [1],
            "mocks": {"call": {"error": "HttpError"}, "then": {"error": "HttpError"}},
            "assertions": {"call": {"should_error": True}},
        },
        ["status"],
        [],
    ),
    "an expected failure that does not come": (ADDER, {"trigger_data": {"a": 1}, "expected_error": {}}, ["status"], []),
    "another failure": (
        CALLER,
        {"trigger_data": {"n": 11}, "mocks": {"call": {"error": "A"}}, "expected_error": {"error": "B"}},
        [],
        ["error.error"],
    ),
    "no answer": (ASKER, {}, ["NotAnswered"], []),
    "an answer that the form refuses": (ASKER, {"answers": {"ask": {"decision": "approve"}}}, ["BadAnswer"], []),
    "no such decision": (ASKER, {"answers": {"ask": {"decision": "perhaps"}}}, ["BadAnswer"], []),
    "no such node": (
        ADDER,
        {"mocks": {"nobody": OK}, "assertions": {"none": {}}, "answers": {"who": {"timeout": True}}},
        ["unknown_node"] * 3,
        [],
    ),
    "no such port": (CALLER, {"mocks": {"call": {"outputs": {"nothing": 1}}}}, ["unknown_port"], []),
    "a trigger is not mocked": (ADDER, {"mocks": {"start": {"outputs": {"trigger": 1}}}}, ["not_mockable"], []),
    "a question is not mocked": (ASKER, {"mocks": {"ask": {"error": "A"}}}, ["not_mockable"], []),
    "who asks nobody": (ADDER, {"answers": {"add": {"timeout": True}}}, ["no_question"], []),
    "a disabled trigger": (OFF, {"trigger_node": "start"}, ["disabled_trigger"], []),
    "only disabled triggers": (OFF, {}, ["disabled_trigger"], []),
    "no such trigger": (ADDER, {"trigger_node": "add"}, ["unknown_trigger"], []),
    "no time": (ADDER, {"now": "yesterday"}, ["bad_time"], []),
    "no schema": (ADDER, {"expected_output": {"schema": {"type": 5}}}, ["invalid_schema"], []),
    "it ran": (ADDER, {"trigger_data": {"a": 1}, "assertions": {"add": {"was_skipped": True}}}, ["was_skipped"], []),
    "it did not": (
        CALLER,
        {"trigger_data": {"n": 1}, "assertions": {"out": {"was_skipped": False}}},
        ["was_skipped"],
        [],
    ),
    "other numbers": (
        ADDER,
        {"trigger_data": {"a": 1}, "assertions": {"add": {"attempts": 2, "runs": 3, "should_error": True}}},
        ["should_error", "attempts", "runs"],
        [],
    ),
    "which pass?": (
        LOOP,
        {
            "trigger_data": [1],
            "mocks": {"call": OK},
            "answers": {"ask": {"decision": "approve"}},
            "assertions": {"ask": {"output": {"contains": {}}}},
        },
        ["output"],
        [],
    ),
    "an output that was not set": (
        CALLER,
        {"trigger_data": {"n": 1}, "assertions": {"big": {"outputs": {"true": {"equals": 1}}}}},
        [],
        ["big.true"],
    ),
}  # fmt: skip
