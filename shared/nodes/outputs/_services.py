"""Chats and text messages, by Apprise. Only services in this table, and of their addresses only the parts named here.

Apprise knows 140 services, among them commands and sockets of this machine, and options that read files or switch off
TLS's checks. So the scheme and each option has to be in the table, one class is loaded instead of all, and what it
sends goes through `shared.outbound.guarded_requests`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from shared.nodes.base import NodeError
from shared.nodes.outputs._message import Message
from shared.nodes.outputs._outcome import of_status
from shared.outbound.guarded_requests import GuardedRequests, Outcome, guarded
from shared.outbound.hosts import AddressRefused, NameNotFound


@dataclass(frozen=True, slots=True)
class Service:
    """One of Apprise's, in its module, with the options that an address may have."""

    channel: str
    module: str
    name: str
    options: frozenset[str]


def _service(channel: str, module: str, name: str, *options: str) -> Service:
    return Service(channel, module, name, frozenset(options))


SERVICES: Final = {
    "slack": _service("slack", "slack", "NotifySlack", "to", "mode", "footer", "token"),
    "discord": _service("discord", "discord", "NotifyDiscord", "thread", "tts", "footer", "botname", "ping", "flags"),
    "tgram": _service("telegram", "telegram", "NotifyTelegram", "to", "topic", "thread", "silent", "preview", "mdv"),
    "workflows": _service(
        "teams",
        "workflows",
        "NotifyWorkflows",
        "workflow",
        "id",
        "signature",
        "sig",
        "ver",
        "api-version",
        "pa",
        "route",
    ),
    "twilio": _service("sms", "twilio", "NotifyTwilio", "sid", "token", "apikey", "from", "source", "to"),
    "vonage": _service("sms", "vonage", "NotifyVonage", "from", "to", "ttl", "key", "secret"),
    "msgbird": _service("sms", "messagebird", "NotifyMessageBird", "from", "to"),
}
_FORMATS: Final = {"text": "text", "markdown": "markdown", "html": "html"}

# It logs addresses and payloads, tokens included.
logging.getLogger("apprise").disabled = True


def deliver(channel: str, url: str, message: Message, allowed: frozenset[str], timeout: float) -> None:
    """Send a message by a service. Blocks. Raises NodeError."""
    plugin = _plugin(channel, url)
    host = urlsplit(url).scheme
    with guarded(allowed, timeout) as outcome:
        try:
            taken = plugin.notify(
                body=message.text, title=message.title, notify_type=_info(), body_format=_FORMATS[message.format]
            )
        except AddressRefused as error:
            raise NodeError("BlockedAddress", str(error), retryable=False) from None
        except NameNotFound as error:
            raise NodeError("DnsError", str(error)) from None
    if not taken:
        raise _failure(host, outcome)


def _failure(host: str, outcome: Outcome) -> NodeError:
    if outcome.sent:
        return NodeError("Rejected", f"{host} took the message for some of its targets only", retryable=False)
    if isinstance(outcome.failure, requests.Timeout):
        return NodeError("Timeout", f"{host} did not answer in time")
    if outcome.failure is not None:
        return NodeError("ConnectionFailed", f"{host} cannot be reached: {type(outcome.failure).__name__}")
    if outcome.status is not None:
        return of_status(host, outcome.status, outcome.retry_after)
    return NodeError("Rejected", f"nothing could be sent to {host}: the credential names no target", retryable=False)


def _info() -> Any:
    from apprise.common import NotifyType

    return NotifyType.INFO


def _plugin(channel: str, url: str) -> Any:
    scheme = urlsplit(url).scheme.lower()
    service = SERVICES.get(scheme)
    if service is None or service.channel != channel:
        fitting = " or ".join(f"{name}://" for name, s in SERVICES.items() if s.channel == channel)
        raise _bad(f"for the channel {channel} the credential's address begins with {fitting}")
    module = import_module(f"apprise.plugins.{service.module}")
    if not isinstance(module.requests, GuardedRequests):
        module.requests = GuardedRequests()  # type: ignore[attr-defined]  # what it sends goes through the guard
    kind = getattr(module, service.name)
    try:
        parts = kind.parse_url(url)
        if not parts:
            raise _bad("the credential's address is malformed")
        _check_options(parts, service)
        return kind(**parts)
    except TypeError:  # Apprise's own errors of this kind are TypeErrors as well
        raise _bad("the credential's address lacks a part, or has one that cannot be") from None


def _check_options(parts: dict[str, Any], service: Service) -> None:
    """Apprise's own reading of the address counts: it looks for options behind a `#`, too."""
    given = {str(name).lower() for name in parts["qsd"]}
    given |= {mark + name for mark in "+-:" for name in parts[f"qsd{mark}"]}
    if given - service.options:
        raise _bad(f"the credential's address may not have the option {sorted(given - service.options)[0][:50]}")


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
