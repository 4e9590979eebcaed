"""The parts of OpenAI's chat messages, for the providers that write them in another way."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.nodes.ai._models import Message
from shared.nodes.base import NodeError


def split_system(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """The system's and developer's words as one text, and the conversation without them."""
    told = [m for m in messages if m.get("role") in ("system", "developer")]
    words = [text for m in told if (text := plain_text(m.get("content")))]
    return "\n\n".join(words), [m for m in messages if m.get("role") not in ("system", "developer")]


def plain_text(content: Any) -> str:
    """A message's text, of its parts too."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(p.get("text") or "") for p in parts if isinstance(p, Mapping) and p.get("type") == "text")


def parts(content: Any) -> Iterator[Mapping[str, Any]]:
    """A message's parts; text that is empty is left out, which these providers refuse."""
    for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, Mapping):
            raise NodeError("InvalidInput", "a part of a message is no object", retryable=False)
        if part.get("type") != "text" or part.get("text"):
            yield part


def data_url(url: Any) -> tuple[str, bytes] | None:
    """The media type and bytes of a data URL; None for any other address. Raises NodeError InvalidInput."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, _, body = url.removeprefix("data:").partition(",")
    try:
        return head.removesuffix(";base64") or "text/plain", base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise NodeError("InvalidInput", "a data URL in a message is not in base64", retryable=False) from None


def no_sound(part: Mapping[str, Any], provider: str) -> None:
    """Raises NodeError InvalidInput for a part that is sound, which the provider has no form for."""
    if part.get("type") == "input_audio":
        raise NodeError("InvalidInput", f"{provider} takes no sound", retryable=False)


def image_url(part: Mapping[str, Any]) -> Any:
    """The address of an image part."""
    given = part.get("image_url")
    return given.get("url") if isinstance(given, Mapping) else given


def file_of(part: Mapping[str, Any]) -> tuple[str, str, bytes]:
    """A file part's name, media type and bytes. Raises NodeError InvalidInput."""
    given = part.get("file")
    found = data_url(given.get("file_data")) if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or found is None:
        raise NodeError("InvalidInput", "a file in a message needs file_data, a data URL", retryable=False)
    return str(given.get("filename") or "file"), *found


def calls_of(message: Message) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The id, name and arguments of the calls in an assistant's message."""
    for given in message.get("tool_calls") or []:
        function = given.get("function") or {}
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):  # what the model wrote is kept, in the only shape these providers take
            arguments = {"arguments": function.get("arguments")}
        yield str(given.get("id")), str(function.get("name")), arguments


def merged(messages: Iterator[Message]) -> list[Message]:
    """Messages of one role in a row as one: the results of parallel calls belong together."""
    found: list[Message] = []
    for message in messages:
        if found and found[-1]["role"] == message["role"]:
            found[-1] = {"role": message["role"], "content": [*found[-1]["content"], *message["content"]]}
        elif message["content"]:
            found.append(message)
    return found
