"""Workflows with what must come of them: run on moto's interpreter and, by the end-to-end tests, on the local AWS.

`HTTP` in a document stands for the base address of `tests.echo_server`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.workflows.model import Document
from tests.stepfunctions.compiler.documents import document, node


@dataclass(frozen=True)
class Scenario:
    """`answers` are given to the questions by node id; `statuses` are those of the nodes that matter."""

    name: str
    document: Document
    output: Any = None
    status: str = "completed"
    trigger: Any = None
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    def at(self, base: str, granularity: str = "segment") -> Document:
        """The document with `HTTP` replaced, in a granularity."""
        text = self.document.model_dump_json().replace("HTTP/", base + "/")
        made = Document.model_validate(json.loads(text))
        settings = made.settings.model_copy(update={"granularity": granularity})
        return made.model_copy(update={"settings": settings})


APPROVE: Final = {"decision": "approve", "data": {}, "comment": "fine"}
REJECT: Final = {"decision": "reject", "data": {}, "comment": "no"}


def _get(node_id: str, path: str = "echo", **fields: Any) -> dict[str, Any]:
    return node(node_id, "http_request", inputs={"url": f"HTTP/{path}"}, **fields)


SCENARIOS: Final = (
    Scenario(
        "pure nodes",
        document(
            [
                node("start", "manual_trigger"),
                node("parse", "json_parse", inputs={"input": "{{ trigger.json }}"}),
                node("big", "filter", {"condition": "item.n > variables.limit"}),
                node("name", "mapper", {"expression": "$string(index) & ':' & item.name"}),
                node("text", "template", {"template": "{{ $count(nodes.name.results) }} {{ trigger.label }}"}),
                node("out", "output"),
                node("words", "output"),
            ],
            """parse.output -> big.items; big.results -> name.items; name.results -> out.value
            text.output -> words.value""",
            variables={"limit": 1},
        ),
        trigger={"json": '[{"n": 1, "name": "a"}, {"n": 2, "name": "b"}, {"n": 3, "name": "c"}]', "label": "kept"},
        output={"out": ["0:b", "1:c"], "words": "2 kept"},
    ),
    Scenario(
        "condition takes one arm, both rejoin",
        document(
            [
                node("start", "manual_trigger"),
                node("large", "condition", {"condition": "inputs.input.amount > 100"}),
                node("yes", "transform", {"expression": "'large'"}),
                node("no", "transform", {"expression": "'small'"}),
                node("never", "transform", {"expression": "1"}),
                node("out", "output"),
            ],
            """start.trigger -> large.input; large.true -> yes.input; large.false -> no.input
            yes.output -> out.value; no.output -> out.value; yes.output -> never.input""",
        ),
        trigger={"amount": 5},
        output="small",
        statuses={"yes": "skipped", "no": "completed", "never": "skipped", "out": "completed"},
    ),
    Scenario(
        "switch, merge and a dead reference",
        document(
            [
                node("start", "manual_trigger"),
                node("kind", "switch", {"cases": {"a": "inputs.input = 'a'", "b": "inputs.input = 'b'"}}),
                node("a", "transform", {"expression": "'A'"}),
                node("b", "transform", {"expression": "'B'"}),
                node("both", "merge"),
                node("sees", "transform", {"expression": "$exists(nodes.a.output) ? 'a ran' : 'a did not run'"}),
                node("out", "output"),
                node("seen", "output"),
            ],
            """start.trigger -> kind.input; kind.a -> a.input; kind.b -> b.input; a.output -> both.inputs
            b.output -> both.inputs; both.output -> out.value; sees.output -> seen.value""",
        ),
        trigger="b",
        output={"out": ["B"], "seen": "a did not run"},
        statuses={"a": "skipped", "b": "completed"},
    ),
    Scenario(
        "http, a failure that continues and one that branches",
        document(
            [
                node("start", "manual_trigger"),
                _get("fine", "echo?x=1"),
                _get("broken", "status/500", on_error="continue"),
                _get("sad", "status/404"),
                node("why", "transform", {"expression": "inputs.input.error & ' in ' & inputs.input.node_id"}),
                node("all", "merge"),
                node("out", "output"),
            ],
            """start.trigger -> fine.body; fine.status -> all.inputs; broken.response -> all.inputs
            sad.error -> why.input; why.output -> all.inputs; sad.response -> all.inputs; all.output -> out.value""",
        ),
        output=[200, None, "HttpError in sad"],
        statuses={"broken": "failed", "sad": "failed", "why": "completed"},
    ),
    Scenario(
        "an unhandled failure fails the run",
        document(
            [node("start", "manual_trigger"), _get("broken", "status/500"), node("out", "output")],
            "start.trigger -> broken.body; broken.response -> out.value",
        ),
        status="failed",
        error="HttpError",
        statuses={"broken": "failed"},
    ),
    Scenario(
        "a question between two calls",
        document(
            [
                node("start", "manual_trigger"),
                _get("before"),
                node("ask", "human_in_the_loop", {"title": "Refund {{ inputs.input.amount }}?"}),
                _get("after"),
                node("no", "transform", {"expression": "'refused'"}),
                node("out", "output"),
            ],
            """start.trigger -> before.body; start.trigger -> ask.input; ask.approved -> after.body
            ask.rejected -> no.input; after.status -> out.value; no.output -> out.value""",
        ),
        trigger={"amount": 3},
        answers={"ask": APPROVE},
        output=200,
        statuses={"before": "completed", "ask": "completed", "after": "completed", "no": "skipped"},
    ),
    Scenario(
        "two questions side by side, one of them on a dead path",
        document(
            [
                node("start", "manual_trigger"),
                node("large", "condition", {"condition": "inputs.input.amount > 100"}),
                node("first", "human_in_the_loop"),
                node("second", "human_in_the_loop"),
                node("third", "human_in_the_loop"),
                _get("after"),
                node("all", "merge"),
                node("out", "output"),
            ],
            """start.trigger -> large.input; large.true -> first.input; large.false -> second.input
            start.trigger -> third.input; first.approved -> all.inputs; second.rejected -> all.inputs
            third.approved -> after.body; after.status -> all.inputs; all.output -> out.value""",
        ),
        trigger={"amount": 500},
        answers={"first": APPROVE, "third": APPROVE},
        statuses={"first": "completed", "second": "skipped", "third": "completed", "after": "completed"},
    ),
    Scenario(
        "a call before the question and one behind it",
        document(
            [
                node("start", "manual_trigger"),
                _get("get"),
                node("ask", "human_in_the_loop"),
                _get("say"),
                node("out", "output"),
            ],
            "start.trigger -> get.body; get.response -> ask.input; ask.approved -> say.body; say.status -> out.value",
        ),
        answers={"ask": APPROVE},
        output=200,
    ),
    Scenario(
        "two questions, nothing else",
        document(
            [
                node("start", "manual_trigger"),
                node("a", "human_in_the_loop"),
                node("b", "human_in_the_loop"),
                node("both", "merge"),
                node("count", "transform", {"expression": "$count(inputs.input)"}),
                node("out", "output"),
            ],
            """start.trigger -> a.input; start.trigger -> b.input; a.response -> both.inputs
            b.response -> both.inputs; both.output -> count.input; count.output -> out.value""",
        ),
        answers={"b": APPROVE, "a": REJECT},
        output=2,
    ),
    Scenario(
        "questions whose order no nesting can hold",
        document(
            [
                node("start", "manual_trigger"),
                node("q1", "human_in_the_loop"),
                node("q2", "human_in_the_loop"),
                _get("x"),
                _get("y"),
                node("q3", "human_in_the_loop"),
                node("q4", "human_in_the_loop"),
                node("all", "merge"),
                node("count", "transform", {"expression": "$count(inputs.input)"}),
                node("out", "output"),
            ],
            """start.trigger -> q1.input; start.trigger -> q2.input; q1.response -> q3.input; q1.response -> q4.input
            q2.response -> q4.input; q1.response -> x.body; q2.response -> y.body; q3.response -> all.inputs
            q4.response -> all.inputs; all.output -> count.input; count.output -> out.value""",
        ),
        answers={"q2": APPROVE, "q1": APPROVE, "q4": APPROVE, "q3": APPROVE},
        output=2,
    ),
    Scenario(
        "a state for each call, side by side and behind",
        document(
            [
                node("start", "manual_trigger"),
                _get("a"),
                _get("b"),
                node("join", "merge"),
                _get("c"),
                node("out", "output"),
            ],
            """start.trigger -> a.body; start.trigger -> b.body; a.status -> join.inputs; b.status -> join.inputs
            join.output -> c.body; c.response -> out.value""",
        ),
        statuses={"a": "completed", "b": "completed", "join": "completed", "c": "completed"},
    ),
    Scenario(
        "a question nobody answers",
        document(
            [
                node("start", "manual_trigger"),
                node("ask", "human_in_the_loop", {"timeout_seconds": 1, "on_timeout": "branch"}),
                node("late", "transform", {"expression": "'nobody'"}),
                node("out", "output"),
            ],
            "start.trigger -> ask.input; ask.timeout -> late.input; late.output -> out.value",
        ),
        output="nobody",
        statuses={"ask": "completed", "late": "completed"},
    ),
    Scenario(
        "a timer",
        document(
            [
                node("start", "manual_trigger"),
                node("rest", "delay", {"ms": 1500}),
                node("long", "transform", {"expression": "inputs.input >= 1500"}),
                node("value", "output"),
                node("waited", "output"),
            ],
            """start.trigger -> rest.input; rest.output -> value.value; rest.elapsed -> long.input
            long.output -> waited.value""",
        ),
        trigger={"x": 1},
        output={"value": {"x": 1}, "waited": True},
    ),
    Scenario(
        "a loop over calls, in order, tolerating failures",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"max_concurrency": 4, "on_item_error": "null", "result": "nodes.get.status"}),
                node("get", "http_request", parent="each", inputs={"url": "HTTP/status/{{ item }}"}),
                node("out", "output"),
            ],
            "start.trigger -> each.items; each.results -> out.value",
        ),
        trigger=[200, 500, 201],
        output=[200, None, 201],
    ),
    Scenario(
        "loops in loops read what is outside",
        document(
            [
                node("start", "manual_trigger"),
                node("base", "transform", {"expression": "100"}),
                node("outer", "loop"),
                node("inner", "loop", parent="outer"),
                node("add", "transform", {"expression": "item + index + nodes.base.output"}, parent="inner"),
                node("out", "output"),
            ],
            """start.trigger -> outer.items; outer.item -> inner.items; inner.item -> add.input
            outer.results -> out.value""",
        ),
        trigger=[[1, 2], [], [3]],
        output=[[101, 103], [], [103]],
    ),
    Scenario(
        "a disabled node passes its input on",
        document(
            [
                node("start", "manual_trigger"),
                node("ask", "human_in_the_loop", disabled=True),
                node("out", "output"),
            ],
            "start.trigger -> ask.input; ask.response -> out.value",
        ),
        trigger="through",
        output="through",
    ),
    Scenario(
        "an expression that fails",
        document(
            [
                node("start", "manual_trigger"),
                node("bad", "transform", {"expression": "$number(inputs.input)"}),
                node("out", "output"),
            ],
            "start.trigger -> bad.input; bad.output -> out.value",
        ),
        trigger="seven",
        status="failed",
        error="ExpressionError",
        statuses={"bad": "failed"},
    ),
    Scenario(
        "text in data is never evaluated",
        document(
            [
                node("start", "manual_trigger"),
                node("same", "transform", {"expression": "inputs.input"}),
                node("quoted", "template", {"template": r"\{{ no }} {% trigger %} {{ trigger }}"}),
                node("out", "output"),
                node("text", "output"),
            ],
            "start.trigger -> same.input; same.output -> out.value; quoted.output -> text.value",
        ),
        trigger="{{ variables.x }} {% $states.input %}",
        output={
            "out": "{{ variables.x }} {% $states.input %}",
            "text": "{{ no }} {% trigger %} {{ variables.x }} {% $states.input %}",
        },
    ),
    Scenario(
        "a second trigger is skipped",
        document(
            [
                node("start", "manual_trigger"),
                node("hook", "http_webhook"),
                node("by_hook", "transform", {"expression": "'hook'"}),
                node("by_hand", "transform", {"expression": "'hand'"}),
                node("out", "output"),
            ],
            """start.trigger -> by_hand.input; hook.body -> by_hook.input; by_hand.output -> out.value
            by_hook.output -> out.value""",
        ),
        output="hand",
        statuses={"hook": "skipped", "by_hook": "skipped", "by_hand": "completed"},
    ),
)
