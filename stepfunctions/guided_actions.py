"""The end action of a guided conversation: a run, of the workflow that the template names or of one node.

Its id is written down before it is started, so however often it is tried, it is one run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.errors import Invalid, NotFound
from shared.guided.documents import Template
from shared.guided.model import Action, Instance
from shared.ids import new_id
from shared.nodes.json_schemas import faults
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Connection, Document, Node, WorkflowSettings
from shared.workflows.record import RESERVED_PREFIX
from stepfunctions import fire, plans
from stepfunctions.engine.payloads import Value
from stepfunctions.publish import publish
from stepfunctions.published import Published
from stepfunctions.start import payload_objects, start, trigger_of

KIND: Final = "guided"
_DO, _DONE = "do", "done"
_MAX_RESULT: Final = 20_000  # bytes of an action's output that the conversation keeps


def published_for(tenant: Tenant, template: Template) -> dict[str, Any] | None:
    """What starts an end action of one node; None for the others. Raises Invalid for one that cannot work.

    It is made when a conversation begins: not all who may bring one to its end may make state machines.
    """
    if template.end_action_type not in ("api_call", "tool_call"):
        return None
    return publish(tenant, _document(template, template.end_action_target or ""), 0).as_dict()


def prepared(
    tenant: Tenant, template: Template, published: Mapping[str, Any] | None, state: Mapping[str, Any]
) -> Action:
    """What the end action will be, with the id of its run. Raises Invalid: it cannot be begun."""
    if published is None:
        target = template.end_action_target or ""
        found = fire.published(tenant, target)
        if found is None:
            raise Invalid(f"the workflow {target[:100]} is not published", code="NotPublished")
        _check_input(tenant, found, state)
        published = replace(found, webhooks={}).as_dict()  # which it does not need, and which may be long
    return Action(new_id("ex"), published, dict(state))


def run_of(tenant: Tenant, instance: Instance, action: Action, wait_seconds: float, *, short: bool) -> Run:
    """The action's run; it is started if it is not there. `short`: it may begin as an Express execution.

    One that is there is not started again: if it has no execution yet, the sweeper of runs sees to that.
    """
    found = find(tenant, action)
    if found is not None:
        return found
    published = Published.from_dict(action.published)
    return start(
        tenant,
        published if short else replace(published, express=None),
        trigger_node=None,
        trigger_data=dict(action.input),
        triggered_by={"kind": KIND, "id": instance.id, "user": instance.user_id},
        execution_id=action.execution_id,
        wait_seconds=wait_seconds,
    )


def find(tenant: Tenant, action: Action) -> Run | None:
    """The action's run, if it is there."""
    try:
        return RunStore(TenantTable(tenant)).get(action.execution_id)
    except NotFound:
        return None


def result_of(tenant: Tenant, run: Run) -> Any:
    """What the action gave, as far as it is short."""
    if run.final_output is None:
        return None
    value = Value(encoded=run.final_output, objects=payload_objects(tenant)).get()
    return value if len(json.dumps(value, ensure_ascii=False).encode()) <= _MAX_RESULT else None


def _check_input(tenant: Tenant, published: Published, state: Mapping[str, Any]) -> None:
    """Hold the state against the workflow's `input_schema`, if it has one. Raises Invalid."""
    trigger = trigger_of(published, None)
    if trigger is None or dict(published.triggers)[trigger] != "manual_trigger":
        return
    schema = plans.load(tenant, published.plan).nodes[trigger].config.get("input_schema")
    unfit = faults(dict(state), schema) if schema is not None else []
    if unfit:
        raise Invalid("the state does not fit the workflow: " + "; ".join(unfit)[:500], code="InvalidInput")


def _document(template: Template, target: str) -> Document:
    """A workflow of one node. What a person said goes in as trigger data, so nothing of it is read as a template."""
    if template.end_action_type == "api_call":
        config: dict[str, Any] = {"method": template.end_action_method, "body_type": "json"}
        if template.end_action_credential is not None:
            config["credential"] = template.end_action_credential
        inputs = {"url": target, "body": "{{ trigger }}"}
        node, port = Node(id=_DO, type="http_request", config=config, inputs=inputs), "response"
    else:
        node, port = Node(id=_DO, type="function_call", inputs={"name": target, "args": "{{ trigger }}"}), "result"
    answered = Connection(id="done", source_node=_DO, source_port=port, target_node=_DONE, target_port="value")
    return Document(
        id=f"{RESERVED_PREFIX}{KIND}-action",
        name="End action of a guided workflow",
        nodes=(node, Node(id=_DONE, type="output")),
        connections=(answered,),
        settings=WorkflowSettings(timeout_seconds=3_600),
    )
