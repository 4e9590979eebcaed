"""The tools of a tenant's MCP server: published workflows that are marked as such, and what asks after their runs.

A call starts a run and waits a while for its end. What takes longer is answered with the run's id, which `get_run`
takes. Whatever else is to be a tool becomes a `Source` of its own, in `SOURCES`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from shared.errors import AppError, Conflict, Invalid, NotFound
from shared.ids import digest
from shared.nodes.json_schemas import faults
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.subscriptions.model import MCP_TOOL, Subscription
from shared.subscriptions.store import SubscriptionStore
from shared.tasks.service import TaskService
from shared.tenancy import Principal, Tenant
from stepfunctions import control, fire
from stepfunctions.engine.payloads import Value
from stepfunctions.history import progress_view
from stepfunctions.manual import execute
from stepfunctions.start import payload_objects

KIND: Final = "mcp"  # of what starts these runs
WAIT_SECONDS: Final = 20.0  # for a run that a call has started
MAX_WAIT_SECONDS: Final = 25.0
MAX_OUTPUT: Final = 1_000_000  # bytes of JSON
_FIRST_LOOK_S, _LAST_LOOK_S = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is listed. `input_schema` is a JSON Schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gives: JSON for whoever called, and whether it is an error."""

    value: Mapping[str, Any]
    is_error: bool = False


class Source(Protocol):
    """Something that has tools. What it raises of `shared.errors` becomes a result that is an error."""

    def tools(self, who: Principal) -> list[Tool]:
        """The tools that this caller may see."""
        ...

    def call(self, who: Principal, name: str, arguments: Mapping[str, Any], key: str | None) -> Result | None:
        """Call a tool; None: it has no tool of that name. One `key` leads to one effect."""
        ...


@dataclass(frozen=True, slots=True)
class WorkflowTool:
    """A published workflow as a tool. `taken_by` is who has its name instead: then it is none."""

    name: str
    workflow_id: str
    version: int
    description: str
    input_schema: Mapping[str, Any]
    wrapped: bool
    trigger_node: str | None
    taken_by: str | None = None


def workflow_tools(tenant: Tenant) -> list[WorkflowTool]:
    """All that are marked, by name; of several with one name the one that had it first is the tool."""
    found = SubscriptionStore(TenantTable(tenant)).of(MCP_TOOL)
    found.sort(key=lambda s: (s.config["name"], s.config["since"], s.workflow_id))
    owners = {tool.name: "the server itself" for tool in _OF_RUNS}
    made = []
    for subscription in found:
        name = subscription.config["name"]
        made.append(_shaped(subscription, owners.get(name)))
        owners.setdefault(name, subscription.workflow_id)
    return made


def _shaped(found: Subscription, taken_by: str | None) -> WorkflowTool:
    schema = found.config["input_schema"]
    # The arguments of a tool are an object; what a trigger takes may be anything.
    wrapped = isinstance(schema, dict) and schema.get("type") != "object"
    if wrapped:
        schema = {"type": "object", "properties": {"input": schema}, "required": ["input"]}
    return WorkflowTool(
        name=found.config["name"],
        workflow_id=found.workflow_id,
        version=found.version,
        description=found.config["description"],
        input_schema=schema if isinstance(schema, dict) else {"type": "object"},
        wrapped=wrapped,
        trigger_node=None if found.node_id == "-" else found.node_id,
        taken_by=taken_by,
    )


class Workflows:
    """The tenant's published workflows."""

    def tools(self, who: Principal) -> list[Tool]:
        """See `Source`."""
        return [Tool(t.name, t.description, t.input_schema) for t in workflow_tools(who.tenant) if t.taken_by is None]

    def call(self, who: Principal, name: str, arguments: Mapping[str, Any], key: str | None) -> Result | None:
        """See `Source`."""
        own = (t for t in workflow_tools(who.tenant) if t.name == name and t.taken_by is None)
        tool = next(own, None)
        if tool is None:
            return None
        published = fire.published(who.tenant, tool.workflow_id)
        if published is None:
            raise Conflict(f"workflow {tool.workflow_id} is not published", code="not_published")
        if tool.wrapped and set(arguments) != {"input"}:
            raise Invalid("the arguments are an object with `input` and nothing else")
        until = time.monotonic() + WAIT_SECONDS
        marks = (KIND, who.id, name, key, json.dumps(dict(arguments), sort_keys=True)) if key is not None else None
        run = execute(
            who,
            tool.workflow_id,
            trigger_data=arguments["input"] if tool.wrapped else dict(arguments),
            trigger_node=tool.trigger_node,
            version=None,
            # Where it may rest it is waited for here, which ends when it does.
            wait_seconds=WAIT_SECONDS if published.express is not None else 0,
            mark=None if marks is None else digest(*marks),
            kind=KIND,
        )
        return shown(who.tenant, _settled(who.tenant, run, until))


