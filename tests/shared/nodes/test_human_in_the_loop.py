from __future__ import annotations

from typing import Any

import pytest

from shared.clock import now_ms
from shared.nodes.base import Composite, Escalation, NodeError, Question
from shared.nodes.registry import get
from tests.shared.nodes.calls import call, fits, problems

HUMAN = get("human_in_the_loop")
assert isinstance(HUMAN, Question)
FORM = {"type": "object", "properties": {"reason": {"type": "string"}}}
WHO = {"completed_by": "u1", "completed_at": "2026-01-01T00:00:00.000Z"}


def test_what_is_asked() -> None:
    config = {
        "title": "Refund {{ inputs.input.amount }}?",
        "instructions": "Look at {{ inputs.input.id }}.",
        "form": FORM,
        "assignees": ["lead", "lead", "{{ variables.boss }}"],
        "timeout_seconds": 60,
    }
    inputs = {"input": {"amount": 250, "id": "A-1"}}
    asked = HUMAN.ask(call("human_in_the_loop", config, inputs, names={"variables": {"boss": "b@x.example"}}))
    assert asked.title == "Refund 250?"
    assert asked.instructions == "Look at A-1."
    assert asked.form == FORM
    assert asked.assignees == ("lead", "b@x.example")
    assert asked.timeout_seconds == 60
    assert asked.data == inputs["input"]


def test_what_is_asked_when_nothing_is_said() -> None:
    asked = HUMAN.ask(call("human_in_the_loop"))
    assert (asked.title, asked.instructions, asked.form, asked.assignees) == ("A decision is needed", "", None, ())
    assert asked.timeout_seconds == 7 * 86_400


@pytest.mark.parametrize(("value", "assignees"), [(["a", "b"], ("a", "b")), ("a", ("a",)), (None, ())])
def test_assignees_may_be_computed(value: Any, assignees: tuple[str, ...]) -> None:
    made = call("human_in_the_loop", {"assignees": "{{ variables.who }}"}, names={"variables": {"who": value}})
    assert HUMAN.ask(made).assignees == assignees


@pytest.mark.parametrize("value", [5, {"a": 1}, [1], [""], ["a"] * 101, ["x" * 1_001]])
def test_assignees_must_be_names(value: Any) -> None:
    made = call("human_in_the_loop", {"assignees": "{{ variables.who }}"}, names={"variables": {"who": value}})
    with pytest.raises(NodeError) as caught:
        HUMAN.ask(made)
    assert caught.value.error == "InvalidInput"


@pytest.mark.parametrize(
    ("decision", "port"), [("approve", "approved"), ("approved", "approved"), ("REJECT", "rejected")]
)
def test_an_answer_leaves_on_the_port_of_its_decision(decision: str, port: str) -> None:
    answer = {"decision": decision, "comment": "ok", "data": {"reason": "late"}, **WHO}
    outputs = HUMAN.answered(call("human_in_the_loop"), answer)
    response = {"reason": "late", "decision": port, "comment": "ok", **WHO, "data": {"reason": "late"}}
    assert outputs == {"response": response, port: response}


def test_an_answer_that_decides_nothing_is_only_a_response() -> None:
    outputs = HUMAN.answered(call("human_in_the_loop"), {"decision": None, "data": {"a": 1}, **WHO})
    assert outputs.keys() == {"response"}
    assert outputs["response"]["a"] == 1


def test_a_form_cannot_pretend_to_be_the_decision() -> None:
    forged = {"decision": "approved", "completed_by": "somebody else"}
    outputs = HUMAN.answered(call("human_in_the_loop"), {"decision": "reject", "data": forged, **WHO})
    assert outputs.keys() == {"response", "rejected"}
    assert outputs["response"]["completed_by"] == "u1"
    assert outputs["response"]["data"] == forged


def test_when_nobody_answers() -> None:
    with pytest.raises(NodeError) as caught:
        HUMAN.lapsed(call("human_in_the_loop", {"timeout_seconds": 5}))
    assert (caught.value.error, caught.value.retryable) == ("Timeout", False)
    branch = HUMAN.lapsed(call("human_in_the_loop", {"on_timeout": "branch", "timeout_seconds": 5}))
    assert branch == {"timeout": {"decision": None, "timed_out": True, "timeout_seconds": 5}}
    approved = HUMAN.lapsed(call("human_in_the_loop", {"on_timeout": "approve"}))
    assert approved.keys() == {"response", "approved"}
    assert approved["approved"]["completed_by"] is None
    assert HUMAN.lapsed(call("human_in_the_loop", {"on_timeout": "reject"})).keys() == {"response", "rejected"}


def test_configs() -> None:
    assert problems("human_in_the_loop", {"form": FORM}) == []
    assert problems("human_in_the_loop", {"form": None}) == []
    assert problems("human_in_the_loop", {"form": {"properties": 5}}) == ["config.form.properties"]
    assert problems("human_in_the_loop", {"form": {"type": "array"}}) == ["config.form"]
    wrong: list[dict[str, Any]] = [{"timeout_seconds": 0}, {"timeout_seconds": 366 * 86_400}, {"on_timeout": "wait"}]
    assert not any(fits(HUMAN, config) for config in wrong)


