"""Plans in S3, and in the memory of whoever reads them: a plan never changes, so a copy never goes stale."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Final

from shared.aws.s3 import TenantObjects
from shared.settings import settings
from shared.tenancy import Tenant
from stepfunctions.plan import Plan, exact

_KEPT: Final = 64
_cache: OrderedDict[tuple[str, str], Plan] = OrderedDict()


def _objects(tenant: Tenant) -> TenantObjects:
    return TenantObjects(tenant, settings().data_bucket, "plans")


def store(tenant: Tenant, plan: Plan) -> None:
    """Write a plan under its digest."""
    _objects(tenant).put(f"{plan.digest}.json", exact(plan.as_dict()))


def load(tenant: Tenant, digest: str) -> Plan:
    """The plan of that digest. Raises LookupError."""
    held = _cache.get((tenant.id, digest))
    if held is None:
        body = _objects(tenant).get(f"{digest}.json")
        if body is None:
            raise LookupError("the plan is gone")
        held = Plan.from_dict(json.loads(body))
        vars(held)["digest"] = digest  # its name, also of one that was written when keys were sorted
    _cache[tenant.id, digest] = held
    _cache.move_to_end((tenant.id, digest))
    while len(_cache) > _KEPT:
        _cache.popitem(last=False)
    return held
