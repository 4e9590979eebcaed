"""What follows from changes of runs for counters and quotas: the stream tells of them, at least once, in order.

Counters are added up by workflow and day of a batch, and written in one transaction with how far each run has been
counted, so a batch that comes again, whole or in part, changes nothing. The day is that on which a run was created.
A run's places are given back when it has ended. A place that was taken for a run which never came to be is found by
the sweeper, which looks at what is taken every few minutes and gives back what it finds without a run twice.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from shared.analytics import service as analytics
from shared.analytics.store import MAX_MARKS, Counted, CounterStore, Mark
from shared.aws.dynamo import Item
from shared.aws.streams import Change
from shared.clock import iso, now_ms
from shared.errors import NotFound, Unavailable
from shared.log import logger
from shared.runs.model import ENDED, SINGLE_NODE, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage import service as usage
from shared.usage.prices import Prices
from shared.usage.store import UsageStore, spending
from stepfunctions import contribution
from stepfunctions.engine.boundary import described

Changes: TypeAlias = Mapping[tuple[Tenant, str], Sequence[Change]]
_TRIES: Final = 3
_AT_ONCE: Final = 8
_LOOKED_AT: Final = 200  # runs that one look of the sweeper asks for
_OF_TENANT: Final = ("run|", "calls", "tokens|", "money|")  # what is counted for the tenant as well


@dataclass(frozen=True, slots=True)
class _About:
    """Of a run: its workflow, its day, and whether it runs a single node to try it."""

    workflow_id: str
    day: str
    single: bool


@dataclass(slots=True)
class _Told:
    """What is to be counted of one run."""

    execution_id: str
    changes: list[Change]

    @property
    def mark(self) -> Mark:
        first, last = self.changes[0], self.changes[-1]
        return Mark(self.execution_id, _place(first), _place(last))


def heard(runs: Changes) -> set[tuple[Tenant, str]]:
    """Count what these changes tell, and give back places. Gives the runs that are to be told of again."""
    groups: dict[tuple[Tenant, _About], list[_Told]] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looked = list(pool.map(lambda run: _look(run[0][0], run[0][1], run[1]), runs.items()))
        failed = {run for run, found in zip(runs, looked, strict=True) if found is None}
        for (tenant, _), found in zip(runs, looked, strict=True):
            if found is not None and found[1] is not None:
                groups.setdefault((tenant, found[1]), []).append(found[0])
        some = [
            (*whose, told[i : i + MAX_MARKS]) for whose, told in groups.items() for i in range(0, len(told), MAX_MARKS)
        ]
        counted = pool.map(lambda each: _counted(*each), some)
        for (tenant, _, told), done in zip(some, counted, strict=True):
            if not done:
                failed |= {(tenant, each.execution_id) for each in told}
    return failed


def _look(tenant: Tenant, execution_id: str, changes: Sequence[Change]) -> tuple[_Told, _About | None] | None:
    """Settle the run's places, and what is to be counted of it (with None: nothing). None: it could not be done."""
    try:
        _settle(tenant, execution_id, changes)
        telling = [c for c in changes if _tells(c)]
        return _Told(execution_id, telling), _about(tenant, execution_id, telling) if telling else None
    except Exception as error:  # a record that cannot be read holds up no others
        _log(error, tenant)
        return None


def _counted(tenant: Tenant, about: _About, told: list[_Told]) -> bool:
    try:
        _count(tenant, about, told)
    except Exception as error:  # whatever it is: it is handed over again, and the others are counted
        _log(error, tenant)
        return False
    return True


def _log(error: Exception, tenant: Tenant) -> None:
    logger("stream").error("not_counted", tenant_id=tenant.id, **described(error))


# --- counting --------------------------------------------------------------------------------------------------------


def _count(tenant: Tenant, about: _About, told: list[_Told]) -> None:
    table = TenantTable(tenant)
    store, prices = CounterStore(table), usage.terms(tenant).prices
    for _ in range(_TRIES):
        amounts, tokens, nano = _amounts(told, prices)
        places = {
            (analytics.workflow(about.workflow_id), about.day): Counter() if about.single else amounts,
            (analytics.TENANT, about.day): Counter({n: v for n, v in amounts.items() if n.startswith(_OF_TENANT)}),
        }
        month = iso(told[-1].changes[-1].at)[:7]  # a batch is of a moment
        spent = [spending(table, month, tokens, nano)] if tokens else []
        try:
            store.add(places, [each.mark for each in told], spent)
        except Counted:  # a part of it, or all: only what comes after that is to be counted
            upto = store.upto(each.execution_id for each in told)
            told = [_Told(e.execution_id, _after(e.changes, upto.get(e.execution_id, ""))) for e in told]
            told = [each for each in told if each.changes]
            if not told:
                return
        else:
            return
    raise Unavailable("the counters are busy; try again")


