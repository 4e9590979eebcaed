"""Values as text: what every template engine and every joined list writes for a value."""

from __future__ import annotations

import json
from typing import Any

from shared.nodes.base import NodeError


def text_of(value: Any) -> str:
    """A string as it is, null as nothing, others as JSON on one line. Raises NodeError InvalidInput."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_of(value)


def json_of(value: Any, indent: int | None = None) -> str:
    """JSON text, on one line without an indent. Raises NodeError InvalidInput for what JSON cannot say."""
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    except RecursionError:
        message = "the value nests too deep"
    except (TypeError, ValueError):
        message = "the value holds something that JSON cannot say"
    raise NodeError("InvalidInput", message, retryable=False)
