import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.aws import jwks
from shared.errors import Unauthorized, Unavailable
from tests.jwks_server import claims_of, private_key, signed


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_token_of_ours_gives_its_claims(aws, key_server, token_use):
    claims = claims_of(aws, "subject-1", token_use)
    assert jwks.verify(signed(claims)) == claims


def _without(claims, name):
    return {k: v for k, v in claims.items() if k != name}


def _public_pem() -> bytes:
    return private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _keyed_with_the_public_key(claims, algorithm_said: str) -> str:
    text = f"{_part({'alg': algorithm_said, 'typ': 'JWT', 'kid': 'first'})}.{_part(claims)}"
    mac = hmac.new(_public_pem(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _tampered(claims) -> str:
    head, _, signature = signed(claims).split(".")
    return f"{head}.{_part({**claims, 'sub': 'somebody else'})}.{signature}"


BAD = {
    "expired": lambda c: signed({**c, "exp": int(time.time()) - 60}),
    "not yet valid": lambda c: signed({**c, "nbf": int(time.time()) + 600}),
    "issued in the future": lambda c: signed({**c, "iat": int(time.time()) + 600}),
    "wrong issuer": lambda c: signed({**c, "iss": c["iss"] + "x"}),
    "another pool": lambda c: signed({**c, "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_other"}),
    "wrong client": lambda c: signed({**c, "client_id": "other"}),
    "id token of another client": lambda c: signed({**_without(c, "client_id"), "token_use": "id", "aud": "other"}),
    "access token with only aud": lambda c: signed({**_without(c, "client_id"), "aud": c["client_id"]}),
    "id token with only client_id": lambda c: signed({**c, "token_use": "id"}),
    "refresh token": lambda c: signed({**c, "token_use": "refresh"}),
    "odd token_use": lambda c: signed({**c, "token_use": ["access"]}),
    "no exp": lambda c: signed(_without(c, "exp")),
    "no sub": lambda c: signed(_without(c, "sub")),
    "no iss": lambda c: signed(_without(c, "iss")),
    "no token_use": lambda c: signed(_without(c, "token_use")),
    "another key under our id": lambda c: signed(c, "second", key_id="first"),
    "unknown key id": lambda c: signed(c, "second"),
    "no key id": lambda c: jwt.encode(c, private_key("first"), "RS256"),
    "alg none": lambda c: jwt.encode(c, None, "none", headers={"kid": "first"}),
    "alg none, spelled oddly": lambda c: f"{_part({'alg': 'nOnE', 'kid': 'first'})}.{_part(c)}.",
    "HS256 with the public key": lambda c: _keyed_with_the_public_key(c, "HS256"),
    "HS256 said to be RS256": lambda c: _keyed_with_the_public_key(c, "RS256"),
    "PS256": lambda c: jwt.encode(c, private_key("first"), "PS256", headers={"kid": "first"}),
    "tampered": _tampered,
    "no signature": lambda c: signed(c).rsplit(".", 1)[0] + ".",
    "nothing": lambda _: "",
    "not a token": lambda _: "abc",
    "dots": lambda _: "..",
    "not text": lambda _: "a.b.c\x00",
    "claims are a list": lambda _: jwt.api_jws.encode(b"[]", private_key("first"), "RS256", headers={"kid": "first"}),
    "not ASCII": lambda _: "ü.ü.ü",
}


@pytest.mark.parametrize("bad", BAD)
def test_anything_else_is_refused(aws, key_server, bad):
    with pytest.raises(Unauthorized):
        jwks.verify(BAD[bad](claims_of(aws, "subject-1")))


def test_keys_are_fetched_once_and_again_for_an_unknown_one_but_not_within_a_minute(aws, key_server, monkeypatch):
    good = signed(claims_of(aws, "s"))
    for _ in range(3):
        jwks.verify(good)
    assert key_server.requests == 1
    key_server.names = ["first", "second"]
    rotated = signed(claims_of(aws, "s"), "second")
    for _ in range(3):
        with pytest.raises(Unauthorized):
            jwks.verify(rotated)
    assert key_server.requests == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert jwks.verify(rotated)["sub"] == "s"
    assert key_server.requests == 2


def test_keys_that_cannot_be_had_are_not_the_callers_fault(aws, key_server):
    key_server.status = 500
    with pytest.raises(Unavailable):
        jwks.verify(signed(claims_of(aws, "s")))
    key_server.status = 200
    assert jwks.verify(signed(claims_of(aws, "s")))


def test_a_deployment_without_a_pool_takes_no_tokens(aws, key_server, monkeypatch):
    monkeypatch.delenv("SW_USER_POOL_ID")
    jwks.settings.cache_clear()
    with pytest.raises(Unauthorized, match="API key"):
        jwks.verify(signed(claims_of(aws, "s")))
