"""How a credential goes with the requests to an MCP server."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.credentials.signing import HTTP_KINDS, OAUTH2, Signature, Unsendable, of_token, signature
from shared.errors import AppError, NotFound
from shared.mcp.reach import Reach
from shared.nodes.base import NodeError

_SHORTEST: Final = 4  # characters: what is shorter stands in too many messages by chance


async def auth_of(reach: Reach, name: str | None, stale: str | None = None) -> tuple[Signature, tuple[str, ...]]:
    """What the credential of that name adds to a request, and the texts of it that no message may hold.

    `stale`: an OAuth2 token that a server has refused. Raises NodeError CredentialNotFound, WrongCredential,
    AuthenticationFailed (no token is to be had), Unavailable.
    """
    if not name:
        return Signature(), ()
    try:
        found = await asyncio.to_thread(lambda: reach.credentials.open(name))
        if found.kind not in HTTP_KINDS:
            message = f"the credential {name} is of the kind {found.kind}; a server takes {' or '.join(HTTP_KINDS)}"
            raise NodeError("WrongCredential", message, retryable=False)
        if found.kind in OAUTH2:
            signed = of_token(await reach.credentials.access_token(name, stale))
        else:
            signed = signature(found.kind, found.values)
    except NotFound:
        raise NodeError("CredentialNotFound", f"there is no credential {name}", retryable=False) from None
    except Unsendable as error:
        raise NodeError("WrongCredential", f"{name}: {error}", retryable=False) from None
    except AppError as error:
        if error.status < 500:  # the token server refuses
            raise NodeError("AuthenticationFailed", error.detail, retryable=False) from None
        raise NodeError("Unavailable", error.detail) from None
    texts = [*found.values.values(), *signed.headers.values(), *signed.query.values(), signed.token]
    texts += [t.split(" ", 1)[1] for t in signed.headers.values() if " " in t]
    return signed, tuple(t for t in texts if isinstance(t, str) and len(t) >= _SHORTEST)
