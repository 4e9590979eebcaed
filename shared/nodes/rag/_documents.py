"""What is in a file: its type found out, its bytes read as documents. Loads a library for each type as it comes."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.nodes.base import NodeError

MAX_DOCUMENTS: Final = 10_000
MAX_CHARACTERS: Final = 20_000_000  # of all documents together: a value has at most 50 MB
_MAX_TITLE: Final = 300
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word 97, and Word's files that are encrypted
_ENDINGS: Final = {
    **dict.fromkeys(("txt", "text", "log"), "txt"),
    **dict.fromkeys(("md", "markdown"), "md"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    "pdf": "pdf",
    "docx": "docx",
}
_CONTENT_TYPES: Final = {
    "text/markdown": "md",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
}
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HTML: Final = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_HEADING: Final = re.compile(r"^#\s+(.+?)\s*#*$", re.M)
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and what is known of it."""

    content: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes, and what is known of them; `kind` is a type or `auto`."""

    name: str
    body: bytes = field(repr=False)
    kind: str = "auto"
    content_type: str = ""

    def failed(self, error: str, what: str) -> NodeError:
        """A failure that names the source; of an address without its query, where there may be a key."""
        return NodeError(error, f"{self.name.partition('?')[0][:200]}: {what}", retryable=False)


@dataclass
class Limits:
    """How much may be read: pages of a PDF, and until when (`time.monotonic`). Counts what was."""

    pages: int
    until: float
    documents: int = 0
    characters: int = 0

    def check_time(self) -> None:
        """Raises NodeError Timeout: the call has been given up by now, and its thread must end, too."""
        if time.monotonic() > self.until:
            raise NodeError("Timeout", "the documents could not be read in time")

    def count(self, document: Document) -> Document:
        """Take a document into account. Raises NodeError TooLarge, Timeout."""
        self.documents += 1
        self.characters += len(document.content)
        if self.documents > MAX_DOCUMENTS:
            raise NodeError("TooLarge", f"there are over {MAX_DOCUMENTS:,} documents", retryable=False)
        if self.characters > MAX_CHARACTERS:
            raise NodeError("TooLarge", f"the documents have over {MAX_CHARACTERS:,} characters", retryable=False)
        if self.documents % 100 == 0:
            self.check_time()
        return document


def documents_of(source: Source, config: Mapping[str, Any], limits: Limits) -> Iterator[Document]:
    """The documents of one source. Raises NodeError UnsupportedType, BrokenDocument, EncryptedDocument, TooLarge."""
    limits.check_time()
    kind = source.kind if source.kind != "auto" else kind_of(source)
    for content, more in _READERS[kind](source, config, limits):
        if content.strip():
            yield limits.count(Document(content, {"source": source.name, "type": kind, **more}))


def kind_of(source: Source) -> str:
    """The type: by the first bytes where they are sure, by the name's ending, by what a server says, by a look."""
    body = source.body
    if body.startswith(_OLE):
        raise source.failed("EncryptedDocument", "this is an encrypted document, or one of Word 97 to 2003")
    if body[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    if body.startswith(b"PK\x03\x04"):
        if b"word/" in body:
            return "docx"
        raise source.failed("UnsupportedType", "this is an archive, and no Word document")
    path = source.name.split("?")[0].split("#")[0] if "://" in source.name else source.name
    ending = _ENDINGS.get(path.rpartition("/")[2].rpartition(".")[2].lower())
    said = _CONTENT_TYPES.get(source.content_type.partition(";")[0].strip().lower())
    if found := (said or ending if "://" in source.name else ending or said):
        return found
    if _HTML.match(body[:4096]):
        return "html"
    if b"\x00" in body[:4096] and not any(body.startswith(mark) for mark, _ in _BYTE_ORDER_MARKS):
        raise source.failed("UnsupportedType", "these bytes are neither text nor of a type that is known here")
    return "txt"


def decoded(source: Source, encoding: str | None) -> str:
    """The text. Raises NodeError InvalidInput (no such encoding), BrokenDocument."""
    body = source.body
    said = re.search(r"charset=\"?([\w.:-]+)", source.content_type)
    for name in (encoding, _marked(body), "utf-8", said and said[1]):
        if not name:
            continue
        try:
            return _text(body.decode(name), source)
        except (LookupError, ValueError) as error:
            if name == encoding and isinstance(error, LookupError):
                raise NodeError("InvalidInput", f"there is no encoding {name!r}", retryable=False) from None
            if name == encoding:
                raise source.failed("BrokenDocument", f"this is no text in {name}") from None
    import charset_normalizer

    guess = charset_normalizer.from_bytes(body[:1_000_000]).best()
    if guess is None:
        raise source.failed("BrokenDocument", "this is no text, or in an encoding that cannot be guessed")
    return _text(body.decode(guess.encoding, errors="replace"), source)


def _marked(body: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS if body.startswith(mark)), None)


