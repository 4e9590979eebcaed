"""What a tenant's file may be."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from shared.errors import Invalid, TooLarge

MAX_BYTES: Final = 50_000_000
MAX_PATH_BYTES: Final = 512
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]+"
_CONTENT_TYPE: Final = re.compile(rf'{_TOKEN}/{_TOKEN}(; ?{_TOKEN}=({_TOKEN}|"[A-Za-z0-9 _.:+/-]*"))*')
_MAX_CONTENT_TYPE: Final = 200


def checked_path(path: str) -> str:
    """The path in Unicode's form NFC, such as `reports/2026/july.csv`. Raises Invalid `bad_path`, saying why."""
    if not isinstance(path, str) or not path:
        raise _bad_path("is a text that is not empty")
    normal = checked_start(path)
    if any(part in ("", ".", "..") for part in normal.split("/")):
        raise _bad_path("has no empty parts and none that is `.` or `..`")
    return normal


def checked_start(path: str) -> str:
    """What paths may begin with, in the form NFC; it may be empty. Raises Invalid `bad_path`, saying why."""
    normal = unicodedata.normalize("NFC", path)
    try:
        size = len(normal.encode())
    except UnicodeEncodeError:
        raise _bad_path("is valid Unicode text") from None
    if size > MAX_PATH_BYTES:
        raise _bad_path(f"has at most {MAX_PATH_BYTES} bytes; this has {size:,}")
    if normal.startswith("/"):
        raise _bad_path("does not start with a slash")
    if any(c == "\\" or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in normal):
        raise _bad_path("has no backslashes, control characters or line breaks")
    return normal


def check_content_type(content_type: str) -> None:
    """Raises Invalid `bad_content_type`."""
    if len(content_type) > _MAX_CONTENT_TYPE or not _CONTENT_TYPE.fullmatch(content_type):
        raise Invalid("a content type is such as `text/csv; charset=utf-8`", code="bad_content_type")


def check_size(size: int) -> None:
    """Raises TooLarge."""
    if size > MAX_BYTES:
        raise TooLarge(f"a file has at most {MAX_BYTES:,} bytes; this has at least {size:,}")


def _bad_path(rule: str) -> Invalid:
    return Invalid(f"a file's path {rule}", code="bad_path")
