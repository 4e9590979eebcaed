"""What disabled nodes do: nothing, but for handing on what comes in."""

from __future__ import annotations

import pytest

from tests.stepfunctions.compiler.documents import node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.test_meaning import js, made, ran


@pytest.mark.parametrize("kind", ["http_request", "delay", "condition", "loop", "merge"])
def test_disabled_nodes_in_a_chain(bench: Bench, kind: str):
    config = {"delay": {"ms": 100_000}, "condition": {"condition": "false"}}.get(kind, {})
    ports = {
        "http_request": ("body", "response"),
        "delay": ("input", "output"),
        "condition": ("input", "true"),
        "loop": ("items", "results"),
        "merge": ("inputs", "output"),
    }
    inside, outside = ports[kind]
    typed = {"url": "http://nowhere"} if kind == "http_request" else {}
    run = ran(
        bench,
        made(
            [
                node("one", kind, config, disabled=True, inputs=typed),
                node("two", kind, config, disabled=True, inputs=typed),
                js("dead", "1"),
                node("no", "condition", {"condition": "false"}),
                node("out", "output"),
            ],
            f"""start.trigger -> one.{inside}; one.{outside} -> two.{inside}; two.{outside} -> out.value
            start.trigger -> no.input; no.true -> dead.input""",
        ),
        trigger=[{"kept": "as it is"}],
    )  # fmt: skip
    assert bench.output(run) == [{"kept": "as it is"}]
    assert bench.statuses(run)["dead"] == "skipped"


def test_a_disabled_output_is_none_of_the_runs(bench: Bench):
    run = ran(
        bench,
        made(
            [js("a", "1"), js("b", "2"), node("off", "output", disabled=True), node("out", "output")],
            "a.output -> off.value; b.output -> out.value",
        ),
    )
    assert bench.output(run) == 2


def test_a_disabled_node_on_a_dead_path_is_skipped(bench: Bench):
    run = ran(
        bench,
        made(
            [node("no", "condition", {"condition": "false"}), js("off", "1", disabled=True), node("out", "output")],
            "no.true -> off.input; off.output -> out.value",
        ),
    )
    assert (bench.statuses(run)["off"], bench.output(run)) == ("skipped", None)


def test_it_hands_on_its_input_rather_than_what_only_comes_before_it(bench: Bench):
    run = ran(
        bench,
        made(
            [js("a", "1"), js("off", "2", disabled=True), node("out", "output")],
            """start.trigger -> a.input; start.trigger -> off.after; a.output -> off.input; off.output -> out.value""",
        ),
        trigger="before",
    )
    assert bench.output(run) == 1
