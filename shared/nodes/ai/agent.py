"""A model that works with tools until it has an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.errors import Problem
from shared.nodes.ai._agent_config import CONFIG, DEFAULTS, ERRORS
from shared.nodes.base import Call, Composite, Inside, NodeError, Outputs, Part, Port
from shared.nodes.human import _people
from shared.nodes.json_schemas import schema_problems

_AT_ONCE = 10  # questions of one step that are open at the same time


class Agent(Composite):
    """A loop around a model: ask it, call the tools that it wants, ask again. Each step is recorded by itself."""

    category = "ai"
    display_name = "Agent"
    description = (
        "A model that calls tools until it has an answer: with limits, a person's consent where a tool wants "
        "it, and the memory of a thread. Every model and tool call is recorded, so none is paid twice."
    )
    inputs = {
        "input": Port("any", required=True, description="The task: text, messages `{role, content}`, or any value."),
        "thread_id": Port("string", description="The conversation it goes on with; one that is not there is begun."),
    }
    outputs = {
        "output": Port("any", description="The answer: text, or with `output_schema` a value that fits it."),
        "messages": Port("array", description="The conversation, calls of tools and their results included."),
        "tool_calls": Port("array", description="What was called: `{id, name, arguments, step, result or error}`."),
        "usage": Port(
            "object",
            description="Tokens: prompt_tokens, completion_tokens, total_tokens, steps, models; and `finish_reason`: "
            "`length`, where the answer was cut off.",
        ),
    }
    config_schema = CONFIG
    errors = ERRORS
    example = {
        "config": {
            "model": "gpt-4o-mini",
            "instructions": "You help customers with their orders.",
            "tools": ["lookup_order", "refund"],
            "max_steps": 8,
            "token_budget": 50_000,
        },
        "inputs": {"input": "My order 7 never came.", "thread_id": "customer-42"},
    }
    timeout_seconds = 300

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """An agent has a model, its own or a stored agent's; a schema must be one."""
        if not config.get("agent") and not config.get("model"):
            yield Problem("invalid_config", "name a stored agent, or a model", "config.model")
        if config.get("output_schema") is not None:
            yield from schema_problems(config["output_schema"], "config.output_schema")
        limit = config.get("approval_timeout_seconds", DEFAULTS["approval_timeout_seconds"])
        asked = {**config.get("approval_task", {}), "timeout_seconds": limit, "assignees": config.get("assignees")}
        for problem in _people.problems(asked):
            yield replace(problem, path=str(problem.path).replace("config.", "config.approval_task.", 1))

    @classmethod
    def inside(cls, config: Mapping[str, Any]) -> Inside:
        """Model, tools, memory; and where it may ask people, a loop over the calls that wait for them."""
        settings = {**DEFAULTS, **config}
        policy = {"on_tool_error": settings["on_tool_error"]}
        lanes = {"max_concurrency": settings["max_parallel"]}
        parts = [
            Part("model", "agent.model", tried=True),
            Part("tools", "loop", lanes),
            Part("call", "agent.tool", policy, within="tools", tried=True),
            Part("memory", "agent.memory"),
            Part("next", "agent.next"),
        ]
        wires = [
            ".state -> model.state",
            "model.calls -> tools.items",
            "tools.item -> call.call",
            "model.turn -> memory.turn",
            "model.state -> next.state",
            "tools.results -> next.results",
            "memory.kept -> next.kept",
        ]
        if _may_ask(settings):
            parts += [
                Part("approvals", "loop", {"max_concurrency": _AT_ONCE}),
                Part("approval", "human_in_the_loop", _question(settings), {"input": "{{ item.shown }}"}, "approvals"),
                Part("approved", "agent.tool", policy, {"call": "{{ item }}"}, "approvals", tried=True),
            ]
            wires += [
                "model.asking -> approvals.items",
                "approval.response -> approved.answer",
                "approvals.results -> next.approved",
            ]
        return Inside(tuple(parts), tuple(wires))

    def first(self, call: Call) -> Any:
        """What the first step begins with: it reads the stored agent, its tools and the thread."""
        return {"inputs": dict(call.inputs), "config": dict(call.config)}

    def goes_on(self, state: Any) -> bool:
        """Until there is an answer, or a limit is reached."""
        return not state.get("stopped")

    def outcome(self, call: Call, state: Any) -> Outputs:
        """All ports. Raises NodeError MaxSteps, BudgetExceeded or InvalidResponse where that stopped it."""
        stopped = state["stopped"]
        if stopped["error"] and not (stopped["error"] != "InvalidResponse" and call.config["on_limit"] == "answer"):
            raise NodeError(stopped["error"], stopped["message"], retryable=False)
        if state["usage"].get("finish_reason") == "length":
            call.world.log("warning", "the model's last message was cut off at max_tokens, or at its own limit")
        return {name: state[name] for name in self.outputs}


def _may_ask(settings: Mapping[str, Any]) -> bool:
    """Whether a person may have to be asked: tools of MCP servers want nobody's consent, others may."""
    named = settings.get("tools") or (settings.get("agent") and "tools" not in settings)
    some = named or settings.get("mcp_servers") or settings.get("agent")
    return {"never": False, "always": bool(some), "when_asked": bool(named)}[settings["approval"]]


def _question(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": "Allow the tool {{ item.spec.name }}?",
        "instructions": "{{ item.instructions }}",
        "assignees": "{{ item.assignees }}",
        "timeout_seconds": settings["approval_timeout_seconds"],
        "on_timeout": settings["on_approval_timeout"],
        **settings.get("approval_task", {}),
    }
