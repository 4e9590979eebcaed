"""A credential as it is stored: what it holds is encrypted, and everything else may be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

NAME: Final = "^[a-z][a-z0-9_]{0,63}$"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted values: a data key that only KMS can open, and what it encrypts."""

    data_key: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that was fetched with a credential, encrypted by its data key. `expires_at` in ms."""

    body: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is fetching a token, and until when (ms) nobody else may."""

    holder: str
    until: int


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """A credential. `fields` are those that are set; times are ms; `version` counts what people changed.

    `tested_at` and `test_error` tell of the last test of these values (None: never tested; no error: it went well).
    """

    name: str
    kind: str
    description: str
    fields: tuple[str, ...]
    created_at: int
    updated_at: int
    rotated_at: int
    sealed: Sealed = field(repr=False)
    version: int = 1
    tested_at: int | None = None
    test_error: str | None = None
    token: Token | None = field(default=None, repr=False)
    lease: Lease | None = field(default=None, repr=False)
