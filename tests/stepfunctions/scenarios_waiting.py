"""Scenarios with human tasks and timers."""

from __future__ import annotations

from typing import Final

from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.scenario import APPROVE, REJECT, Scenario, get

WAITING: Final = (
    Scenario(
        "a question between two calls",
        document(
            [
                node("start", "manual_trigger"),
                get("before"),
                node("ask", "human_in_the_loop", {"title": "Refund {{ inputs.input.amount }}?"}),
                get("after"),
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
                get("after"),
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
                get("get"),
                node("ask", "human_in_the_loop"),
                get("say"),
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
                get("x"),
                get("y"),
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
)
