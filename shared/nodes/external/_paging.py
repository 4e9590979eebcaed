"""The config of http_request that says how a service hands out its pages."""

from __future__ import annotations

from typing import Any, Final


def _number(title: str, description: str, lowest: int, highest: int, **more: Any) -> dict[str, Any]:
    rest = {"minimum": lowest, "maximum": highest, "title": title, "description": description, **more}
    return {"type": "integer", **rest}


def _expression(title: str, description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": 10_000, "x-expression": True, "title": title, "description": description}


def _name(title: str, description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": 100, "title": title, "description": description}


PAGINATION: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Pages",
    "description": "How to go on from page to page; the result is one array of all items.",
    "properties": {
        "type": {
            "enum": ["none", "link", "cursor", "page", "offset"],
            "title": "Kind",
            "description": "`link`: the Link header's `next`; `cursor`: by a field; `page`, `offset`: by counting.",
            "default": "none",
        },
        "items": _expression("Items", "The page's items, such as page.data; otherwise the page itself is the array."),
        "cursor": _expression("Cursor", "For cursor: the next one, such as page.next_cursor; empty on the last page."),
        "parameter": _name("Parameter", "The query parameter of cursor, page or offset, if it is called otherwise."),
        "start": _number("First", "For page (1) and offset (0): what to begin with.", 0, 1_000_000_000),
        "page_size": _number("Items a page", "Sent along; a page with fewer is the last one.", 1, 10_000),
        "size_parameter": _name("Its parameter", "The query parameter for that, `limit` if it is not said."),
        "max_pages": _number("Pages at most", "Reading stops there, with `complete` false.", 1, 1_000, default=10),
        "max_items": _number("Items at most", "Likewise.", 1, 1_000_000, default=10_000),
    },
    "additionalProperties": False,
}
