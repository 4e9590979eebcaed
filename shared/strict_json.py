"""JSON from outside: what Python's parser lets pass but JSON, or the code behind, does not is refused."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from shared.errors import BadRequest

MAX_DEPTH: Final = 100  # far below Python's recursion limit, which code further in would hit


def loads(body: bytes) -> Any:
    """The value. Raises BadRequest `bad_json`: no JSON, not UTF-8, NaN, half a surrogate pair, too deep."""
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant, parse_float=_number)
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be stored
    except UnicodeError:
        raise BadRequest("the body is not valid UTF-8", code="bad_json") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not JSON: {error.msg} at {where}", code="bad_json") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:100]}", code="bad_json") from None
    except RecursionError:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels", code="bad_json") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for v in level
            if isinstance(v, (dict, list))
            for child in (v.values() if isinstance(v, dict) else v)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels", code="bad_json")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value
