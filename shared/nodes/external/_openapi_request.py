"""An operation's request and answer: parameters put where the description says, values held against its schemas.

Styles: https://spec.openapis.org/oas/v3.1.1#style-values. Not `label` and `matrix`, and no multipart bodies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NoReturn
from urllib.parse import quote

from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator, OAS31Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from shared.budget import BudgetSpent, budget
from shared.nodes._json_schema_rules import validator_of
from shared.nodes.base import NodeError
from shared.nodes.json_schemas import BUDGET_SECONDS

_STYLES: Final = {"query": "form", "path": "simple", "header": "simple", "cookie": "form"}
_SAID: Final = 500
_MOST_FAULTS: Final = 5
_SEPARATORS: Final = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C", "simple": ","}
_BODIES: Final = (("application/json", "json"), ("application/x-www-form-urlencoded", "form"), ("text/plain", "text"))


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation in its document: `item` is what its path says for all of its methods."""

    document: Mapping[str, Any]
    path: str
    method: str
    item: Mapping[str, Any]
    operation: Mapping[str, Any]

    def parameters(self) -> list[Mapping[str, Any]]:
        """Those of the path, and those of the operation, which come before them."""
        found: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        for listed in (self.item.get("parameters"), self.operation.get("parameters")):
            for given in listed or ():
                parameter = self.resolved(given)
                found[parameter.get("in"), parameter.get("name")] = parameter
        return list(found.values())

    def resolved(self, part: Any) -> Mapping[str, Any]:
        """A part of the document, with a reference followed. Raises NodeError InvalidSpec."""
        for _ in range(10):
            if not isinstance(part, Mapping) or "$ref" not in part:
                break
            found: Any = self.document
            for name in str(part["$ref"]).removeprefix("#").strip("/").split("/"):
                found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
            part = found
        if not isinstance(part, Mapping) or "$ref" in part:
            raise NodeError("InvalidSpec", "a reference of the description leads nowhere", retryable=False)
        return part


@dataclass(frozen=True, slots=True)
class Request:
    """The request of an operation, as http_request takes it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body_type: str
    body: Any = field(repr=False)

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs of an http_request."""
        return {"url": self.url, "headers": self.headers, "body": self.body}

    @classmethod
    def made(cls, operation: Operation, server: str, params: Any, body: Any) -> Request:
        """The request, which fits the description. Raises NodeError InvalidInput, InvalidRequest, InvalidSpec."""
        given = {} if params is None else params
        if not isinstance(given, Mapping):
            raise NodeError("InvalidInput", "params is an object", retryable=False)
        known = operation.parameters()
        if strangers := set(given) - {p.get("name") for p in known}:
            _invalid(f"the operation has no parameter {min(strangers)[:100]!r}")
        path, query, headers, cookies = operation.path, list[str](), dict[str, str](), list[str]()
        for parameter in known:
            name, place = str(parameter.get("name")), parameter.get("in")
            if given.get(name) is None:
                if parameter.get("required"):
                    _invalid(f"the parameter {name[:100]!r} is required")
                continue
            _fit(operation, parameter.get("schema"), given[name], f"the parameter {name[:100]}", "InvalidRequest")
            pairs = list(_serialized(parameter, given[name], _plainly if place in ("header", "cookie") else _quoted))
            if place == "query":
                query += [f"{_quoted(key)}={text}" for key, text in pairs]
            elif place == "path":
                text = pairs[0][1] if pairs else ""
                if text in ("", ".", ".."):  # the address would lead to another operation
                    _invalid(f"the parameter {name[:100]!r} stands in the path: it is neither empty nor dots")
                path = path.replace(f"{{{name}}}", text)
            elif place == "header":
                headers[name] = pairs[0][1] if pairs else ""
            elif place == "cookie":
                cookies += [f"{key}={quote(text)}" for key, text in pairs]
        content_type, body_type = _body(operation, body)
        if cookies:
            headers["cookie"] = "; ".join(cookies)
        if content_type and body_type == "json":
            headers["content-type"] = content_type
        url = server.rstrip("/") + path + (f"?{'&'.join(query)}" if query else "")
        return cls(operation.method, url, headers, body_type, body)


def check_answer(operation: Operation, answer: Mapping[str, Any]) -> None:
    """Hold http_request's answer against what the operation says of its status. Raises NodeError InvalidResponse."""
    status = int(answer["status"])
    described = operation.operation.get("responses") or {}
    for name in (str(status), f"{status // 100}XX", "default"):
        if name in described:
            break
    else:
        raise NodeError("InvalidResponse", f"the description knows no status {status}", retryable=False)
    content = operation.resolved(described[name]).get("content")
    if not content:
        return
    media = str(answer["headers"].get("content-type", "")).partition(";")[0].strip().lower()
    wide = next((c for c in (media, f"{media.partition('/')[0]}/*", "*/*") if c in content), None)
    if wide is None:
        message = f"the description knows no answer of the type {media[:100] or 'none'}"
        raise NodeError("InvalidResponse", message, retryable=False)
    if "json" in media:
        _fit(operation, content[wide].get("schema"), answer["response"], "the answer", "InvalidResponse")


