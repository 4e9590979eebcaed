"""Places for runs, taken before they start and given back when they have ended; what is left of everything else."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.clock import iso, now_ms
from shared.errors import RateLimited
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage.model import NANO, Terms
from shared.usage.store import Full, UsageStore
from shared.usage.tokens import Used

_CACHED_S: Final = 30.0  # so long what an operator has set may not be known to a process
_ASKED_S: Final = 2.0  # and so old may be what is known to be spent
_MOST: Final = 10_000
_SOON_S: Final = 5  # when to try again where a run has to end first

_lock = threading.Lock()
_terms: dict[str, tuple[float, Terms]] = {}
_spent: dict[str, tuple[float, str, tuple[int, int]]] = {}


def terms(tenant: Tenant) -> Terms:
    """What holds for a tenant, as it was at most half a minute ago."""
    held = _terms.get(tenant.id)
    if held and held[0] > time.monotonic():
        return held[1]
    found = UsageStore(TenantTable(tenant)).terms()
    with _lock:
        if len(_terms) >= _MOST:
            _terms.clear()
        _terms[tenant.id] = (time.monotonic() + _CACHED_S, found)
    return found


def forget() -> None:
    """Drop what this process remembers. For tests, and after a change."""
    with _lock:
        _terms.clear()
        _spent.clear()


def _periods(now: int) -> tuple[str, str]:
    """The day and the month of a moment: `2026-01-31`, `2026-01`."""
    return iso(now)[:10], iso(now)[:7]


def reserve(
    tenant: Tenant, execution_id: str, workflow_id: str, *, most: int | None = None, again: bool = False, child: bool
) -> None:
    """Take a place for a run that is to start. Doing it twice takes one.

    `most` are the runs that its workflow may have at once (None: as many as the tenant). `again`: a retry, which does
    not count as another run. A `child` is in the place of the run that waits for it, and takes none of the tenant's.
    Raises RateLimited `quota_exceeded`, with nothing taken.
    """
    quotas, now = terms(tenant).quotas, now_ms()
    store = UsageStore(TenantTable(tenant))
    if most is not None:
        full = store.take(execution_id, most, {}, workflow_id)
        if full is not None:
            raise _over(Full("max_concurrency", most), now)
    day, month = _periods(now)
    per = {} if again else {f"day|{day}": quotas.runs_per_day, f"month|{month}": quotas.runs_per_month}
    try:
        room = None if child and not per else store.take(execution_id, None if child else quotas.concurrent_runs, per)
        if room is not None:
            raise _over(room, now)
    except BaseException:  # the run does not start: its place is free again
        if most is not None:
            store.give_back(execution_id, workflow_id)
        raise


def release(tenant: Tenant, execution_id: str, workflow_id: str | None, *, unused: bool = False) -> None:
    """Give a run's places back; `workflow_id` if it has one of its workflow's. `unused`: it does not count as a run."""
    store = UsageStore(TenantTable(tenant))
    day, month = _periods(now_ms())
    store.give_back(execution_id, periods=(f"day|{day}", f"month|{month}") if unused else ())
    if workflow_id is not None:
        store.give_back(execution_id, workflow_id)


def hold(tenant: Tenant, execution_id: str, workflow_id: str | None, *, child: bool) -> None:
    """A run is open: it has its places, whether or not there is room."""
    store = UsageStore(TenantTable(tenant))
    if not child:
        store.keep(execution_id)
    if workflow_id is not None:
        store.keep(execution_id, workflow_id)


def _over(full: Full, now: int) -> RateLimited:
    per = {"runs_per_day": "day", "runs_per_month": "month"}.get(full.name)
    what = {
        "max_concurrency": f"the workflow allows {full.limit:,} runs at once",
        "concurrent_runs": f"{full.limit:,} runs may be open at once",
    }.get(full.name, f"{full.limit:,} runs may start in a {per}")
    wait = _SOON_S if per is None else -(-(resets(now, per) - now) // 1000)
    return RateLimited(f"over the quota {full.name}: {what}", retry_after=wait, code="quota_exceeded")


def resets(now: int, per: str) -> int:
    """When the day or the month of a moment is over (ms since the epoch)."""
    moment = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    end = moment + timedelta(days=1) if per == "day" else month
    return round(end.timestamp() * 1000)


class Account:
    """What the engine asks of a tenant's models: whether they may be asked, and what an answer has cost."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def refusal(self) -> str | None:
        """Why models may not be asked any more this month; None: they may. As it was a few seconds ago."""
        quotas, now = terms(self._tenant).quotas, now_ms()
        tokens, nano = self._known(_periods(now)[1])
        end = iso(resets(now, "month"))
        if tokens >= quotas.tokens_per_month:
            return f"over the quota tokens_per_month: {quotas.tokens_per_month:,} tokens; there are more from {end} on"
        if nano >= quotas.money_usd_per_month * NANO:
            most = f"{quotas.money_usd_per_month:,.2f} US dollars"
            return f"over the quota money_usd_per_month: {most}; there is more from {end} on"
        return None

    def cost(self, used: Used) -> int:
        """What this has cost, in billionths of a US dollar."""
        return used.cost(terms(self._tenant).prices)

    def _known(self, month: str) -> tuple[int, int]:
        held = _spent.get(self._tenant.id)
        if held and held[0] > time.monotonic() and held[1] == month:
            return held[2]
        found = UsageStore(TenantTable(self._tenant)).spent(month)
        with _lock:
            if len(_spent) >= _MOST:
                _spent.clear()
            _spent[self._tenant.id] = (time.monotonic() + _ASKED_S, month, found)
        return found


def overview(tenant: Tenant) -> list[dict[str, Any]]:
    """Every quota: `{name, limit, used, unit, resets_at}`; `resets_at` (ms) is None for what is not of a period."""
    store, now = UsageStore(TenantTable(tenant)), now_ms()
    held = store.terms().quotas
    day, month = _periods(now)
    runs, (tokens, nano), (size, files) = store.runs(), store.spent(month), store.files()
    today, later = resets(now, "day"), resets(now, "month")
    rows: list[tuple[str, float, float | None, str, int | None]] = [
        ("concurrent_runs", held.concurrent_runs, len(runs.get("open", ())), "runs", None),
        ("runs_per_day", held.runs_per_day, runs.get(f"day|{day}", 0), "runs", today),
        ("runs_per_month", held.runs_per_month, runs.get(f"month|{month}", 0), "runs", later),
        ("tokens_per_month", held.tokens_per_month, tokens, "tokens", later),
        ("money_usd_per_month", held.money_usd_per_month, nano / NANO, "usd", later),
        ("storage_bytes", held.storage_bytes, size, "bytes", None),
        ("files", held.files, files, "files", None),
        ("requests_per_second", held.requests_per_second, None, "requests", None),
    ]
    names = ("name", "limit", "used", "unit", "resets_at")
    return [dict(zip(names, row, strict=True)) for row in rows]
