"""A person decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Problem
from shared.nodes.base import Asked, Call, NodeError, Outputs, Port, Question
from shared.nodes.human import _people
from shared.nodes.json_schemas import schema_problems

_WEEK: Final = 7 * 86_400
# What a person, or a client that means the same, may send as a decision, and the port it leads to.
_PORTS: Final = {"approve": "approved", "approved": "approved", "reject": "rejected", "rejected": "rejected"}


class HumanInTheLoop(Question):
    """Puts a task into the tenant's inbox and rests until it is answered."""

    category = "human"
    display_name = "Human task"
    description = "Asks a person: the run rests in the task inbox until somebody answers or the time is over."
    inputs = {"input": Port("any", description="What the person is shown.")}
    outputs = {
        "response": Port("object", description="The answer: the form's fields, decision, comment, by whom and when."),
        "approved": Port("object", description="The answer, when it is an approval."),
        "rejected": Port("object", description="The answer, when it is a rejection."),
        "timeout": Port("object", description="What there is to say, when nobody answered in time."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "title": {
                "type": "string",
                "maxLength": 10_000,
                "x-template": True,
                "title": "Title",
                "description": "What the task is called in the inbox.",
                "default": "A decision is needed",
            },
            "instructions": {
                "type": "string",
                "maxLength": 100_000,
                "x-template": True,
                "title": "Instructions",
                "description": "What the person should know and do.",
                "default": "",
            },
            "form": {
                "type": ["object", "null"],
                "title": "Form",
                "description": "JSON Schema of the data to be filled in; an answer that does not fit is refused.",
                "default": None,
            },
            "assignees": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": _people.NAME},
                "maxItems": _people.NAMES,
                "x-template": True,
                "title": "Assignees",
                "description": "User ids, e-mail addresses or user types. Nobody named: whoever may answer tasks.",
                "default": [],
            },
            "timeout_seconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": _people.YEAR,
                "title": "Time to answer (seconds)",
                "description": "At most a year.",
                "default": _WEEK,
            },
            "on_timeout": {
                "enum": ["fail", "branch", "approve", "reject"],
                "title": "When the time is over",
                "description": "`fail`: the node fails with Timeout. `branch`: goes on at `timeout`. `approve`, "
                "`reject`: as if somebody had.",
                "default": "fail",
            },
            **_people.FIELDS,
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "Timeout")
    example = {
        "config": {
            "title": "Refund {{ inputs.input.amount }}?",
            "form": {"type": "object", "properties": {"reason": {"type": "string"}}, "required": ["reason"]},
            "assignees": ["support-lead"],
        },
        "inputs": {"input": {"amount": 250}},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """The form must be a JSON Schema of an object, since its fields become fields of the response."""
        yield from _people.problems(config)
        form = config.get("form")
        if form is None:
            return
        yield from schema_problems(form, "config.form")
        if form.get("type", "object") != "object":
            yield Problem("invalid_schema", "config.form must describe an object", "config.form")

    def ask(self, call: Call) -> Asked:
        """The task. Raises NodeError InvalidInput when a template gave something that is no title or list of names."""
        return Asked(
            title=str(call.config.get("title") or "A decision is needed")[:500],
            instructions=str(call.config.get("instructions") or ""),
            form=call.config.get("form"),
            assignees=_people.names(call.config.get("assignees")),
            timeout_seconds=int(call.config.get("timeout_seconds", _WEEK)),
            data=call.inputs.get("input"),
            due_ms=_people.due_ms(call, now_ms()),
            escalation=_people.escalation(call),
            quorum=call.config.get("quorum"),
            no_self_approval=bool(call.config.get("no_self_approval")),
            notify=call.config.get("notify", "in_app"),
            credential=call.config.get("credential"),
        )

    def answered(self, call: Call, answer: Mapping[str, Any]) -> Outputs:
        """`response`, and the port of the decision. `response.data` keeps the form's data apart from the rest."""
        del call
        data = answer.get("data")
        decision = _PORTS.get(str(answer.get("decision")).lower(), answer.get("decision"))
        response = {
            **(data if isinstance(data, Mapping) else {}),
            "decision": decision,
            "comment": answer.get("comment"),
            "completed_by": answer.get("completed_by"),
            "completed_at": answer.get("completed_at"),
            "data": data,
            **({"votes": answer["votes"]} if "votes" in answer else {}),
        }
        outputs: Outputs = {"response": response}
        if decision in _PORTS.values():
            outputs[str(decision)] = response
        return outputs

    def lapsed(self, call: Call) -> Outputs:
        """As `on_timeout` says. Raises NodeError Timeout for `fail`."""
        policy = call.config.get("on_timeout", "fail")
        if policy in _PORTS:
            return self.answered(call, {"decision": policy, "comment": "nobody answered in time"})
        seconds = int(call.config.get("timeout_seconds", _WEEK))
        if policy == "branch":
            return {"timeout": {"decision": None, "timed_out": True, "timeout_seconds": seconds}}
        raise NodeError("Timeout", f"nobody answered within {seconds} seconds", retryable=False)
