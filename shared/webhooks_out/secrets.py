"""The secrets that webhooks are signed with: encrypted at rest, shown once."""

from __future__ import annotations

import base64
import secrets
from typing import Final

from shared.aws import kms
from shared.tenancy import Tenant
from shared.webhooks_out.model import WebhookSubscription

_BYTES: Final = 32


def new_secret() -> str:
    """`whsec_` and 256 random bits in base64, as Standard Webhooks has it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def seal(tenant: Tenant, subscription_id: str, secret: str) -> bytes:
    """The secret as it is stored."""
    return kms.encrypt(tenant, secret.encode(), webhook_subscription=subscription_id)


def signing(tenant: Tenant, subscription: WebhookSubscription, now_ms: int) -> list[str]:
    """The secrets to sign with now: the current one, and the one before it while its grace lasts."""
    previous = subscription.previous if now_ms < subscription.previous_until else None
    sealed = [s for s in (subscription.secret, previous) if s is not None]
    return [kms.decrypt(tenant, s, webhook_subscription=subscription.id).decode() for s in sealed]
