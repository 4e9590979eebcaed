"""Telling those who look after a tenant what the platform has noticed."""

from __future__ import annotations

from shared.members.meant import everyone
from shared.members.store import MemberStore
from shared.notifications.service import MOST, tell
from shared.store.table import TenantTable
from shared.tenancy import Tenant


def tell_admins(tenant: Tenant, title: str, message: str, *, key: str, execution_id: str = "") -> None:
    """Tell a tenant's admins and owners something; the same `key` tells nobody twice within a day.

    Raises Unavailable.
    """
    found = [m.id for m in everyone(MemberStore(TenantTable(tenant))) if m.role in ("admin", "owner")]
    if found:
        tell(tenant, found[:MOST], title, message, key=key, execution_id=execution_id)
