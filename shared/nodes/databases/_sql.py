"""What both kinds of SQL server have in common: placeholders, caps, values as JSON.

Placeholders are found by reading the text as the server will; values never become part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NoReturn

from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.world import Credential

MAX_BYTES: Final = 20_000_000
_EXACT: Final = 2**53
_WORD: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACEHOLDER: Final = rf"(?<![\w:\])\"`])[:](?P<name>{_WORD}|[1-9][0-9]{{0,4}})"
# What may hold a colon that is no placeholder: texts, quoted names, comments, casts.
_POSTGRES: Final = re.compile(
    r"(?:(?<!\w)[eE]'(?:[^'\\]|''|\\.)*'"
    r"|'(?:[^']|'')*'"
    r'|"(?:[^"]|"")*"'
    r"|(?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$"
    r"|--[^\n]*"
    r"|(?P<comment>/\*)"
    r"|::|:="
    rf")|{_PLACEHOLDER}|(?P<word>{_WORD})",
    re.DOTALL,
)
_MYSQL: Final = re.compile(
    r"(?:'(?:[^'\\]|''|\\.)*'"
    r'|"(?:[^"\\]|""|\\.)*"'
    r"|`(?:[^`]|``)*`"
    r"|--(?=\s|$)[^\n]*|#[^\n]*"
    r"|/\*.*?\*/"
    r"|:="
    rf")|{_PLACEHOLDER}|(?P<word>{_WORD})",
    re.DOTALL,
)


@dataclass
class Statement:
    """A statement with the server's own placeholders, the values that go with them."""

    text: str
    values: list[Any] = field(default_factory=list)
    is_empty: bool = True


async def run(call: Call, found: Credential, query: Any, params: Any, seconds: float) -> Outputs:
    """`{rows, row_count, columns, truncated}` of one statement, committed; the server stops it after so many seconds.

    Goes by `read_only`, `max_rows` and `when_more` of the call's config. Raises NodeError as `sql_query` does.
    """
    made = statement(query, params, found.kind)
    if found.kind == "postgres":
        from shared.nodes.databases import _postgres

        return await _postgres.run(call, found, made, seconds)
    from shared.nodes.databases import _mysql

    return await _mysql.run(call, found, made, seconds)


def statement(query: Any, params: Any, dialect: str) -> Statement:
    """The statement, with `:name` (of an object) and `:1` (of an array) bound, for `postgres` or `mysql`.

    Raises NodeError InvalidInput.
    """
    if not isinstance(query, str) or not query.strip():
        _refuse("query is missing or no text")
    if "\x00" in query:
        _refuse("query holds a character that no server takes")
    made = _Reader(params, dialect).read(query)
    if made.is_empty:
        _refuse("query holds no statement")
    return made


class _Reader:
    def __init__(self, params: Any, dialect: str) -> None:
        if params is not None and not isinstance(params, (Mapping, list)):
            _refuse("params must be an object (for :name) or an array (for :1, :2)")
        self._params = params
        self._dialect = dialect
        self._numbers: dict[str, int] = {}
        self._used: set[str] = set()

    def read(self, query: str) -> Statement:
        made = Statement("")
        parts: list[str] = []
        at = 0
        pattern = _POSTGRES if self._dialect == "postgres" else _MYSQL
        while (found := pattern.search(query, at)) is not None:
            parts.append(query[at : found.start()])
            at = found.end()
            if found.group("name"):
                parts.append(self._bound(found.group("name"), made))
                continue
            if found.group("word"):
                made.is_empty = False
            elif self._dialect == "postgres" and found.group("comment"):
                at = _comment_end(query, found.start())
            parts.append(query[found.start() : at])
        parts.append(query[at:])
        self._check_used()
        made.text = "".join(parts)
        return made

    def _bound(self, name: str, made: Statement) -> str:
        value = self._value(name)
        self._used.add(name)
        if self._dialect == "mysql":
            if value is None:
                return "NULL"  # a session variable that is null has a binary type
            made.values.append(value)
            return "?"
        if name not in self._numbers:
            made.values.append(value)
            self._numbers[name] = len(made.values)
        return f"${self._numbers[name]}"

    def _value(self, name: str) -> Any:
        if name.isdigit():
            if not isinstance(self._params, list):
                _refuse(f"the placeholder :{name} needs params to be an array")
            if int(name) > len(self._params):
                _refuse(f"there is no value for the placeholder :{name}")
            return self._params[int(name) - 1]
        if not isinstance(self._params, Mapping):
            _refuse(f"the placeholder :{name} needs params to be an object")
        if name not in self._params:
            _refuse(f"there is no value for the placeholder :{name}")
        return self._params[name]

    def _check_used(self) -> None:
        if not isinstance(self._params, list):
            return  # an object may hold more than one statement needs
        spare = [i for i in range(1, len(self._params) + 1) if str(i) not in self._used]
        if spare:
            _refuse(f"params has a value for :{spare[0]}, which query does not use")


def _comment_end(query: str, start: int) -> int:
    """Where a comment ends that may hold others, as PostgreSQL's may."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(query, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(query)


class Rows:
    """Rows as they come in, held to the caps."""

    def __init__(self, names: Sequence[str], types: Sequence[str], max_rows: int, cut: bool) -> None:
        self.names = _distinct(names)
        self._types = types
        self._max_rows = max_rows
        self._cut = cut
        self._held: list[dict[str, Any]] = []
        self.truncated = False
        self.size = 0

    def add(self, values: Sequence[Any]) -> bool:
        """Keep a row; False when no more are wanted. Raises NodeError TooManyRows, ResponseTooLarge."""
        if len(self._held) == self._max_rows:
            if not self._cut:
                message = f"the statement gives more than {self._max_rows:,} rows (max_rows)"
                raise NodeError("TooManyRows", message, retryable=False)
            self.truncated = True
            return False
        row = dict(zip(self.names, values, strict=True))
        self.size += len(json.dumps(row))
        if self.size > MAX_BYTES:
            raise NodeError("ResponseTooLarge", f"the rows are over {MAX_BYTES:,} bytes as JSON", retryable=False)
        self._held.append(row)
        return True

    def outputs(self) -> Outputs:
        """All ports."""
        columns = [{"name": n, "type": t} for n, t in zip(self.names, self._types, strict=True)]
        return {
            "rows": self._held,
            "row_count": len(self._held),
            "columns": columns,
            "truncated": self.truncated,
        }


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names as keys: a second `id` is `id_2`."""
    seen: dict[str, int] = {}
    taken = set(names)
    made: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        key = name
        while seen[name] > 1 and key in taken:
            key = f"{name}_{seen[name]}"
            seen[name] += key in taken
        taken.add(key)
        made.append(key)
    return made


def number(text: str) -> int | float | str:
    """A number as JSON has it, or its text where a double would not hold it exactly."""
    value = Decimal(text)
    if not value.is_finite():
        return text
    if value == value.to_integral_value() and abs(value) <= _EXACT:
        return int(value)
    try:
        near = float(value)
    except OverflowError:
        return text
    return near if near not in (float("inf"), float("-inf")) and Decimal(repr(near)) == value else text


def _refuse(message: str) -> NoReturn:
    raise NodeError("InvalidInput", message, retryable=False)
