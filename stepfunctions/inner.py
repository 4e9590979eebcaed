"""Questions of the platform's own to a model: each is a run through the engine.

Guided workflows and the generator ask models. They do so by a workflow of one model node, which nobody has stored: its
run is recorded, retried, metered and shown like any other, and no other function than the runner calls a model. What a
tenant or a person wrote goes in as trigger data, so that nothing of it is ever read as a template.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.errors import Conflict
from shared.members.store import MemberStore
from shared.nodes.base import Ended
from shared.resources.documents import Model
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Connection, Document, Node, WorkflowSettings
from shared.workflows.record import RESERVED_PREFIX
from stepfunctions.engine.payloads import Value
from stepfunctions.fire import fire
from stepfunctions.manual import awaited
from stepfunctions.publish import publish
from stepfunctions.start import payload_objects

_TYPES: Final = {"openai": "llm_chat", "anthropic": "anthropic_chat", "bedrock": "bedrock_chat"}
_ATTEMPT_SECONDS: Final = 120  # of the model: within what an Express execution may take
_ASK, _ANSWER = "ask", "answer"

Json = dict[str, Any]


def assistant_of(tenant: Tenant) -> Model:
    """The model that a tenant has chosen for the platform's questions. Raises Conflict (`no_assistant`)."""
    chosen = MemberStore(TenantTable(tenant)).tenant().assistant
    if chosen is None:
        message = "choose a model first: PATCH /tenants/current {assistant: {provider, model, credential}}"
        raise Conflict(message, code="no_assistant")
    return Model.model_validate(chosen)


def ask(
    tenant: Tenant,
    purpose: str,
    model: Model,
    *,
    system: str,
    messages: Sequence[Mapping[str, Any]],
    schema: Mapping[str, Any],
    triggered_by: Mapping[str, Any],
    occasion: str,
    wait_seconds: float,
) -> Run:
    """Ask a model for a value that fits a JSON Schema, and wait up to `wait_seconds` (≤ 25) for the end of the run.

    `purpose` names the kind of question (`guided`, `generate`); the run's workflow is `inner-<purpose>`. `messages` are
    `{role, content}`. One `occasion` (a digest of what tells it apart) is one run: whoever asks again gets that one.
    Raises Invalid for a model or schema that the node type refuses.
    """
    until = time.monotonic() + wait_seconds
    published = publish(tenant, _document(purpose, model, schema), 0)
    data = {"system": system, "messages": [dict(m) for m in messages]}
    run = fire(tenant, published, None, data, triggered_by, occasion=occasion, wait_seconds=wait_seconds)
    return awaited(RunStore(TenantTable(tenant)), run, until)


def find(tenant: Tenant, execution_id: str) -> Run:
    """A question's run as it is now. Raises NotFound."""
    return RunStore(TenantTable(tenant)).get(execution_id)


def answer(tenant: Tenant, run: Run) -> Ended | None:
    """How a question's run has ended: its output is the value that fits the schema. None: it goes on."""
    if not run.ended:
        return None
    output = run.final_output
    value = None if output is None else Value(encoded=output, objects=payload_objects(tenant)).get()
    status: Any = run.status
    return Ended(run.id, status, value, run.error)


def _document(purpose: str, model: Model, schema: Mapping[str, Any]) -> Document:
    config: Json = {**model.parameters, "model": model.model, "response_schema": dict(schema)}
    if model.credential is not None:
        config["credential"] = model.credential
    said = {"messages": "{{ trigger.messages }}", "system": "{{ trigger.system }}"}
    nodes = (
        Node(id=_ASK, type=_TYPES[model.provider], config=config, inputs=said, timeout_seconds=_ATTEMPT_SECONDS),
        Node(id=_ANSWER, type="output"),
    )
    return Document(
        id=RESERVED_PREFIX + purpose,
        name=f"Question of the platform: {purpose}",
        nodes=nodes,
        connections=(
            Connection(id="answered", source_node=_ASK, source_port="json", target_node=_ANSWER, target_port="value"),
        ),
        settings=WorkflowSettings(timeout_seconds=280),
    )