def _text(text: str, source: Source) -> str:
    if "\x00" in text:
        raise source.failed("BrokenDocument", "this is no text: it holds zero bytes")
    return text


Parts = Iterator[tuple[str, dict[str, Any]]]


def _txt(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    del limits
    yield decoded(source, config.get("encoding")), {}


def _md(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    del limits
    text = decoded(source, config.get("encoding"))
    heading = _HEADING.search(text)
    yield text, titled(heading[1] if heading else "")


def _csv(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    del limits
    text = decoded(source, config.get("encoding"))
    delimiter = "\t" if source.name.lower().endswith(".tsv") else _delimiter(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() or f"column_{i}" for i, name in enumerate(next(rows, []), 1)]
        for number, cells in enumerate(rows, 1):
            if len(cells) > len(names):
                raise source.failed("BrokenDocument", f"row {number} has {len(cells)} cells; there are {len(names)}")
            row = dict(zip(names, cells, strict=False))
            yield row_of(row, config.get("content_field"), source, number)
    except csv.Error as error:
        raise source.failed("BrokenDocument", f"this is no CSV: {error}") from None


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max(",;\t|", key=lambda mark: (first.count(mark), mark == ","))


def _json(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    del limits
    text = decoded(source, config.get("encoding"))
    field_ = config.get("content_field")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = list(_lines(source, text))
    if not isinstance(value, list):
        content, more = row_of(value, field_, source, 0) if field_ else (_plain(value), {})
        yield content, {k: v for k, v in more.items() if k != "row"}
        return
    for number, item in enumerate(value, 1):
        if isinstance(item, Mapping):
            yield row_of(item, field_, source, number)
        else:
            yield _plain(item), {"row": number}


def _lines(source: Source, text: str) -> Iterator[Any]:
    """JSON Lines: a value in each line."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        if len(lines) < 2 or not lines[0].lstrip().startswith(("{", "[", '"')):
            raise ValueError
        yield from map(json.loads, lines)
    except (ValueError, RecursionError):
        raise source.failed("BrokenDocument", "this is neither JSON nor JSON Lines") from None


def row_of(row: Any, content_field: str | None, source: Source, number: int) -> tuple[str, dict[str, Any]]:
    """A row's content and metadata. Raises NodeError InvalidInput where the content's field is missing."""
    if content_field is None:
        return "\n".join(f"{name}: {_plain(value)}" for name, value in row.items() if value is not None), {
            "row": number
        }
    if not isinstance(row, Mapping) or content_field not in row:
        raise source.failed("InvalidInput", f"row {number} has no field {content_field!r}")
    others = {field_name(k): v for k, v in row.items() if k != content_field}
    return _plain(row[content_field]), {**others, "row": number}


def field_name(name: str) -> str:
    """A name that metadata can have, so that a filter can speak of it."""
    fitting = _NO_NAME.sub("_", name)[:60].strip("_") or "field"
    return fitting if fitting[0].isalpha() else f"f_{fitting}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def titled(title: Any) -> dict[str, Any]:
    """Metadata with a title, if there is one."""
    text = " ".join(str(title or "").split())[:_MAX_TITLE]
    return {"title": text} if text else {}


def _html(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    from shared.nodes.rag._markup import html

    return html(source, config.get("encoding"), limits)


def _pdf(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    from shared.nodes.rag._paged import pdf

    del config
    return pdf(source, limits)


def _docx(source: Source, config: Mapping[str, Any], limits: Limits) -> Parts:
    from shared.nodes.rag._markup import docx

    del config
    return docx(source, limits)


_READERS: Final[Mapping[str, Callable[[Source, Mapping[str, Any], Limits], Parts]]] = {
    "txt": _txt,
    "md": _md,
    "html": _html,
    "csv": _csv,
    "json": _json,
    "pdf": _pdf,
    "docx": _docx,
}
