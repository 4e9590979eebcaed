"""What a tenant may use: the defaults, and what an operator has set for it instead."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from shared.usage.prices import Prices

NANO: Final = 1_000_000_000  # money is counted in billionths of a US dollar
MOST_AT_ONCE: Final = 10_000  # open runs are a set in one item of the table, which has at most 400 KB


class BadOverride(ValueError):
    """What an operator wants to set is no quota, no price, or out of bounds. The message says which."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a tenant may use. Months and days are those of UTC."""

    runs_per_day: int = 100_000
    runs_per_month: int = 1_000_000
    concurrent_runs: int = 500
    tokens_per_month: int = 1_000_000_000
    money_usd_per_month: float = 10_000.0
    storage_bytes: int = 10_000_000_000  # of files, as is the next one
    files: int = 100_000
    requests_per_second: int = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one tenant."""

    quotas: Quotas = Quotas()
    prices: Prices = field(default_factory=Prices)


def terms_of(stored: str | None) -> Terms:
    """From what is stored with the tenant: `{quotas: {…}, prices: {model: [input, output]}}` as JSON, or nothing."""
    if stored is None:
        return Terms()
    data = json.loads(stored)
    prices = {model: (float(p[0]), float(p[1])) for model, p in data.get("prices", {}).items()}
    return Terms(Quotas(**data.get("quotas", {})), Prices(prices))


def stored(terms: Terms) -> str:
    """As `terms_of` reads it: what is not the default."""
    usual = asdict(Quotas())
    own = {name: value for name, value in asdict(terms.quotas).items() if value != usual[name]}
    return json.dumps({"quotas": own, "prices": {model: list(p) for model, p in terms.prices.own.items()}})


def in_nano(tokens: int | None, money_usd: float | None) -> dict[str, int]:
    """A budget as it is kept: `{tokens?, nano?}`, money in billionths of a US dollar."""
    kept = {"tokens": tokens, "nano": None if money_usd is None else max(1, round(money_usd * NANO))}
    return {name: most for name, most in kept.items() if most is not None}


def with_quota(terms: Terms, name: str, text: str | None) -> Terms:
    """With another quota; None: the default. Raises BadOverride."""
    known = {f.name: f for f in fields(Quotas)}
    if name not in known:
        raise BadOverride(f"there is no quota {name}; there are {', '.join(known)}")
    if text is None:
        return replace(terms, quotas=replace(terms.quotas, **{name: getattr(Quotas(), name)}))
    read: Callable[[str], float] = float if name == "money_usd_per_month" else int
    value = _number(text, read, name)
    if name == "concurrent_runs" and value > MOST_AT_ONCE:
        raise BadOverride(f"concurrent_runs is at most {MOST_AT_ONCE:,}")
    changed: Mapping[str, Any] = {name: value}
    return replace(terms, quotas=replace(terms.quotas, **changed))


def with_price(terms: Terms, model: str, text: str | None) -> Terms:
    """With a price of the tenant's own, `input,output` in US dollars for a million tokens; None: without.

    Raises BadOverride.
    """
    own = {known: price for known, price in terms.prices.own.items() if known != model}
    if text is not None:
        parts = text.split(",")
        if len(parts) != 2 or not model:
            raise BadOverride("a price is model=input,output in US dollars for a million tokens")
        asked, said = (_number(part, float, "a price") for part in parts)
        own[model] = (asked, said)
    return replace(terms, prices=Prices(own))


def _number(text: str, read: Callable[[str], float], what: str) -> float:
    try:
        value = read(text)
    except ValueError:
        raise BadOverride(f"{what} must be a number, not {text!r}") from None
    if not math.isfinite(value) or not 0 <= value <= 1e15:
        raise BadOverride(f"{what} must be a number from 0 on, not {text!r}")
    return value
