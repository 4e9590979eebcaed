"""The tenant's files. Their bytes do not pass through here: they are sent to and read from presigned addresses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.deps import Paged, require
from functions.api.schemas.files import DownloadOut, FileOut, UploadIn, UploadOut
from functions.api.schemas.pages import PageOf
from shared.clock import iso, now_ms
from shared.files import service
from shared.files.rules import checked_path
from shared.files.store import LINK_SECONDS, FileStore
from shared.store.table import TenantTable
from shared.tenancy import Principal

router = APIRouter(prefix="/files", tags=["files"])
Reader = Annotated[Principal, require("viewer", "files:read")]
Writer = Annotated[Principal, require("editor", "files:write")]
Path = Annotated[str, Query(min_length=1, max_length=512)]
Start = Annotated[str, Query(max_length=512)]


@router.get("")
def list_files(who: Reader, page: Paged, prefix: Start = "") -> PageOf[FileOut]:
    """The files whose paths begin with `prefix`, by path."""
    found = service.files(who, prefix, page.cursor, page.limit)
    items = [FileOut(path=f.name, size=f.size, changed_at=iso(f.changed_at)) for f in found.items]
    return PageOf[FileOut](items=items, next_cursor=found.next_cursor)


@router.get("/download")
def download(path: Path, who: Reader) -> DownloadOut:
    """A file, with an address to read it at for a quarter of an hour."""
    expires_at = iso(now_ms() + LINK_SECONDS * 1000)
    found, url = FileStore(TenantTable(who.tenant)).download(path)
    return DownloadOut(
        path=found.name, size=found.size, changed_at=iso(found.changed_at), url=url, expires_at=expires_at
    )


@router.post("/upload")
def upload(body: UploadIn, who: Writer) -> UploadOut:
    """An address to send a file to for a quarter of an hour, over a file that is there."""
    expires_at = iso(now_ms() + LINK_SECONDS * 1000)
    url = FileStore(TenantTable(who.tenant)).upload_link(body.path, body.content_type, body.size)
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.size)}
    return UploadOut(path=checked_path(body.path), url=url, headers=headers, expires_at=expires_at)


@router.delete("", status_code=204)
def delete(path: Path, who: Writer) -> None:
    """Remove a file."""
    FileStore(TenantTable(who.tenant)).delete(path)
