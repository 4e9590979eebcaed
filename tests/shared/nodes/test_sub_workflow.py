from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.base import Child, Ended, NodeError, Wanted
from shared.nodes.registry import get
from stepfunctions.compiler.compile import compile_document
from tests.shared.nodes.calls import call
from tests.stepfunctions.compiler.documents import document, node

SUB = get("sub_workflow")
assert isinstance(SUB, Child)
CONFIG = {"workflow_id": "other"}


@pytest.mark.parametrize(
    ("config", "version"), [({}, None), ({"version": None}, None), ({"version": 3}, 3)], ids=["none", "null", "3"]
)
def test_it_wants_a_run_of_the_workflow_with_its_input(config: dict[str, Any], version: int | None) -> None:
    assert SUB.wanted(call("sub_workflow", {**CONFIG, **config}, {"input": {"a": 1}})) == Wanted(
        "other", version, {"a": 1}
    )


def test_without_an_input_the_other_run_starts_with_nothing() -> None:
    assert SUB.wanted(call("sub_workflow", CONFIG, {})).data is None


def test_the_output_is_handed_on_as_it_is() -> None:
    value = object()
    given = SUB.ended(call("sub_workflow", CONFIG, {}), Ended("ex_1", "completed", value))
    assert given["output"] is value


@pytest.mark.parametrize(
    ("ended", "error", "message"),
    [
        (
            Ended("ex_1", "failed", error={"node_id": "get", "error": "HttpError", "message": "404"}),
            "ChildFailed",
            "execution ex_1 failed at get: HttpError: 404",
        ),
        (
            Ended("ex_1", "failed", error={"node_id": None, "error": "Timeout", "message": "too long"}),
            "ChildFailed",
            "execution ex_1 failed: Timeout: too long",
        ),
        (Ended("ex_1", "cancelled"), "ChildCancelled", "execution ex_1 was cancelled"),
        (
            Ended("ex_1", "lost"),
            "ChildFailed",
            "execution ex_1 was deleted, or retried by itself, before its result was read",
        ),
    ],
    ids=["failed", "timed-out", "cancelled", "lost"],
)
def test_what_goes_wrong_below(ended: Ended, error: str, message: str) -> None:
    with pytest.raises(NodeError) as caught:
        SUB.ended(call("sub_workflow", CONFIG, {}), ended)
    assert (caught.value.error, caught.value.message, caught.value.retryable) == (error, message, False)


def test_a_message_does_not_grow_from_run_to_run() -> None:
    with pytest.raises(NodeError) as caught:
        SUB.ended(
            call("sub_workflow", CONFIG, {}), Ended("ex_1", "failed", error={"error": "X", "message": "m" * 100_000})
        )
    assert len(caught.value.message) == 1_000


def test_time_is_over() -> None:
    with pytest.raises(NodeError, match="Timeout: the sub-workflow did not end within 5 seconds"):
        SUB.lapsed(call("sub_workflow", {**CONFIG, "timeout_seconds": 5}, {}))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"workflow_id": ""},
        {"workflow_id": None},
        {"workflow_id": "{{ trigger.which }}"},
        {"workflow_id": "other", "version": 0},
        {"workflow_id": "other", "version": "1"},
        {"workflow_id": "other", "timeout_seconds": 0},
        {"workflow_id": "other", "timeout_seconds": 365 * 86_400 + 1},
        {"workflow_id": "other", "more": 1},
    ],
    ids=str,
)
def test_configs_that_are_refused(config: dict[str, Any]) -> None:
    compiled = compile_document(document([node("call", "sub_workflow", config), node("out", "output")]))
    assert compiled.plan is None
    assert {d.node_id for d in compiled.diagnostics if d.severity == "error"} == {"call"}


def test_its_time_is_its_states() -> None:
    compiled = compile_document(
        document([node("call", "sub_workflow", {**CONFIG, "timeout_seconds": 77}), node("out", "output")])
    )
    assert compiled.plan is not None
    assert [(q.node, q.timeout_seconds) for q in compiled.plan.questions] == [("call", 77)]
