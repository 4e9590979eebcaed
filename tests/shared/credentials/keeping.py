"""Credentials for tests, and all that is stored, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aws.clients import client
from shared.clock import now_ms
from shared.credentials import sealing
from shared.credentials.model import CredentialRecord
from shared.credentials.store import CredentialStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant


def keep(tenant: Tenant, name: str, kind: str, values: Mapping[str, Any]) -> CredentialStore:
    """A credential of the tenant's; gives its store."""
    store, now = CredentialStore(TenantTable(tenant)), now_ms()
    sealed = sealing.sealed_values(tenant, name, kind, values)
    store.create(CredentialRecord(name, kind, "", tuple(sorted(values)), now, now, now, sealed))
    return store


def everything_stored() -> str:
    """Every item and every object there is, as text."""
    items = [
        i for p in client("dynamodb").get_paginator("scan").paginate(TableName=settings().table) for i in p["Items"]
    ]
    found = [repr(items)]
    for bucket in client("s3").list_buckets()["Buckets"]:
        for entry in client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            body = client("s3").get_object(Bucket=bucket["Name"], Key=entry["Key"])["Body"].read()
            found.append(f"{entry['Key']} {body!r}")
    return "\n".join(found)
