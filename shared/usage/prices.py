"""What models cost, by a dated list (`prices.json`) and the tenant's own prices, which come first.

A model that neither knows has no price: its tokens are counted, and nothing is guessed. Prices are for plain requests;
what a provider takes less for (cached prompts, batches) or more for (long prompts, other regions) is not in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

# `us.anthropic.claude-x-20250929-v1:0` → `claude-x`; `gpt-x-2024-08-06` and `claude-x-latest` likewise.
_BEFORE: Final = re.compile(r"^(?:(?:us|eu|apac|global|us-gov)\.)?(?:(?:anthropic|amazon|cohere|openai)[./])?")
_AFTER: Final = re.compile(r"(?:-latest|-\d{4}-\d{2}-\d{2}|[-@]\d{8})?(?:-v\d+(?::\d+)*)?$")


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens, `(input, output)`, by model: a tenant's own."""

    own: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def nano(self, model: str, prompt: int, completion: int, total: int) -> int | None:
        """What so many tokens cost, in billionths of a dollar; None where the model has no price."""
        known = listed()
        found = self.own.get(model) or known.get(model) or known.get(plain(model))
        if found is None:
            return None
        asked, said = found
        return round(1000 * ((prompt if prompt or completion else total) * asked + completion * said))


def plain(model: str) -> str:
    """A model's name without where it is offered and when it was made."""
    return _AFTER.sub("", _BEFORE.sub("", model), count=1)


@cache
def listed() -> Mapping[str, tuple[float, float]]:
    """The dated list."""
    file = json.loads(Path(__file__).with_name("prices.json").read_text())
    return {model: (p["input"], p["output"]) for model, p in file["usd_per_million_tokens"].items()}
