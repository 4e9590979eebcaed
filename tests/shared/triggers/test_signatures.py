import base64
import hashlib
import hmac

import pytest

from shared.triggers import signatures
from shared.triggers.signatures import Proof

HOOK = "wh_abc"
SECRET = b"whsec_a-good-secret"
OTHER = b"whsec_another-secret"
NOW = 1_800_000_000
BODY = b'{"n": 1, "raw": "\xff\x00"}'


def signed(*parts: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, b"".join(parts), hashlib.sha256).hexdigest()


def basic(user: str, password: bytes) -> str:
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


def stripe(at: int, *signatures_: str) -> dict[str, str]:
    return {"stripe-signature": ",".join([f"t={at}", *(f"v1={s}" for s in signatures_)])}


def slack(at: int | str, signature: str) -> dict[str, str]:
    return {"x-slack-request-timestamp": str(at), "x-slack-signature": f"v0={signature}"}


GITHUB = {"auth": "hmac", "preset": "github"}
STRIPE = {"auth": "hmac", "preset": "stripe"}
SLACK = {"auth": "hmac", "preset": "slack"}
GENERIC = {"auth": "hmac"}
PREFIXED = {"auth": "hmac", "header": "X-My-Sig", "prefix": "v9="}
BEARER = {"auth": "bearer"}
BASIC = {"auth": "basic"}
ARABIC_ONE = "\u0661"


def at(moment: int | str) -> bytes:
    return str(moment).encode()


GOOD = [
    ({}, {}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + signed(BODY)}),
    (STRIPE, stripe(NOW, signed(at(NOW), b".", BODY))),
    (STRIPE, stripe(NOW - 300, signed(at(NOW - 300), b".", BODY))),
    (STRIPE, stripe(NOW, "0" * 64, signed(at(NOW), b".", BODY))),
    (STRIPE, {"stripe-signature": f"t={NOW}, v1={signed(at(NOW), b'.', BODY)}, v0=old"}),
    (SLACK, slack(NOW, signed(b"v0:", at(NOW), b":", BODY))),
    (SLACK | {"tolerance_seconds": 10}, slack(NOW - 10, signed(b"v0:", at(NOW - 10), b":", BODY))),
    (GENERIC, {"x-signature": signed(BODY)}),
    (GENERIC, {"x-signature": signed(BODY).upper()}),
    (PREFIXED, {"x-my-sig": "v9=" + signed(BODY)}),
    (BEARER, {"authorization": "Bearer " + SECRET.decode()}),
    (BEARER, {"authorization": "bearer  " + SECRET.decode() + " "}),
    (BASIC, {"authorization": basic(HOOK, SECRET)}),
]

