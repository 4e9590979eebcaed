"""How often somebody may ask: requests of a tenant, what it writes into its cache, and public calls of an address.

A fixed window with a counter in the table. Each process reserves a small chunk of the window's budget at a time, so a
request usually costs no write; what is reserved and not used is lost with the window, at most 1 % a process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from shared.clock import now_ms
from shared.errors import RateLimited
from shared.ids import digest
from shared.settings import settings
from shared.store.keys import rate_of_address
from shared.store.table import Change, Directory, TenantTable
from shared.tenancy import Tenant
from shared.usage import service as usage

CACHE_KB_AN_HOUR: Final = 10_000_000  # ten gigabytes of cached values that a tenant may write in an hour
_CACHE_CHUNK_KB: Final = 1_000  # a small part of that: many processes may each write a little
SHARED_LINKS_PER_HOUR: Final = 600  # that one address may open
_WINDOW_S: Final = 10
_HOUR_S: Final = 3600
_SPENT: Final = -1
_MAX_HELD: Final = 10_000

_lock = threading.Lock()
_held: dict[str, tuple[int, int]] = {}  # slot → (window, reserved and not used)


def count_request(tenant: Tenant) -> None:
    """Count one request. Raises RateLimited when the tenant has used up the current ten seconds."""
    table = TenantTable(tenant)

    def add(window: int, amount: int) -> int:
        change = Change(set={"ttl": (window + 2) * _WINDOW_S}, add={"count": amount})
        return int(table.update(table.keys.rate(window), change)["count"])

    rate = rate_of(tenant)
    _take(tenant.id, rate * _WINDOW_S, _WINDOW_S, add, f"over {rate} requests a second; wait and try again")


def count_cache_write(tenant: Tenant, size: int) -> None:
    """Count a value of so many bytes that goes into the cache. Raises RateLimited `quota_exceeded`."""
    table = TenantTable(tenant)

    def add(window: int, amount: int) -> int:
        change = Change(set={"ttl": (window + 2) * _HOUR_S}, add={"count": amount})
        return int(table.update(table.keys.cache_writes(window), change)["count"])

    detail = f"over {CACHE_KB_AN_HOUR:,} KB written into the cache within an hour"
    try:
        _take(f"cache {tenant.id}", CACHE_KB_AN_HOUR, _HOUR_S, add, detail, -(-size // 1000), _CACHE_CHUNK_KB)
    except RateLimited as limited:
        raise RateLimited(detail, retry_after=limited.retry_after, code="quota_exceeded") from None


def count_sign_up(address: str) -> None:
    """Count one sign-up from an IP address, of which only a digest is kept. Raises RateLimited."""
    _count_address("sign-up", address, settings().signups_per_hour, 20)


def count_log_in(address: str) -> None:
    """Count one log-in from an IP address, of which only a digest is kept. Raises RateLimited."""
    _count_address("log-in", address, settings().logins_per_hour, 300)


def count_shared_link(address: str) -> None:
    """Count one reading of a shared link from an IP address, of which only a digest is kept. Raises RateLimited."""
    _count_address("shared link", address, "", SHARED_LINKS_PER_HOUR)


def count_link(address: str) -> None:
    """Count one call of a link that works without an account, likewise. Raises RateLimited."""
    _count_address("link", address, "", 1_000)


def _count_address(what: str, address: str, setting: str, default: int) -> None:
    directory, mark = Directory(), digest("address", what, address)

    def add(window: int, amount: int) -> int:
        change = Change(set={"ttl": (window + 2) * _HOUR_S}, add={"count": amount})
        return int(directory.update(rate_of_address(mark, window), change)["count"])

    _take(mark, int(setting or default), _HOUR_S, add, f"too many requests for a {what} from here; try again later")


def rate_of(tenant: Tenant) -> int:
    """The requests a second that a tenant may make, as it was at most half a minute ago."""
    return usage.terms(tenant).quotas.requests_per_second


def _take(
    slot: str,
    budget: int,
    window_s: int,
    add: Callable[[int, int], int],
    detail: str,
    amount: int = 1,
    reserve: int | None = None,
) -> None:
    now = now_ms() // 1000
    window = now // window_s
    retry_after = (window + 1) * window_s - now
    with _lock:
        at, left = _held.get(slot, (window, 0))
        if at == window and left >= amount:
            _held[slot] = (window, left - amount)
            return
    if at == window and left == _SPENT:
        raise RateLimited(detail, retry_after=retry_after)
    chunk = max(amount, budget // 100 if reserve is None else reserve)
    granted = chunk - max(0, add(window, chunk) - budget)
    with _lock:
        if len(_held) >= _MAX_HELD:
            _held.clear()
        at, left = _held.get(slot, (window, 0))
        others = left if at == window and left > 0 else 0  # another thread has reserved meanwhile
        _held[slot] = (window, others + granted - amount if granted >= amount else others or _SPENT)
    if granted < amount:
        raise RateLimited(detail, retry_after=retry_after)


def forget() -> None:
    """Drop what this process has reserved and remembers. For tests."""
    with _lock:
        _held.clear()
