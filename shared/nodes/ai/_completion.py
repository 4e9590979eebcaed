"""What llm_completion does: over chat, or over the older /completions. Loads the openai SDK."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import openai

from shared.nodes._credentials import credential
from shared.nodes.ai._chat import chat, model_of
from shared.nodes.ai._models import Link, refused, tell_if_cut, usage
from shared.nodes.ai._openai import client_of, node_error
from shared.nodes.ai._sdk import reaching
from shared.nodes.base import Call, NodeError, Outputs


async def complete(call: Call) -> Outputs:
    """`{completion, usage}`. Raises NodeError."""
    prompt = call.inputs.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise NodeError("InvalidInput", "prompt is empty or no text", retryable=False)
    if call.config.get("api", "chat") == "chat":
        answer = await chat(replace(call, inputs={"messages": prompt, "model": call.inputs.get("model")}))
        return {"completion": answer["response"], "usage": answer["usage"]}
    return await _continued(call, prompt)


async def _continued(call: Call, prompt: str) -> Outputs:
    model = model_of(call)
    opened = await credential(call, "openai")
    client = await client_of(Link(call.world, opened, call.timeout_seconds, int(call.config.get("max_retries", 3))))
    simple = ("temperature", "max_tokens", "seed", "stop")
    given: dict[str, Any] = {name: call.config[name] for name in simple if call.config.get(name) is not None}
    try:
        with reaching():
            said = await client.completions.create(model=model, prompt=prompt, **given)
    except openai.APIError as error:
        raise node_error(error, model) from None
    except (ValueError, TypeError) as error:
        raise NodeError("ModelError", f"the endpoint's answer cannot be read: {type(error).__name__}") from None
    counted = getattr(said, "usage", None)
    used = usage(getattr(counted, "prompt_tokens", None), getattr(counted, "completion_tokens", None), model)
    choices = getattr(said, "choices", None)
    tell_if_cut(call.world, model, choices[0].finish_reason if choices else None, used)
    call.usage.update(used)
    if not choices or not isinstance(choices[0].text, str):
        raise NodeError("ModelError", "the endpoint answered without a choice")
    if choices[0].finish_reason == "content_filter":
        raise refused(used)
    return {"completion": choices[0].text, "usage": used}