BAD = [
    (GITHUB, {}),
    (GITHUB, {"x-hub-signature-256": signed(BODY)}),
    (GITHUB, {"x-hub-signature-256": "sha256="}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + signed(BODY)[:-1]}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + signed(BODY) + "0"}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + signed(BODY, secret=OTHER)}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + signed(BODY, b" ")}),
    (GITHUB, {"x-hub-signature-256": "sha256=\N{LATIN SMALL LETTER E WITH ACUTE}" + "0" * 63}),
    (GITHUB, {"x-hub-signature": "sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()}),
    (GITHUB, {"x-signature": signed(BODY)}),
    (GITHUB, {"x-hub-signature-256": "sha256=" + hashlib.sha256(BODY).hexdigest()}),
    (STRIPE, {}),
    (STRIPE, {"stripe-signature": ""}),
    (STRIPE, {"stripe-signature": f"t={NOW}"}),
    (STRIPE, {"stripe-signature": f"v1={signed(b'.', BODY)}"}),
    (STRIPE, {"stripe-signature": f"t=,v1={signed(b'.', BODY)}"}),
    (STRIPE, {"stripe-signature": f"t=now,v1={signed(b'now.', BODY)}"}),
    (STRIPE, {"stripe-signature": f"t=-1,v1={signed(b'-1.', BODY)}"}),
    (STRIPE, {"stripe-signature": f"t={ARABIC_ONE},v1={signed(ARABIC_ONE.encode(), b'.', BODY)}"}),
    (STRIPE, {"stripe-signature": f"t={'9' * 5000},v1={signed(b'9' * 5000, b'.', BODY)}"}),
    (STRIPE, stripe(NOW, signed(BODY))),
    (STRIPE, stripe(NOW - 301, signed(at(NOW - 301), b".", BODY))),
    (STRIPE, stripe(NOW + 301, signed(at(NOW + 301), b".", BODY))),
    (STRIPE, stripe(NOW, signed(at(NOW - 1), b".", BODY))),
    (STRIPE, stripe(NOW, signed(at(NOW), b".", BODY, secret=OTHER))),
    (SLACK, {"x-slack-signature": "v0=" + signed(b"v0::", BODY)}),
    (SLACK, {"x-slack-request-timestamp": str(NOW)}),
    (SLACK, slack(NOW - 301, signed(b"v0:", at(NOW - 301), b":", BODY))),
    (SLACK, slack(NOW, signed(at(NOW), b".", BODY))),
    (SLACK, slack("soon", signed(b"v0:soon:", BODY))),
    (SLACK | {"tolerance_seconds": 10}, slack(NOW - 11, signed(b"v0:", at(NOW - 11), b":", BODY))),
    (GENERIC, {"x-signature": "sha256=" + signed(BODY)}),
    (GENERIC, {"x-hub-signature-256": signed(BODY)}),
    (PREFIXED, {"x-my-sig": signed(BODY)}),
    (PREFIXED, {"x-signature": "v9=" + signed(BODY)}),
    (BEARER, {}),
    (BEARER, {"authorization": SECRET.decode()}),
    (BEARER, {"authorization": "Bearer"}),
    (BEARER, {"authorization": "Bearer " + OTHER.decode()}),
    (BEARER, {"authorization": "Bearer " + SECRET.decode() + "x"}),
    (BEARER, {"authorization": basic(HOOK, SECRET)}),
    (BASIC, {"authorization": "Bearer " + SECRET.decode()}),
    (BASIC, {"authorization": basic("wh_other", SECRET)}),
    (BASIC, {"authorization": basic(HOOK, OTHER)}),
    (BASIC, {"authorization": basic(HOOK, b"")}),
    (BASIC, {"authorization": "Basic !!!"}),
    (BASIC, {"authorization": "Basic"}),
    (BASIC, {"authorization": "Basic \N{SNOWMAN}"}),
]


def holds(config, headers, secrets=(SECRET,), body=BODY) -> bool:
    return Proof.of(config).holds(HOOK, list(secrets), headers, body, NOW)


@pytest.mark.parametrize(("config", "headers"), GOOD)
def test_good(config, headers):
    assert holds(config, headers)


@pytest.mark.parametrize(("config", "headers"), BAD)
def test_bad(config, headers):
    assert not holds(config, headers)


@pytest.mark.parametrize(("config", "headers"), [g for g in GOOD if g[0]])
def test_every_bit_of_the_body_and_the_secret_counts(config, headers):
    assert not holds(config, headers, [OTHER])
    assert not holds(config, headers, [])
    if config["auth"] == "hmac":
        assert not holds(config, headers, body=BODY[:-1] + bytes([BODY[-1] ^ 1]))


@pytest.mark.parametrize(("config", "headers"), [g for g in GOOD if g[0]])
def test_any_good_secret_is_good(config, headers):
    assert holds(config, headers, [OTHER, SECRET])
    assert holds(config, headers, [SECRET, OTHER])


@pytest.mark.parametrize(("config", "headers"), [g for g in GOOD if g[0]])
def test_secrets_are_compared_in_constant_time(config, headers, monkeypatch):
    """Every yes comes out of hmac.compare_digest: where it says no, nothing says yes."""
    compared = []
    monkeypatch.setattr(signatures.hmac, "compare_digest", lambda a, b: bool(compared.append((a, b))))
    assert not holds(config, headers)
    assert compared


KEY = {"idempotency-key": "k-1"}


@pytest.mark.parametrize(
    ("config", "headers", "parsed", "delivery"),
    [
        (GITHUB, {"x-github-delivery": "d-1"}, {}, "github d-1"),
        (GITHUB, {"x-github-delivery": "d-1", **KEY}, {}, "key k-1"),
        ({}, {"x-github-delivery": "d-1"}, {}, None),
        (STRIPE, {}, {"id": "evt_1"}, "stripe evt_1"),
        (STRIPE, {}, {"id": 5}, None),
        (STRIPE, {}, ["id"], None),
        (SLACK, {}, {"event_id": "Ev1"}, "slack Ev1"),
        (SLACK, {}, {"id": "x"}, None),
        (GENERIC, {}, {"id": "evt_1"}, None),
        (BEARER, KEY, None, "key k-1"),
        (BEARER, {"idempotency-key": ""}, None, None),
    ],
)
def test_delivery_ids(config, headers, parsed, delivery):
    assert Proof.of(config).delivery_id(headers, parsed) == delivery


def test_credentials_and_signatures_are_not_handed_on():
    secret = {
        "authorization": "x",
        "proxy-authorization": "x",
        "cookie": "x",
        "x-api-key": "x",
        "x-hub-signature": "x",
        "x-hub-signature-256": "x",
        "stripe-signature": "x",
        "x-slack-signature": "x",
        "x-my-sig": "x",
    }
    assert Proof.of(PREFIXED).public({**secret, "content-type": "a/b"}) == {"content-type": "a/b"}
    assert Proof.of({}).public({"x-signature": "kept, it is none here"}) == {"x-signature": "kept, it is none here"}
