"""One step of an agent: who it is (once), what the model says, and what is to be called then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.errors import NotFound
from shared.nodes._credentials import credential
from shared.nodes.ai import _agent_state as states
from shared.nodes.ai._fields import KINDS
from shared.nodes.ai._memories import memory as kept_in
from shared.nodes.ai._models import Answer, Link, Request, Unanswered, put, tell_if_cut
from shared.nodes.base import Call, NodeError, Outputs
from shared.tools.toolbox import Toolbox, ToolSpec, check_arguments


async def step(call: Call) -> Outputs:
    """One call of the model. Raises NodeError."""
    state = call.inputs["state"]
    if "agent" not in state:
        state = await _begun(call, state["inputs"], state["config"])
    agent, messages = state["agent"], state["messages"]
    try:
        answer = await _said(call, agent, messages)
    except Unanswered as error:
        call.usage.update(error.usage)  # it was paid all the same
        raise
    tell_if_cut(call.world, agent["model"], answer.finish, answer.usage)
    call.usage.update(answer.usage)
    state = states.counted(state, answer.usage)
    if not answer.tool_calls:
        state = states.answered(state, answer.message, answer.text)
        return {"state": state, **_turn(state)}
    message, wanted = _with_ids(answer.message, answer.tool_calls, state["usage"]["steps"])
    calls, output = [_call(agent, each) for each in wanted], answer.text or state["output"]
    state = states.limited({**state, "messages": [*messages, message], "output": output, "calls": calls})
    if state["stopped"]:
        return {"state": state, **_turn(state)}
    ready = [c for c in calls if "error" not in c]
    asking = [_question(agent, c) for c in ready if c["asks"]]
    ports = {"calls": [c for c in ready if not c["asks"]], "asking": asking}
    return {"state": state, **{port: found for port, found in ports.items() if found}}


async def _said(call: Call, agent: Mapping[str, Any], messages: list[states.Message]) -> Answer:
    provider, text = agent["provider"], states.system(agent)
    opened = await credential(replace(call, config={"credential": agent["credential"]}), KINDS[provider])
    tools = [
        {"name": t["name"], "description": t["description"], "parameters": t["input_schema"]} for t in agent["tools"]
    ]
    return await put(
        provider,
        Link(call.world, opened, call.timeout_seconds),
        Request(
            model=agent["model"],
            messages=[*([{"role": "system", "content": text}] if text else []), *messages],
            tools=tools,
            **_parameters(agent["parameters"]),
        ),
    )


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a model's parameters every provider knows, and under `extra` what it may know besides."""
    known = {name: given[name] for name in ("temperature", "max_tokens", "stop", "seed") if name in given}
    extra = {name: value for name, value in given.items() if name not in known}
    return {**known, "extra": extra}


def _with_ids(
    message: states.Message, wanted: list[dict[str, Any]], step: int
) -> tuple[states.Message, list[dict[str, Any]]]:
    """The message and its calls, each call with an id of its own: some endpoints give none."""
    ids = [str(each["id"]) if each["id"] else "" for each in wanted]
    if all(ids) and len(set(ids)) == len(ids):
        return message, wanted
    fresh = [f"call_{step}_{i}" for i in range(len(ids))]
    calls = [{**c, "id": i} for c, i in zip(message["tool_calls"], fresh, strict=True)]
    return {**message, "tool_calls": calls}, [{**c, "id": i} for c, i in zip(wanted, fresh, strict=True)]


