"""Mustache for templates that tenants write, by pystache: no partials, no other delimiters, and a budget.

pystache's own `render` would look for partials in files, and its parser's expression takes time that grows with the
square for some texts; so tags are looked at here first. Nodes of plain text are replaced by ones that pay for
themselves: a list within a list within a list is how a short template makes a long text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pystache.context import ContextStack, KeyNotFoundError
from pystache.parser import ParsingError, parse
from pystache.renderengine import RenderEngine

from shared.nodes.base import NodeError
from shared.nodes.data._budget import Budget
from shared.nodes.data._text import text_of

_TAG: Final = re.compile(r"\{\{(?:\s*+\{[^{}]{1,200}\}\s{0,20}|\s*+![^{}]{0,2000}|\s*+[^{}=>!][^{}]{0,200})\}\}")
_BLANKS: Final = re.compile(r"[ \t]{201}")


def problem(text: str) -> str | None:
    """Why a template cannot be used, or None."""
    try:
        _parsed(text, Budget())
    except NodeError as error:
        return error.message
    return None


def render(text: str, names: Mapping[str, Any]) -> str:
    """The text. Raises NodeError: TemplateError, ValueTooLarge, Timeout."""
    budget = Budget()

    def found(stack: ContextStack, name: str) -> Any:
        try:
            value = stack.get(name)
        except KeyNotFoundError:
            value = None
        budget.spend(1)
        return _Items(value, budget) if isinstance(value, list) else value

    def written(value: str) -> str:
        budget.spend(len(value))
        return value

    engine = RenderEngine(
        literal=written,
        escape=lambda value: written(html.escape(value)),
        resolve_context=found,
        to_str=lambda value: text_of(value.plain if isinstance(value, _Items) else value),
    )
    tree = _parsed(text, budget)
    try:
        rendered: str = tree.render(engine, ContextStack(dict(names)))
    except RecursionError:
        raise NodeError("TemplateError", "the template or its data nest too deep", retryable=False) from None
    return rendered


class _Items:
    """A list whose items are paid for."""

    def __init__(self, plain: list[Any], budget: Budget) -> None:
        self.plain = plain
        self._budget = budget

    def __bool__(self) -> bool:
        return bool(self.plain)

    def __iter__(self) -> Iterator[Any]:
        for item in self.plain:
            self._budget.spend(1)
            yield item


class _Plain:
    """Text between tags."""

    def __init__(self, text: str, budget: Budget) -> None:
        self._text = text
        self._budget = budget

    def render(self, engine: RenderEngine, context: ContextStack) -> str:
        del engine, context
        self._budget.spend(len(self._text))
        return self._text


def _parsed(text: str, budget: Budget) -> Any:
    at = text.find("{{")
    while at >= 0:
        tag = _TAG.match(text, at)
        if tag is None:
            line = text.count("\n", 0, at) + 1
            message = f"line {line} has a tag that is not closed, or a partial or other delimiters, which there are not"
            raise NodeError("TemplateError", message, retryable=False)
        budget.spend()
        at = text.find("{{", tag.end())
    if _BLANKS.search(text):
        raise NodeError("TemplateError", "there are over 200 blanks in a row", retryable=False)
    try:
        return _metered(parse(text, raise_on_mismatch=True), budget)
    except ParsingError as error:
        raise NodeError("TemplateError", str(error)[:300], retryable=False) from None
    except RecursionError:
        raise NodeError("TemplateError", "the template nests too deep", retryable=False) from None


def _metered(tree: Any, budget: Budget) -> Any:
    for position, node in enumerate(tree._parse_tree):
        if isinstance(node, str):
            tree._parse_tree[position] = _Plain(node, budget)
        for below in (getattr(node, "parsed", None), getattr(node, "parsed_section", None)):
            if below is not None:
                _metered(below, budget)
    return tree
