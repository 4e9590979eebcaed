"""A part of `agent`: what was said, kept in the thread."""

from __future__ import annotations

import json
from typing import Any

from shared.nodes.ai._memories import memory
from shared.nodes.base import Call, Effect, Outputs, Port
from shared.threads.model import MAX_APPENDED

_MOST_BYTES = 3_400_000  # of a turn's messages together
_LONGEST = 40_000  # characters of a message that is kept: a thread is what was said, not what was handed over


class Memory(Effect):
    """Adds a turn of the conversation to its thread, once for one run."""

    category = "ai"
    display_name = "Agent: memory"
    description = "Keeps what was said."
    inputs = {"turn": Port("object", required=True)}
    outputs = {"kept": Port("number")}

    async def execute(self, call: Call) -> Outputs:
        """The number of the first message that was added. Raises NodeError."""
        turn = call.inputs["turn"]
        said = _newest([{"role": m["role"], "content": _shortened(m["content"])} for m in turn["messages"]])
        key = call.idempotency_key
        return {"kept": await (await memory(call, turn)).append(turn["thread_id"], said, key=key)}


def _newest(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last messages that a thread takes at once: the answer is paid for, and must not fail here."""
    room, kept = _MOST_BYTES, list[dict[str, Any]]()
    for message in reversed(said[-MAX_APPENDED:]):
        room -= len(json.dumps(message["content"], ensure_ascii=False).encode(errors="replace"))
        if room < 0:
            break
        kept.append(message)
    return kept[::-1]


def _shortened(content: object) -> object:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return content if len(text) <= _LONGEST else text[:_LONGEST] + " […]"
