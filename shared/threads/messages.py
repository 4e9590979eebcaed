"""What may be said in a thread, wherever it is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.errors import Invalid, TooLarge
from shared.threads.model import MAX_APPENDED, MAX_MESSAGE, THREAD_ID

_ROLES: Final = ("system", "user", "assistant", "tool")


def checked_id(thread_id: Any) -> str:
    """A thread's id. Raises Invalid for one that is none."""
    if not isinstance(thread_id, str) or not re.fullmatch(THREAD_ID, thread_id):
        message = "a thread's id has 1 to 100 letters, digits and _ . : @ -, and begins with a letter or digit"
        raise Invalid(message, code="bad_thread_id")
    return thread_id


def bodies(said: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages `{role, content}` as they are kept: the content as JSON. Raises Invalid, TooLarge."""
    if not 1 <= len(said) <= MAX_APPENDED:
        raise Invalid(f"1 to {MAX_APPENDED} messages are added at once", code="bad_messages")
    kept = []
    for message in said:
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES or not isinstance(content, (str, list)):
            raise Invalid("a message is {role, content}: who said it, and text or a list of parts", code="bad_message")
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False)
            size = len(text.encode())
        except (TypeError, ValueError, RecursionError):
            raise Invalid("a message's content is JSON", code="bad_message") from None
        if size > MAX_MESSAGE:
            raise TooLarge(f"a message has at most {MAX_MESSAGE:,} bytes; this has {size:,}")
        kept.append({"role": role, "content": text})
    if sum(len(b["content"].encode()) for b in kept) > 3_500_000:  # a transaction holds 4 MB
        raise TooLarge("messages that are added at once have at most 3.5 MB")
    return kept