_RUN: Final = {"type": "string", "description": "The execution_id of an earlier answer."}
_WAIT: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": MAX_WAIT_SECONDS,
    "description": "Seconds to wait for its end.",
}
_OF_RUNS: Final = (
    Tool(
        "get_run",
        "How a run that a tool of this server has started is, and its output once it has ended.",
        {
            "type": "object",
            "properties": {"execution_id": _RUN, "wait_seconds": _WAIT},
            "required": ["execution_id"],
            "additionalProperties": False,
        },
        read_only=True,
    ),
    Tool(
        "cancel_run",
        "Cancel a run that a tool of this server has started.",
        {
            "type": "object",
            "properties": {"execution_id": _RUN},
            "required": ["execution_id"],
            "additionalProperties": False,
        },
    ),
)


class Runs:
    """The runs that tools have started; no others."""

    def tools(self, who: Principal) -> list[Tool]:
        """See `Source`."""
        del who
        return list(_OF_RUNS)

    def call(self, who: Principal, name: str, arguments: Mapping[str, Any], key: str | None) -> Result | None:
        """See `Source`."""
        del key
        tool = next((t for t in _OF_RUNS if t.name == name), None)
        if tool is None:
            return None
        found = faults(dict(arguments), dict(tool.input_schema))
        if found:
            raise Invalid("; ".join(found))
        run = self._run(who.tenant, arguments["execution_id"])
        if name == "cancel_run":
            control.cancel(who.tenant, run.id)
            return shown(who.tenant, RunStore(TenantTable(who.tenant)).get(run.id))
        return shown(who.tenant, _settled(who.tenant, run, time.monotonic() + arguments.get("wait_seconds", 0)))

    @staticmethod
    def _run(tenant: Tenant, execution_id: str) -> Run:
        missing = NotFound(f"there is no run {execution_id[:100]} of a tool")
        if not execution_id.isascii() or not execution_id.replace("_", "").isalnum():
            raise missing
        run = RunStore(TenantTable(tenant)).get(execution_id)
        if run.triggered_by.get("kind") != KIND:
            raise missing
        return run


SOURCES: Final[tuple[Source, ...]] = (Runs(), Workflows())


@dataclass(frozen=True, slots=True)
class Toolbox:
    """All tools of one caller."""

    who: Principal
    sources: tuple[Source, ...] = field(default=SOURCES)

    def tools(self) -> list[Tool]:
        """Every tool, by name; of one name only the first source's."""
        every: dict[str, Tool] = {}
        for tool in self._all():
            every.setdefault(tool.name, tool)
        return [every[name] for name in sorted(every)]

    def call(self, name: str, arguments: Mapping[str, Any], key: str | None = None) -> Result | None:
        """Call a tool. None: there is none of that name. One `key` with the same arguments leads to one effect."""
        for source in self.sources:
            try:
                result = source.call(self.who, name, arguments, key)
            except AppError as error:
                return Result(_told(error), is_error=True)
            if result is not None:
                return result
        return None

    def _all(self) -> Iterator[Tool]:
        for source in self.sources:
            yield from source.tools(self.who)


def shown(tenant: Tenant, run: Run) -> Result:
    """A run as a tool's result: `{execution_id, status}`, with `output` or `error` where it has ended, else with
    `progress`, `message` and perhaps `tasks`.
    """
    value: dict[str, Any] = {"execution_id": run.id, "status": run.status}
    if run.status == "completed":
        output = None
        if run.final_output is not None:
            output = Value(encoded=run.final_output, objects=payload_objects(tenant)).get()
        size = len(json.dumps(output, ensure_ascii=False).encode(errors="replace"))
        if size > MAX_OUTPUT:
            value["message"] = f"The output has {size:,} bytes, too many for a tool; the API gives it."
        else:
            value["output"] = output
    elif run.ended:
        error = run.error or {"error": "Cancelled", "message": "the run was cancelled", "node_id": None}
        value["error"] = {name: error.get(name) for name in ("error", "message", "node_id")}
    else:
        value |= _unfinished(tenant, run)
    return Result(value, is_error=run.status in ("failed", "cancelled"))


def _unfinished(tenant: Tenant, run: Run) -> dict[str, Any]:
    told: dict[str, Any] = {"progress": progress_view(tenant, run.id)}
    if _rests(run):
        tasks = TaskService(tenant).open_tasks(run.id)
        told["tasks"] = [{"task_id": t.id, "title": t.title} for t in tasks]
        return {**told, "message": "It waits for a person to answer. Ask again later with get_run."}
    return {**told, "message": "It has not ended. Ask again with get_run."}


def _rests(run: Run) -> bool:
    return run.status == "paused" and run.pause_reason == "human_input"


def _settled(tenant: Tenant, run: Run, until: float) -> Run:
    """The run when it has ended or waits for a person, or as it is when the time is over."""
    runs, pause = RunStore(TenantTable(tenant)), _FIRST_LOOK_S
    while not (run := runs.get(run.id)).ended and not _rests(run) and (left := until - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LAST_LOOK_S)
    return run


def _told(error: AppError) -> dict[str, Any]:
    """An error of ours by its name, as a node's would be."""
    name = "InvalidArguments" if isinstance(error, Invalid) else type(error).__name__
    told: dict[str, Any] = {"error": name, "message": error.detail.replace("trigger_data", "arguments")}
    retry_after = getattr(error, "retry_after", None)
    return {"error": told if retry_after is None else {**told, "retry_after": retry_after}}
