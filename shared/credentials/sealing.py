"""Envelope encryption: a data key of KMS for each credential and set of values, AES-256-GCM by it.

KMS authenticates the tenant and the credential's name (the encryption context), and AES-GCM the tenant, the name, the
kind and what the text is for. So nothing that is stored can be opened in another's place.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.aws import kms
from shared.credentials.model import CredentialRecord, Sealed, Token
from shared.errors import Unavailable
from shared.tenancy import Tenant

_NONCE_BYTES: Final = 12
_KEY_SECONDS: Final = 300.0
_MAX_KEYS: Final = 1_000
_VALUES: Final = "values"
_TOKEN: Final = "token"

_lock = threading.Lock()
_keys: dict[tuple[str, str, bytes], tuple[float, bytes]] = {}  # open data keys, for a short while


class Damaged(Unavailable):
    """503: what is stored cannot be opened: it was changed, or made for another tenant, name, kind or purpose."""

    code = "credential_damaged"


def sealed_values(tenant: Tenant, name: str, kind: str, values: Mapping[str, Any]) -> Sealed:
    """Values under a new data key. Raises Unavailable."""
    key, wrapped = kms.data_key(tenant, credential=name)
    _remember((tenant.id, name, wrapped), key)
    return Sealed(wrapped, _encrypted(key, json.dumps(dict(values)).encode(), _bound(tenant, name, kind, _VALUES)))


def resealed(tenant: Tenant, record: CredentialRecord, values: Mapping[str, Any]) -> Sealed:
    """Values under the data key that the record has, for which its token is good still. Raises Unavailable."""
    wrapped = record.sealed.data_key
    key = _key(tenant, record.name, wrapped)
    bound = _bound(tenant, record.name, record.kind, _VALUES)
    return Sealed(wrapped, _encrypted(key, json.dumps(dict(values)).encode(), bound))


def values_of(tenant: Tenant, record: CredentialRecord) -> dict[str, Any]:
    """A record's values as they were given. Raises Unavailable."""
    values: dict[str, Any] = json.loads(_opened(tenant, record, _VALUES, record.sealed.body))
    return values


def sealed_token(tenant: Tenant, record: CredentialRecord, token: str, expires_at: int) -> Token:
    """An access token under the record's data key. Raises Unavailable."""
    key = _key(tenant, record.name, record.sealed.data_key)
    return Token(_encrypted(key, token.encode(), _bound(tenant, record.name, record.kind, _TOKEN)), expires_at)


def token_of(tenant: Tenant, record: CredentialRecord) -> str | None:
    """The access token that the record holds, if any. Raises Unavailable."""
    return _opened(tenant, record, _TOKEN, record.token.body).decode() if record.token else None


def _opened(tenant: Tenant, record: CredentialRecord, purpose: str, body: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _key(tenant, record.name, record.sealed.data_key)
    bound = _bound(tenant, record.name, record.kind, purpose)
    try:
        return AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise Damaged(f"the {purpose} of the credential {record.name} cannot be opened") from None


def _encrypted(key: bytes, plaintext: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # takes long to import; most calls open nothing

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound)


def _bound(tenant: Tenant, name: str, kind: str, purpose: str) -> bytes:
    return json.dumps([tenant.id, name, kind, purpose]).encode()


def _key(tenant: Tenant, name: str, data_key: bytes) -> bytes:
    slot = (tenant.id, name, data_key)
    held = _keys.get(slot)
    if held and held[0] > time.monotonic():
        return held[1]
    try:
        key = kms.decrypt(tenant, data_key, credential=name)
    except kms.Undecryptable:
        raise Damaged(f"the data key of the credential {name} cannot be opened") from None
    _remember(slot, key)
    return key


def _remember(slot: tuple[str, str, bytes], key: bytes) -> None:
    now = time.monotonic()
    with _lock:
        for old in [s for s, (until, _) in _keys.items() if until <= now]:
            del _keys[old]
        if len(_keys) >= _MAX_KEYS:
            _keys.clear()
        _keys[slot] = (now + _KEY_SECONDS, key)


def forget() -> None:
    """Drop every open data key. For tests."""
    with _lock:
        _keys.clear()
