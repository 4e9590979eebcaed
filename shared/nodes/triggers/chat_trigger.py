"""Starts a run for each message of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.nodes.base import NodeError, Outputs, Port, Trigger

_EMPTY: Final[Mapping[str, Any]] = {"message": "", "thread_id": "", "history": []}


class ChatTrigger(Trigger):
    """`POST /api/v1/workflows/{id}/chat` sends a message; the workflow's final output is the answer."""

    display_name = "Chat"
    description = (
        "Runs the workflow as a chat: each message starts a run, and its final output is the answer. Messages and "
        "answers are kept in a thread, of which the run gets what was said before."
    )
    outputs = {
        "message": Port("string", description="What was said."),
        "thread_id": Port("string", description="The thread in which it was said."),
        "history": Port("array", description="What was said before: {role, content}, the oldest first."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "history_limit": {
                "type": "integer",
                "minimum": 0,
                "maximum": 200,
                "title": "History",
                "description": "At most how many of the messages before this one the run gets.",
                "default": 50,
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"history_limit": 20},
        "inputs": {},
        "data": {"message": "And in July?", "thread_id": "th_1", "history": [{"role": "user", "content": "Sales?"}]},
        "outputs": {"message": "And in July?", "thread_id": "th_1", "history": [{"role": "user", "content": "Sales?"}]},
    }

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """The three ports. A run that was started by hand may give only the message. Raises NodeError InvalidInput."""
        del config
        told = {"message": data} if isinstance(data, str) else data
        if not isinstance(told, Mapping) or not isinstance(told.get("message"), str):
            raise NodeError("InvalidInput", "give {message, thread_id, history}, or a text", retryable=False)
        made = {**_EMPTY, **{name: told[name] for name in _EMPTY if told.get(name) is not None}}
        if not isinstance(made["thread_id"], str) or not isinstance(made["history"], list):
            raise NodeError("InvalidInput", "thread_id is a text and history a list", retryable=False)
        return made