def _fit(operation: Operation, schema: Any, value: Any, what: str, error: str) -> None:
    """Hold a value against a schema of the document. The failure names places and rules, and no values."""
    if not isinstance(schema, Mapping):
        return
    old = str(operation.document["openapi"]).startswith("3.0")
    reading = OAS30ReadValidator if error == "InvalidResponse" else OAS30WriteValidator
    whole = {**schema, "components": operation.document.get("components", {})}  # for references in it
    # Its own registry, for that of the library fetches what a reference names: other hosts, and files.
    validator = validator_of(reading if old else OAS31Validator)(whole, registry=Registry())
    try:
        with budget(BUDGET_SECONDS):
            found = list(islice(validator.iter_errors(value), _MOST_FAULTS))
    except Unresolvable:
        raise NodeError("InvalidSpec", "a reference of the description leads nowhere", retryable=False) from None
    except (BudgetSpent, RecursionError, OverflowError, ValueError):
        message = f"{what} cannot be held against its schema: it takes too long, or has a pattern that is none"
        raise NodeError("InvalidSpec", message, retryable=False) from None
    if found:
        places = [".".join([what, *(str(p) for p in fault.absolute_path)]) for fault in found]
        rules = [f"{fault.validator} {_limit(fault.validator_value)}".strip() for fault in found]
        said = "; ".join(f"{place}: {rule}" for place, rule in zip(places, rules, strict=True))
        raise NodeError(error, said[:_SAID], retryable=False)


def _limit(rule: Any) -> str:
    text = json.dumps(rule, default=str)
    return text if len(text) < 100 else ""


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _plainly(text: str) -> str:
    return text


def _serialized(parameter: Mapping[str, Any], value: Any, written: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Name and text, once or several times. Each value is `written`, and not what stands between them: so a comma in
    a value is told from one that separates two.
    """
    name, place = str(parameter["name"]), str(parameter.get("in"))
    if "content" in parameter:
        yield name, written(json.dumps(value))
        return
    style = str(parameter.get("style") or _STYLES.get(place, "simple"))
    explode = bool(parameter.get("explode", style == "form"))
    if style == "deepObject" and isinstance(value, Mapping):
        yield from ((f"{name}[{key}]", written(_text(name, each))) for key, each in value.items())
        return
    if style not in _SEPARATORS:
        raise NodeError("InvalidSpec", f"the parameter {name[:100]!r} has a style that is not known", retryable=False)
    separator = _SEPARATORS[style]
    if isinstance(value, list):
        texts = [written(_text(name, each)) for each in value]
        if explode and style == "form":
            yield from ((name, text) for text in texts)
        else:
            yield name, separator.join(texts)
    elif isinstance(value, Mapping):
        pairs = [(key, written(_text(name, each))) for key, each in value.items()]
        if explode and style == "form":
            yield from pairs
        else:
            between = "=" if explode else separator
            yield name, separator.join(f"{written(key)}{between}{text}" for key, text in pairs)
    else:
        yield name, written(_text(name, value))


def _text(name: str, value: Any) -> str:
    if isinstance(value, (dict, list)):
        _invalid(f"the parameter {name[:100]!r} is nested too deep for its style")
    return ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)


def _body(operation: Operation, body: Any) -> tuple[str, str]:
    """The content type of the body, and http_request's name for it."""
    described = operation.operation.get("requestBody")
    if described is None:
        if body is not None:
            _invalid("the operation takes no body")
        return "", "auto"
    wanted = operation.resolved(described)
    if body is None:
        if wanted.get("required"):
            _invalid("the operation needs a body")
        return "", "auto"
    content = wanted.get("content") or {}
    known = [(name, kind) for name, kind in _BODIES if name in content]
    known += [(name, "json") for name in content if name.endswith("+json")]
    if not known:
        message = f"bodies of the type {', '.join(content)[:200]} are not sent by this node"
        raise NodeError("InvalidSpec", message, retryable=False)
    content_type, body_type = known[0]
    _fit(operation, content[content_type].get("schema"), body, "the body", "InvalidRequest")
    return content_type, body_type


def _invalid(message: str) -> NoReturn:
    raise NodeError("InvalidRequest", message, retryable=False)
