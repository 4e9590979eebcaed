"""What other parts of the product count by: `count` and `days`."""

from __future__ import annotations

from collections import Counter
from typing import Final

from shared.analytics.store import Amounts, Counted, CounterStore, Mark
from shared.clock import iso
from shared.ids import digest
from shared.store.table import TenantTable
from shared.tenancy import Tenant

TENANT: Final = "TENANT"  # the subject that is the tenant as a whole


def day_of(ms: int) -> str:
    """The day (UTC) of a moment in milliseconds since the epoch: `2026-01-31`."""
    return iso(ms)[:10]


def workflow(workflow_id: str) -> str:
    """The subject that is a workflow."""
    return f"WF#{workflow_id}"


def count(tenant: Tenant, subject: str, day: str, amounts: Amounts, *, mark: str) -> bool:
    """Add these numbers (name → how much, may be negative) to a subject's counters of a day.

    `subject` names what is counted, such as `GUIDED#<template id>`: up to 200 characters, a kind in front. `day` is
    `day_of(…)`. `mark` tells what is counted here apart from everything else that ever is, such as
    `guided <instance id> completed`: for three days whoever comes with it again changes nothing, and gets False.
    Raises Unavailable: nothing was counted, and it may be tried again.
    """
    try:
        CounterStore(TenantTable(tenant)).add({(subject, day): amounts}, [Mark(digest("count", mark))])
    except Counted:
        return False
    return True


def days(tenant: Tenant, subject: str, first: str, last: str) -> dict[str, Counter[str]]:
    """A subject's counters by day, both days included. Days are kept for 400 days."""
    return CounterStore(TenantTable(tenant)).days(subject, first, last)
