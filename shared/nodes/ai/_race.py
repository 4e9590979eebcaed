"""How race_combine asks several models at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.nodes.ai._chat import messages_of
from shared.nodes.ai._models import Message
from shared.nodes.ai._parts import plain_text
from shared.nodes.ai._several import name_of
from shared.nodes.ai._turns import Turn, none_answered, seconds_of, summed, take, turn_for
from shared.nodes.base import Call, NodeError, Outputs

_INSTRUCTION: Final = (
    "Several models have answered the same conversation. Combine their answers into one: keep what they agree on, "
    "settle what they do not by what is right, and leave out what is wrong. Answer with the combined answer only."
)


async def race(call: Call) -> Outputs:
    """`{responses, combined, usage}`. Raises NodeError."""
    messages = messages_of(call.inputs.get("messages"), call.inputs.get("system") or call.config.get("system"))
    table = {name_of(entry): entry for entry in call.config["models"]}
    turns = [turn_for(entry) for entry in table.values()]
    deadline = asyncio.get_running_loop().time() + call.timeout_seconds
    mode = call.config["mode"]
    every = list(turns)
    usage: dict[str, Any] = {}
    try:
        await _asked(call, list(table.values()), messages, turns, deadline, first=mode == "first")
        good = [turn for turn in turns if turn.answer is not None]
        if len(good) < (1 if mode == "first" else call.config["at_least"]):
            raise none_answered(turns)
        combined = good[0].answer.text if mode == "first" and good[0].answer else None
        if mode == "combined":
            combined = await _combined(call, table, messages, good, every, deadline)
    finally:
        usage = summed(every, table)
        usage["cancelled"] = [t.name for t in turns if t.error is not None and t.error.error == "Cancelled"]
        call.usage.update(usage)
    return {"responses": [turn.shown() for turn in turns], "combined": combined, "usage": usage}


async def _asked(
    call: Call,
    entries: list[Mapping[str, Any]],
    messages: list[Message],
    turns: list[Turn],
    deadline: float,
    *,
    first: bool,
) -> None:
    """Ask all; with `first`, until one has answered: the others are cancelled."""
    tasks = [
        asyncio.create_task(take(call, entry, messages, turn, seconds_of(call, deadline)))
        for entry, turn in zip(entries, turns, strict=True)
    ]
    try:
        waiting = set(tasks)
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if first and any(turn.answer is not None for turn in turns):
                break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for turn in turns:
        if turn.answer is None and turn.error is None:
            turn.error = NodeError("Cancelled", "another model was quicker", retryable=False)


async def _combined(
    call: Call,
    table: Mapping[str, Mapping[str, Any]],
    messages: list[Message],
    good: list[Turn],
    every: list[Turn],
    deadline: float,
) -> str:
    """The answers as one, by the model that combines. Raises NodeError."""
    if len(good) == 1 and good[0].answer is not None:
        return good[0].answer.text
    entry = table[call.config.get("combiner") or next(iter(table))]
    turn = turn_for(entry)
    every.append(turn)
    told = [{"role": m["role"], "content": plain_text(m.get("content"))} for m in messages]
    answers = [{"model": t.name, "answer": t.answer.text} for t in good if t.answer is not None]
    question = json.dumps({"conversation": told, "answers": answers}, ensure_ascii=False)
    asking = replace(call, config={"max_retries": call.config["max_retries"]})
    instruction = call.config.get("instruction") or _INSTRUCTION
    await take(asking, entry, messages_of(question, instruction), turn, seconds_of(call, deadline))
    if turn.answer is None:
        raise turn.error or NodeError("ModelError", "the combining model gave no answer")
    return turn.answer.text
