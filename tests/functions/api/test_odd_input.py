"""Whatever is sent, the answer is no 5xx, and says in words what was wrong.

Bodies are made from the OpenAPI document: for every route a body that fits, and then one odd thing at a time in it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from functions.api.app import PREFIX, build
from shared.nodes import registry
from tests.functions.api.samples import SAMPLES, SHARED
from tests.functions.api.workflows_over_http import created, node, workflow

DOCUMENT: Final = build().openapi()
ROUTES: Final = sorted((m.upper(), p) for p, operations in DOCUMENT["paths"].items() for m in operations)
# What is removed, ended or emptied by a request that happens to be right comes last.
LAST: Final = ("DELETE", "/cancel", "/unpublish")

HALF: Final = "\ud800"  # half a surrogate pair: JSON can name it, UTF-8 cannot hold it
DEEP: Final = b"[" * 5_000 + b"]" * 5_000
RAW: Final = [
    b"",
    b"null",
    b"{",
    b"[]",
    b'"text"',
    b"0",
    b"NaN",
    b'{"name": NaN}',
    b'{"name": 1e999}',
    b'{"name": ' + b"9" * 5_000 + b"}",
    b'{"name": ' + DEEP + b"}",
    DEEP,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"name": "a", "name": null}',
    b'{"name": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"__proto__": {}, "\\u0000": 1}',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
]
ODD: Final[list[Any]] = [
    None,
    True,
    0,
    -1,
    10**30,
    1e308,
    0.1,
    "",
    " ",
    "\u0000",
    "🦊\u202e\u2028" * 9,
    HALF,
    "x" * 70_000,
    "{{",
    "{{ $eval('1') }}",
    "9999-99-99T99:99:99Z",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": {"": [None]}},
    {"$ref": "#"},
    ["🦊" * 1_000] * 100,
]
QUERY: Final = ["", "%00", "%ED%A0%80", "-1", "0", "1e9", "9" * 400, "x" * 5_000, "null", "true", "%F0%9F%A6%8A", "a b"]
HEADERS: Final = ["", '"', '"9999999999999999999"', 'W/"1"', "*", "\x01", "x" * 300, "a b", "é"]


def _answered(answer: httpx.Response, *about: Any) -> httpx.Response:
    assert answer.status_code < 500, (*about, answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (*about, answer.text)
        assert answer.json()["detail"], about
    return answer


def _ids(client: httpx.Client) -> dict[str, str]:
    made: dict[Any, str] = {}
    return {name: made.setdefault(make, "") or made.setdefault(make, make(client)) for name, make in SAMPLES.items()}
