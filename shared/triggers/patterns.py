"""EventBridge's event patterns, for events that are matched in our own index instead of by a rule each.

A pattern has the shape of the events that it is for: an object in it stands for an object, a list for the values one
of which a field has to have. A value is text, a number, true, false, null, or an object that says how to compare:

    {"prefix": …}  {"suffix": …}  {"equals-ignore-case": …}  {"wildcard": "a*b"}  {"anything-but": …}
    {"numeric": [">", 0, "<=", 5]}  {"exists": true}  {"cidr": "10.0.0.0/24"}

Fields stand for "and", the values of a list for "or", and so do the patterns of `"$or": […]`. Where the event has a
list, one of its elements has to fit; several fields of a pattern have to fit in the same element.
"""

from __future__ import annotations

import ipaddress
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from shared.errors import Problem

MAX_LENGTH: Final = 4_096  # characters of JSON; EventBridge's own limit is half of it
_MAX_DEPTH: Final = 20
_OR: Final = "$or"
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LIMIT: Final = 5_000_000_000


class BadPattern(ValueError):
    """A pattern that is none; `path` names the place in it, such as `detail.amount`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def problems(pattern: Any, path: str) -> Iterator[Problem]:
    """What is wrong with a pattern; `path` is where it stands."""
    try:
        check(pattern)
    except BadPattern as error:
        yield Problem("invalid_pattern", str(error), f"{path}.{error.path}" if error.path else path)


def check(pattern: Any) -> None:
    """Raise BadPattern unless this is a pattern."""
    try:
        length = len(json.dumps(pattern, ensure_ascii=False))
    except RecursionError:
        raise BadPattern("", "the pattern is nested too deeply") from None
    if length > MAX_LENGTH:
        raise BadPattern("", f"a pattern has at most {MAX_LENGTH:,} characters; this has {length:,}")
    _check_object(pattern, "", 0)


def _check_object(pattern: Any, path: str, depth: int) -> None:
    if not isinstance(pattern, Mapping) or not pattern:
        raise BadPattern(path, "a pattern is an object with at least one field")
    if depth > _MAX_DEPTH:
        raise BadPattern(path, f"a pattern is at most {_MAX_DEPTH} levels deep")
    for name, wanted in pattern.items():
        at = f"{path}.{name}" if path else name
        if _is_or(name, wanted):
            for index, other in enumerate(wanted):
                _check_object(other, f"{at}[{index}]", depth + 1)
        elif isinstance(wanted, Mapping):
            _check_object(wanted, at, depth + 1)
        elif isinstance(wanted, list) and wanted:
            for value in wanted:
                _check_value(value, at)
        else:
            raise BadPattern(at, "a field's pattern is an object, or a list of the values that it may have")


def _is_or(name: str, wanted: Any) -> bool:
    return name == _OR and isinstance(wanted, list) and len(wanted) > 1 and all(isinstance(w, Mapping) for w in wanted)


def _check_value(value: Any, at: str) -> None:
    if isinstance(value, list):
        raise BadPattern(at, "there are no lists in a list of values")
    if not isinstance(value, Mapping):
        return
    if len(value) != 1:
        raise BadPattern(at, "a comparison is an object with one field, such as prefix")
    ((how, operand),) = value.items()
    if how not in _CHECKS:
        raise BadPattern(at, f"there is no comparison {how!r}; there is {', '.join(_CHECKS)}")
    fault = _CHECKS[how](operand)
    if fault:
        raise BadPattern(at, f"{how} {fault}")


def _text_fault(operand: Any) -> str:
    return "" if isinstance(operand, str) else "takes a text"


def _affix_fault(operand: Any) -> str:
    if isinstance(operand, Mapping) and set(operand) == {"equals-ignore-case"}:
        operand = operand["equals-ignore-case"]
    return "" if isinstance(operand, str) and operand else "takes a text that is not empty"


def _wildcard_fault(operand: Any) -> str:
    if not isinstance(operand, str):
        return "takes a text"
    try:
        pieces = _pieces(operand)
    except ValueError as error:
        return str(error)
    return "takes no two * in a row" if "" in pieces[1:-1] else ""


def _numeric_fault(operand: Any) -> str:
    fault = 'takes one or two comparisons with numbers, such as [">", 0, "<=", 5]'
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return fault
    signs, bounds = operand[::2], operand[1::2]
    if not all(isinstance(s, str) and s in _COMPARE for s in signs) or not all(_is_number(b) for b in bounds):
        return fault
    if any(abs(b) > _LIMIT for b in bounds):
        return f"compares numbers from {-_LIMIT:,} to {_LIMIT:,}"
    if len(signs) == 2:
        if signs[0] not in (">", ">=") or signs[1] not in ("<", "<="):
            return "with two comparisons has the lower bound first and the upper bound second"
        if bounds[0] >= bounds[1]:
            return "has bounds between which there is nothing"
    return ""


def _exists_fault(operand: Any) -> str:
    return "" if isinstance(operand, bool) else "takes true or false"


def _cidr_fault(operand: Any) -> str:
    try:
        if not isinstance(operand, str) or "/" not in operand:
            raise ValueError
        ipaddress.ip_network(operand, strict=False)
    except ValueError:
        return "takes a block of addresses, such as 10.0.0.0/24"
    return ""


def _but_fault(operand: Any) -> str:
    if isinstance(operand, Mapping):
        if len(operand) != 1:
            return "takes one comparison"
        ((how, inner),) = operand.items()
        if how not in _BUT:
            return f"takes no {how}; it takes {', '.join(_BUT)}"
        values = inner if isinstance(inner, list) else [inner]
        faults = [f"{how} {_CHECKS[how](v)}" for v in values if _CHECKS[how](v)]
        return faults[0] if faults else "" if values else f"{how} takes at least one text"
    values = operand if isinstance(operand, list) else [operand]
    alike = all(isinstance(v, str) for v in values) or all(_is_number(v) for v in values)
    return "" if values and alike else "takes texts or numbers, not both"


_BUT: Final = ("prefix", "suffix", "equals-ignore-case", "wildcard")
_CHECKS: Final[Mapping[str, Callable[[Any], str]]] = {
    "prefix": _affix_fault,
    "suffix": _affix_fault,
    "equals-ignore-case": _text_fault,
    "wildcard": _wildcard_fault,
    "anything-but": _but_fault,
    "numeric": _numeric_fault,
    "exists": _exists_fault,
    "cidr": _cidr_fault,
}


# --- matching --------------------------------------------------------------------------------------------------------


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event fits a pattern that `check` has passed."""
    return all(
        any(matches(other, event) for other in wanted) if _is_or(name, wanted) else _fits(wanted, event, name)
        for name, wanted in pattern.items()
    )


