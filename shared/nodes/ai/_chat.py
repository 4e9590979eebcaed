"""What the chat types do: from a node's call to a conversation with a provider's model, and to the node's ports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.nodes._credentials import credential
from shared.nodes.ai._fields import KINDS
from shared.nodes.ai._models import Answer, Link, Message, Request, plain_tools, tell_if_cut
from shared.nodes.ai._prompt import prompted
from shared.nodes.ai._structured import Spent, converse, fitting
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.world import Credential

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})


async def turn(call: Call, provider: str) -> Outputs:
    """A chat node's turn, within the call's time. Raises NodeError."""
    try:
        async with asyncio.timeout(call.timeout_seconds):
            return await chat(await prompted(call), provider)
    except TimeoutError:
        raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None


async def chat(call: Call, provider: str = "openai") -> Outputs:
    """Ask, until the answer fits the config's schema where it has one; all ports. Raises NodeError."""
    messages = messages_of(call.inputs.get("messages"), call.inputs.get("system") or call.config.get("system"))
    request = request_of(call.config, model_of(call), messages)
    opened = await credential(call, KINDS[provider])
    link = Link(call.world, opened, call.timeout_seconds, int(call.config.get("max_retries", 3)))
    spent = Spent()
    spent.usage["model"] = request.model
    try:
        answer, value = await answered(provider, link, request, call.config, spent)
    finally:
        call.usage.update(spent.usage)
    return {
        "response": answer.text,
        "message": answer.message,
        "json": value,
        "tool_calls": answer.tool_calls,
        "usage": dict(spent.usage),
    }


async def answered(
    provider: str, link: Link, request: Request, config: Mapping[str, Any], spent: Spent
) -> tuple[Answer, Any]:
    """The answer, and its value where the config has a schema. Raises NodeError."""
    schema = config.get("response_schema")
    if schema is None:
        answer, value = await converse(provider, link, request, spent), None
    else:
        answer, value = await fitting(
            provider,
            link,
            request,
            schema,
            spent,
            mode=config.get("structured_output", "auto"),
            repairs=int(config.get("repair_attempts", 2)),
        )
    tell_if_cut(link.world, request.model, answer.finish, spent.usage)
    return answer, value


async def opened(call: Call, name: str | None, provider: str) -> Credential | None:
    """The credential of that name, of the provider's kind; None is none. Raises NodeError."""
    return await credential(replace(call, config={"credential": name}), KINDS[provider])


def model_of(call: Call) -> str:
    """The model's name. Raises NodeError InvalidInput."""
    model = call.inputs.get("model") or call.config.get("model")
    if not isinstance(model, str) or not model:
        raise _bad("name a model, in config.model or the input port model")
    return model


def messages_of(given: Any, system: Any = None) -> list[Message]:
    """A conversation from what came in: text, a message, or a list of both. Raises NodeError InvalidInput."""
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise _bad("messages is empty")
    messages = [_message(m, i) for i, m in enumerate(listed)]
    return [{"role": "system", "content": str(system)}, *messages] if system else messages


def _message(given: Any, position: int) -> Message:
    if isinstance(given, str):
        return {"role": "user", "content": given}
    if not isinstance(given, Mapping) or given.get("role") not in _ROLES:
        raise _bad(f"messages[{position}] is neither text nor an object with a role ({', '.join(sorted(_ROLES))})")
    if not isinstance(given.get("content"), (str, list)) and not given.get("tool_calls"):
        raise _bad(f"messages[{position}] has no content")
    if not _are_calls(given.get("tool_calls")):
        raise _bad(f"messages[{position}] has tool_calls that are not {{id, type, function}}")
    return dict(given)


def _are_calls(given: Any) -> bool:
    if given is None:
        return True
    return isinstance(given, list) and all(
        isinstance(c, Mapping) and isinstance(c.get("function"), Mapping) for c in given
    )


def request_of(config: Mapping[str, Any], model: str, messages: list[Message]) -> Request:
    """The request that a config describes."""
    simple = ("temperature", "max_tokens", "seed", "tool_choice")
    extra = {}
    if config.get("reasoning_effort"):
        extra["reasoning_effort"] = config["reasoning_effort"]
    if config.get("effort"):
        extra["output_config"] = {"effort": config["effort"]}
    return Request(
        model=model,
        messages=messages,
        tools=plain_tools(config.get("tools") or ()),
        stop=tuple(config.get("stop") or ()),
        extra=extra,
        **{name: config[name] for name in simple if config.get(name) is not None},
    )


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
