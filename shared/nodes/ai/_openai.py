"""OpenAI and what is compatible with it, over Chat Completions. Loads the openai SDK, so import it when needed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import openai
from openai.types.chat import ChatCompletion

from shared.nodes.ai import _structured
from shared.nodes.ai._models import (
    Answer,
    Link,
    Message,
    Request,
    read_tool_calls,
    refused,
    seconds,
    status_error,
    usage,
)
from shared.nodes.ai._sdk import client_at, connection_error, reaching, said
from shared.nodes.base import NodeError
from shared.outbound.warm import warm

OPENAI: Final = "https://api.openai.com/v1"


async def ask(link: Link, request: Request) -> Answer:
    """The model's next message. Raises NodeError."""
    client = await client_of(link)
    parameters = _parameters(request)
    messages = [{k: v for k, v in m.items() if k != "blocks"} for m in request.messages]
    try:
        with reaching():
            completion = await _create(client, request.model, messages, parameters)
    except openai.APIError as error:
        raise node_error(error, request.model, schema=request.schema is not None) from None
    except (ValueError, TypeError) as error:
        raise NodeError("ModelError", f"the endpoint's answer cannot be read: {type(error).__name__}") from None
    return _answer(completion, request.model)


async def _create(
    client: openai.AsyncOpenAI, model: str, messages: list[Message], parameters: dict[str, Any]
) -> ChatCompletion:
    try:
        return cast(
            ChatCompletion,
            await client.chat.completions.create(model=model, messages=cast(Any, messages), **parameters),
        )
    except openai.BadRequestError as error:
        if error.param != "max_tokens" or "max_tokens" not in parameters:
            raise
        # OpenAI's reasoning models only know the newer name of the same limit.
        newer = {k: v for k, v in parameters.items() if k != "max_tokens"}
        newer["max_completion_tokens"] = parameters["max_tokens"]
        return await _create(client, model, messages, newer)


async def client_of(link: Link) -> openai.AsyncOpenAI:
    """The SDK's client, for the credential's endpoint or the platform's own. Raises NodeError."""
    if link.credential is not None:
        url = str(link.credential.values.get("base_url") or OPENAI)
        key = str(link.credential.values.get("api_key") or "none")
        client = await client_at(
            "openai",
            url,
            link.world.allowed_hosts,
            lambda http: openai.AsyncOpenAI(base_url=url, api_key=key, http_client=http),
        )
    else:
        client = await _platform(link.world.openai_base_url, link.world.openai_api_key)
    return client.with_options(max_retries=link.max_retries, timeout=link.timeout)


async def _platform(url: str, key: str) -> openai.AsyncOpenAI:
    if not url and not key:
        raise NodeError("NotConfigured", "no model endpoint is configured; name a credential", retryable=False)
    logging.getLogger("openai").setLevel(logging.WARNING)  # at DEBUG it writes whole requests

    def make() -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=url or OPENAI, api_key=key or "none")

    return await warm(("openai", url, key), make, openai.AsyncOpenAI.close)


def _parameters(request: Request) -> dict[str, Any]:
    simple = ("temperature", "max_tokens", "seed")
    parameters = {name: getattr(request, name) for name in simple if getattr(request, name) is not None}
    if request.stop:
        parameters["stop"] = list(request.stop)
    if request.tools:
        parameters["tools"] = [{"type": "function", "function": dict(tool)} for tool in request.tools]
        if request.tool_choice in ("auto", "none", "required"):
            parameters["tool_choice"] = request.tool_choice
        elif request.tool_choice:
            parameters["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice}}
    if request.schema is not None:
        parameters["response_format"] = _structured.response_format(request.schema)
    return parameters | ({"extra_body": dict(request.extra)} if request.extra else {})


def _answer(completion: ChatCompletion, model: str) -> Answer:
    if not getattr(completion, "choices", None):
        raise NodeError("ModelError", "the endpoint answered without a choice")
    counted = getattr(completion, "usage", None)
    used = usage(
        getattr(counted, "prompt_tokens", None), getattr(counted, "completion_tokens", None), completion.model or model
    )
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        raise refused(used)
    message: Message = choice.message.model_dump(mode="json", exclude_none=True)
    calls = read_tool_calls(message)
    finish: Literal["stop", "length", "tool_calls"] = "tool_calls" if calls else "stop"
    if choice.finish_reason == "length":
        finish = "length"
    return Answer(message, message.get("content") or "", calls, used, finish)


def node_error(error: openai.APIError, model: str, *, schema: bool = False) -> NodeError:
    """The SDK's error in the node's words."""
    if isinstance(error, openai.APIStatusError):
        body = error.body if isinstance(error.body, Mapping) else {}
        return status_error(
            error.status_code,
            f"{said(body, error.message)}" + (f" ({error.param})" if error.param and schema else ""),
            model,
            code=str(error.code or ""),
            retry_after=seconds(error.response.headers.get("retry-after", "")),
            schema=schema,
        )
    if isinstance(error, openai.APIConnectionError):
        return connection_error(error, isinstance(error, openai.APITimeoutError))
    return NodeError("ModelError", "the endpoint's answer cannot be read")
