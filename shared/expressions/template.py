r"""Templates: strings with `{{ expression }}` in them.

A string that is exactly one `{{ … }}` keeps the value's type (undefined becomes null). In mixed text values are
interpolated: strings as they are, undefined and null as nothing, others as JSON. `\{{` is a literal `{{`.
A string without `{{` is a literal, whatever else it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.expressions.pieces import pieces

Evaluate = Callable[[str], Any]


class TemplateError(Exception):
    """A template that does not parse: a `{{` without its `}}`, or nothing between them."""


@dataclass(frozen=True, slots=True)
class Expression:
    """The text between `{{` and `}}`."""

    text: str


Part = str | Expression


@lru_cache(maxsize=4_096)
def parse(text: str) -> tuple[Part, ...]:
    """The literal and expression parts of a template, in order. Raises TemplateError."""
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[Part]:
    literal: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("\\{{", at):
            literal.append("{{")
            at += 3
        elif text.startswith("{{", at):
            end = end_of(text, at + 2)
            expression = text[at + 2 : end].strip()
            if not expression:
                raise TemplateError("there is nothing between {{ and }}")
            if literal:
                yield "".join(literal)
                literal = []
            yield Expression(expression)
            at = end + 2
        else:
            literal.append(text[at])
            at += 1
    if literal:
        yield "".join(literal)


def end_of(text: str, at: int) -> int:
    """Where the `}}` of the expression that begins here stands: outside texts, patterns, comments, names in backquotes
    and JSONata's own braces.

    Raises TemplateError.
    """
    depth = 0
    for kind, start, _ in pieces(text, at):
        char = text[start]
        if kind == "open":
            raise TemplateError(f"a {char} is not closed")
        if kind != "sign":
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            if depth == 0 and text.startswith("}}", start):
                return start
            depth -= 1
    raise TemplateError("a {{ has no }}")


def is_template(value: Any) -> bool:
    """Whether rendering would do anything to this string."""
    return isinstance(value, str) and "{{" in value


def expressions(value: Any) -> Iterator[str]:
    """Every expression in a value's strings, however deep. Raises TemplateError."""
    if is_template(value):
        yield from (p.text for p in parse(value) if isinstance(p, Expression))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from expressions(each)


def render(value: Any, evaluate: Evaluate) -> Any:
    """The value with every template in it evaluated, however deep."""
    if is_template(value):
        parts = parse(value)
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return evaluate(parts[0].text)
        return "".join(p if isinstance(p, str) else _text(evaluate(p.text)) for p in parts)
    if isinstance(value, Mapping):
        return {k: render(v, evaluate) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [render(v, evaluate) for v in value]
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
