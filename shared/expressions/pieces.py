"""What a JSONata expression is made of, as far as finding its end, or the names in it, takes: no parser.

A `/` begins a pattern where a value is to come, and divides everywhere else. A pattern ends at the first `/` that has
no backslash before it, as in the engine that evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final, Literal, NamedTuple, cast

Kind = Literal["space", "comment", "text", "name", "word", "pattern", "open", "sign"]
_OPERATORS: Final = frozenset({"and", "or", "in"})
_EITHER: Final = frozenset("*%?")  # a value themselves where one is to come: the members, the parent, a place left free
_PIECE: Final = re.compile(
    r"(?P<space>\s+)|(?P<comment>/\*.*?\*/)|(?P<text>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|(?P<name>`[^`]*`)"
    r"|(?P<open>(?:[\"'`]|/\*).*)|(?P<word>[^\s\[\](){}.,@#;:?+\-*/%|=<>^&!~\"'`\\]+)|(?P<sign>\*\*|\?\?|.)",
    re.DOTALL,
)
_PATTERN: Final = re.compile(r"(?P<pattern>/(?:\\.|[^/\\])*/)|(?P<open>/.*)", re.DOTALL)


class Piece(NamedTuple):
    """`text[start:end]`. `name` stands in backquotes; `open` is a text, a comment and the like without its end."""

    kind: Kind
    start: int
    end: int


def pieces(text: str, at: int = 0) -> Iterator[Piece]:
    """The pieces of the expression that begins here, without a gap, to the end of the text."""
    awaited = True  # whether a value is to come
    while at < len(text):
        begins = awaited and text[at] == "/" and not text.startswith("/*", at)
        found = cast("re.Match[str]", (_PATTERN if begins else _PIECE).match(text, at))  # each takes any character
        kind, said = cast(Kind, found.lastgroup), found[0]
        yield Piece(kind, at, found.end())
        if kind == "sign":
            awaited = not awaited if said in _EITHER else said not in (")", "]", "}", "**")
        elif kind not in ("space", "comment"):
            awaited = kind == "word" and said in _OPERATORS
        at = found.end()


def parts(expression: str) -> Iterator[tuple[str, bool]]:
    """The expression in parts, in order: `(part, whether it can hold names)`; texts, patterns and comments cannot."""
    for named, run in groupby(pieces(expression), lambda p: p.kind in ("space", "name", "word", "sign")):
        these = list(run)
        yield expression[these[0].start : these[-1].end], named
