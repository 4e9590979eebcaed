"""Scenarios with containers whose bodies rest, so that the state machine runs their passes."""

from __future__ import annotations

from typing import Any, Final

from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.scenario import APPROVE, Scenario, get

_PAST: Final = "2001-01-01T00:00:00Z"


def rest(node_id: str, parent: str) -> dict[str, Any]:
    """A Wait state that passes at once."""
    return node(node_id, "delay", {"until": _PAST}, parent=parent)


def _looped(name: str, **config: Any) -> Scenario:
    return Scenario(
        name,
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", config),
                get("call", parent="each"),
                rest("rest", "each"),
                node("sum", "transform", {"expression": "item + inputs.input"}, parent="each"),
                node("out", "output"),
            ],
            """start.trigger -> each.items; call.status -> rest.input; rest.output -> sum.input
            each.results -> out.value""",
        ),
        trigger=[1, 2, 3],
        output=[201, 202, 203],
        statuses={"each": "completed"},
    )


def _failing(name: str, output: Any, statuses: dict[str, str], **config: Any) -> Scenario:
    return Scenario(
        name,
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", config),
                rest("rest", "each"),
                node("odd", "transform", {"expression": "item = 2 ? $error('even') : item"}, parent="each"),
                node("out", "output"),
                node("told", "transform", {"expression": "inputs.input.error"}),
            ],
            """start.trigger -> each.items; rest.output -> odd.input; each.results -> out.value
            each.error -> told.input; told.output -> out.value""",
        ),
        trigger=[1, 2, 3],
        output=output,
        statuses=statuses,
    )


BODIES: Final = (
    _looped("a loop that rests in each item"),
    _looped("a loop that rests in two items at once", max_concurrency=2),
    _failing("an item fails behind a rest", "ExpressionError", {"each": "failed"}),
    _failing("an item is left out behind a rest", [1, 3], {"told": "skipped"}, on_item_error="skip"),
    _failing("an item of two at once fails", "ExpressionError", {"each": "failed"}, max_concurrency=2),
    _failing(
        "an item of two at once is null", [1, None, 3], {"told": "skipped"}, max_concurrency=2, on_item_error="null"
    ),
    Scenario(
        "a question in a loop",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop"),
                node("ask", "human_in_the_loop", parent="each"),
                node("out", "output"),
            ],
            "start.trigger -> each.items; each.item -> ask.input; each.count -> out.value",
        ),
        trigger=["one"],
        answers={"ask": APPROVE},
        output=1,
    ),
    Scenario(
        "a loop of no items",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"max_concurrency": 5}),
                node("ask", "human_in_the_loop", parent="each"),
                node("out", "output"),
            ],
            "start.trigger -> each.items; each.item -> ask.input; each.results -> out.value",
        ),
        trigger=[],
        output=[],
    ),
    Scenario(
        "a while loop that rests",
        document(
            [
                node("start", "manual_trigger"),
                node("loop", "while_loop", {"condition": "state < 3"}),
                rest("rest", "loop"),
                node("up", "transform", {"expression": "inputs.input + 1"}, parent="loop"),
                node("out", "output"),
            ],
            "start.trigger -> loop.initial; loop.state -> rest.input; rest.output -> up.input; loop.state -> out.value",
        ),
        trigger=0,
        output=3,
    ),
    Scenario(
        "a body with a rest is tried again",
        document(
            [
                node("start", "manual_trigger"),
                node("again", "retry", {"max_retries": 1, "interval_seconds": 0}),
                rest("rest", "again"),
                get("bad", "status/400", parent="again"),
                node("told", "transform", {"expression": "inputs.input.error"}),
                node("out", "output"),
            ],
            """start.trigger -> again.input; rest.output -> bad.body; again.error -> told.input
            told.output -> out.value; again.output -> out.value""",
        ),
        output="HttpError",
        statuses={"again": "failed"},
    ),
    Scenario(
        "loops in a loop, and one after it",
        document(
            [
                node("start", "manual_trigger"),
                node("outer", "loop", {"max_concurrency": 2}),
                node("inner", "loop", parent="outer"),
                rest("rest", "inner"),
                node("side", "human_in_the_loop", {"timeout_seconds": 60}, parent="outer", disabled=True),
                node("both", "merge", parent="outer"),
                node("last", "loop"),
                rest("late", "last"),
                node("out", "output"),
            ],
            """start.trigger -> outer.items; outer.item -> inner.items; inner.item -> rest.input
            outer.index -> side.input; inner.results -> both.inputs; side.response -> both.inputs
            outer.results -> last.items; last.item -> late.input; last.results -> out.value""",
        ),
        trigger=[[1, 2], [3]],
        output=[[[1, 2], 0], [[3], 1]],
    ),
    Scenario(
        "branches in a body",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"on_item_error": "null"}),
                rest("left", "each"),
                node("bad", "transform", {"expression": "item = 2 ? $error('no') : item"}, parent="each"),
                rest("behind", "each"),
                rest("right", "each"),
                node("both", "merge", parent="each"),
                node("out", "output"),
            ],
            """start.trigger -> each.items; each.item -> left.input; left.output -> bad.input
            bad.output -> behind.input; each.item -> right.input
            behind.output -> both.inputs; right.output -> both.inputs
            each.results -> out.value""",
        ),
        trigger=[1, 2],
        output=[[1, 1], None],
    ),
    Scenario(
        "a distributed loop",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"mode": "distributed", "max_concurrency": 2, "on_item_error": "skip"}),
                get("call", parent="each"),
                node("odd", "transform", {"expression": "item = 2 ? $error('no') : nodes.call.status"}, parent="each"),
                node("out", "output"),
            ],
            "start.trigger -> each.items; call.status -> odd.input; each.results -> out.value",
        ),
        trigger=[1, 2, 3, 4, 5],
        output=[200, 200, 200, 200],
    ),
    Scenario(
        "a distributed loop that rests, and fails",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"mode": "distributed", "max_concurrency": 2}),
                rest("rest", "each"),
                node("odd", "transform", {"expression": "item = 2 ? $error('no') : item"}, parent="each"),
                node("told", "transform", {"expression": "inputs.input.error"}),
                node("out", "output"),
            ],
            """start.trigger -> each.items; rest.output -> odd.input; each.error -> told.input
            told.output -> out.value""",
        ),
        trigger=[1, 2, 3],
        output="ExpressionError",
    ),
)
