"""Whether a request proves itself: HMAC over the body's bytes as they came, bearer, basic.

| preset | header | signed | delivery id |
| --- | --- | --- | --- |
| `github` | `X-Hub-Signature-256: sha256=<hex>` | body | `X-GitHub-Delivery` |
| `stripe` | `Stripe-Signature: t=<s>,v1=<hex>[,v1=…]` | `<t>.` + body | the event's `id` |
| `slack` | `X-Slack-Signature: v0=<hex>`, `X-Slack-Request-Timestamp` | `v0:<s>:` + body | the event's `event_id` |
| `generic` | configured, with a configured prefix | body | |

Every comparison takes the same time wherever the first difference is. The answer is yes or no, never why not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_NEVER_HANDED_ON: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "x-hub-signature",
        "x-hub-signature-256",
        "stripe-signature",
        "x-slack-signature",
    }
)


@dataclass(frozen=True, slots=True)
class Proof:
    """How a webhook's requests prove themselves, from its node's config."""

    auth: str
    preset: str
    header: str
    prefix: str
    tolerance_seconds: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Proof:
        """From an `http_webhook` node's config, with its defaults."""
        return cls(
            auth=config.get("auth", "none"),
            preset=config.get("preset", "generic"),
            header=config.get("header", "X-Signature").lower(),
            prefix=config.get("prefix", ""),
            tolerance_seconds=config.get("tolerance_seconds", 300),
        )

    def holds(
        self, webhook_id: str, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: int
    ) -> bool:
        """Whether the request is accepted. `headers` have lower-case names; any one of `secrets` is good."""
        if self.auth == "none":
            return True
        if self.auth == "hmac":
            given, signed = self._signature(headers, body, now_s)
            expected = [hmac.new(s, signed, hashlib.sha256).hexdigest().encode() for s in secrets]
        else:
            scheme, _, credentials = headers.get("authorization", "").strip().partition(" ")
            given = [credentials.strip().encode()] if scheme.lower() == self.auth else []
            expected = list(secrets)
            if self.auth == "basic":
                given = [_decoded(g) for g in given]
                expected = [webhook_id.encode() + b":" + s for s in secrets]
        return any(hmac.compare_digest(g, e) for g in given for e in expected)

    def _signature(self, headers: Mapping[str, str], body: bytes, now_s: int) -> tuple[list[bytes], bytes]:
        """The signatures that were given, as hex, and the bytes that they should be of."""
        if self.preset == "github":
            return _after("sha256=", headers.get("x-hub-signature-256", "")), body
        if self.preset == "stripe":
            pairs = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
            moment = next((value for name, _, value in pairs if name == "t"), "")
            given = [value.lower().encode() for name, _, value in pairs if name == "v1"]
            return given if self._is_recent(moment, now_s) else [], moment.encode() + b"." + body
        if self.preset == "slack":
            moment = headers.get("x-slack-request-timestamp", "").strip()
            given = _after("v0=", headers.get("x-slack-signature", ""))
            return given if self._is_recent(moment, now_s) else [], b"v0:" + moment.encode() + b":" + body
        return _after(self.prefix, headers.get(self.header, "")), body

    def _is_recent(self, moment: str, now_s: int) -> bool:
        return bool(_SECONDS.fullmatch(moment)) and abs(now_s - int(moment)) <= self.tolerance_seconds

    def delivery_id(self, headers: Mapping[str, str], parsed: Any) -> str | None:
        """What a repeat of this delivery has in common with it: `Idempotency-Key`, else the preset's own id."""
        if headers.get("idempotency-key"):
            return "key " + headers["idempotency-key"]
        found: Any = None
        if self.auth == "hmac" and self.preset == "github":
            found = headers.get("x-github-delivery")
        elif self.auth == "hmac" and self.preset in ("stripe", "slack") and isinstance(parsed, dict):
            found = parsed.get("id" if self.preset == "stripe" else "event_id")
        return f"{self.preset} {found}" if found and isinstance(found, str) else None

    def public(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that a run may see: without credentials and signatures."""
        hidden = _NEVER_HANDED_ON | {self.header} if self.auth == "hmac" else _NEVER_HANDED_ON
        return {name: value for name, value in headers.items() if name not in hidden}

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate of a refusal."""
        return {"basic": 'Basic realm="webhook"', "bearer": "Bearer"}.get(self.auth, "Signature")


def _after(prefix: str, text: str) -> list[bytes]:
    text = text.strip()
    return [text[len(prefix) :].lower().encode()] if text.startswith(prefix) else []


def _decoded(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return b""
