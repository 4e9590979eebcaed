"""JSONata 2.0: one place that evaluates, with its budget.

Evaluation is jsonatapy (Rust), whose guards hold the budget of the specification: one second, a bounded depth and
sequence length. `$eval` is switched off: text that a tenant's data holds is never code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

import jsonatapy

TIMEOUT_MS: Final = 1_000
MAX_DEPTH: Final = 500
MAX_SEQUENCE: Final = 1_000_000
MAX_RESULT_BYTES: Final = 10_000_000


class ExpressionFailed(Exception):
    """An expression could not be evaluated. The message names the cause, not the data."""


def _no_eval(*_arguments: Any) -> NoReturn:
    raise ValueError("$eval is not available")


@lru_cache(maxsize=4_096)
def _compiled(expression: str) -> Any:
    compiled = jsonatapy.compile(
        expression, timeout=TIMEOUT_MS, max_stack_depth=MAX_DEPTH, max_sequence_length=MAX_SEQUENCE
    )
    return compiled.register_override("eval", _no_eval) if "eval" in expression else compiled


def evaluate(expression: str, scope: Mapping[str, Any]) -> Any:
    """The value of `expression` over `scope`; undefined is None. Raises ExpressionFailed."""
    try:
        value = _compiled(expression).evaluate(scope)
    except (ValueError, TypeError, RecursionError) as error:
        raise ExpressionFailed(_brief(error)) from None
    if isinstance(value, (str, list, dict)) and _too_large(value):
        raise ExpressionFailed(f"the result is over {MAX_RESULT_BYTES:,} bytes")
    return value


def _too_large(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > MAX_RESULT_BYTES
    if len(value) < 100:  # small containers of small things are the usual case; look closer only at suspicious ones
        parts = value.values() if isinstance(value, dict) else value
        return any(isinstance(p, (str, list, dict)) and _too_large(p) for p in parts)
    return len(json.dumps(value)) > MAX_RESULT_BYTES


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
