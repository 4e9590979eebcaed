"""One question to one model, of whichever provider: what is asked, what comes back, what can go wrong.

Messages are OpenAI's chat messages everywhere. What else a provider's answer holds and wants to see again (such as
its reasoning) travels in a message's `blocks`, and goes back to that provider only.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shared.nodes.base import NodeError
from shared.nodes.world import Credential, World

Message = dict[str, Any]

COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_CONTEXT: Final = re.compile(
    r"context.?(length|window|size)|maximum context|too many (input )?tokens|(prompt|input) is too long", re.IGNORECASE
)
_NO_SCHEMA_MODE: Final = re.compile(
    r"response_format|json.?schema|structured output|strict|output_?(config|format)|textFormat", re.IGNORECASE
)
_NO_MONEY: Final = re.compile(r"credit balance|insufficient_quota|quota is used up|billing", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked. `tools` are `{name, description, parameters}`.

    `schema` asks for the provider's own JSON Schema mode; `extra` holds fields of the provider's that go along.
    """

    model: str
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | None = None  # auto, none, required, or a tool's name
    temperature: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """How the model is reached. `timeout` in seconds bounds each attempt; the caller bounds the whole."""

    world: World
    credential: Credential | None
    timeout: float
    max_retries: int = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `message` is what a next turn goes on from; `tool_calls` are `{id, name, arguments}`.

    `finish` is `length` where the answer was cut off. `usage`: prompt_tokens, completion_tokens, total_tokens, model.
    """

    message: Message
    text: str
    tool_calls: list[dict[str, Any]]
    usage: dict[str, Any]
    finish: Literal["stop", "length", "tool_calls"]


class Unanswered(NodeError):
    """The model was paid and did not answer: `usage` says what it took."""

    def __init__(self, error: str, message: str, usage: Mapping[str, Any], *, retryable: bool = False) -> None:
        super().__init__(error, message, retryable=retryable)
        self.usage = usage


class NoSchemaMode(NodeError):
    """The model has no JSON Schema mode, or not for this schema."""


async def ask(
    world: World,
    *,
    provider: str,
    model: str,
    credential: Credential | None,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] = (),
    parameters: Mapping[str, Any] | None = None,
    timeout: float,
    max_retries: int = 3,
) -> Answer:
    """One turn: the model's next message in a conversation of OpenAI's chat messages.

    `provider`: openai (and what is compatible with it), anthropic or bedrock. `credential`: open, of the kind
    `_fields.KINDS[provider]`; None is the platform's own endpoint. `tools`: `{name, description, parameters}`, or the
    same in OpenAI's form. `parameters`: temperature, max_tokens, stop, seed, tool_choice, schema, extra: see `Request`.
    A tool's result goes back as `{"role": "tool", "tool_call_id", "content"}` after the answer's `message`, unchanged.
    429, 5xx and lost connections are tried again `max_retries` times; `timeout` (seconds) bounds each attempt: put an
    `asyncio.timeout` around it. Raises NodeError, one of `_fields.MODEL_ERRORS`; `Unanswered` says what it cost.
    """
    request = Request(model=model, messages=messages, tools=plain_tools(tools), **(parameters or {}))
    return await put(provider, Link(world, credential, timeout, max_retries), request)


async def put(provider: str, link: Link, request: Request) -> Answer:
    """Put a request to a provider, whose SDK loads when it is first asked. Raises NodeError."""
    if provider == "anthropic":
        from shared.nodes.ai import _anthropic

        return await _anthropic.ask(link, request)
    if provider == "bedrock":
        from shared.nodes.ai import _bedrock

        return await _bedrock.ask(link, request)
    from shared.nodes.ai import _openai

    return await _openai.ask(link, request)


def plain_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools as `{name, description, parameters}`, from that or from OpenAI's form."""
    return [dict(tool.get("function") or {k: v for k, v in tool.items() if k != "type"}) for tool in tools]


def tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A call in OpenAI's form, for a message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def read_tool_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A message's calls as `{id, name, arguments}`; arguments that are no JSON stay text."""
    return [_read_tool_call(given) for given in message.get("tool_calls") or []]


def _read_tool_call(given: Mapping[str, Any]) -> dict[str, Any]:
    function = given.get("function") or {}
    arguments = function.get("arguments") or "{}"
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        arguments = json.loads(arguments)
    return {"id": given.get("id"), "name": function.get("name"), "arguments": arguments}


def usage(prompt: Any, completion: Any, model: str) -> dict[str, Any]:
    """Tokens as they are reported everywhere; what a provider does not tell counts as none."""
    asked, said = (n if isinstance(n, int) else 0 for n in (prompt, completion))
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said, "model": model}


def add_usage(total: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add tokens to a sum, and name the model that answered last."""
    for name in COUNTS:
        total[name] = total.get(name, 0) + more.get(name, 0)
    total["model"] = more.get("model", total.get("model"))


def status_error(
    status: int, said: str, model: str, *, code: str = "", retry_after: float | None = None, schema: bool = False
) -> NodeError:
    """An HTTP status of a provider's in the node's words.

    `said` is the provider's reason. It is only repeated where it cannot hold a key.
    """
    if status == 429 or code == "insufficient_quota":
        final = bool(_NO_MONEY.search(f"{code} {said}"))
        message = "the quota is used up" if final else "too many requests"
        return NodeError("RateLimited", message, retry_after=retry_after, retryable=not final)
    if status in (401, 403):
        return NodeError("AuthenticationFailed", f"the endpoint refused the key ({status})", retryable=False)
    if status == 404:
        return NodeError("ModelNotFound", f"the endpoint does not know the model {model!r}", retryable=False)
    if status == 413 or code == "context_length_exceeded" or (status < 500 and _CONTEXT.search(said)):
        return NodeError("ContextLengthExceeded", said[:300] or "the request is too long", retryable=False)
    if status in (400, 422):
        if code == "content_filter":
            return NodeError("Refused", "the provider's content filter refused the request", retryable=False)
        if _NO_MONEY.search(said):
            return NodeError("RateLimited", "the quota is used up", retryable=False)
        if schema and _NO_SCHEMA_MODE.search(said):
            return NoSchemaMode("InvalidInput", said[:300], retryable=False)
        return NodeError("InvalidInput", said[:300], retryable=False)
    return NodeError("ModelError", f"the endpoint answered {status}", retry_after=retry_after)


def tell_if_cut(world: World, model: str, finish: str | None, used: dict[str, Any]) -> None:
    """Where an answer was cut off, a line in the node's log says so, and `finish_reason` among what it has used."""
    if finish == "length":
        used["finish_reason"] = "length"
        world.log("warning", f"the answer of {model} was cut off at max_tokens, or at the model's own limit")


def refused(used: Mapping[str, Any]) -> Unanswered:
    """The model, or what guards it, would not answer."""
    return Unanswered("Refused", "the model or its provider refused to answer", used)


def seconds(text: str) -> float | None:
    """A Retry-After header in whole seconds, or None."""
    return float(text[:9]) if text.isascii() and text.isdigit() else None
