"""OpenAPI 3.0 and 3.1: read a description, make an operation's request, hold it and the answer against the description.

References to other documents are refused: resolvers would read files and fetch addresses without asking where they are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urljoin

import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator, validate
from openapi_spec_validator.validation.keywords import ValueValidator

from shared.errors import NotFound
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.external._exchange import exchange
from shared.nodes.external._openapi_request import Operation, Request, check_answer

_MAX_BYTES: Final = 5_000_000
_MOST_NESTED: Final = 200
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_SAID: Final = 500
_KEPT: Final = 8  # descriptions that stay read: checking a large one takes a second


class _Loader(yaml.CSafeLoader):
    """JSON's types only: a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class _NoValues(ValueValidator):
    """Defaults are not held against their schemas: that would search with the description's patterns, without bounds,
    and fetch what its references name.
    """

    def __call__(self, schema: Any, value: Any) -> Iterator[Any]:
        del schema, value
        yield from ()


class _Valid30(OpenAPIV30SpecValidator):
    keyword_validators = {**OpenAPIV30SpecValidator.keyword_validators, "default": _NoValues}


class _Valid31(OpenAPIV31SpecValidator):
    keyword_validators = {**OpenAPIV31SpecValidator.keyword_validators, "default": _NoValues}


async def call_operation(call: Call) -> Outputs:
    """`{response, status}`. Raises NodeError."""
    text, address = await _text(call)
    document = await asyncio.to_thread(_read, text)
    operation = _operation(document, str(call.config["operation_id"]))
    server = call.config.get("server_url") or _server(operation, address)
    request = await asyncio.to_thread(
        Request.made, operation, server, call.inputs.get("params"), call.inputs.get("body")
    )
    answer = await exchange(replace(call, inputs=request.inputs, config=_config(call, request)))
    if call.config.get("validate_response", True):
        await asyncio.to_thread(check_answer, operation, answer)
    return {"response": answer["response"], "status": answer["status"]}


def _config(call: Call, request: Request) -> dict[str, Any]:
    config = {"method": request.method.upper(), "body_type": request.body_type}
    config["fail_on_status"] = call.config.get("fail_on_status", True)
    return config | ({"credential": call.config["credential"]} if "credential" in call.config else {})


async def _text(call: Call) -> tuple[str, str]:
    """The description's text, and the address it was read at, if it has one."""
    config = call.config
    if "spec" in config:
        return json.dumps(config["spec"]), ""
    if "spec_file" in config:
        return _within(await ask(lambda: _file(call, str(config["spec_file"])))), ""
    url = str(config.get("spec_url") or "")
    # Read without the credential, which is for the service.
    asked = {"method": "GET", "response_type": "text"}
    answer = await exchange(replace(call, inputs={"url": url}, config=asked))
    return _within(answer["response"]), url


def _file(call: Call, path: str) -> str:
    try:
        return call.world.files.read(path).decode(errors="replace")
    except NotFound as error:
        raise NodeError("InvalidInput", error.detail, retryable=False) from None


def _within(text: str) -> str:
    if len(text) > _MAX_BYTES:
        raise NodeError("InvalidSpec", f"the description is over {_MAX_BYTES:,} characters", retryable=False)
    return text


@lru_cache(maxsize=_KEPT)
def _read(text: str) -> Mapping[str, Any]:
    """The description as JSON has it. Raises NodeError InvalidSpec."""
    try:
        found = _plain(json.loads(text) if text.lstrip().startswith("{") else _yaml(text))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise NodeError("InvalidSpec", f"the description cannot be read: {str(error)[:200]}", retryable=False) from None
    if not isinstance(found, Mapping) or not str(found.get("openapi", "")).startswith(("3.0", "3.1")):
        raise NodeError("InvalidSpec", "the description is none of OpenAPI 3.0 or 3.1", retryable=False)
    plain: Mapping[str, Any] = found
    words = json.dumps(plain)
    if '"unevaluatedProperties":' in words and '"patternProperties":' in words:
        # The one place where jsonschema searches with patterns of the description and cannot be held to a budget.
        message = "unevaluatedProperties and patternProperties in one description are not supported"
        raise NodeError("InvalidSpec", message, retryable=False)
    try:
        validate(plain, cls=_Valid30 if str(plain["openapi"]).startswith("3.0") else _Valid31)
    except Exception as error:  # a malformed description fails the validator in any way
        message = f"the description is not valid: {str(error)[:_SAID]}"
        raise NodeError("InvalidSpec", message, retryable=False) from None
    return plain


def _yaml(text: str) -> Any:
    # An alias is a few characters that stand for any number: a small text could become a document without end.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases of YAML (*name) are not taken")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_NESTED:  # the loader, which is no Python, would take the whole process with it
            raise ValueError(f"it is nested more than {_MOST_NESTED} levels deep")
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a CSafeLoader that leaves dates as text


def _plain(value: Any) -> Any:
    """With texts as keys (YAML reads the status 200 as a number), and with no reference that leaves the document."""
    if isinstance(value, Mapping):
        for reference in (value.get("$ref"), value.get("$dynamicRef")):
            if isinstance(reference, str) and not reference.startswith("#"):
                message = f"references to other documents are not followed: {reference[:100]}"
                raise NodeError("InvalidSpec", message, retryable=False)
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _operation(document: Mapping[str, Any], wanted: str) -> Operation:
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        for method, operation in item.items() if isinstance(item, Mapping) else ():
            if method in _METHODS and isinstance(operation, Mapping) and operation.get("operationId") == wanted:
                return Operation(document, path, method, item, operation)
    raise NodeError("InvalidSpec", f"the description has no operation {wanted[:100]!r}", retryable=False)


def _server(operation: Operation, address: str) -> str:
    for holder in (operation.operation, operation.item, operation.document):
        if holder.get("servers"):
            server = holder["servers"][0]
            url = str(server.get("url", ""))
            for name, variable in (server.get("variables") or {}).items():
                url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
            break
    else:
        url = "/"
    joined = urljoin(address, url) if address else url
    if not joined.startswith(("http://", "https://")):
        raise NodeError("InvalidInput", "the description names no server; name one in server_url", retryable=False)
    return joined
