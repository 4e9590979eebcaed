"""How large an answer may be: Lambda gives 6 MB a call, with the body as a string inside of JSON."""

from __future__ import annotations

from typing import Final

MAX_ANSWER: Final = 5_500_000  # as `size_of` counts; the rest is for headers and Lambda's envelope

_PAIRS: Final = b'"\\\b\f\n\r\t'  # each becomes two characters
_CONTROLS: Final = bytes(range(0x20))  # each of the others becomes six


def size_of(body: bytes) -> int:
    """Bytes of a body as Lambda counts them: a string of JSON, with its quotes, backslashes and controls escaped."""
    plain = body.translate(None, _PAIRS)
    return len(body) + (len(body) - len(plain)) + 5 * (len(plain) - len(plain.translate(None, _CONTROLS)))
