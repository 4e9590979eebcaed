"""What a node's `usage` says of models: tokens by model, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.usage.prices import Prices

KINDS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_UNNAMED: Final = "unknown"
_MOST_CHARACTERS: Final = 200  # of a model's name


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens by model, each `(prompt, completion, total)`. `nano` is what the node itself says that they cost, in
    billionths of a US dollar: a router knows the prices of its own table. None: it does not say.
    """

    models: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    nano: int | None = None

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(total for _, _, total in self.models.values())

    def cost(self, prices: Prices) -> int:
        """Billionths of a dollar, of what has a price."""
        if self.nano is not None:
            return self.nano
        return sum(prices.nano(model, *counts) or 0 for model, counts in self.models.items())

    def since(self, before: Used) -> Used:
        """What has been added. A record that begins anew takes nothing back: it was paid for."""
        more = {}
        for model, counts in self.models.items():
            known = before.models.get(model, (0, 0, 0))
            prompt, completion, total = (max(0, n - k) for n, k in zip(counts, known, strict=True))
            if total:
                more[model] = (prompt, completion, total)
        return Used(more, None if self.nano is None else max(0, self.nano - (before.nano or 0)))


NOTHING: Final = Used()


def used(usage: Mapping[str, Any]) -> Used:
    """What a record's `usage` says; nothing if it is of no model."""
    total = _whole(usage.get("total_tokens"))
    if not total:
        return NOTHING
    cost = usage.get("cost")
    nano = round(cost * 1e9) if isinstance(cost, (int, float)) and not isinstance(cost, bool) and cost >= 0 else None
    by_model = usage.get("models")
    if isinstance(by_model, Mapping) and by_model:
        found = {_name(m): _counts(c) for m, c in by_model.items() if isinstance(c, Mapping)}
        return Used({m: c for m, c in found.items() if c[2]}, nano)
    return Used({_name(usage.get("model")): _counts(usage)}, nano)


def _counts(usage: Mapping[str, Any]) -> tuple[int, int, int]:
    prompt, completion, total = (_whole(usage.get(kind)) for kind in KINDS)
    return prompt, completion, total


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _name(model: Any) -> str:
    return model[:_MOST_CHARACTERS] if isinstance(model, str) and model else _UNNAMED
