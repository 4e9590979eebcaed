"""A notification on its way: what is said, checked, and the channel that takes it."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from shared.nodes._credentials import credential
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError
from shared.nodes.outputs._message import Message
from shared.nodes.world import Credential

_MAX_MESSAGE: Final = 20_000
_MAX_TITLE: Final = 250
_MAX_TO: Final = 50
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


async def send(call: Call) -> None:
    """Send what the inputs say over the channel of the config. Raises NodeError."""
    message, channel = _message(call), call.config["channel"]
    if channel == "in_app":
        await ask(lambda: call.world.notify(message.to, message.title, message.text, key=message.key))
        return
    kind = "smtp" if channel == "email" else "notification"
    opened = await credential(call, kind)
    if opened is None:
        raise NodeError("MissingCredential", f"the channel {channel} takes a credential", retryable=False)
    timeout = max(1.0, call.timeout_seconds - 1)
    if channel == "email":
        await _mail(call, message, opened, timeout)
    elif channel == "webhook":
        from shared.nodes.outputs._webhook import post

        await post(call, message, opened, timeout)
    else:
        from shared.nodes.outputs._services import deliver

        url, allowed = opened.values["url"], call.world.allowed_hosts
        await asyncio.to_thread(deliver, channel, url, message, allowed, timeout)


async def _mail(call: Call, message: Message, opened: Credential, timeout: float) -> None:
    from shared.nodes.outputs._mail import mail

    if not message.to:
        raise NodeError("InvalidInput", "there is nobody to write to", retryable=False)
    await asyncio.to_thread(mail, message, opened.values, call.world.allowed_hosts, timeout)


def _message(call: Call) -> Message:
    text, title = call.inputs.get("message"), call.inputs.get("title")
    title = "" if title is None else title
    if not isinstance(text, str) or not text.strip():
        raise _bad("the message is a text that is not empty")
    if not isinstance(title, str) or len(title) > _MAX_TITLE or _CONTROL.search(title):
        raise _bad(f"the title is one line of at most {_MAX_TITLE} characters")
    if len(text) > _MAX_MESSAGE:
        raise _bad(f"the message has at most {_MAX_MESSAGE:,} characters; this has {len(text):,}")
    try:
        (title + text).encode()
    except UnicodeEncodeError:
        raise _bad("the message is not valid Unicode text") from None
    to = _names(call.config.get("to") or "")
    return Message(title, text, call.config["format"], to, call.idempotency_key)


def _names(given: Any) -> tuple[str, ...]:
    if not isinstance(given, str):
        raise _bad("to is a text")
    names = tuple(dict.fromkeys(n.strip() for n in given.split(",") if n.strip()))
    if len(names) > _MAX_TO:
        raise _bad(f"to names at most {_MAX_TO}")
    return names


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
