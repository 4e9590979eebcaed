"""A tenant's files, as objects in S3 under the tenant's prefix."""

from __future__ import annotations

import json
from typing import Final, Literal

from shared.aws.s3 import ObjectInfo, TenantObjects
from shared.clock import now_ms
from shared.errors import NotFound
from shared.files import quota
from shared.files.rules import check_content_type, check_size, checked_path, checked_start
from shared.ids import digest
from shared.settings import settings
from shared.store.table import Attr, ConditionFailed, Item, TenantTable

LINK_SECONDS: Final = 900
FileEvent = Literal["created", "changed", "deleted"]
_FORGET_DELETED_S: Final = 30 * 86_400
_TRIES: Final = 10
_BEFORE: Final = 8


class FileStore:
    """One tenant's files. The last write of a path holds."""

    def __init__(self, table: TenantTable, run: str | None = None) -> None:
        """`run` is the execution that works with the files; a file says which one wrote it."""
        self._run = run
        self._objects = TenantObjects(table.tenant, settings().files_bucket)
        self._table = table

    def write(self, path: str, body: bytes, content_type: str) -> str:
        """Write a file, over one that is there; gives its path in Unicode's form NFC.

        Raises Invalid (path, content type), TooLarge, Unavailable.
        """
        name = checked_path(path)
        check_content_type(content_type)
        check_size(len(body))
        quota.reserve(self._table, self._objects, len(body))
        self._objects.put(name, body, content_type=content_type, run=self._run)
        return name

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises Invalid, NotFound, Unavailable."""
        name = checked_path(path)
        body = self._objects.get(name)
        if body is None:
            raise NotFound(f"there is no file {name}")
        return body

    def page(self, begins: str, after: str, limit: int) -> tuple[list[ObjectInfo], bool]:
        """Files whose paths begin with `begins` and come after `after`, by path; and whether there are more.

        Raises Invalid, Unavailable.
        """
        first, last = checked_start(begins), checked_start(after)
        return self._objects.page(first, last, limit)

    def find(self, path: str) -> ObjectInfo:
        """What is known of a file. Raises Invalid, NotFound, Unavailable."""
        name = checked_path(path)
        found = self._objects.find(name)
        if found is None:
            raise NotFound(f"there is no file {name}")
        return found

    def delete(self, path: str) -> None:
        """Remove a file. Raises Invalid, NotFound, Unavailable."""
        found = self.find(path)
        self._objects.delete(found.name)

    def download(self, path: str) -> tuple[ObjectInfo, str]:
        """A file, and an address to read it at for `LINK_SECONDS`. Raises Invalid, NotFound, Unavailable."""
        found = self.find(path)
        return found, self._objects.link(found.name, LINK_SECONDS, as_download=True)

    def upload_link(self, path: str, content_type: str, size: int) -> str:
        """An address to PUT a file to, for `LINK_SECONDS`, of this type and of this size.

        Raises Invalid, TooLarge, Unavailable.
        """
        name = checked_path(path)
        check_content_type(content_type)
        check_size(size)
        quota.reserve(self._table, self._objects, size)
        return self._objects.upload_link(name, content_type, size, LINK_SECONDS)


class KnownFiles:
    """One tenant's files, as far as S3 has told of them: whether a file that was put is new.

    S3 tells of a new object and of one that was written over in the same words. So each path has a record of its latest
    notice, by S3's sequencer, which orders the notices of one key; and what the few before it meant, for one whose run
    could not be started comes again after the next.
    """

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def tell(self, path: str, sequencer: str, *, is_there: bool) -> FileEvent:
        """What a notice means. A notice that comes again means the same as the first time.

        One that comes after a later one of its path is taken for a change, or for a deletion: what was there before it
        is not known any more. Raises ConditionFailed when others tell of the same path all the time.
        """
        key = self._table.keys.known_file(digest(path))
        for last in reversed(range(_TRIES)):
            held = self._table.get(key, consistent=True)
            before: dict[str, FileEvent] = {} if held is None else json.loads(held.get("before", "{}"))
            if held is not None:
                before[held["sequencer"]] = held["event"]
            if sequencer in before:
                return before[sequencer]
            if held is not None and _is_later(held["sequencer"], sequencer):
                return "changed" if is_there else "deleted"
            was_there = held is not None and held["event"] != "deleted"
            event: FileEvent = ("changed" if was_there else "created") if is_there else "deleted"
            kept = dict(list(before.items())[-_BEFORE:])
            item: Item = {"sequencer": sequencer, "event": event, "before": json.dumps(kept)}
            if not is_there:
                item["ttl"] = now_ms() // 1000 + _FORGET_DELETED_S
            same = Attr("PK").not_exists() if held is None else Attr("sequencer").eq(held["sequencer"])
            try:
                self._table.put(key, item, same)
            except ConditionFailed:
                if not last:
                    raise
                continue
            return event
        raise AssertionError("unreachable")


def _is_later(one: str, other: str) -> bool:
    """Whether a sequencer comes after another: S3 says to fill up the shorter with zeros on the right."""
    width = max(len(one), len(other))
    return one.ljust(width, "0") > other.ljust(width, "0")
