"""A part of `agent`: what was said, kept in the thread."""

from __future__ import annotations

import json

from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, Effect, Outputs, Port

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
        said = [{"role": m["role"], "content": _shortened(m["content"])} for m in turn["messages"]]
        key = call.idempotency_key
        return {"kept": await ask(lambda: call.world.threads.append(turn["thread_id"], said, key=key))}


def _shortened(content: object) -> object:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return content if len(text) <= _LONGEST else text[:_LONGEST] + " […]"
