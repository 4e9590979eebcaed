"""What llm_chat says to the endpoint. Loads the openai SDK, so import it when needed."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import openai
from openai.types.chat import ChatCompletion

from shared.nodes.ai import _structured
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.json_schemas import faults
from shared.outbound.warm import warm

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
_CONTEXT: Final = re.compile(r"context.?(length|window|size)|maximum context|too many (input )?tokens", re.IGNORECASE)
_NO_SCHEMA_MODE: Final = re.compile(r"response_format|json_schema|structured output|strict", re.IGNORECASE)
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")

Message = dict[str, Any]


async def chat(call: Call) -> Outputs:
    """Ask, and ask again until the answer fits the schema or the attempts are used up. Raises NodeError."""
    conversation = _Conversation(call, await _client(call))
    schema = call.config.get("response_schema")
    if schema is None:
        return conversation.outputs(await conversation.ask(), None)
    mode = call.config.get("structured_output", "auto")
    if mode == "instruction":
        conversation.instruct(schema)
    else:
        conversation.parameters["response_format"] = _structured.response_format(schema)
    found: list[str] = []
    for attempt in range(int(call.config.get("repair_attempts", 2)) + 1):
        try:
            message = await conversation.ask()
        except _NoSchemaMode:
            if mode == "native":
                raise
            del conversation.parameters["response_format"]
            conversation.instruct(schema)
            message = await conversation.ask()
        if message.get("tool_calls"):
            return conversation.outputs(message, None)
        text = message.get("content") or ""
        try:
            value = _structured.read(text)
        except ValueError as error:
            found = [f"$: {error}"]
        else:
            found = faults(value, schema)
            if not found:
                return conversation.outputs(message, value)
        if conversation.cut_off:
            raise NodeError("InvalidResponse", "the answer was cut off before it was complete; raise max_tokens")
        if attempt == 0 and "response_format" in conversation.parameters:
            conversation.instruct(schema)  # the endpoint took the schema and ignored it: say it in words too
        conversation.messages += [
            {"role": "assistant", "content": text},
            {"role": "user", "content": _structured.complaint(found)},
        ]
    attempts = int(call.config.get("repair_attempts", 2)) + 1
    raise NodeError("InvalidResponse", f"after {attempts} attempts the answer does not fit: {'; '.join(found)[:1000]}")


class _NoSchemaMode(NodeError):
    """The endpoint has no JSON Schema mode, or not for this schema."""


class _Conversation:
    """The messages so far, the parameters, and what it cost."""

    def __init__(self, call: Call, client: openai.AsyncOpenAI) -> None:
        self._call = call
        self._client = client
        self._model = _model(call)
        self._usage: dict[str, Any] = {**dict.fromkeys(_COUNTS, 0), "model": self._model}
        self.messages = _messages(call)
        self.parameters = _parameters(call.config)
        self.cut_off = False

    def instruct(self, schema: Mapping[str, Any]) -> None:
        """Put the schema into the system message, which some models' formats only know as the first."""
        text = _structured.instruction(schema)
        if self.messages[0]["role"] == "system" and isinstance(self.messages[0].get("content"), str):
            self.messages[0] = {"role": "system", "content": f"{self.messages[0]['content']}\n\n{text}"}
        else:
            self.messages.insert(0, {"role": "system", "content": text})

    async def ask(self) -> Message:
        """The next message of the model. Raises NodeError."""
        try:
            completion: ChatCompletion = await self._client.chat.completions.create(
                model=self._model, messages=cast(Any, self.messages), **self.parameters
            )
        except openai.APIError as error:
            refused = error.param if isinstance(error, openai.BadRequestError) else None
            if refused == "max_tokens" and "max_tokens" in self.parameters:
                # OpenAI's reasoning models only know the newer name of the same limit.
                self.parameters["max_completion_tokens"] = self.parameters.pop("max_tokens")
                return await self.ask()
            raise _node_error(error, self._model, "response_format" in self.parameters) from None
        except (ValueError, TypeError) as error:
            raise NodeError("ModelError", f"the endpoint's answer cannot be read: {type(error).__name__}") from None
        self._count(completion)
        if not getattr(completion, "choices", None):
            raise NodeError("ModelError", "the endpoint answered without a choice")
        choice = completion.choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise NodeError("Refused", "the model or its provider refused to answer", retryable=False)
        self.cut_off = choice.finish_reason == "length"
        message: Message = choice.message.model_dump(mode="json", exclude_none=True)
        return message

    def _count(self, completion: ChatCompletion) -> None:
        for name in _COUNTS:
            self._usage[name] += getattr(getattr(completion, "usage", None), name, None) or 0
        self._usage["model"] = getattr(completion, "model", None) or self._model
        self._call.usage.update(self._usage)

    def outputs(self, message: Message, value: Any) -> Outputs:
        """All ports."""
        return {
            "response": message.get("content") or "",
            "message": message,
            "json": value,
            "tool_calls": [_tool_call(c) for c in message.get("tool_calls") or []],
            "usage": dict(self._usage),
        }


