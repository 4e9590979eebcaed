"""Starts a run when an event arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import NodeError, Outputs, Port, Trigger
from shared.triggers import patterns

_EVENT = {
    "id": "o-1001",
    "source": "shop",
    "detail-type": "order.placed",
    "time": "2026-01-05T08:00:00.000Z",
    "detail": {"amount": 140, "currency": "EUR"},
}


class EventListener(Trigger):
    """Which events there are and who sends them: docs/triggers.md. The pattern is matched by the dispatcher."""

    display_name = "Event"
    description = (
        "Starts the workflow when an event of the tenant fits a pattern: one sent to `POST /api/v1/events`, or one of "
        "the platform, such as a run that has failed or a task that was created."
    )
    outputs = {
        "event": Port("object", description="The event: {id, source, detail-type, time, detail}."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "pattern": {
                "type": "object",
                "minProperties": 1,
                "title": "Pattern",
                "description": "An EventBridge event pattern over {id, source, detail-type, time, detail}: fields have "
                "lists of the values that fit, or of comparisons such as {prefix}, {numeric} or {anything-but}.",
            },
        },
        "required": ["pattern"],
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"pattern": {"detail-type": ["order.placed"], "detail": {"amount": [{"numeric": [">=", 100]}]}}},
        "inputs": {},
        "data": {"event": _EVENT},
        "outputs": {"event": _EVENT},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """The pattern must be one."""
        yield from patterns.problems(config["pattern"], "config.pattern")

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """`{event}`. A run that was started by hand may give the event itself. Raises NodeError InvalidInput."""
        del config
        event = data["event"] if isinstance(data, Mapping) and data.keys() == {"event"} else data
        if event is None:
            event = {}
        if not isinstance(event, Mapping):
            raise NodeError("InvalidInput", "an event is an object", retryable=False)
        return {"event": dict(event)}
