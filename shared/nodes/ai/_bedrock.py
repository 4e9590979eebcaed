"""Amazon Bedrock's Converse, which is one API for all of its models."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from shared.nodes._aws import ask_aws, aws_error
from shared.nodes.ai import _parts
from shared.nodes.ai._models import (
    Answer,
    Link,
    Message,
    Request,
    Unanswered,
    read_tool_calls,
    refused,
    status_error,
    tool_call,
    usage,
)
from shared.nodes.base import NodeError
from shared.outbound.aws import AwsFailed

_NO_MODEL: Final = re.compile(
    r"model identifier is invalid|model id|on-demand throughput|end of its life", re.IGNORECASE
)
_RETRIED: Final = frozenset({"RateLimited", "ModelError", "ConnectionFailed"})
_CUT: Final = ("max_tokens", "model_context_window_exceeded")
_LONGEST_PAUSE: Final = 60.0
_OURS: Final = ("text", "toolUse")


async def ask(link: Link, request: Request) -> Answer:
    """The model's next message. Raises NodeError."""
    return _answer(await invoke(link, "converse", _body(request), request), request.model)


async def invoke(link: Link, operation: str, parameters: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """An operation's answer, tried again where that may help. Raises NodeError."""
    for retry in range(link.max_retries + 1):
        try:
            return await ask_aws(
                link.world,
                "bedrock-runtime",
                link.credential,
                operation,
                parameters,
                timeout=link.timeout,
                attempts=1,  # botocore would go on in its thread when the node's time is over
            )
        except AwsFailed as failed:
            error = _node_error(failed, request)
            if retry == link.max_retries or not error.retryable or error.error not in _RETRIED:
                raise error from None
        pause = error.retry_after if error.retry_after is not None else 0.5 * 2**retry * random.uniform(0.5, 1)  # noqa: S311
        await asyncio.sleep(min(pause, _LONGEST_PAUSE))
    raise AssertionError("the last attempt returns or raises")


def _body(request: Request) -> dict[str, Any]:
    system, rest = _parts.split_system(request.messages)
    body: dict[str, Any] = {
        "modelId": request.model,
        "messages": _parts.merged({"role": _role(m), "content": list(_blocks(m))} for m in rest),
    }
    if system:
        body["system"] = [{"text": system}]
    limits = {"maxTokens": request.max_tokens, "temperature": request.temperature, "stopSequences": list(request.stop)}
    if given := {name: value for name, value in limits.items() if value not in (None, [])}:
        body["inferenceConfig"] = given
    if request.tools and request.tool_choice != "none":
        body["toolConfig"] = {"tools": [{"toolSpec": _tool(tool)} for tool in request.tools]}
        choice = request.tool_choice
        if choice:
            kinds: dict[str, Any] = {"auto": {"auto": {}}, "required": {"any": {}}}
            body["toolConfig"]["toolChoice"] = kinds.get(choice) or {"tool": {"name": choice}}
    if request.schema is not None:
        structure = {"jsonSchema": {"name": "answer", "schema": json.dumps(request.schema)}}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    if request.extra:
        body["additionalModelRequestFields"] = dict(request.extra)
    return body


def _role(message: Message) -> str:
    return "assistant" if message.get("role") == "assistant" else "user"


def _blocks(message: Message) -> Iterator[Any]:
    kept = message.get("blocks") or {}
    if kept.get("provider") == "bedrock":
        yield from kept["content"]
        return
    if message.get("role") == "tool":
        content = [_block(part) for part in _parts.parts(message.get("content"))]
        yield {"toolResult": {"toolUseId": message.get("tool_call_id"), "content": content or [{"text": "(empty)"}]}}
        return
    yield from (_block(part) for part in _parts.parts(message.get("content")))
    for call_id, name, arguments in _parts.calls_of(message):
        yield {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}


def _block(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part in Converse's form; what is in that form already is left as it is."""
    kind = part.get("type")
    if kind == "text":
        return {"text": str(part.get("text"))}
    if kind == "image_url":
        found = _parts.data_url(_parts.image_url(part))
        if found is None:
            raise NodeError("InvalidInput", "Bedrock takes images as data URLs only", retryable=False)
        return {"image": {"format": found[0].rpartition("/")[2], "source": {"bytes": found[1]}}}
    if kind == "file":
        name, media_type, body = _parts.file_of(part)
        stem, _, ending = name.rpartition(".")
        plain = re.sub(r"[^A-Za-z0-9 ()\[\]-]+", "-", stem or name)[:100]
        return {
            "document": {"format": ending or media_type.rpartition("/")[2], "name": plain, "source": {"bytes": body}}
        }
    _parts.no_sound(part, "Bedrock")
    return part


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": tool["description"]} if tool.get("description") else {}
    return {"name": tool["name"], **described, "inputSchema": {"json": tool.get("parameters") or {"type": "object"}}}


def _answer(said: Mapping[str, Any], model: str) -> Answer:
    output = said.get("output")
    message = output.get("message") if isinstance(output, Mapping) else None
    blocks = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(blocks, list):
        raise NodeError("ModelError", "the endpoint answered without content")
    counted = said.get("usage") or {}
    parts = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    used = usage(sum(counted.get(name) or 0 for name in parts), counted.get("outputTokens"), model)
    reason = said.get("stopReason")
    if reason in ("guardrail_intervened", "content_filtered"):
        raise refused(used)
    if isinstance(reason, str) and reason.startswith("malformed_"):
        raise Unanswered("InvalidResponse", "the model's answer is malformed", used, retryable=True)
    text = "".join(str(b["text"]) for b in blocks if "text" in b)
    made: Message = {"role": "assistant", "content": text}
    uses = [b["toolUse"] for b in blocks if "toolUse" in b]
    if uses:
        made["tool_calls"] = [tool_call(u.get("toolUseId"), u.get("name"), u.get("input") or {}) for u in uses]
    others = [b for b in blocks if not any(name in b for name in _OURS)]
    if others and _is_json(others):  # encrypted reasoning comes as bytes, which a journal cannot hold
        made["blocks"] = {"provider": "bedrock", "content": blocks}
    finish: Literal["stop", "length", "tool_calls"] = "tool_calls" if uses else "stop"
    if reason in _CUT:
        finish = "length"
    return Answer(made, text, read_tool_calls(made), used, finish)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _node_error(failed: AwsFailed, request: Request) -> NodeError:
    error = aws_error(failed)
    if error.error not in ("AwsError",):
        return error
    if failed.code in ("ResourceNotFoundException",) or (
        failed.code == "ValidationException" and _NO_MODEL.search(failed.message)
    ):
        return NodeError("ModelNotFound", f"Bedrock does not offer the model {request.model!r} here", retryable=False)
    if failed.code == "ModelTimeoutException":
        return NodeError("Timeout", "the model did not answer in time")
    if failed.code in ("ServiceQuotaExceededException", "ModelNotReadyException"):
        return NodeError("RateLimited", failed.message, retry_after=failed.retry_after)
    if failed.code == "ModelErrorException" or failed.status not in (400, 413, 422):
        return NodeError("ModelError", f"Bedrock answered {failed.code}", retry_after=failed.retry_after)
    return status_error(failed.status, failed.message, request.model, schema=request.schema is not None)
