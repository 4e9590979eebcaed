"""How a node names and opens one of the tenant's credentials."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from shared.credentials.signing import HTTP_KINDS, OAUTH2, Signature, Unsendable, of_token, signature
from shared.errors import AppError, NotFound
from shared.nodes.base import Call, NodeError
from shared.nodes.world import Credential

CREDENTIAL_ERRORS: Final = ("CredentialNotFound", "WrongCredential", "Unavailable")
HTTP_CREDENTIAL_ERRORS: Final = (*CREDENTIAL_ERRORS, "TokenRefused")
_NAME: Final = "^[a-z][a-z0-9_]{0,63}$"


def credential_field(*kinds: str, description: str = "One of the tenant's credentials, by name.") -> dict[str, Any]:
    """The config field that names a credential of one of these kinds."""
    return {
        "type": "string",
        "pattern": _NAME,
        "x-credential": list(kinds),
        "title": "Credential",
        "description": f"{description} Kinds: {', '.join(kinds)}.",
    }


async def credential(call: Call, *kinds: str) -> Credential | None:
    """The credential that `config.credential` names, or None where it names none.

    Raises NodeError CredentialNotFound, WrongCredential (not one of `kinds`), Unavailable.
    """
    name = call.config.get("credential")
    if not name:
        return None
    try:
        found = await asyncio.to_thread(lambda: call.world.credentials.open(name))
    except NotFound:
        raise NodeError("CredentialNotFound", f"there is no credential {name}", retryable=False) from None
    except AppError as error:
        raise NodeError("Unavailable", error.detail) from None
    if found.kind not in kinds:
        message = f"the credential {name} is of the kind {found.kind}; this node takes {' or '.join(kinds)}"
        raise NodeError("WrongCredential", message, retryable=False)
    return found


async def http_signature(call: Call, stale: str | None = None) -> Signature:
    """What the credential of `config.credential`, one of `HTTP_KINDS`, adds to a request; nothing where there is none.

    An OAuth2 token that the other side has refused (`Signature.token`) is given as `stale`, and another one comes.
    Raises NodeError with one of `HTTP_CREDENTIAL_ERRORS`.
    """
    found = await credential(call, *HTTP_KINDS)
    if found is None:
        return Signature()
    try:
        if found.kind not in OAUTH2:
            return signature(found.kind, found.values)
        return of_token(await call.world.credentials.access_token(found.name, stale))
    except Unsendable as error:
        raise NodeError("WrongCredential", str(error), retryable=False) from None
    except NotFound:
        raise NodeError("CredentialNotFound", f"there is no credential {found.name}", retryable=False) from None
    except AppError as error:
        if error.code == "token_refused":
            raise NodeError("TokenRefused", error.detail, retryable=False) from None
        raise NodeError("Unavailable", error.detail) from None
