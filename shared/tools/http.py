"""A tool that is a request: its arguments go into the address, the query, the headers or the body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from shared.expressions import jsonata
from shared.expressions.template import TemplateError, render
from shared.nodes.base import Call, NodeError

_ARGUMENT: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_IN_QUERY: Final = frozenset({"GET", "HEAD", "DELETE"})


async def request(call: Call, source: Mapping[str, Any], args: dict[str, Any], key: str, timeout: float) -> Any:
    """The body of the answer. Raises NodeError, as http_request does, and InvalidArguments."""
    from shared.nodes.external._exchange import exchange  # httpx loads with it

    inputs = inputs_of(source, args)
    config = {"method": source["method"]}
    if source.get("credential"):
        config["credential"] = source["credential"]
    asked = replace(call, inputs=inputs, config=config, idempotency_key=key, timeout_seconds=timeout)
    return (await exchange(asked))["response"]


def inputs_of(source: Mapping[str, Any], args: Mapping[str, Any]) -> dict[str, Any]:
    """What http_request is given: `url`, `query`, `headers`, `body`. Raises NodeError."""
    used: set[str] = set()

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        used.add(name)
        value = args.get(name)
        if isinstance(value, (dict, list)) or value in (None, "", ".", ".."):
            message = f"{name} stands in the address: it must be text or a number, and neither empty nor dots"
            raise NodeError("InvalidArguments", message, retryable=False)
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        return quote(text, safe="")

    inputs: dict[str, Any] = {
        "url": _ARGUMENT.sub(filled, source["url"]),
        "headers": _rendered(source.get("headers") or {}, args),
    }
    left = {name: value for name, value in args.items() if name not in used}
    query, body = source.get("query"), source.get("body")
    if query is None and body is None and left:
        inputs["query" if source["method"] in _IN_QUERY else "body"] = left
    if query is not None:
        inputs["query"] = _rendered(query, args)
    if body is not None:
        inputs["body"] = _rendered(body, args)
    return inputs


def _rendered(value: Any, args: Mapping[str, Any]) -> Any:
    """With its `{{ args.… }}`; the run's own data is not in scope: a tool sees its arguments and nothing else."""
    try:
        return render(value, lambda expression: jsonata.evaluate(expression, {"args": dict(args)}))
    except (jsonata.ExpressionFailed, TemplateError) as error:
        raise NodeError("ExpressionError", str(error), retryable=False) from None
