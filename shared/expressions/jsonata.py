"""JSONata 2.0: one place that evaluates, with its budget.

Evaluation is jsonatapy (Rust), whose guards hold the budget of the specification: one second, a bounded depth and
sequence length. `$eval` is switched off: text that a tenant's data holds is never code.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import jsonatapy

TIMEOUT_MS: Final = 1_000
MAX_DEPTH: Final = 500
MAX_SEQUENCE: Final = 1_000_000
MAX_RESULT_BYTES: Final = 10_000_000
_KEPT: Final = 4_096


class ExpressionFailed(Exception):
    """An expression could not be evaluated. The message names the cause, not the data."""


def _no_eval(*_arguments: Any) -> NoReturn:
    raise ValueError("$eval is not available")


class _Compiled(threading.local):
    """Compiled expressions by their text. jsonatapy's belong to the thread that made them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def clear(self) -> None:
        self._kept.clear()

    def get(self, expression: str) -> Any:
        found = self._kept.get(expression)
        if found is None:
            found = jsonatapy.compile(
                expression, timeout=TIMEOUT_MS, max_stack_depth=MAX_DEPTH, max_sequence_length=MAX_SEQUENCE
            )
            if "eval" in expression:
                found = found.register_override("eval", _no_eval)
            self._kept[expression] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


_compiled: Final = _Compiled()


def forget() -> None:
    """Drop what this thread has compiled: for threads that end before the process does."""
    _compiled.clear()


def evaluate(expression: str, scope: Mapping[str, Any]) -> Any:
    """The value of `expression` over `scope`; undefined is None. Raises ExpressionFailed."""
    failed: str | None = None
    try:
        value = _compiled.get(expression).evaluate(scope)
    except (ValueError, TypeError, RecursionError) as error:
        failed = _brief(error)
    if failed is not None:
        # Raised out here so that it carries no frame of the engine's, which would keep the expression alive.
        raise ExpressionFailed(failed)
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionFailed("the result is not a finite number")
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
