"""From a prompt to a workflow: a record that is moved on step by step by whoever asks for it.

    asked ──answer──▶ judged ──▶ done
      ▲                 │ ├────▶ impossible   the model says why it cannot be built
      └───── repair ────┘ └────▶ failed       no answer, or problems still after `REPAIRS` repairs

Each question is a run of its own (`stepfunctions.inner`) whose occasion is the generation and the step: whoever asks
twice, or again after a crash, gets the same answer and pays once. What comes of a step is written on the condition
that nobody has written it yet. Nothing is stored but the record: `stepfunctions.generator.apply` makes the draft.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Invalid, PreconditionFailed, TooLarge
from shared.generations.model import Generation
from shared.generations.store import GenerationStore
from shared.ids import digest, new_id
from shared.nodes.base import Ended
from shared.resources.documents import Model
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.workflows import service
from shared.workflows.difference import difference
from shared.workflows.typed_secrets import in_document
from stepfunctions import inner
from stepfunctions.compiler.compile import check
from stepfunctions.compiler.diagnostics import Diagnostic
from stepfunctions.generator import prompt as prompts
from stepfunctions.generator.answer import SCHEMA
from stepfunctions.generator.judge import Judged, judge
from stepfunctions.generator.things import gather
from stepfunctions.manual import awaited

REPAIRS: Final = 3
MAX_WAIT: Final = 25.0
_ANSWER_TOKENS: Final = 8_000  # Anthropic's models want a limit, and the node's own is too low for a workflow

Json = dict[str, Any]


def begin(
    who: Principal,
    prompt: str,
    *,
    instructions: str = "",
    model: Model | None = None,
    workflow_id: str | None = None,
    known: int | None = None,
    wait_seconds: float = 0,
    mark: str | None = None,
) -> Generation:
    """A new generation, as far as it comes within `wait_seconds`; the same one for the same `mark`.

    `workflow_id`: change that workflow's draft (`known`: the revision that the caller has seen). Raises Conflict
    (`no_assistant`), NotFound, PreconditionFailed, TooLarge, Invalid (a model that its provider does not take, a draft
    that holds secrets).
    """
    until = _until(wait_seconds)
    store = GenerationStore(TenantTable(who.tenant))
    chosen = _with_room(model or inner.assistant_of(who.tenant))
    base, revision = (None, None) if workflow_id is None else _base(who, workflow_id, known)
    things = gather(who, f"{prompt}\n{instructions}")
    asked = {
        "system": prompts.system(chosen),
        "messages": [{"role": "user", "content": prompts.request(things, prompt, instructions, base)}],
    }
    state = {
        "prompt": prompt,
        "model": chosen.model_dump(mode="json"),
        "workflow_id": workflow_id,
        "revision": revision,
        "base": base,
        "user": who.user_id,
        "left_out": things.left_out,
        "templates": [json.loads(line)["id"] for line in things.shown["templates"]],
        "asked": asked,
        "result": None,
        "error": None,
    }
    made = Generation(mark or new_id("gen"), "running", 0, now_ms(), who.id, state)
    try:
        return _advanced(who.tenant, store, store.create(made), until)
    except Invalid:
        store.remove(made.id)
        raise


def advance(tenant: Tenant, generation_id: str, wait_seconds: float) -> Generation:
    """A generation, as far as it comes within `wait_seconds`. Raises NotFound, Unavailable, TooLarge."""
    store = GenerationStore(TenantTable(tenant))
    found = store.get(generation_id)
    try:
        return _advanced(tenant, store, found, _until(wait_seconds))
    except Invalid as error:  # what the node types refuse has changed since it began
        return store.advance(found, _failed(found, "InvalidModel", error.detail))


def _advanced(tenant: Tenant, store: GenerationStore, found: Generation, until: float) -> Generation:
    while found.status == "running":
        run = _asked(tenant, found, until)
        ended = inner.answer(tenant, run)
        if ended is None:
            return found if found.execution_id == run.id else store.asked(found, run.id)
        try:
            found = store.advance(found, _after(tenant, found, ended))
        except TooLarge as error:
            found = store.advance(found, _ended(found, "failed", {}, {"error": "TooLarge", "message": error.detail}))
    return found


def _asked(tenant: Tenant, generation: Generation, until: float) -> Run:
    """The run of a generation's question: the one that is known, or that of the occasion."""
    if generation.execution_id is not None:
        return awaited(RunStore(TenantTable(tenant)), inner.find(tenant, generation.execution_id), until)
    state = generation.state
    return inner.ask(
        tenant,
        "generate",
        Model.model_validate(state["model"]),
        system=state["asked"]["system"],
        messages=state["asked"]["messages"],
        schema=SCHEMA,
        triggered_by={"kind": "generation", "id": generation.id, "user": state["user"]},
        occasion=digest("generation", generation.id, str(generation.step)),
        wait_seconds=max(0.0, until - time.monotonic()),
    )


