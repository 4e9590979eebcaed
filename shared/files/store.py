"""A tenant's files, as objects in S3 under the tenant's prefix."""

from __future__ import annotations

from typing import Final

from shared.aws.reach import reaching
from shared.aws.s3 import ObjectInfo, TenantObjects
from shared.errors import NotFound
from shared.files.rules import check_content_type, check_size, checked_path, checked_start
from shared.settings import settings
from shared.store.table import TenantTable

LINK_SECONDS: Final = 900


class FileStore:
    """One tenant's files. The last write of a path holds."""

    def __init__(self, table: TenantTable) -> None:
        self._objects = TenantObjects(table.tenant, settings().files_bucket)

    def write(self, path: str, body: bytes, content_type: str) -> str:
        """Write a file, over one that is there; gives its path in Unicode's form NFC.

        Raises Invalid (path, content type), TooLarge, Unavailable.
        """
        name = checked_path(path)
        check_content_type(content_type)
        check_size(len(body))
        with reaching("the file store"):
            self._objects.put(name, body, content_type=content_type)
        return name

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises Invalid, NotFound, Unavailable."""
        name = checked_path(path)
        with reaching("the file store"):
            body = self._objects.get(name)
        if body is None:
            raise NotFound(f"there is no file {name}")
        return body

    def page(self, begins: str, after: str, limit: int) -> tuple[list[ObjectInfo], bool]:
        """Files whose paths begin with `begins` and come after `after`, by path; and whether there are more.

        Raises Invalid, Unavailable.
        """
        first, last = checked_start(begins), checked_start(after)
        with reaching("the file store"):
            return self._objects.page(first, last, limit)

    def find(self, path: str) -> ObjectInfo:
        """What is known of a file. Raises Invalid, NotFound, Unavailable."""
        name = checked_path(path)
        with reaching("the file store"):
            found = self._objects.find(name)
        if found is None:
            raise NotFound(f"there is no file {name}")
        return found

    def delete(self, path: str) -> None:
        """Remove a file. Raises Invalid, NotFound, Unavailable."""
        found = self.find(path)
        with reaching("the file store"):
            self._objects.delete(found.name)

    def download(self, path: str) -> tuple[ObjectInfo, str]:
        """A file, and an address to read it at for `LINK_SECONDS`. Raises Invalid, NotFound, Unavailable."""
        found = self.find(path)
        return found, self._objects.link(found.name, LINK_SECONDS, as_download=True)

    def upload_link(self, path: str, content_type: str, size: int) -> str:
        """An address to PUT a file to, for `LINK_SECONDS`, of this type and of this size. Raises Invalid, TooLarge."""
        name = checked_path(path)
        check_content_type(content_type)
        check_size(size)
        return self._objects.upload_link(name, content_type, size, LINK_SECONDS)
