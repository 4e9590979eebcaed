"""A file's bytes from a node's value."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from shared.errors import Invalid
from shared.files.rules import check_size


class Content(NamedTuple):
    """Bytes, and what they are."""

    body: bytes
    content_type: str


def encoded(content: Any, form: str) -> Content:
    """The content in the format `auto`, `text`, `json`, `csv` or `base64`. Raises Invalid, saying why, or TooLarge."""
    if form == "auto":
        form = "text" if isinstance(content, str) else "json"
    try:
        return _FORMATS[form](content)
    except UnicodeEncodeError:
        raise Invalid("content is not valid Unicode text") from None


def _text(content: Any) -> Content:
    if isinstance(content, (dict, list)) or content is None:
        raise Invalid("content of the format text is a text, a number or a boolean")
    return Content((content if isinstance(content, str) else _json_text(content)).encode(), "text/plain; charset=utf-8")


def _json(content: Any) -> Content:
    return Content(_json_text(content).encode(), "application/json")


def _json_text(content: Any) -> str:
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Invalid("content is not JSON") from None


def _csv(content: Any) -> Content:
    """A line of names, in the order in which they first come, and a line for each object (RFC 4180)."""
    if not isinstance(content, list):
        raise Invalid("content of the format csv is an array of objects")
    names: dict[str, None] = {}
    for number, row in enumerate(content):
        if not isinstance(row, dict):
            raise Invalid(f"content of the format csv is an array of objects; number {number} is none")
        names |= dict.fromkeys(row)
    check_size(len(names) * len(content))  # each field has a comma or a line's end behind it, empty ones too
    out = io.StringIO()
    if names:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in content)
    return Content(out.getvalue().encode(), "text/csv; charset=utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json_text(value)


def _base64(content: Any) -> Content:
    """Text, or an object `{base64, content_type}`, which is how http_request hands on what is no text."""
    kind = "application/octet-stream"
    if isinstance(content, Mapping):
        given = content.get("content_type")
        kind = given if isinstance(given, str) and given else kind
        content = content.get("base64")
    if not isinstance(content, str):
        raise Invalid("content of the format base64 is a text, or an object with the text in its field base64")
    try:
        return Content(base64.b64decode("".join(content.split()), validate=True), kind)
    except (binascii.Error, ValueError):
        raise Invalid("content is not base64") from None


_FORMATS: Final[Mapping[str, Callable[[Any], Content]]] = {
    "text": _text,
    "json": _json,
    "csv": _csv,
    "base64": _base64,
}
