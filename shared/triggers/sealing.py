"""The secrets of webhooks: encrypted at rest, in the clear only while a request is judged."""

from __future__ import annotations

import secrets
from typing import Final

from shared.aws import kms
from shared.tenancy import Tenant
from shared.triggers.model import Webhook

_MAX_OPEN: Final = 1_000
_open: dict[bytes, bytes] = {}  # ciphertext → secret: a secret never changes under its ciphertext


def new_secret() -> str:
    """`whsec_` and 256 random bits."""
    return "whsec_" + secrets.token_urlsafe(32)


def seal(tenant: Tenant, webhook_id: str, secret: str) -> bytes:
    """The secret as it is stored."""
    return kms.encrypt(tenant, secret.encode(), webhook=webhook_id)


def good_secrets(tenant: Tenant, webhook: Webhook, now_ms: int) -> list[bytes]:
    """The secrets that are good now: the current one, and the one before it while its grace lasts."""
    sealed = [webhook.secret, webhook.previous if now_ms < webhook.previous_until else None]
    return [_opened(tenant, webhook.id, s) for s in sealed if s is not None]


def _opened(tenant: Tenant, webhook_id: str, sealed: bytes) -> bytes:
    held = _open.get(sealed)
    if held is None:
        held = kms.decrypt(tenant, sealed, webhook=webhook_id)
        if len(_open) >= _MAX_OPEN:
            _open.clear()
        _open[sealed] = held
    return held
