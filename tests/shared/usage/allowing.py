"""Setting what a tenant may use, as an operator does."""

from __future__ import annotations

from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage import service
from shared.usage.model import with_price, with_quota
from shared.usage.store import UsageStore


def allow(tenant: Tenant, *, prices: dict[str, str] | None = None, **quotas: float) -> None:
    """Set quotas by name, and prices (`input,output`) by model; this process knows them at once."""
    store = UsageStore(TenantTable(tenant))
    terms = store.terms()
    for name, value in quotas.items():
        terms = with_quota(terms, name, str(value))
    for model, price in (prices or {}).items():
        terms = with_price(terms, model, price)
    store.set_terms(terms)
    service.forget()
