"""One turn with one model of a node's table. Loads what asking needs, so import it when needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.nodes.ai import _models
from shared.nodes.ai._chat import answered, opened, request_of
from shared.nodes.ai._models import Answer, Link, Message
from shared.nodes.ai._several import name_of
from shared.nodes.ai._structured import Spent
from shared.nodes.base import Call, NodeError


@dataclass(slots=True)
class Turn:
    """What came of asking one model; `answer` or `error` is there when it has ended."""

    name: str
    spent: Spent = field(default_factory=Spent)
    answer: Answer | None = None
    value: Any = None
    error: NodeError | None = None
    milliseconds: int = 0

    def shown(self) -> dict[str, Any]:
        """`{model, response, json, error, usage, milliseconds}`."""
        error, used = self.error, self.spent.usage
        return {
            "model": self.name,
            "response": self.answer.text if self.answer else None,
            "json": self.value,
            "error": {"error": error.error, "message": error.message} if error else None,
            "usage": {n: used[n] for n in (*_models.COUNTS, "finish_reason") if n in used},
            "milliseconds": self.milliseconds,
        }


async def take(call: Call, entry: Mapping[str, Any], messages: list[Message], turn: Turn, seconds: float) -> None:
    """Ask one model of the table; what comes of it stands in `turn`. Raises nothing but what cancels it."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(max(seconds, 0)):
            provider = str(entry.get("provider", "openai"))
            turn.spent.usage["model"] = entry["model"]
            link = Link(
                call.world,
                await opened(call, entry.get("credential"), provider),
                max(seconds, 0.001),
                int(call.config.get("max_retries", 1)),
            )
            own = {name: entry[name] for name in ("temperature", "max_tokens") if entry.get(name) is not None}
            request = request_of(own, str(entry["model"]), messages)
            turn.answer, turn.value = await answered(provider, link, request, call.config, turn.spent)
    except TimeoutError:
        turn.error = NodeError("Timeout", f"no answer within {seconds:g} seconds")
    except NodeError as error:
        turn.error = error
    finally:
        turn.milliseconds = round((time.monotonic() - started) * 1000)


def seconds_of(call: Call, deadline: float) -> float:
    """How long one model may be asked: no longer than until `deadline`, of the event loop's clock."""
    return min(float(call.config["model_timeout_seconds"]), deadline - asyncio.get_running_loop().time())


def turn_for(entry: Mapping[str, Any]) -> Turn:
    """A turn that has not begun."""
    return Turn(name_of(entry))


def summed(turns: list[Turn], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The tokens of all turns, by model too, and what they cost where the table has prices."""
    total: dict[str, Any] = dict.fromkeys(_models.COUNTS, 0)
    by_model: dict[str, dict[str, Any]] = {}
    cost = 0.0
    for turn in turns:
        used = {name: turn.spent.usage[name] for name in _models.COUNTS}
        mine = by_model.setdefault(turn.name, dict.fromkeys(_models.COUNTS, 0))
        for name, tokens in used.items():
            total[name] += tokens
            mine[name] += tokens
        if "finish_reason" in turn.spent.usage:
            mine["finish_reason"] = turn.spent.usage["finish_reason"]
        cost += price(entries[turn.name], used["prompt_tokens"], used["completion_tokens"])
    priced = any("input_price" in entry or "output_price" in entry for entry in entries.values())
    return {**total, "models": by_model, **({"cost": round(cost, 9)} if priced else {})}


def price(entry: Mapping[str, Any], asked: float, said: float) -> float:
    """What so many tokens cost, by the table's prices for a million."""
    cost = asked * entry.get("input_price", 0) + said * entry.get("output_price", 0)
    return float(cost) / 1e6


def none_answered(turns: list[Turn]) -> NodeError:
    """Why no model has answered. It is worth another try where that is so for one of them."""
    errors = [(turn.name, turn.error) for turn in turns if turn.error]
    if len(errors) == 1:
        return errors[0][1]
    told = "; ".join(f"{name}: {error.error} ({error.message})" for name, error in errors)
    waits = [error.retry_after for _, error in errors if error.retry_after is not None]
    return NodeError(
        "AllModelsFailed",
        told[:2000],
        retry_after=min(waits) if waits else None,
        retryable=any(error.retryable for _, error in errors),
    )
