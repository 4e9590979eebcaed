"""Scenarios that run from start to end without waiting."""

from __future__ import annotations

from typing import Final

from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.scenario import Scenario, get

AT_ONCE: Final = (
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
        "the first case of a switch that holds, as they are written",
        document(
            [
                node("start", "manual_trigger"),
                node("kind", "switch", {"cases": {"vip": "inputs.input > 1", "large": "inputs.input > 2"}}),
                node("vip", "output"),
                node("large", "output"),
            ],
            "start.trigger -> kind.input; kind.vip -> vip.value; kind.large -> large.value",
        ),
        trigger=3,
        output=3,
        statuses={"vip": "completed", "large": "skipped"},
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
                get("fine", "echo?x=1"),
                get("broken", "status/500", on_error="continue"),
                get("sad", "status/404"),
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
            [node("start", "manual_trigger"), get("broken", "status/500"), node("out", "output")],
            "start.trigger -> broken.body; broken.response -> out.value",
        ),
        status="failed",
        error="HttpError",
        statuses={"broken": "failed"},
    ),
    Scenario(
        "a state for each call, side by side and behind",
        document(
            [
                node("start", "manual_trigger"),
                get("a"),
                get("b"),
                node("join", "merge"),
                get("c"),
                node("out", "output"),
            ],
            """start.trigger -> a.body; start.trigger -> b.body; a.status -> join.inputs; b.status -> join.inputs
            join.output -> c.body; c.response -> out.value""",
        ),
        statuses={"a": "completed", "b": "completed", "join": "completed", "c": "completed"},
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
        "a state handed from pass to pass, with calls in each",
        document(
            [
                node("start", "manual_trigger"),
                node("grow", "while_loop", {"condition": "state.n < 5", "result": "{'n': nodes.add.output}"}),
                node("call", "http_request", parent="grow", inputs={"url": "HTTP/echo?pass={{ iteration }}"}),
                node(
                    "add",
                    "transform",
                    {"expression": "state.n + $number(nodes.call.response.query.pass) + 1"},
                    parent="grow",
                ),
                node("out", "output"),
                node("passes", "output"),
            ],
            "start.trigger -> grow.initial; grow.state -> out.value; grow.iterations -> passes.value",
        ),
        trigger={"n": 1},
        output={"out": {"n": 7}, "passes": 3},
    ),
    Scenario(
        "more passes than there may be",
        document(
            [
                node("start", "manual_trigger"),
                node("ever", "while_loop", {"condition": "true", "max_iterations": 3}),
                node("same", "transform", {"expression": "state"}, parent="ever"),
                node("out", "output"),
                node("why", "output"),
            ],
            """start.trigger -> ever.initial; ever.state -> same.input; ever.state -> out.value
            ever.error -> why.value""",
        ),
        trigger=1,
        statuses={"ever": "failed", "out": "skipped", "why": "completed"},
    ),
    Scenario(
        "a body tried again as a whole",
        document(
            [
                node("start", "manual_trigger"),
                node("again", "retry", {"max_retries": 2, "interval_seconds": 0, "result": "nodes.flaky.status"}),
                node("first", "transform", {"expression": "inputs.input & '!'"}, parent="again"),
                node(
                    "flaky",
                    "http_request",
                    parent="again",
                    inputs={"url": "HTTP/status/{{ nodes.first.output = 'x!' ? 503 : 200 }}"},
                ),
                node("out", "output"),
                node("gave_up", "transform", {"expression": "inputs.input.error & ': ' & inputs.input.node_id"}),
                node("sad", "output"),
            ],
            """start.trigger -> again.input; again.input -> first.input; again.output -> out.value
            again.error -> gave_up.input; gave_up.output -> sad.value""",
        ),
        trigger="x",
        output="HttpError: again",
        statuses={"again": "failed", "out": "skipped"},
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
    Scenario(
        "a loop reads the cache and writes files",
        document(
            [
                node("start", "manual_trigger"),
                node("each", "loop", {"max_concurrency": 2, "result": "nodes.told.output"}),
                node("put", "cache_set", parent="each", inputs={"key": "n:{{ item }}", "value": "{{ {'n': item} }}"}),
                node("got", "cache_get", parent="each", inputs={"key": "{{ nodes.put.success ? 'n:' & item }}"}),
                node("none", "cache_get", parent="each", inputs={"key": "none:{{ item }}"}),
                node("content", "transform", {"expression": "[nodes.got.value, nodes.none]"}, parent="each"),
                node("file", "file_write", {"format": "csv"}, parent="each", inputs={"path": "{{ item }}/all.csv"}),
                node("told", "transform", {"expression": "[nodes.got, nodes.none, nodes.file]"}, parent="each"),
                node("out", "output"),
            ],
            """start.trigger -> each.items; content.output -> file.content; file.path -> told.input
            each.results -> out.value""",
        ),
        trigger=["a", "é"],
        output=[
            [
                {"value": {"n": item}, "hit": True},
                {"value": None, "hit": False},
                {"written": True, "path": f"{item}/all.csv", "size": size},
            ]
            for item, size in (("a", 27), ("é", 28))  # n,value,hit / a,, / ,,false, each with a line's end
        ],
        statuses={"each": "completed"},
    ),
)