async def _begun(call: Call, inputs: Mapping[str, Any], config: Mapping[str, Any]) -> states.State:
    stored = await _stored(call, config.get("agent"))
    agent = _definition(stored, config)
    if not agent["model"]:
        raise NodeError("InvalidInput", "the agent has no model: its name is empty", retryable=False)
    names, servers = (
        config.get("tools", stored.get("tools", [])),
        config.get("mcp_servers", stored.get("mcp_servers", [])),
    )
    found = await Toolbox(call).catalogue(names, servers)
    agent["tools"] = [spec.as_dict() for spec in found if not (spec.asks and agent["approval"] == "never")]
    thread, memory = inputs.get("thread_id"), {**stored.get("memory", {}), **config["memory"]}
    history: list[states.Message] = []
    if thread is not None and memory.get("enabled", True):
        most = int(memory.get("max_messages", 50))
        history = await (await kept_in(call, memory)).history(thread, most)
        history = states.trimmed(history, int(memory.get("max_tokens", 8_000)))
        agent["thread"], agent["memory"] = thread, {n: memory[n] for n in ("provider", "credential") if memory.get(n)}
    asked = states.told(inputs.get("input"))
    usage = {**dict.fromkeys(states.COUNTS, 0), "steps": 0, "models": {}}
    kept: dict[str, Any] = {"calls": [], "tool_calls": [], "output": None, "repairs": 0, "stopped": None}
    counts = {"before": len(history), "asked": len(asked)}
    return {"agent": agent, "messages": [*history, *asked], **counts, "usage": usage, **kept}


async def _stored(call: Call, name: str | None) -> Mapping[str, Any]:
    if name is None:
        return {}
    try:
        return await Toolbox(call).document("agents", name)
    except NotFound:
        raise NodeError("AgentNotFound", f"there is no agent {name}", retryable=False) from None


def _definition(stored: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Who the agent is: what the node says goes before what the stored agent says."""
    model, limits = stored.get("model", {}), stored.get("limits", {})
    own = (
        "on_limit",
        "approval",
        "assignees",
        "approval_instructions",
        "output_schema",
        "repair_attempts",
        "max_result_characters",
    )
    return {
        "model": config["model"] or model.get("model", ""),
        "provider": config.get("provider") or model.get("provider") or "openai",
        "credential": config.get("credential") or model.get("credential"),
        "parameters": {**model.get("parameters", {}), **config.get("parameters", {})},
        "instructions": config["instructions"] or stored.get("instructions", ""),
        "max_steps": config.get("max_steps") or limits.get("max_steps") or 10,
        "token_budget": config.get("token_budget") or limits.get("max_tokens"),
        **{name: config[name] for name in own},
    }


def _call(agent: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the model wants called: with its tool, or with what is wrong about it, of which it is told."""
    call = {name: wanted[name] for name in ("id", "name", "arguments")}
    spec = next((t for t in agent["tools"] if t["name"] == wanted["name"]), None)
    if spec is None:
        message = f"there is no tool {str(wanted['name'])[:100]!r}"
        return {**call, "error": {"error": "ToolNotFound", "message": message}}
    try:
        check_arguments(ToolSpec.from_dict(spec).input_schema, wanted["arguments"])
    except NodeError as error:
        return {**call, "error": {"error": error.error, "message": error.message}}
    return {**call, "spec": spec, "asks": agent["approval"] == "always" or bool(spec["asks"])}


def _question(agent: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """A call that a person has to allow, and what they are shown."""
    spec = call["spec"]
    shown = {"tool": spec["name"], "description": spec["description"], "arguments": call["arguments"]}
    return {**call, "shown": shown, "assignees": agent["assignees"], "instructions": agent["approval_instructions"]}


def _turn(state: states.State) -> dict[str, Any]:
    """What the thread is to keep of a turn that has an answer: what was asked, and the answer."""
    agent, stopped, output = state["agent"], state["stopped"], state["output"]
    error = stopped and stopped["error"]
    failed = error == "InvalidResponse" or (error and agent["on_limit"] == "fail")
    if "thread" not in agent or stopped is None or failed:
        return {}
    text = output if isinstance(output, str) or output is None else json.dumps(output, ensure_ascii=False)
    asked = state["messages"][state["before"] : state["before"] + state["asked"]]
    said = [{"role": m["role"], "content": m["content"]} for m in asked if m["role"] != "tool" and m.get("content")]
    said += [{"role": "assistant", "content": text}] if text else []  # at a limit there may be no answer
    where = {"thread_id": agent["thread"], **agent.get("memory", {})}
    return {"turn": {**where, "messages": said}} if said else {}