async def _client(call: Call) -> openai.AsyncOpenAI:
    url, key = call.world.openai_base_url, call.world.openai_api_key
    if not url and not key:
        raise NodeError("NotConfigured", "no model endpoint is configured", retryable=False)
    logging.getLogger("openai").setLevel(logging.WARNING)  # at DEBUG it writes whole requests

    def make() -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=url or "https://api.openai.com/v1", api_key=key or "none")

    client = await warm(("openai", url, key), make, openai.AsyncOpenAI.close)
    return client.with_options(max_retries=int(call.config.get("max_retries", 3)), timeout=call.timeout_seconds)


def _model(call: Call) -> str:
    model = call.inputs.get("model") or call.config.get("model")
    if not isinstance(model, str) or not model:
        raise NodeError("InvalidInput", "name a model, in config.model or the input port model", retryable=False)
    return model


def _messages(call: Call) -> list[Message]:
    given = call.inputs.get("messages")
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise NodeError("InvalidInput", "messages is empty", retryable=False)
    messages = [_message(m, i) for i, m in enumerate(listed)]
    system = call.inputs.get("system") or call.config.get("system")
    return [{"role": "system", "content": str(system)}, *messages] if system else messages


def _message(given: Any, position: int) -> Message:
    if isinstance(given, str):
        return {"role": "user", "content": given}
    if not isinstance(given, Mapping) or given.get("role") not in _ROLES:
        problem = f"messages[{position}] is neither text nor an object with a role ({', '.join(sorted(_ROLES))})"
        raise NodeError("InvalidInput", problem, retryable=False)
    if not isinstance(given.get("content"), (str, list)) and not given.get("tool_calls"):
        raise NodeError("InvalidInput", f"messages[{position}] has no content", retryable=False)
    return dict(given)


def _parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    simple = ("temperature", "max_tokens", "stop", "seed")
    parameters = {name: config[name] for name in simple if config.get(name) is not None}
    if config.get("tools"):
        functions = [tool.get("function") or {k: v for k, v in tool.items() if k != "type"} for tool in config["tools"]]
        parameters["tools"] = [{"type": "function", "function": function} for function in functions]
        choice = config.get("tool_choice")
        if choice in ("auto", "none", "required"):
            parameters["tool_choice"] = choice
        elif choice:
            parameters["tool_choice"] = {"type": "function", "function": {"name": choice}}
    return parameters


def _tool_call(given: Mapping[str, Any]) -> dict[str, Any]:
    """`{id, name, arguments}`; arguments that are no JSON stay text."""
    function = given.get("function") or {}
    arguments = function.get("arguments") or "{}"
    with contextlib.suppress(ValueError, TypeError):
        arguments = json.loads(arguments)
    return {"id": given.get("id"), "name": function.get("name"), "arguments": arguments}


def _node_error(error: openai.APIError, model: str, schema_mode: bool) -> NodeError:
    """The SDK's error in the node's words. The endpoint's own words are only repeated where they cannot hold a key."""
    body = error.body if isinstance(error.body, Mapping) else {}
    said = str(body.get("message") or error.message)[:300]
    match error:
        case openai.RateLimitError():
            final = error.code == "insufficient_quota"
            message = "the quota is used up" if final else "too many requests"
            return NodeError("RateLimited", message, retry_after=_retry_after(error), retryable=not final)
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            message = f"the endpoint refused the key ({error.status_code})"
            return NodeError("AuthenticationFailed", message, retryable=False)
        case openai.NotFoundError():
            return NodeError("ModelNotFound", f"the endpoint does not know the model {model!r}", retryable=False)
        case openai.BadRequestError() | openai.UnprocessableEntityError():
            if error.code == "content_filter":
                return NodeError("Refused", "the provider's content filter refused the request", retryable=False)
            if error.code == "context_length_exceeded" or _CONTEXT.search(said):
                return NodeError("ContextLengthExceeded", said, retryable=False)
            if schema_mode and _NO_SCHEMA_MODE.search(f"{error.param} {said}"):
                return _NoSchemaMode("InvalidInput", said, retryable=False)
            return NodeError("InvalidInput", said, retryable=False)
        case openai.APITimeoutError():
            return NodeError("Timeout", "the endpoint did not answer in time")
        case openai.APIConnectionError():
            return NodeError("ConnectionFailed", "the endpoint cannot be reached")
        case openai.APIStatusError():
            return NodeError(
                "ModelError", f"the endpoint answered {error.status_code}", retry_after=_retry_after(error)
            )
    return NodeError("ModelError", "the endpoint's answer cannot be read")


def _retry_after(error: openai.APIStatusError) -> float | None:
    said = error.response.headers.get("retry-after", "")
    return float(said[:9]) if said.isascii() and said.isdigit() else None
