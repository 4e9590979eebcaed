"""What other parts of the product count by."""

from __future__ import annotations

from collections import Counter
from typing import Final

from shared.analytics.store import CounterStore
from shared.clock import iso
from shared.store.table import TenantTable
from shared.tenancy import Tenant

TENANT: Final = "TENANT"  # the subject that is the tenant as a whole


def day_of(ms: int) -> str:
    """The day (UTC) of a moment in milliseconds since the epoch: `2026-01-31`."""
    return iso(ms)[:10]


def workflow(workflow_id: str) -> str:
    """The subject that is a workflow."""
    return f"WF#{workflow_id}"


def days(tenant: Tenant, subject: str, first: str, last: str) -> dict[str, Counter[str]]:
    """A subject's counters by day, both days included. Days are kept for 400 days."""
    return CounterStore(TenantTable(tenant)).days(subject, first, last)
