"""Workflows out of prompts: asked for, looked at, applied. Nothing here publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from functions.api.deps import DoOnce, IfMatch, Made, Once, etag_of, require
from functions.api.schemas.generate import AppliedOut, ApplyIn, GenerateIn, GenerationOut
from functions.api.schemas.workflows import WorkflowSummary
from shared.errors import BadRequest, Invalid, Problem
from shared.generations.model import Generation
from shared.generations.store import GenerationStore
from shared.ids import digest
from shared.store.table import TenantTable
from shared.tenancy import Principal

if TYPE_CHECKING:
    from stepfunctions.generator.apply import Wanted

router = APIRouter(prefix="/workflows", tags=["generate"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
Wait = Annotated[float, Query(ge=0, le=25)]


@router.post("/generate", status_code=200, response_model=GenerationOut, responses={202: {"model": GenerationOut}})
def generate(body: GenerateIn, who: Writer, once: Once, known: IfMatch) -> Response:
    """Have a workflow written, or a draft changed. 200 when that is over within `wait_seconds`, else 202: read the
    generation at Location until it is. Nothing is stored as a workflow. 409 `no_assistant`: choose a model first.
    """
    from stepfunctions.generator.generate import begin  # the compiler takes a while to import

    def make() -> Made:
        mark = digest("generate", who.id, once.url, once.key, body.model_dump_json()) if once.key else None
        found = begin(
            who,
            body.prompt,
            instructions=body.instructions,
            model=body.model,
            workflow_id=body.workflow_id,
            known=known,
            wait_seconds=body.wait_seconds,
            mark=None if mark is None else f"gen_{mark}",
        )
        headers = {"Location": f"/api/v1/workflows/generations/{found.id}"}
        return Made(202 if found.status == "running" else 200, _shown(found), headers)

    return once(who, body, make)


@router.get("/generations/{generation_id}", response_model=GenerationOut)
def get(generation_id: str, who: Reader, wait_seconds: Wait = 0) -> Response:
    """A generation, as far as it comes within `wait_seconds`: asking moves it on. Each is kept for a day."""
    from stepfunctions.generator.generate import advance

    return JSONResponse(_shown(advance(who.tenant, generation_id, wait_seconds)))


@router.post("/generate/apply", status_code=201, response_model=AppliedOut, responses={200: {"model": AppliedOut}})
def apply(body: ApplyIn, who: Writer, once: Once, known: IfMatch) -> Response:
    """Make the workflow's draft and its new agents: all of it or nothing. 200 where the generation had been applied
    before. 409 `name_taken` names every agent that is there already; 412: the draft has changed since.
    """
    from stepfunctions.generator.apply import apply as applied

    wanted, mark = _of_generation(body, who, known) if body.generation_id else _of_body(body, who, once, known)
    if wanted.agents:
        who.require("editor", "agents:write")

    def make() -> Made:
        found = applied(who, wanted, mark)
        summary = WorkflowSummary.model_validate(found.workflow).model_dump(mode="json")
        answer = {"workflow": {**found.document, **summary}, "agents_created": list(found.agents)}
        location = f"/api/v1/workflows/{found.workflow.id}"
        headers = {"ETag": etag_of(found.workflow.revision), "Location": location}
        return Made(200 if found.again or wanted.workflow_id else 201, answer, headers)

    return once(who, body, make)


def _of_generation(body: ApplyIn, who: Principal, known: int | None) -> tuple[Wanted, str | None]:
    from stepfunctions.generator.apply import of_generation

    if body.workflow or body.agents_to_create or body.workflow_id or body.revision:
        raise _refused("a generation has its own workflow, agents and revision", "generation_id")
    wanted, mark = of_generation(GenerationStore(TenantTable(who.tenant)).get(body.generation_id or ""))
    _check_same(known, wanted.revision)
    return wanted, mark


def _of_body(body: ApplyIn, who: Principal, once: DoOnce, known: int | None) -> tuple[Wanted, str | None]:
    from stepfunctions.generator.apply import Wanted

    if body.workflow is None:
        raise _refused("give a generation_id or a workflow", "workflow")
    _check_same(known, body.revision)
    revision = body.revision or known
    if body.workflow_id is not None and revision is None:
        raise _refused("say which revision of the draft the change was made from", "revision")
    mark = digest("apply", who.id, once.url, once.key, body.model_dump_json()) if once.key else None
    return Wanted(body.workflow, body.agents_to_create, body.workflow_id, revision), mark


def _check_same(known: int | None, revision: int | None) -> None:
    if known is not None and revision is not None and known != revision:
        raise BadRequest("If-Match and revision name two revisions", code="two_revisions")


def _refused(message: str, path: str) -> Invalid:
    return Invalid(message, errors=[Problem("bad_request", message, path)])


_NOTHING: dict[str, Any] = {
    "workflow": None,
    "agents_to_create": [],
    "existing_agents_used": [],
    "existing_tools_used": [],
    "existing_mcps_used": [],
    "mcps_suggested": [],
    "credentials_needed": [],
    "templates_used": [],
    "explanation": "",
    "problems": [],
    "diff": None,
}


def _shown(generation: Generation) -> dict[str, Any]:
    state = generation.state
    about = {
        "id": generation.id,
        "status": generation.status,
        "repairs": generation.step if generation.status == "running" else max(0, generation.step - 1),
        "created_at": generation.created_at,
        **{name: state[name] for name in ("workflow_id", "revision", "left_out", "error")},
    }
    result = (state["result"] or {}) if generation.status != "running" else {}
    return GenerationOut.model_validate({**_NOTHING, **result, **about}).model_dump(mode="json")
