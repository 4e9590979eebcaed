"""Workflows leave and come: exports as JSON, YAML, state machine or SAM project; imports."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from functions.api.deps import Made, Once, require
from functions.api.drafts import draft_made
from functions.api.schemas.exports import ExportOut
from functions.api.schemas.templates import DraftOut
from shared import strict_json
from shared.errors import Invalid, Problem
from shared.tenancy import Principal
from shared.workflows.service import document_of
from stepfunctions import release

router = APIRouter(prefix="/workflows", tags=["exports"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]
_NUMBER = r"^([1-9][0-9]{0,5}|draft)$"
_ZIP: Final = "application/zip"
_YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")
_MEDIA: Final = {
    "json": ("application/json", "json"),
    "yaml": ("application/yaml", "yaml"),
    "asl": ("application/json", "asl.json"),
}
_ANY_JSON: Final = {
    "schema": {"type": "object", "description": "an export, a workflow, or a state machine exported here"}
}
_ANY_YAML: Final = {"schema": {"type": "string", "format": "binary", "description": "the same as YAML"}}


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that may be JSON or YAML."""

    media: str
    body: bytes


async def _sent(request: Request) -> Sent:
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return Sent(media, await request.body())


@router.get(
    "/{workflow_id}/export",
    response_model=ExportOut,
    responses={
        200: {
            "content": {
                "application/yaml": {"schema": {"type": "string"}},
                _ZIP: {"schema": {"type": "string", "format": "binary"}},
            }
        }
    },
)
def export(
    workflow_id: str,
    who: Reader,
    form: Annotated[Literal["json", "yaml", "asl", "sam"], Query(alias="format")] = "json",
    version: Annotated[str | None, Query(pattern=_NUMBER, description="a version, or `draft`")] = None,
) -> Response:
    """The published version, or the draft while there is none; as JSON or YAML, compiled (`asl`), or as a project.

    `sam` is a zip: an AWS SAM project that runs this workflow alone, with the agents, tools, MCP servers and prompts
    that it names: a key with scopes needs those to read them. 422 names what such a project cannot run.
    """
    wanted: release.WhichVersion = None if version is None else "draft" if version == "draft" else int(version)
    _, number, raw = release.document_at(who.tenant, workflow_id, wanted)
    if form == "sam":
        return _attached(_project(who, raw, number), _ZIP, f"{workflow_id}.zip")
    media, ending = _MEDIA[form]
    return _attached(_text(form, raw, number), media, f"{workflow_id}.{ending}")


@router.post(
    "/import",
    status_code=201,
    response_model=DraftOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": _ANY_JSON, "application/yaml": _ANY_YAML},
        }
    },
)
def take_in(sent: Annotated[Sent, Depends(_sent)], who: Writer, once: Once, keep_id: bool = False) -> Response:
    """A draft of what was exported, here or elsewhere. An id that is taken is replaced, unless `keep_id` (409).

    `problems` names what it lacks: credentials by name and kind, collections, agents, tools, servers, prompts,
    workflows.
    """
    mark = {"media": sent.media, "body": hashlib.sha256(sent.body).hexdigest()}

    def make() -> Made:
        from stepfunctions.exports.envelope import opened
        from stepfunctions.exports.importing import take

        made, stored, changed = take(who, opened(_value(sent)), {"kind": "import"}, keep_id=keep_id)
        return draft_made(who, made, stored, [d.as_dict() for d in changed])

    return once(who, mark, make)


def _value(sent: Sent) -> Any:
    if sent.media in _YAML:
        from stepfunctions.exports.yaml_text import loaded

        return loaded(sent.body)
    if sent.media == "application/json" or sent.media.endswith("+json"):
        return strict_json.loads(sent.body)
    raise HTTPException(415, "send application/json or application/yaml")


def _text(form: str, raw: dict[str, Any], number: int) -> str:
    from stepfunctions.exports import envelope as envelopes
    from stepfunctions.exports.yaml_text import dumped

    if form == "asl":
        return json.dumps(envelopes.state_machine(_plan(raw, number), raw), ensure_ascii=False)
    made = envelopes.envelope(raw, number)
    return dumped(made) if form == "yaml" else json.dumps(made, ensure_ascii=False)


def _project(who: Principal, raw: dict[str, Any], number: int) -> bytes:
    from stepfunctions.exports.sam import project

    def check(kind: str) -> None:
        who.require("viewer", f"{kind}:read")

    return project(who.tenant, _plan(raw, number), document_of(raw), check)


def _plan(raw: dict[str, Any], number: int) -> Any:
    from stepfunctions.compiler.compile import compile_document

    compiled = compile_document(document_of(raw), version=number)
    if compiled.plan is None:
        errors = [Problem(d.code, d.message, d.path, d.node_id) for d in compiled.diagnostics if d.severity == "error"]
        raise Invalid("the workflow has problems", code="invalid_workflow", errors=errors)
    return compiled.plan


def _attached(body: str | bytes, media: str, name: str) -> Response:
    # A workflow's id holds no characters that would end the header's quotes.
    return Response(body, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})
