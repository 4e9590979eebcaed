"""Files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Body, TimeOut
from shared.files.rules import MAX_BYTES


class FileOut(Answer):
    """A file; `size` in bytes."""

    path: str
    size: int
    changed_at: TimeOut


class DownloadOut(FileOut):
    """A file, and the address at which whoever has it can read the file until `expires_at`."""

    url: str
    expires_at: TimeOut


class UploadIn(Body):
    """A file that is to be sent; `size` is how many bytes it will have."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    size: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "application/octet-stream"


class UploadOut(Answer):
    """Where to PUT the file until `expires_at`: to `url`, with these headers, `size` bytes exactly."""

    path: str
    url: str
    headers: dict[str, str]
    expires_at: TimeOut