def _fits(wanted: Any, event: Mapping[str, Any], name: str) -> bool:
    found = _elements(event[name]) if name in event else []
    if isinstance(wanted, Mapping):
        # A field that is not there still fits a pattern that asks for its absence.
        return any(matches(wanted, f) for f in found if isinstance(f, Mapping)) or (
            not any(isinstance(f, Mapping) for f in found) and matches(wanted, {})
        )
    # Each only once, and plain values looked up: the patterns and events of one tenant must not hold up the others'.
    leaves = {(_kind(f), f): f for f in found if not isinstance(f, Mapping)}
    if any((_kind(value), value) in leaves for value in wanted if not isinstance(value, Mapping)):
        return True
    return any(_is_one(value, list(leaves.values())) for value in wanted if isinstance(value, Mapping))


def _elements(value: Any) -> list[Any]:
    """What stands in a field: itself, or the elements of a list and of the lists in it."""
    found, waiting = [], [value]
    while waiting:  # however deep they are
        part = waiting.pop()
        if isinstance(part, list):
            waiting += reversed(part)
        else:
            found.append(part)
    return found


def _is_one(value: Mapping[str, Any], leaves: list[Any]) -> bool:
    ((how, operand),) = value.items()
    if how == "exists":
        return bool(leaves) is operand
    return any(_compares(how, operand, leaf) for leaf in leaves)


def _same(value: Any, leaf: Any) -> bool:
    return _kind(value) is _kind(leaf) and bool(value == leaf)


def _kind(value: Any) -> type:
    return float if _is_number(value) else type(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _compares(how: str, operand: Any, leaf: Any) -> bool:
    if how == "anything-but":
        return not _is_but(operand, leaf)
    if how == "numeric":
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return _is_number(leaf) and all(_COMPARE[sign](leaf, bound) for sign, bound in pairs)
    return isinstance(leaf, str) and _TEXT[how](operand, leaf)


def _is_but(operand: Any, leaf: Any) -> bool:
    if isinstance(operand, Mapping):
        ((how, inner),) = operand.items()
        values = inner if isinstance(inner, list) else [inner]
        return isinstance(leaf, str) and any(_TEXT[how](v, leaf) for v in values)
    return any(_same(v, leaf) for v in (operand if isinstance(operand, list) else [operand]))


def _begins(operand: Any, leaf: str) -> bool:
    if isinstance(operand, Mapping):
        return leaf.casefold().startswith(operand["equals-ignore-case"].casefold())
    return leaf.startswith(operand)


def _ends(operand: Any, leaf: str) -> bool:
    if isinstance(operand, Mapping):
        return leaf.casefold().endswith(operand["equals-ignore-case"].casefold())
    return leaf.endswith(operand)


@lru_cache(1_024)
def _network(block: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(block, strict=False)


def _within(operand: str, leaf: str) -> bool:
    try:
        return ipaddress.ip_address(leaf) in _network(operand)
    except ValueError:
        return False


def _like(operand: str, leaf: str) -> bool:
    """Whether a text fits a wildcard: each piece between two `*` is looked for once, so it takes no long time."""
    first, *rest = _pieces(operand)
    if not rest:
        return leaf == first
    *middle, last = rest
    if len(leaf) < len(first) + len(last) or not leaf.startswith(first) or not leaf.endswith(last):
        return False
    at, end = len(first), len(leaf) - len(last)
    for piece in middle:
        found = leaf.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _pieces(wildcard: str) -> list[str]:
    r"""What stands between the `*`; `\*` and `\\` stand for the characters themselves. Raises ValueError."""
    pieces, current, rest = [], "", iter(wildcard)
    for character in rest:
        if character == "\\":
            character = next(rest, "")
            if character not in ("*", "\\"):
                raise ValueError("has a backslash that stands before neither * nor another")
            current += character
        elif character == "*":
            pieces.append(current)
            current = ""
        else:
            current += character
    return [*pieces, current]


_TEXT: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "prefix": _begins,
    "suffix": _ends,
    "equals-ignore-case": lambda operand, leaf: operand.casefold() == leaf.casefold(),
    "wildcard": _like,
    "cidr": _within,
}
