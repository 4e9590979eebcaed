"""How http_request goes from page to page: what to ask for next, and when there is no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

import httpx

from shared.nodes.base import Call, NodeError, Outputs

Fetch = Callable[[httpx.URL | None, Mapping[str, str]], Awaitable[tuple[httpx.Response, Outputs]]]
_PARAMETERS: Final = {"cursor": "cursor", "page": "page", "offset": "offset"}


async def all_pages(call: Call, fetch: Fetch) -> Outputs:
    """The items of all pages as one array; `fetch` gets an address (None: the first) with further parameters.

    Raises NodeError InvalidResponse, ExpressionError, and what `fetch` raises.
    """
    plan = call.config["pagination"]
    most, wanted = int(plan.get("max_pages", 10)), int(plan.get("max_items", 10_000))
    items: list[Any] = []
    asked: set[str] = set()
    url, parameters, pages = None, _first(plan), 0
    while True:
        response, outputs = await fetch(url, parameters)
        pages += 1
        found = _items(call, plan, outputs["response"])
        items += found
        step = _next(call, plan, response, outputs["response"], found, parameters)
        call.usage["pages"] = pages
        if step is None or pages >= most or len(items) >= wanted:
            return {**outputs, "response": items[:wanted], "complete": step is None and len(items) <= wanted}
        url, parameters = step
        mark = f"{url} {sorted(parameters.items())}"
        if mark in asked:
            _fail(f"page {pages} leads to one that was there before")
        asked.add(mark)


def _first(plan: Mapping[str, Any]) -> dict[str, str]:
    kind = plan["type"]
    found = {}
    if kind in ("page", "offset"):
        found[_parameter(plan)] = str(plan.get("start", 1 if kind == "page" else 0))
    if plan.get("page_size"):
        found[plan.get("size_parameter") or "limit"] = str(plan["page_size"])
    return found


def _parameter(plan: Mapping[str, Any]) -> str:
    return str(plan.get("parameter") or _PARAMETERS[plan["type"]])


def _items(call: Call, plan: Mapping[str, Any], page: Any) -> list[Any]:
    if plan.get("items"):
        page = call.expressions.evaluate(plan["items"], {"page": page})
        if page is None:
            return []
    if not isinstance(page, list):
        _fail("a page's items are no array; say by config.pagination.items where they are")
    return page


def _next(
    call: Call,
    plan: Mapping[str, Any],
    response: httpx.Response,
    page: Any,
    found: list[Any],
    parameters: Mapping[str, str],
) -> tuple[httpx.URL | None, dict[str, str]] | None:
    """The address and the parameters of the next page; None after the last one."""
    match plan["type"]:
        case "link":
            return _linked(response)
        case "cursor":
            cursor = call.expressions.evaluate(plan["cursor"], {"page": page})
            if cursor in (None, "", False):
                return None
            if not isinstance(cursor, (str, int, float)):
                _fail("the cursor of a page is neither text nor a number")
            return None, {**parameters, _parameter(plan): str(cursor)}
    if not found or len(found) < int(plan.get("page_size") or 1):
        return None
    step = 1 if plan["type"] == "page" else len(found)
    return None, {**parameters, _parameter(plan): str(int(parameters[_parameter(plan)]) + step)}


def _linked(response: httpx.Response) -> tuple[httpx.URL, dict[str, str]] | None:
    try:
        link = response.links.get("next", {}).get("url")
        return (response.request.url.join(link), {}) if link else None
    except (httpx.InvalidURL, ValueError):
        _fail("the link to the next page cannot be read")


def _fail(message: str) -> NoReturn:
    raise NodeError("InvalidResponse", message, retryable=False)
