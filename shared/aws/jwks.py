"""Tokens of the user pool, verified against its published keys (JWKS). PyJWT is imported when the first token comes."""

from __future__ import annotations

import json
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from shared.aws.clients import client
from shared.errors import Unauthorized, Unavailable
from shared.settings import settings

if TYPE_CHECKING:
    from jwt import PyJWK

_REFETCH_S: Final = 60.0  # at most once a minute: a token with an invented key id must not make us fetch
_TIMEOUT_S: Final = 3.0
_LEEWAY_S: Final = 5
_REQUIRED: Final = ["exp", "iat", "iss", "sub", "token_use"]


class Jwks:
    """The keys at one address, fetched when first needed and again when a token names a key not among them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._keys: dict[str, PyJWK] = {}
        self._fetched = -_REFETCH_S
        self._lock = threading.Lock()

    def key(self, key_id: str) -> PyJWK | None:
        """The key of this id, or None. Raises Unavailable if the keys cannot be read."""
        found = self._keys.get(key_id)
        if found is not None:
            return found
        with self._lock:
            if time.monotonic() - self._fetched >= _REFETCH_S:
                self._keys = self._fetch()
                self._fetched = time.monotonic()
        return self._keys.get(key_id)

    def _fetch(self) -> dict[str, PyJWK]:
        import urllib3
        from jwt import PyJWKSet
        from jwt.exceptions import PyJWTError

        try:
            answer = urllib3.request("GET", self._address, timeout=_TIMEOUT_S, retries=1)
            if answer.status != 200:
                raise Unavailable("the sign-in service does not give its keys; try again")
            keys = PyJWKSet.from_dict(json.loads(answer.data)).keys
        except (urllib3.exceptions.HTTPError, PyJWTError, ValueError) as error:
            raise Unavailable("the sign-in service does not give its keys; try again") from error
        return {key.key_id: key for key in keys if key.key_id}


@cache
def _pool_keys(address: str) -> Jwks:
    return Jwks(address)


def forget() -> None:
    """Drop the keys held. For tests."""
    _pool_keys.cache_clear()


def verify(token: str) -> dict[str, Any]:
    """The claims of an access or id token of our user pool and client. Raises Unauthorized.

    RS256 only, whatever the token's header says: neither `none` nor an HMAC keyed with the public key passes.
    """
    import jwt

    pool, client_id = settings().user_pool_id, settings().user_pool_client_id
    if not pool or not client_id:
        raise Unauthorized("this deployment has no user pool; use an API key")
    address = settings().jwks_url or f"{client('cognito-idp').meta.endpoint_url}/{pool}/.well-known/jwks.json"
    try:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        if header.get("alg") != "RS256" or not isinstance(key_id, str):
            raise Unauthorized("the token is not one of ours")
        key = _pool_keys(address).key(key_id)
        if key is None:
            raise Unauthorized("the token is not one of ours")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=f"https://cognito-idp.{pool.split('_')[0]}.amazonaws.com/{pool}",
            leeway=_LEEWAY_S,
            options={"require": _REQUIRED, "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthorized("the token has expired", code="token_expired") from None
    except (jwt.PyJWTError, ValueError):
        raise Unauthorized("the token is not valid") from None
    # An id token names the client as `aud`, an access token as `client_id`.
    named = {"id": claims.get("aud"), "access": claims.get("client_id")}.get(str(claims["token_use"]))
    if named != client_id:
        raise Unauthorized("the token was issued for something else")
    return claims
