"""A notification as a POST of JSON to an address of the tenant's choice."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import httpx

from shared.nodes.base import Call, NodeError
from shared.nodes.outputs._message import Message
from shared.nodes.outputs._outcome import of_status
from shared.nodes.world import Credential
from shared.outbound.hosts import AddressRefused, NameNotFound
from shared.outbound.transport import shared_transport

_SCHEMES: Final = ("http", "https")


async def post(call: Call, message: Message, opened: Credential, timeout: float) -> None:
    """Send it. No redirect is followed. Raises NodeError."""
    url = str(opened.values["url"])
    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in _SCHEMES or not host:
        detail = "for the channel webhook the credential's address begins with https://"
        raise NodeError("InvalidInput", detail, retryable=False)
    body = {
        "title": message.title,
        "message": message.text,
        "format": message.format,
        "execution_id": call.execution_id,
    }
    # The client is not closed: the transport belongs to the event loop.
    client = httpx.AsyncClient(transport=await shared_transport(call.world.allowed_hosts), trust_env=False)
    try:
        request = client.build_request(
            "POST", url, json=body, headers={"Idempotency-Key": message.key}, timeout=timeout
        )
        answer = await client.send(request, stream=True, follow_redirects=False)
        await answer.aclose()
    except AddressRefused as error:
        raise NodeError("BlockedAddress", str(error), retryable=False) from None
    except NameNotFound as error:
        raise NodeError("DnsError", str(error)) from None
    except httpx.TimeoutException:
        raise NodeError("Timeout", f"{host} did not answer in time") from None
    except httpx.InvalidURL:
        raise NodeError("InvalidInput", "the credential's address is malformed", retryable=False) from None
    except httpx.TransportError as error:
        raise NodeError("ConnectionFailed", f"the connection to {host} failed: {type(error).__name__}") from None
    if not answer.is_success:
        raise of_status(host, answer.status_code, answer.headers.get("retry-after"))
