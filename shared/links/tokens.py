"""The secrets of links that work without an account: random, shown once, kept as hashes.

Random rather than signed: a link has a record anyhow, which says whether it was used or revoked, so a signature would
add a key to keep and nothing else. It is found as an API key is: the token names its tenant, and the record is read
with the function's own role until the hash is compared.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from shared import tenancy
from shared.settings import settings
from shared.store.keys import Key, TenantKeys
from shared.store.table import Directory, Item
from shared.tenancy import Tenant

_SECRET_BYTES: Final = 24
_SHAPE: Final = re.compile(r"[a-z]{2,4}_t[0-9A-Z]{26}_[0-9A-Z]{26}_[0-9a-f]{48}")


def minted(tenant: Tenant, thing_id: str) -> tuple[str, str]:
    """A new token `<prefix>_<tenant>_<id>_<secret>` for a thing, which is to be shown once, and its hash."""
    prefix, _, own = thing_id.partition("_")
    text = f"{prefix}_{tenant.id}_{own}_{secrets.token_hex(_SECRET_BYTES)}"
    return text, hash_of(text)


def hash_of(token: str) -> str:
    """What is stored of a token. Its secret has 192 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def found(token: str, prefix: str, partition: str) -> tuple[Tenant, Item] | None:
    """The tenant and the record of the thing that a token opens, or None. `partition` is a method of `TenantKeys`."""
    parts = tenancy.from_link(token, prefix) if _SHAPE.fullmatch(token) else None
    if parts is None:
        return None
    claimed, thing_id, _ = parts
    # Read with the function's own role: the data role is not to be assumed for a tenant that is only claimed.
    pk: str = getattr(TenantKeys(claimed), partition)()
    item = Directory().get(Key(pk, thing_id))
    if item is None or not matches(token, item.get("hashes", ())):
        return None
    return claimed, item


def matches(token: str, hashes: Sequence[str]) -> bool:
    """Whether a token is one of these."""
    mark = hash_of(token)
    return any(hmac.compare_digest(mark, h) for h in hashes)


def url(noun: str, token: str) -> str:
    """Where a link leads."""
    return f"{settings().api_url}/api/v1/{noun}/{token}"
