"""JSONata 2.0: one place that evaluates, with its budget.

Evaluation is jsonatapy (Rust), whose guards hold the budget of the specification: one second, a bounded depth and
sequence length. `$eval` is switched off: text that a tenant's data holds is never code. What differs from JSONata 2.0
is in docs/expressions.md.
"""

from __future__ import annotations

import json
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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


# What stands in for a built-in: $eval is refused, and jsonatapy names $random but has none.
_OVERRIDES: Final[Mapping[str, Callable[..., Any]]] = {"eval": _no_eval, "random": random.random}


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
            for name, function in _OVERRIDES.items():
                if name in expression:
                    found = found.register_override(name, function)
            self._kept[expression] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


_compiled: Final = _Compiled()


def forget() -> None:
    """Drop what this thread has compiled: for threads that end before the process does."""
    _compiled.clear()


# jsonatapy 2.2.13 crashes the process when it compiles on one thread after another has ended, as an API's worker
# threads do. So whatever is only parsed is parsed on one thread, which lives as long as the process.
_parser: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jsonata")


def syntax_problem(expression: str) -> str | None:
    """Why the engine cannot parse an expression, or None."""
    return _parser.submit(_syntax_problem, expression).result()


def _syntax_problem(expression: str) -> str | None:
    try:
        _compiled.get(expression)
    except (ValueError, RecursionError) as error:
        return _brief(error)
    return None


def evaluate(expression: str, scope: Mapping[str, Any]) -> Any:
    """The value of `expression` over `scope`; undefined is None. Raises ExpressionFailed."""
    failed: str | None = None
    try:
        value = _value(expression, scope)
        if isinstance(value, (float, str, list, dict)):
            failed = _unfit(value)
    except (ValueError, TypeError, RecursionError) as error:
        failed = _brief(error)
    if failed is not None:
        # Raised out here so that it carries no frame of the engine's, which would keep the expression alive.
        raise ExpressionFailed(failed)
    return value


def evaluate_on_any_thread(expression: str, scope: Mapping[str, Any]) -> Any:
    """As `evaluate`, for threads that may end before the process does, such as those that answer requests."""
    return _parser.submit(evaluate, expression, scope).result()


def _value(expression: str, scope: Mapping[str, Any]) -> Any:
    compiled = _compiled.get(expression)
    try:
        return compiled.evaluate(scope)
    except TypeError as error:
        if not str(error).startswith("OverflowError"):
            raise
    # An integer over 64 bits is somewhere in the scope. JSONata's numbers are doubles anyway.
    return compiled.evaluate(_as_doubles(scope))


def _as_doubles(value: Any) -> Any:
    """The value with integers that do not fit into 64 bits as floats. Raises ValueError for those over 1e308."""
    if isinstance(value, Mapping):
        return {name: _as_doubles(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_doubles(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            raise ValueError("a number is out of range") from None
    return value


def _unfit(value: Any) -> str | None:
    """Why a result cannot be kept: it is too long or too deep, or no JSON."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return "the result holds something that is not a finite number"
    except RecursionError:
        return "the result is nested too deeply"
    size = len(text) if len(text) <= MAX_RESULT_BYTES // 4 else len(text.encode())
    return f"the result is over {MAX_RESULT_BYTES:,} bytes" if size > MAX_RESULT_BYTES else None


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