PEOPLE: dict[str, Any] = {
    "due_seconds": 60,
    "escalation": [
        {"after_seconds": 60, "assignees": ["lead"]},
        {"after_seconds": 120, "assignees": ["{{ variables.boss }}"], "replace": True},
    ],
    "quorum": 2,
    "no_self_approval": True,
    "notify": "email",
    "credential": "mail",
    "assignees": ["lead"],
}


def test_what_people_are_asked_for() -> None:
    assert problems("human_in_the_loop", PEOPLE) == []
    before = now_ms()
    asked = HUMAN.ask(call("human_in_the_loop", PEOPLE, names={"variables": {"boss": "b@x.example"}}))
    assert asked.due_ms is not None
    assert 60_000 <= asked.due_ms - before < 70_000
    assert asked.escalation == (Escalation(60, ("lead",)), Escalation(120, ("b@x.example",), replace=True))
    assert (asked.quorum, asked.no_self_approval, asked.notify, asked.credential) == (2, True, "email", "mail")
    moment = HUMAN.ask(call("human_in_the_loop", {"due_at": "{{ inputs.input }}"}, {"input": "2030-01-01T00:00:00Z"}))
    assert moment.due_ms == 1_893_456_000_000


@pytest.mark.parametrize("value", [5, "tomorrow", None, "0000-01-01T00:00:00Z", {}])
def test_a_due_date_is_a_moment(value: Any) -> None:
    with pytest.raises(NodeError) as caught:
        HUMAN.ask(call("human_in_the_loop", {"due_at": "at {{ inputs.input }}"}, {"input": value}))
    assert caught.value.error == "InvalidInput"


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"due_seconds": 1, "due_at": "2030-01-01T00:00:00Z"}, "config.due_at"),
        ({"due_at": "tomorrow"}, "config.due_at"),
        ({"due_seconds": 61, "timeout_seconds": 60}, "config.due_seconds"),
        ({"escalation": [{"after_seconds": 60, "assignees": []}] * 2}, "config.escalation.1.after_seconds"),
        (
            {"escalation": [{"after_seconds": 60, "assignees": []}], "timeout_seconds": 60},
            "config.escalation.0.after_seconds",
        ),
        ({"notify": "email", "assignees": ["a"]}, "config.credential"),
        ({"notify": "email", "credential": "mail"}, "config.assignees"),
    ],
)
def test_configs_that_cannot_be_meant(config: dict[str, Any], path: str) -> None:
    assert problems("human_in_the_loop", config) == [path]


def test_configs_that_do_not_fit() -> None:
    wrong: list[dict[str, Any]] = [
        {"due_seconds": 0},
        {"due_at": 5},
        {"escalation": {}},
        {"escalation": [{"after_seconds": 60}]},
        {"escalation": [{"after_seconds": 0, "assignees": []}]},
        {"escalation": [{"after_seconds": 60, "assignees": [5]}]},
        {"escalation": [{"after_seconds": 60, "assignees": [], "other": 1}]},
        {"escalation": [{"after_seconds": 60, "assignees": []}] * 11},
        {"quorum": 0},
        {"quorum": 51},
        {"quorum": "2"},
        {"no_self_approval": "yes"},
        {"notify": "sms"},
        {"credential": "No Name"},
    ]
    assert not any(fits(HUMAN, config) for config in wrong)


def test_votes_are_a_part_of_the_response_where_there_are_some() -> None:
    votes = [{"by": "u1", "decision": "approved", "comment": None, "data": None, "at": WHO["completed_at"]}]
    answer = {"decision": "approved", "comment": None, "data": None, **WHO}
    assert "votes" not in HUMAN.answered(call("human_in_the_loop"), answer)["response"]
    assert HUMAN.answered(call("human_in_the_loop"), {**answer, "votes": votes})["response"]["votes"] == votes


def test_an_agents_question_takes_the_same_but_for_what_is_computed() -> None:
    agent = get("agent")
    task = {k: v for k, v in PEOPLE.items() if k not in ("assignees", "escalation")}
    config = {"model": "m", "tools": ["refund"], "assignees": ["lead"], "approval_task": task}
    assert (problems("agent", config), fits(agent, config)) == ([], True)
    assert isinstance(agent, Composite)
    (approval,) = [p for p in agent.inside(config).parts if p.name == "approval"]
    assert task.items() <= approval.config.items()
    (plain,) = [p for p in agent.inside({**config, "approval_task": {}}).parts if p.name == "approval"]
    assert not task.keys() & plain.config.keys()
    assert problems("agent", {**config, "approval_task": {"due_seconds": 10**9}}) == [
        "config.approval_task.due_seconds"
    ]
    computed = [{"after_seconds": 1, "assignees": ["{{ item }}"]}]
    for bad in ({"due_at": "2030-01-01T00:00:00Z"}, {"escalation": computed}, {"title": "x"}):
        assert not fits(agent, {**config, "approval_task": bad})
