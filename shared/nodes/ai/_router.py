"""How model_router chooses a model, and goes on to the next when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.expressions.truth import truth
from shared.nodes.ai._chat import messages_of
from shared.nodes.ai._several import name_of
from shared.nodes.ai._turns import Turn, none_answered, price, seconds_of, summed, take, turn_for
from shared.nodes.base import Call, NodeError, Outputs

Entry = Mapping[str, Any]
_ANSWER: Final = 1_000  # tokens that an answer is taken to have where no limit is set


@dataclass(frozen=True, slots=True)
class _Choice:
    """The models in the order in which they are asked, and why the first is first."""

    order: list[Entry]
    reason: str


async def route(call: Call) -> Outputs:
    """`{model, response, json, reason, usage}`. Raises NodeError."""
    prompt = call.inputs.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _bad("prompt is empty or no text")
    criteria = call.inputs.get("criteria") or {}
    if not isinstance(criteria, Mapping):
        raise _bad("criteria is no object")
    table = {name_of(entry): entry for entry in call.config["models"]}
    deadline = asyncio.get_running_loop().time() + call.timeout_seconds
    turns: list[Turn] = []
    try:
        return await _routed(call, prompt, criteria, table, turns, deadline)
    finally:
        call.usage.update(summed(turns, table))


async def _routed(
    call: Call, prompt: str, criteria: Entry, table: Mapping[str, Entry], turns: list[Turn], deadline: float
) -> Outputs:
    system = str(call.config.get("system") or "")
    tokens = estimate(prompt) + estimate(system)
    choice = await _choose(call, prompt, criteria, table, tokens, turns, deadline)
    messages = messages_of(prompt, system)
    failed: list[Turn] = []
    for entry in choice.order if call.config["fall_over"] else choice.order[:1]:
        turn = turn_for(entry)
        turns.append(turn)
        await take(call, entry, messages, turn, seconds_of(call, deadline))
        if turn.answer is not None:
            told = "".join(f"; {t.name} failed ({t.error.error})" for t in failed if t.error)
            return {
                "model": turn.name,
                "response": turn.answer.text,
                "json": turn.value,
                "reason": choice.reason + (f"{told}; {turn.name} is next" if told else ""),
                "usage": summed(turns, table),
            }
        failed.append(turn)
        if turn.error and turn.error.error == "Refused" and not call.config["fall_over_on_refusal"]:
            raise turn.error  # a refusal is an answer: the next model is not there to get around it
    raise none_answered(failed)


def estimate(text: str) -> int:
    """About how many tokens a text has: a quarter of its characters, and one for each that is not Latin."""
    other = sum(1 for character in text if ord(character) > 0x24F)
    return (len(text) - other) // 4 + other + 1


async def _choose(
    call: Call,
    prompt: str,
    criteria: Entry,
    table: Mapping[str, Entry],
    tokens: int,
    turns: list[Turn],
    deadline: float,
) -> _Choice:
    entries = _fitting(table, criteria, tokens)
    match call.config["strategy"]:
        case "cheapest":
            return _cheapest(entries, criteria, tokens)
        case "classifier":
            return await _classified(call, prompt, entries, table, turns, deadline)
    names = {"prompt": prompt, "criteria": criteria, "tokens": tokens}
    for i, rule in enumerate(call.config["rules"]):
        if truth(call.expressions.evaluate(rule["when"], names)):
            if (wanted := table[rule["model"]]) in entries:
                return _Choice(_first(wanted, entries), f"rule {i + 1} holds: {rule.get('because') or rule['when']}")
            return _Choice(entries, f"rule {i + 1} holds, but {rule['model']} does not fit the request")
    return _Choice(entries, "no rule holds: the first of the models")


def _fitting(table: Mapping[str, Entry], criteria: Entry, tokens: int) -> list[Entry]:
    """The models that the request fits into and that have every tag of `criteria.tags`. Raises NodeError."""
    roomy = [
        e for e in table.values() if tokens + (e.get("max_tokens") or 0) <= e.get("context_window", tokens * 2 + 1e9)
    ]
    if not roomy:
        message = f"the request has about {tokens:,} tokens, which is too much for every model"
        raise NodeError("ContextLengthExceeded", message, retryable=False)
    wanted = criteria.get("tags") or []
    tags = {str(tag) for tag in wanted} if isinstance(wanted, list) else {str(wanted)}
    fitting = [e for e in roomy if tags <= set(e.get("tags", ()))]
    if not fitting:
        raise NodeError("NoModelFits", f"no model has the tags {', '.join(sorted(tags))}", retryable=False)
    return fitting


def _cheapest(entries: list[Entry], criteria: Entry, tokens: int) -> _Choice:
    costs = {name_of(e): price(e, tokens, e.get("max_tokens") or _ANSWER) for e in entries}
    most = criteria.get("max_cost")
    if isinstance(most, (int, float)) and not isinstance(most, bool):
        entries = [e for e in entries if costs[name_of(e)] <= most]
        if not entries:
            raise NodeError("NoModelFits", f"no model answers this for at most {most:g}", retryable=False)
    order = sorted(entries, key=lambda e: costs[name_of(e)])
    name = name_of(order[0])
    return _Choice(order, f"cheapest for about {tokens} tokens: {name}, at most {costs[name]:.6f}")


async def _classified(
    call: Call, prompt: str, entries: list[Entry], table: Mapping[str, Entry], turns: list[Turn], deadline: float
) -> _Choice:
    """What the classifier model says; where it fails, the models in their order."""
    if len(entries) == 1:
        return _Choice(entries, f"only {name_of(entries[0])} fits the request")
    names = [name_of(e) for e in entries]
    schema = {
        "type": "object",
        "properties": {"model": {"enum": names}, "reason": {"type": "string"}},
        "required": ["model", "reason"],
        "additionalProperties": False,
    }
    known = "\n".join(f"- {name_of(e)}: {e.get('description') or e['model']}" for e in entries)
    told = f"Choose the model that should answer the user's request. Do not answer it.\nThe models:\n{known}"
    entry = table[call.config["classifier"]]
    turn = turn_for(entry)
    turns.append(turn)
    asking = replace(call, config={"response_schema": schema, "max_retries": call.config["max_retries"]})
    question = messages_of(f"The request:\n<request>\n{prompt}\n</request>", told)
    await take(asking, entry, question, turn, seconds_of(call, deadline))
    if not isinstance(turn.value, Mapping):
        why = turn.error.error if turn.error else "no choice"
        return _Choice(entries, f"the classifier failed ({why}): the first of the models")
    wanted = next(e for e in entries if name_of(e) == turn.value["model"])
    return _Choice(_first(wanted, entries), f"{turn.name} chose it: {str(turn.value['reason'])[:500]}")


def _first(entry: Entry, entries: list[Entry]) -> list[Entry]:
    return [entry, *(e for e in entries if e is not entry)]


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
