"""Starts runs at set times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared import clock
from shared.errors import Problem
from shared.nodes.base import NodeError, Outputs, Port, Trigger
from shared.triggers import cron


class Schedule(Trigger):
    """By cron expression or at a steady interval. EventBridge Scheduler keeps the time."""

    display_name = "Schedule"
    description = "Starts the workflow at set times: by a cron expression, or every so often."
    outputs = {"timestamp": Port("string", description="The instant the run was due, in RFC 3339 UTC.")}
    config_schema = {
        "type": "object",
        "properties": {
            "cron": {
                "type": "string",
                "maxLength": 200,
                "title": "Cron",
                "description": "`minute hour day month weekday`; or six fields: those of EventBridge "
                "(`minute hour day month weekday year`, with a `?`), or a leading `0` for the second.",
            },
            "every": {
                "type": "string",
                "maxLength": 50,
                "title": "Every",
                "description": "An interval instead of a cron, such as `5 minutes`, `1 hour` or `2 days`.",
            },
            "timezone": {
                "type": "string",
                "maxLength": 64,
                "title": "Time zone",
                "description": "The IANA time zone that the cron is read in. A time that the clocks skip does not "
                "happen; one that they repeat happens once.",
                "default": "UTC",
            },
            "start": {
                "type": ["string", "null"],
                "format": "date-time",
                "title": "Start",
                "description": "No run before this time (RFC 3339).",
                "default": None,
            },
            "end": {
                "type": ["string", "null"],
                "format": "date-time",
                "title": "End",
                "description": "No run after this time (RFC 3339).",
                "default": None,
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"},
        "inputs": {},
        "data": {"timestamp": "2026-01-05T08:00:00.000Z"},
        "outputs": {"timestamp": "2026-01-05T08:00:00.000Z"},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Cron or interval but not both, a time zone there is, and an end after the start."""
        yield from cron.problems(config)

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """`{timestamp}`; null for a run that was started by hand without one. Raises NodeError InvalidInput."""
        del config
        given = data.get("timestamp") if isinstance(data, Mapping) else None
        if given is None:
            return {"timestamp": None}
        try:
            return {"timestamp": clock.iso(clock.parse(given))}
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise NodeError("InvalidInput", "timestamp is no RFC 3339 time", retryable=False) from None
