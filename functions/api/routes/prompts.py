"""Prompts: what models are asked, with variables. Every change is a version that is kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import (
    PromptOut,
    PromptSummary,
    ResourceVersionOut,
    ResourceVersionSummary,
    body_of,
    made,
    summary_of,
)
from shared.resources import service
from shared.resources.documents import Prompt
from shared.resources.model import Resource
from shared.tenancy import Principal

router = APIRouter(prefix="/prompts", tags=["prompts"])
Reader = Annotated[Principal, require("viewer", "prompts:read")]
Writer = Annotated[Principal, require("editor", "prompts:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[PromptSummary]:
    """The tenant's prompts, by name."""
    found = service.listing(who, "prompts", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[PromptSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.post("", status_code=201, response_model=PromptOut)
def create(body: Prompt, who: Writer, once: Once) -> Response:
    """Make a prompt."""
    return once(who, body, lambda: made(service.create(who, "prompts", body), "prompts"))


@router.get("/{prompt_name}", response_model=PromptOut)
def get(prompt_name: str, who: Reader) -> Response:
    """One prompt."""
    return _answer(service.read(who, "prompts", prompt_name))


@router.put("/{prompt_name}", response_model=PromptOut)
def put(prompt_name: str, body: Prompt, who: Writer, known: IfMatch) -> Response:
    """Replace a prompt: a new version of it."""
    return _answer(service.put(who, "prompts", prompt_name, body, known))


@router.delete("/{prompt_name}", status_code=204)
def remove(prompt_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a prompt with its versions."""
    service.remove(who, "prompts", prompt_name, known)


@router.get("/{prompt_name}/versions")
def versions(prompt_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What a prompt was before, newest first."""
    found = service.versions(who, "prompts", prompt_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{prompt_name}/versions/{version}")
def version(prompt_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(service.version(who, "prompts", prompt_name, version))


def _answer(resource: Resource) -> Response:
    return JSONResponse(body_of(resource), headers={"ETag": etag_of(resource.version)})
