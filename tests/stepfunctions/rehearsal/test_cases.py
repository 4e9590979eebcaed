"""Tests of workflows: what a case may say, and what becomes of it on the real plan, in memory."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from shared.cases.model import Case
from shared.tenancy import new_tenant
from shared.workflows.model import Document
from stepfunctions.compiler.compile import compile_document
from stepfunctions.rehearsal.play import MAX_CALLS
from stepfunctions.rehearsal.rehearse import Verdict, rehearse
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.rehearsal.samples import ADDER, ASKER, CALLER, FAILING, OK, OUT, PASSING, START


def tried(doc: Document, seconds: float = 20, **case: Any) -> Verdict:
    compiled = compile_document(doc, version=1)
    assert compiled.plan is not None, compiled.diagnostics
    (verdict,) = rehearse(new_tenant(), compiled.plan, [Case.model_validate({"name": "A case", **case})], seconds)
    return verdict


def said(verdict: Verdict) -> list[str]:
    return [p.code for p in verdict.problems]


@pytest.mark.parametrize("name", PASSING)
def test_a_case_passes(name: str) -> None:
    doc, case = PASSING[name]
    verdict = tried(doc, **case)
    assert verdict.passed, verdict
    assert (verdict.problems, verdict.differences) == ((), ())


@pytest.mark.parametrize("name", FAILING)
def test_a_case_fails_and_says_why(name: str) -> None:
    doc, case, codes, paths = FAILING[name]
    verdict = tried(doc, **case)
    assert not verdict.passed
    assert (said(verdict), [d.path for d in verdict.differences]) == (codes, paths), verdict


def test_twenty_days_take_no_time() -> None:
    began = time.monotonic()
    verdict = tried(ASKER, answers={"ask": {"decision": "approve", "data": {"why": 1}, "after_seconds": 600_000}})
    assert verdict.passed
    assert verdict.virtual_seconds == pytest.approx(20 * 86_400 + 600_000, abs=10)
    assert time.monotonic() - began < 5
    assert verdict.asked[0]["title"] == "May I?"


def test_the_run_starts_when_the_case_says() -> None:
    doc = document(
        [START, node("rest", "delay", {"until": "2030-01-02T00:00:00Z"}), OUT],
        "start.trigger -> rest.input; rest.elapsed -> out.value",
    )
    verdict = tried(doc, now="2030-01-01T12:00:00Z", expected_output={"equals": 12 * 3_600_000})
    assert verdict.passed, verdict


def test_nothing_leaves_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: Any, **_more: Any) -> Any:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for name in PASSING:
        doc, case = PASSING[name]
        assert tried(doc, **case).passed, name
    assert said(tried(CALLER, trigger_data={"n": 11})) == ["NotMocked", "status"]


def test_secrets_are_not_opened_for_a_mock() -> None:
    headers = {"X-Key": "{{ secrets.crm }}"}
    call = node("call", "http_request", {}, inputs={"url": "https://x.example", "headers": headers})
    doc = document(
        [node("start", "manual_trigger"), call, node("out", "output")],
        "start.trigger -> call.body; call.response -> out.value",
    )
    verdict = tried(doc, mocks={"call": {"outputs": {"response": 1}}}, expected_output={"equals": 1})
    assert verdict.passed, verdict


def test_a_loop_that_would_not_end_is_given_up() -> None:
    doc = document(
        [
            node("start", "manual_trigger"),
            node("again", "while_loop", {"condition": "true", "max_iterations": 10_000}),
            node("rest", "delay", {"ms": 5_000}, parent="again"),
            node("out", "output"),
        ],
        "start.trigger -> again.initial; again.state -> rest.input; again.state -> out.value",
        settings={"timeout_seconds": 31_000_000},
    )
    began = time.monotonic()
    verdict = tried(doc, seconds=3)
    assert said(verdict) == ["GivenUp"], verdict
    assert time.monotonic() - began < 6
    assert MAX_CALLS < 10_000  # with more time it is the number of calls that ends it


def test_pure_work_without_end_is_given_up() -> None:
    doc = document(
        [
            node("start", "manual_trigger"),
            node("again", "while_loop", {"condition": "true", "max_iterations": 10_000}),
            node("count", "transform", {"expression": "inputs.input + 1"}, parent="again"),
            node("out", "output"),
        ],
        "start.trigger -> again.initial; again.state -> count.input; again.state -> out.value",
    )
    verdict = tried(doc, seconds=0.2, trigger_data=0)
    assert said(verdict) == ["GivenUp"], verdict


def test_a_share_that_one_case_leaves_is_the_others() -> None:
    compiled = compile_document(ADDER, version=1)
    assert compiled.plan is not None
    cases = [Case.model_validate({"name": str(n), "trigger_data": {"a": n}}) for n in range(30)]
    assert all(v.passed for v in rehearse(new_tenant(), compiled.plan, cases, 10))


BAD = [
    {},
    {"name": ""},
    {"name": "a\nb"},
    {"name": "a", "other": 1},
    {"name": "a", "mocks": {"n": {}}},
    {"name": "a", "mocks": {"n": {"outputs": {}, "error": "A"}}},
    {"name": "a", "mocks": {"n": []}},
    {"name": "a", "mocks": {"n": [{"outputs": {}}] * 1_001}},
    {"name": "a", "mocks": {"a b": {"outputs": {}}}},
    {"name": "a", "mocks": {"n": {"error": "no error name"}}},
    {"name": "a", "answers": {"n": {}}},
    {"name": "a", "answers": {"n": {"decision": "approve", "timeout": True}}},
    {"name": "a", "answers": {"n": {"decision": "approve", "after_seconds": -1}}},
    {"name": "a", "expected_output": {}},
    {"name": "a", "expected_output": {"equals": 1, "contains": 1}},
    {"name": "a", "expected_output": {"schema": 5}},
    {"name": "a", "expected_status": "cancelled"},
    {"name": "a", "assertions": {"n": {"runs": -1}}},
    {"name": "a", "assertions": {"n/x": {}}},
    {"name": "a", "assertions": {"each/0/": {}}},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_no_case_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Case.model_validate(bad)


def test_a_distributed_loop_runs_its_executions_in_memory() -> None:
    for inner, more in (
        (node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="each"), {"mocks": {"call": OK}}),
        (node("call", "human_in_the_loop", parent="each"), {"answers": {"call": {"decision": "approve"}}}),
    ):
        loop = node("each", "loop", {"mode": "distributed", "max_concurrency": 10})
        port = "body" if "mocks" in more else "input"
        wires = f"start.trigger -> each.items; each.item -> call.{port}; each.results -> out.value"
        verdict = tried(
            document([START, loop, inner, OUT], wires),
            trigger_data=list(range(120)),
            assertions={"call": {"runs": 120}},
            **more,
        )
        assert verdict.passed, verdict


def test_a_retried_body_rests_between_its_passes() -> None:
    doc = document(
        [
            START,
            node("again", "retry", {"max_retries": 3, "interval_seconds": 100}),
            node("call", "http_request", {}, inputs={"url": "https://x.example"}, parent="again"),
            node("rest", "delay", {"ms": 5_000}, parent="again"),
            OUT,
        ],
        """start.trigger -> again.input; again.input -> call.body
        call.response -> rest.input; again.output -> out.value""",
    )
    verdict = tried(doc, mocks={"call": [{"error": "A"}, {"error": "A"}, OK]}, assertions={"call": {"runs": 3}})
    assert verdict.passed, verdict
    assert verdict.virtual_seconds == pytest.approx(305, abs=1)


def test_two_people_at_once_wait_as_long_as_the_slower() -> None:
    doc = document(
        [START, node("a", "human_in_the_loop"), node("b", "human_in_the_loop"), OUT, node("other", "output")],
        "start.trigger -> a.input; start.trigger -> b.input; a.response -> out.value; b.response -> other.value",
    )
    answers = {"a": {"decision": "approve", "after_seconds": 50}, "b": {"decision": "reject", "after_seconds": 10}}
    verdict = tried(doc, answers=answers, expected_output={"contains": {"out": {"decision": "approved"}}})
    assert verdict.passed, verdict
    assert verdict.virtual_seconds == pytest.approx(50, abs=1)