def _after(tenant: Tenant, before: Generation, ended: Ended) -> Generation:
    """The generation after the answer to its question."""
    if ended.status != "completed":
        error = ended.error or {}
        return _failed(before, str(error.get("error") or ended.status), str(error.get("message") or "")[:1_000])
    said: Json = ended.output
    if said["cannot"]:
        error = {"error": "Impossible", "message": said["cannot"][:5_000]}
        return _ended(before, "impossible", _said(before, said), error)
    judged = judge(tenant, said, before.state["model"], before.state["base"])
    result = {**_said(before, said), **_made(before, judged)}
    if judged.ok:
        return _ended(before, "done", result, None)
    if before.step == REPAIRS:
        message = f"after {REPAIRS} repairs the workflow still has problems"
        return _ended(before, "failed", result, {"error": "InvalidWorkflow", "message": message})
    asked = before.state["asked"]
    wrong = [p for p in judged.problems if p.severity == "error"]
    messages = [
        *asked["messages"],
        {"role": "assistant", "content": json.dumps(said, ensure_ascii=False)},
        {"role": "user", "content": prompts.repair(wrong)},
    ]
    state = {**before.state, "asked": {**asked, "messages": messages}, "result": result}
    return replace(before, step=before.step + 1, state=state)


def _said(generation: Generation, said: Mapping[str, Any]) -> Json:
    """The parts of a result that the model says itself."""
    templates = set(generation.state["templates"])
    return {
        "explanation": said["explanation"][:10_000],
        "mcps_suggested": said["mcps_suggested"][:20],
        "credentials_needed": said["credentials_needed"][:20],
        "templates_used": [t for t in said["templates_used"] if t in templates],
    }


def _made(generation: Generation, judged: Judged) -> Json:
    """The parts of a result that follow from the document."""
    document = None if judged.document is None else judged.document.model_dump(mode="json")
    base = generation.state["base"]
    return {
        "workflow": document,
        "agents_to_create": [a.model_dump(mode="json") for a in judged.agents],
        "existing_agents_used": list(judged.used.get("agents", ())),
        "existing_tools_used": list(judged.used.get("tools", ())),
        "existing_mcps_used": list(judged.used.get("mcp_servers", ())),
        "problems": [p.as_dict() for p in judged.problems],
        "diff": None if base is None or document is None else _difference(base, document),
    }


def _difference(before: Json, after: Json) -> Json:
    found = difference(before, after)
    return {**asdict(found), "same": found.same}


def _ended(before: Generation, status: Any, result: Json, error: Json | None) -> Generation:
    state = {**before.state, "result": result, "error": error, "asked": None}
    return replace(before, status=status, step=before.step + 1, state=state)


def _failed(before: Generation, error: str, message: str) -> Generation:
    return _ended(before, "failed", before.state["result"] or {}, {"error": error, "message": message})


def _until(wait_seconds: float) -> float:
    return time.monotonic() + min(MAX_WAIT, wait_seconds)


def _base(who: Principal, workflow_id: str, known: int | None) -> tuple[Json, int]:
    workflow, document = service.read(who, workflow_id)
    if known is not None and known != workflow.revision:
        raise PreconditionFailed(f"the workflow is at revision {workflow.revision} by now; read it again")
    found = [
        Diagnostic("typed_secret", f"{path}: this looks like a secret", None, path) for path in in_document(document)
    ]
    prompts.check_base([*check(service.document_of(document)), *found])
    return document, workflow.revision


def _with_room(model: Model) -> Model:
    if model.provider != "anthropic" or "max_tokens" in model.parameters:
        return model
    return model.model_copy(update={"parameters": {**model.parameters, "max_tokens": _ANSWER_TOKENS}})
