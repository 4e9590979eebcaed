"""Values by reference (claim check): a large value is an object in S3, named by its hash; a small one stands inline.

A stored value is `{"v": value}` or `{"r": {"sha256", "size"}}`; nothing in a tenant's data can look like a reference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

INLINE_BYTES: Final = 8_192
MAX_BYTES: Final = 50_000_000

_MISSING: Final = object()


class Objects(Protocol):
    """Where large values lie."""

    def put(self, name: str, body: bytes) -> None:
        """Write an object."""
        ...

    def get(self, name: str) -> bytes | None:
        """Read one, or None."""
        ...


class ValueTooLarge(Exception):
    """A value is over 50 MB."""


class NotJson(Exception):
    """A value is not JSON (NaN, bytes, an object of Python's)."""


class Value:
    """One value of a run. It is loaded when it is first looked at, and encoded once."""

    __slots__ = ("_encoded", "_objects", "_value")

    def __init__(
        self, value: Any = _MISSING, *, encoded: Mapping[str, Any] | None = None, objects: Objects | None = None
    ):
        self._value = value
        self._encoded = encoded
        self._objects = objects

    def get(self) -> Any:
        """The value. Reads S3 when it lies there: call it off the event loop for values `is_far`."""
        if self._value is _MISSING:
            encoded = self._encoded or {}
            if "v" in encoded:
                self._value = encoded["v"]
            else:
                body = self._objects.get(encoded["r"]["sha256"]) if self._objects else None
                if body is None:
                    raise LookupError("a stored value is gone")
                self._value = json.loads(body)
        return self._value

    @property
    def is_far(self) -> bool:
        """Whether `get` has to read S3."""
        return self._value is _MISSING and "v" not in (self._encoded or {})

    def store(self, objects: Objects) -> Mapping[str, Any]:
        """The value as it is stored, writing it to `objects` if it is large. Raises ValueTooLarge, NotJson."""
        if self._encoded is None:
            try:
                body = json.dumps(self._value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError) as error:
                raise NotJson(str(error)[:200]) from None
            if len(body) > MAX_BYTES:
                raise ValueTooLarge(f"a value has {len(body):,} bytes; the limit is {MAX_BYTES:,}")
            if len(body) <= INLINE_BYTES:
                self._encoded = {"v": self._value}
            else:
                name = hashlib.sha256(body).hexdigest()
                objects.put(name, body)
                self._encoded = {"r": {"sha256": name, "size": len(body)}}
        return self._encoded
