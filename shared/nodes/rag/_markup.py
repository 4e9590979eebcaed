"""HTML and Word as Markdown. Loads lxml, Beautiful Soup, markdownify, python-docx as they are needed."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Final

from shared.nodes.base import NodeError
from shared.nodes.rag._documents import MAX_CHARACTERS, Limits, Source, titled

_MAX_HTML: Final = 10_000_000
_MAX_UNPACKED: Final = 200_000_000
_MAX_ENTRIES: Final = 10_000
_MAX_XML: Final = 20_000_000  # of all its XML: in memory a byte of it may take 40
_MAX_COLUMNS: Final = 1_000  # Word's own limit is 63
_XML_BEGINS: Final = (b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00<")
_NO_TEXT: Final = ("script", "style", "noscript", "template", "svg", "iframe", "head")
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def html(source: Source, encoding: str | None, limits: Limits) -> Iterator[tuple[str, dict[str, Any]]]:
    """The page as Markdown. Raises NodeError."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    if len(source.body) > _MAX_HTML:
        raise source.failed("TooLarge", f"HTML is read up to {_MAX_HTML:,} bytes")
    said = re.search(r"charset=\"?([\w.:-]+)", source.content_type)
    try:
        with warnings.catch_warnings():  # on markup that looks like XML, or like a file's name
            warnings.simplefilter("ignore")
            soup = BeautifulSoup(source.body, "lxml", from_encoding=encoding or (said and said[1]) or None)
        title = titled(soup.title.get_text()) if soup.title else {}
        for tag in soup.find_all(_NO_TEXT):
            tag.decompose()
        limits.check_time()
        text = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(soup)
    except RecursionError:
        raise source.failed("BrokenDocument", "this HTML is nested too deeply") from None
    except (LookupError, ValueError) as error:
        raise source.failed("BrokenDocument", f"this HTML cannot be read ({type(error).__name__})") from None
    yield _BLANK_LINES.sub("\n\n", text).strip(), title


def docx(source: Source, limits: Limits) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document as Markdown: headings, paragraphs, lists and tables in their order. Raises NodeError."""
    import docx as library
    from docx.table import Table

    _check_archive(source)
    try:
        document = library.Document(io.BytesIO(source.body))
        title = titled(document.core_properties.title)
        parts: list[str] = []
        characters = 0
        for number, block in enumerate(document.iter_inner_content()):
            if number % 100 == 0:
                limits.check_time()
            part = _table(source, block, limits) if isinstance(block, Table) else _paragraph(block)
            characters += len(part)
            if characters > MAX_CHARACTERS:
                raise source.failed("TooLarge", f"over {MAX_CHARACTERS:,} characters")
            parts.append(part)
    except NodeError:
        raise
    except Exception as error:
        # Whatever a file that is no good does to a parser: nothing here but that parser runs.
        raise source.failed("BrokenDocument", f"this Word document cannot be read ({type(error).__name__})") from None
    yield "\n\n".join(part for part in parts if part.strip()), title


def _check_archive(source: Source) -> None:
    """Look at what the archive would unpack to before anything is: zipfile holds each entry to what it says."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.body)) as archive:
            entries = archive.infolist()
            if len(entries) > _MAX_ENTRIES or any(e.flag_bits & 1 for e in entries):
                xml = 0
            else:
                xml = sum(e.file_size for e in entries if e.file_size and _is_xml(archive, e))
    except (zipfile.BadZipFile, ValueError, OverflowError, RuntimeError, OSError, EOFError, zlib.error):
        raise source.failed("BrokenDocument", "this is no Word document: the archive is broken") from None
    if any(e.flag_bits & 1 for e in entries):
        raise source.failed("EncryptedDocument", "this is encrypted")
    unpacked = sum(e.file_size for e in entries)
    if len(entries) > _MAX_ENTRIES or unpacked > _MAX_UNPACKED or xml > _MAX_XML:
        raise source.failed("TooLarge", f"this unpacks to {unpacked:,} bytes in {len(entries):,} entries")


def _is_xml(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """By how it begins: what is parsed goes by types that the archive gives itself, not by names."""
    with archive.open(entry) as file:
        begins = file.read(1_024).lstrip()
    return not begins or begins.startswith(_XML_BEGINS)


def _paragraph(block: Any) -> str:
    text = str(block.text).strip()
    style = str(block.style.name) if block.style is not None else ""
    if not text:
        return ""
    if style == "Title":
        return f"# {text}"
    if match := re.fullmatch(r"Heading ([1-9])", style):
        return f"{'#' * min(6, int(match[1]))} {text}"
    return f"- {text}" if style.startswith("List") else text


def _table(source: Source, block: Any, limits: Limits) -> str:
    rows: list[list[str]] = []
    characters = 0
    for row in block.rows:
        limits.check_time()
        if sum(cell.grid_span for cell in row._tr.tc_lst) > _MAX_COLUMNS:  # before `cells` repeats a cell so often
            raise source.failed("TooLarge", f"a table has over {_MAX_COLUMNS:,} columns")
        cells = []
        for cell in row.cells:
            cells.append(" ".join(str(cell.text).split()).replace("|", "\\|"))
            characters += len(cells[-1])
            if characters > MAX_CHARACTERS:
                raise source.failed("TooLarge", f"over {MAX_CHARACTERS:,} characters")
        rows.append(cells)
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])
