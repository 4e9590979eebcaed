"""How tool_router gets from words to a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.ids import digest
from shared.nodes._credentials import credential
from shared.nodes.ai._fields import KINDS
from shared.nodes.ai._models import Answer, Message, add_usage, ask
from shared.nodes.base import Call, NodeError, Outputs
from shared.nodes.json_schemas import faults, schema_problems
from shared.tools.toolbox import Toolbox, ToolSpec

_MOST: Final = 128
_TASK: Final = "Pick the one tool that does what is asked, and call it with fitting arguments. Never answer in words."


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A tool to choose from. `spec` is None for one that is only defined in the node's input."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    spec: ToolSpec | None

    def for_model(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


async def route(call: Call) -> Outputs:
    """The tool, its arguments and its result. Raises NodeError."""
    query = call.inputs.get("query")
    if not isinstance(query, str) or not query.strip():
        raise _bad("query is missing or no text")
    began = asyncio.get_running_loop().time()
    candidates = await _candidates(call)
    chosen, args = await _chosen(call, query, candidates)
    result = None
    if chosen.spec is not None and call.config.get("execute", True) and not chosen.spec.asks:
        left = call.timeout_seconds - (asyncio.get_running_loop().time() - began)
        # In another attempt the model may choose otherwise: that is another call, not a repeat of this one.
        key = digest(call.idempotency_key, chosen.name, json.dumps(args, sort_keys=True))
        result = await Toolbox(call).call(chosen.spec, args, idempotency_key=key, timeout=max(left, 0.1))
    return {"tool": chosen.name, "args": args, "result": result}


async def _candidates(call: Call) -> dict[str, _Candidate]:
    given = call.inputs.get("tools")
    if given is not None and not isinstance(given, list):
        raise _bad("tools must be a list of names and definitions")
    names = [each for each in given if isinstance(each, str)] if given else call.config.get("tools", [])
    servers = [] if given else call.config.get("mcp_servers", [])
    specs = await Toolbox(call).catalogue(names, servers)
    found = {s.name: _Candidate(s.name, s.description, s.input_schema, s) for s in specs}
    for each in given or ():
        if not isinstance(each, str):
            defined = _defined(each)
            found[defined.name] = defined
    if not found:
        raise _bad("there is no tool to choose from")
    if len(found) > _MOST:
        raise _bad(f"there are {len(found)} tools to choose from; the limit is {_MOST}")
    return found


def _defined(given: Any) -> _Candidate:
    """A tool as it is defined in the input: `{name, description, parameters}`, or in OpenAI's form."""
    body = given.get("function", given) if isinstance(given, Mapping) else None
    name = body.get("name") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(name, str) or not name or len(name) > 64:
        raise _bad("a tool is a name, or has a name of at most 64 characters, a description and parameters")
    parameters = body.get("parameters", body.get("input_schema")) or {"type": "object"}
    problem = next(schema_problems(parameters, f"the parameters of {name}"), None)
    if problem is not None:
        raise _bad(problem.message)
    return _Candidate(name, str(body.get("description") or ""), parameters, None)


async def _chosen(call: Call, query: str, candidates: Mapping[str, _Candidate]) -> tuple[_Candidate, dict[str, Any]]:
    provider = str(call.config.get("provider", "openai"))
    opened = await credential(call, KINDS[provider])
    told = "\n\n".join(filter(None, (_TASK, call.config.get("instructions"))))
    messages: list[Message] = [{"role": "system", "content": told}, {"role": "user", "content": query}]
    tools = [c.for_model() for c in candidates.values()]
    wrong = ""
    silent = True
    for _ in range(int(call.config.get("repair_attempts", 2)) + 1):
        answer = await ask(
            call.world,
            provider=provider,
            model=str(call.config["model"]),
            credential=opened,
            messages=messages,
            tools=tools,
            parameters={"tool_choice": "required"},
            timeout=call.timeout_seconds,
            max_retries=int(call.config.get("max_retries", 3)),
        )
        add_usage(call.usage, answer.usage)
        if answer.tool_calls:
            wanted, silent = answer.tool_calls[0], False
            wrong = _wrong(wanted, candidates)
            if not wrong:
                return candidates[wanted["name"]], wanted["arguments"]
        else:
            wrong = "no tool was called"
        messages += _complaint(answer, wrong)
    if silent:
        raise NodeError("NoTool", "the model picks none of the tools", retryable=False)
    raise NodeError("InvalidResponse", f"the model's choice cannot be used: {wrong[:1_000]}")


def _wrong(wanted: Mapping[str, Any], candidates: Mapping[str, _Candidate]) -> str:
    """What is wrong with a call; empty if nothing is."""
    candidate = candidates.get(wanted["name"])
    if candidate is None:
        return f"there is no tool {str(wanted['name'])[:100]!r}; there is {', '.join(candidates)}"[:1_000]
    if not isinstance(wanted["arguments"], dict):
        return "the arguments are no JSON object"
    return "; ".join(faults(wanted["arguments"], candidate.parameters))


def _complaint(answer: Answer, wrong: str) -> Sequence[Message]:
    said = f"That cannot be used: {wrong}. Call one tool, with arguments that fit its schema."
    if not answer.tool_calls:
        return [answer.message, {"role": "user", "content": said}]
    replies = [{"role": "tool", "tool_call_id": each["id"], "content": json.dumps(said)} for each in answer.tool_calls]
    return [answer.message, *replies]


def _bad(message: str) -> NodeError:
    return NodeError("InvalidInput", message, retryable=False)