def _amounts(told: Iterable[_Told], prices: Prices) -> tuple[Counter[str], int, int]:
    """The numbers; the tokens among them, and the billionths of a dollar."""
    amounts: Counter[str] = Counter()
    tokens = nano = 0
    for change in (c for each in told for c in each.changes):
        if change.sk == "META":
            _add(amounts, contribution.of_run(change))
            continue
        nodes, spent = contribution.of_nodes(change)
        _add(amounts, nodes)
        _add(amounts, contribution.of_models(spent, prices))
        tokens += spent.tokens
        nano += spent.cost(prices)
    return amounts, tokens, nano


def _add(total: Counter[str], more: Mapping[str, int]) -> None:
    for name, amount in more.items():  # `+` of Counters drops what is below 0
        total[name] += amount


def _tells(change: Change) -> bool:
    """Whether the change counts for anything; one that cannot be understood does not."""
    if change.new is None or not (change.sk == "META" or change.sk.startswith("J#")):
        return False
    try:
        if change.sk == "META":
            return any(contribution.of_run(change).values())
        nodes, spent = contribution.of_nodes(change)
    except Exception as error:  # likewise
        logger("stream").error("not_counted", **described(error))
        return False
    return bool(nodes) or bool(spent.tokens)


def _after(changes: Sequence[Change], upto: str) -> list[Change]:
    return [change for change in changes if _place(change) > upto]


def _place(change: Change) -> str:
    return f"{int(change.sequence):040d}"


def _about(tenant: Tenant, execution_id: str, changes: Sequence[Change]) -> _About | None:
    """None for a run that is gone, and of which these changes do not tell."""
    for change in changes:
        if change.sk == "META" and change.new is not None:
            return _about_item(change.new)
    try:
        return _known(tenant, execution_id)
    except NotFound:
        return None


@lru_cache(2_000)
def _known(tenant: Tenant, execution_id: str) -> _About:
    run = RunStore(TenantTable(tenant)).get(execution_id)
    return _About(run.workflow_id, analytics.day_of(run.created_at), run.triggered_by.get("kind") == SINGLE_NODE)


def _about_item(item: Item) -> _About:
    by = json.loads(item["triggered_by"])
    return _About(item["workflow_id"], analytics.day_of(item["created_at"]), by.get("kind") == SINGLE_NODE)


# --- places ----------------------------------------------------------------------------------------------------------


def _settle(tenant: Tenant, execution_id: str, changes: Iterable[Change]) -> None:
    """A run has ended, or was opened again: let its places say so. What counts is how it is now, so that what comes
    late or again does no harm."""
    crossed = [c for c in changes if c.sk == "META" and c.old is not None and _is_over(c.old) != _is_over(c.new)]
    if not crossed:
        return
    item = crossed[-1].new or {}
    try:
        run: Run | None = RunStore(TenantTable(tenant)).get(execution_id)
    except NotFound:
        run = None
    workflow_id = item.get("workflow_id") if item.get("capped") else None
    if run is None or run.ended:
        usage.release(tenant, execution_id, workflow_id)
    else:
        usage.hold(tenant, execution_id, workflow_id, child=run.parent is not None)


def _is_over(item: Item | None) -> bool:
    return item is None or item.get("status") in ENDED


def tidy(tenant: Tenant, sk: str) -> str:
    """For the sweeper: look at the places that are taken. One without a run that is open is suspect, and given back if
    it still is at the next look: its run may be about to be written. Gives what was done, in a word.
    """
    workflow_id = sk.partition("#")[2]
    table = TenantTable(tenant)
    store, runs = UsageStore(table), RunStore(table)
    store.look_again(workflow_id)  # first: whatever comes, this is not to stand in the way of what else is due
    item = store.runs(workflow_id)
    taken, before = set(item.get("open", ())), set(item.get("suspects", ()))
    some = set(random.sample(sorted(taken), min(_LOOKED_AT, len(taken)))) | (before & taken)
    without = {execution_id for execution_id in some if not _is_open(runs, execution_id)}
    lost = without & before
    now = iso(now_ms())
    old = [n for n in item if n.startswith(("day|", "month|")) and n.partition("|")[2] not in (now[:10], now[:7])]
    store.tidy(workflow_id, lost, without - lost, old)
    return "places_given_back" if lost else "places"


def _is_open(runs: RunStore, execution_id: str) -> bool:
    try:
        return not runs.get(execution_id).ended
    except NotFound:
        return False
