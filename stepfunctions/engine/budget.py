"""What models may still use: of the run's own budget, and of the tenant's quotas.

Looked at before a node starts, and settled when it has ended: what is in flight is not cut off, so a run may come to
more than its budget by what its last nodes use. A run without a budget and without nodes that ask models costs nothing
here: its budget is compared with nothing, and nobody looks at the tenant's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from shared.nodes.registry import get
from shared.runs.model import Run
from shared.usage.tokens import Used, used
from stepfunctions.engine.errors import OverBudget
from stepfunctions.plan import BoundNode

_NANO: Final = 1_000_000_000
_ALSO: Final = frozenset({"tool_router"})  # asks a model, and is of another category


class Account(Protocol):
    """The tenant's: whether models may be asked this month, and what an answer has cost."""

    def refusal(self) -> str | None:
        """Why not; None: they may."""
        ...

    def cost(self, used: Used) -> int:
        """In billionths of a US dollar."""
        ...


class Free:
    """Of nobody's: everything may be asked, and costs nothing."""

    def refusal(self) -> str | None:
        """There is no reason."""
        return None

    def cost(self, used: Used) -> int:
        """Nothing."""
        del used
        return 0


FREE: Final = Free()


class Meter:
    """What one run uses. `add` writes tokens and billionths of a dollar down, giving the run as it is then."""

    def __init__(
        self, planned: Mapping[str, int] | None, run: Run, account: Account, add: Callable[[int, int], Run | None]
    ) -> None:
        self._budget = _least(planned or {}, run.budget or {})
        self._account = account
        self._add = add
        self._used = (run.used_tokens, run.used_nano)

    def seen(self, run: Run) -> None:
        """The run was read anew: other calls may have used something."""
        self._used = (max(self._used[0], run.used_tokens), max(self._used[1], run.used_nano))

    async def halt(self, node: BoundNode) -> OverBudget | None:
        """Why this node is not to start, or None."""
        asks = asks_model(node)
        if self._budget:
            for (name, most), spent in zip(_each(self._budget), self._used, strict=True):
                if most is not None and (spent > most or (asks and spent == most)):
                    return OverBudget(node.id, "BudgetExceeded", _text(name, spent, most))
        if asks:
            refusal = await asyncio.to_thread(self._account.refusal)
            if refusal is not None:
                return OverBudget(node.id, "QuotaExceeded", refusal)
        return None

    async def settle(self, usage: Mapping[str, Any]) -> None:
        """A node has ended, or was put down, in this call: this is what it has used."""
        if not self._budget:
            return
        spent = used(usage)
        if spent.tokens:
            run = await asyncio.to_thread(lambda: self._add(spent.tokens, self._account.cost(spent)))
            if run is not None:
                self.seen(run)


def asks_model(node: BoundNode) -> bool:
    """Whether a node asks a model, or may."""
    return node.kind == "effect" and (node.type in _ALSO or get(node.type).category == "ai")


def _least(planned: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    names = {*planned, *own}
    return {n: min(b[n] for b in (planned, own) if n in b) for n in names}


def _each(budget: Mapping[str, int]) -> list[tuple[str, int | None]]:
    return [(name, budget.get(name)) for name in ("tokens", "nano")]


def _text(name: str, spent: int, most: int) -> str:
    if name == "tokens":
        return f"the run has used {spent:,} tokens; its budget is {most:,}"
    return f"the run has used {spent / _NANO:,.6f} US dollars; its budget is {most / _NANO:,.6f}"
