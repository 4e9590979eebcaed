"""Where document_loader's documents come from: files, an address, a text, a query."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from shared.errors import NotFound
from shared.nodes._credentials import credential
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.rag._documents import MAX_DOCUMENTS, Document, Limits, Source, documents_of, row_of
from shared.nodes.rag.document_loader import TYPES
from shared.nodes.world import Files
from shared.triggers.globs import fits

_MOST_FILES: Final = 1_000
_MOST_LOOKED_AT: Final = 20_000  # names of files, to find those that fit a glob
_MOST_BYTES: Final = 200_000_000  # of all files together
_PAGE: Final = 1_000
_WILD: Final = "*?"
_SKIPPED: Final = ("BrokenDocument", "EncryptedDocument", "UnsupportedType")


async def load(call: Call) -> Outputs:
    """The documents. Raises NodeError."""
    source = call.inputs["source"]
    if not isinstance(source, str) or not source.strip():
        raise _bad("source is a text that is not empty")
    kind = call.inputs.get("type") or call.config["type"]
    if kind not in ("auto", *TYPES):
        raise _bad(f"type is one of {', '.join(TYPES)}")
    limits = Limits(int(call.config["max_pages"]), time.monotonic() + call.timeout_seconds)
    origin = call.config["from"]
    if origin == "auto":
        origin = "url" if source.strip().lower().startswith(("http://", "https://")) else "file"
    match origin:
        case "text":
            given = Source("text", source.encode(errors="replace"), "txt" if kind == "auto" else kind)
            found = await asyncio.to_thread(lambda: list(_read(call, [given], limits)))
        case "url":
            fetched = await _fetched(call, source.strip(), kind)
            found = await asyncio.to_thread(lambda: list(_read(call, [fetched], limits)))
        case "sql":
            found = await _rows(call, source, limits)
        case _:
            found = await ask(lambda: list(_read(call, _files(call, source, kind), limits)))
    call.usage["documents"] = len(found)
    return {"documents": [{"content": d.content, "metadata": d.metadata} for d in found]}


def _read(call: Call, sources: Iterator[Source] | list[Source], limits: Limits) -> Iterator[Document]:
    for source in sources:
        try:
            yield from documents_of(source, call.config, limits)
        except NodeError as error:
            if error.error not in _SKIPPED or not call.config["skip_broken"]:
                raise
            call.world.log("warning", f"left out: {error.message}")


def _files(call: Call, source: str, kind: str) -> Iterator[Source]:
    """The files that the source names, one by one. Raises AppError, NodeError."""
    files, total = call.world.files, 0
    names = _names(files, source) if source.endswith("/") or any(c in source for c in _WILD) else [source]
    for name in names:
        body = _body(files, name)
        total += len(body)
        if total > _MOST_BYTES:
            raise NodeError("TooLarge", f"the files have over {_MOST_BYTES:,} bytes together", retryable=False)
        call.usage["bytes"] = total
        yield Source(name, body, kind)


def _body(files: Files, name: str) -> bytes:
    try:
        return files.read(name)
    except NotFound as error:
        raise NodeError("FileNotFound", error.detail, retryable=False) from None


def _names(files: Files, source: str) -> list[str]:
    """The paths that begin with the source or fit it as a glob, by path. Raises AppError, NodeError."""
    begins = source[: min((source.find(c) for c in _WILD if c in source), default=len(source))]
    found: list[str] = []
    after, more, looked_at = "", True, 0
    while more:
        page, more = files.page(begins, after, _PAGE)
        looked_at += len(page)
        found += [f.name for f in page if begins == source or fits(source, f.name)]
        if len(found) > _MOST_FILES or looked_at > _MOST_LOOKED_AT:
            raise NodeError("TooLarge", f"over {_MOST_FILES:,} files, or too many to look through", retryable=False)
        after = page[-1].name if page else after
        more = more and bool(page)
    if not found:
        raise NodeError("FileNotFound", f"no file fits {source[:200]}", retryable=False)
    return found


async def _fetched(call: Call, url: str, kind: str) -> Source:
    from shared.nodes.external._exchange import exchange

    config = {"method": "GET", "max_redirects": 5, "fail_on_status": True, "response_type": "base64"}
    answer = (await exchange(replace(call, inputs={"url": url}, config=config)))["response"]
    body = base64.b64decode(answer["base64"])
    call.usage["bytes"] = len(body)
    return Source(url, body, kind, str(answer["content_type"]))


async def _rows(call: Call, query: str, limits: Limits) -> list[Document]:
    """A document for each row of a query that only reads. Raises NodeError."""
    from shared.nodes.databases._sql import run

    found = await credential(call, "postgres", "mysql")
    if found is None:
        raise _bad("a query needs a credential")
    config = {"read_only": True, "max_rows": MAX_DOCUMENTS, "when_more": "fail"}
    asked, seconds = replace(call, config=config), call.timeout_seconds
    outputs = await run(asked, found, query, None, seconds)
    source, content = Source(found.name, b""), call.config.get("content_field")
    rows = [row_of(row, content, source, number) for number, row in enumerate(outputs["rows"], 1)]
    return [
        limits.count(Document(text, {"source": found.name, "type": "sql", **more}))
        for text, more in rows
        if text.strip()
    ]


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
