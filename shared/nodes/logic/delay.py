"""A rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared import clock
from shared.errors import Problem
from shared.expressions.template import is_template
from shared.nodes.base import Call, NodeError, Outputs, Port, Timer

_YEAR_MS: Final = 365 * 86_400 * 1_000


class Delay(Timer):
    """Waits for some time or until a moment; waiting costs nothing."""

    category = "logic"
    display_name = "Delay"
    description = "Waits some time, or until a moment, and then hands its input on."
    inputs = {"input": Port("any", description="What is handed on.")}
    outputs = {
        "output": Port("any", description="The input, when the time has come."),
        "elapsed": Port("number", description="How long it waited, in milliseconds."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "ms": {
                "type": "number",
                "minimum": 0,
                "maximum": _YEAR_MS,
                "x-template": True,
                "title": "Milliseconds",
                "description": "How long to wait; at most a year.",
            },
            "until": {
                "type": "string",
                "maxLength": 10_000,
                "x-template": True,
                "title": "Until",
                "description": "The moment to wait for (RFC 3339), at most a year away; one that is past is over at "
                "once. An expression may also give milliseconds since 1970.",
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {"config": {"ms": 60_000}, "inputs": {"input": {"id": 7}}}

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Exactly one of the two, and a moment that can be read."""
        if ("ms" in config) == ("until" in config):
            yield Problem("invalid_config", "give either config.ms or config.until", "config")
        until = config.get("until")
        if until is not None and not is_template(until):
            try:
                clock.parse(until)
            except (ValueError, OverflowError):
                yield Problem("invalid_config", "config.until is no RFC 3339 time", "config.until")

    def until_ms(self, call: Call, now_ms: int) -> int:
        """When to go on. Raises NodeError InvalidInput."""
        if call.config.get("until") is not None:
            moment = _moment(call.config["until"])
        else:
            moment = now_ms + _milliseconds(call.config.get("ms"))
        if moment > now_ms + _YEAR_MS:
            raise NodeError("InvalidInput", "the moment to wait for is over a year away", retryable=False)
        return moment

    def elapsed(self, call: Call, waited_ms: int) -> Outputs:
        """The input, and how long it waited."""
        return {"output": call.inputs.get("input"), "elapsed": waited_ms}


def _milliseconds(value: Any) -> int:
    try:
        number = float(value)
        if isinstance(value, bool) or not 0 <= number <= _YEAR_MS:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise NodeError("InvalidInput", "ms is no number between 0 and a year", retryable=False) from None
    return round(number)


def _moment(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**14:
        return round(value)
    try:
        return clock.parse(value)
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise NodeError("InvalidInput", "until is no RFC 3339 time", retryable=False) from None
