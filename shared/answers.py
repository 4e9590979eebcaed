"""How large an answer may be: Lambda gives 6 MB a call, with the body as a string inside of JSON."""

from __future__ import annotations

from typing import Final

MAX_ANSWER: Final = 5_500_000  # as `size_of` counts; the rest is for headers and Lambda's envelope


def size_of(body: bytes) -> int:
    """Bytes of a body as Lambda counts them: each quote and backslash is escaped by another one."""
    return len(body) + body.count(b'"') + body.count(b"\\")
