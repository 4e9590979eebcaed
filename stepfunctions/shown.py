"""Stored values for people: whole up to a size; of a larger one, its size and its beginning.

    {"$truncated": true, "size": 5000000, "preview": "[{\\"id\\":1,…", "url": "https://…"}

`size` is in bytes of JSON. `url`, where it is given, leads to the whole value for a quarter of an hour. A value that
lies no longer in S3 (see the lifecycle of the bucket in template.yaml) has no preview.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from shared.answers import size_of
from shared.aws.s3 import TenantObjects
from shared.runs.model import Stored

WHOLE_BYTES: Final = 32_768
MAX_TOTAL: Final = 4_000_000  # of one answer's values, as `shared.answers` counts
_PREVIEW: Final = 200  # characters
_READS: Final = 100  # objects read for one answer, so that it comes in time
_AT_ONCE: Final = 16
_LINK_SECONDS: Final = 900


class Shown:
    """Shows the values of one answer. `whole_bytes`: up to which size a value is shown whole."""

    def __init__(self, objects: TenantObjects, whole_bytes: int = WHOLE_BYTES, *, links: bool = False) -> None:
        self._objects = objects
        self._whole = whole_bytes
        self._left = MAX_TOTAL
        self._links = links
        self._read: dict[str, bytes | None] = {}

    def load(self, values: Iterable[Stored]) -> None:
        """Read what of these lies in S3, several at once: whole, or its beginning."""
        wanted = {v["r"]["sha256"]: v["r"]["size"] for v in values if "r" in v and v["r"]["sha256"] not in self._read}
        some = list(wanted.items())[: _READS - len(self._read)]
        if not some:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(some))) as pool:
            bodies = pool.map(lambda each: self._fetch(*each), some)
            self._read.update(zip((name for name, _ in some), bodies, strict=True))

    def _fetch(self, name: str, size: int) -> bytes | None:
        return self._objects.get(name, first=None if size <= self._whole else 4 * _PREVIEW)

    def value(self, stored: Stored) -> Any:
        """The value, or what stands for it."""
        if "v" in stored:
            text = json.dumps(stored["v"], ensure_ascii=False, separators=(",", ":"))
            if self._fits(text.encode()):
                return stored["v"]
            return {"$truncated": True, "size": len(text.encode()), "preview": text[:_PREVIEW]}
        name, size = stored["r"]["sha256"], stored["r"]["size"]
        self.load([stored])
        body = self._read.get(name)
        if body is not None and len(body) == size and self._fits(body):
            return json.loads(body)
        preview = body[: 4 * _PREVIEW].decode(errors="ignore")[:_PREVIEW] if body is not None else None
        found = {"$truncated": True, "size": size, "preview": preview}
        return {**found, "url": self._objects.link(name, _LINK_SECONDS)} if self._links else found

    def ports(self, values: Mapping[str, Stored | list[Stored]]) -> dict[str, Any]:
        """Values by port; a port that takes several has a list of them."""
        return {
            port: [self.value(v) for v in stored] if isinstance(stored, list) else self.value(stored)
            for port, stored in values.items()
        }

    def _fits(self, body: bytes) -> bool:
        size = size_of(body)
        if len(body) > self._whole or size > self._left:
            return False
        self._left -= size
        return True
