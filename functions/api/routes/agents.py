"""Agents: a model with instructions, tools and a memory. Every change is a version that is kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, Once, Paged, etag_of, require
from functions.api.schemas.pages import PageOf
from functions.api.schemas.resources import (
    AgentOut,
    AgentSummary,
    ResourceVersionOut,
    ResourceVersionSummary,
    body_of,
    made,
    summary_of,
)
from shared.resources import service
from shared.resources.documents import Agent
from shared.resources.model import Resource
from shared.tenancy import Principal

router = APIRouter(prefix="/agents", tags=["agents"])
Reader = Annotated[Principal, require("viewer", "agents:read")]
Writer = Annotated[Principal, require("editor", "agents:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[AgentSummary]:
    """The tenant's agents, by name."""
    found = service.listing(who, "agents", page.cursor, page.limit)
    items = [summary_of(r) for r in found.items]
    return PageOf[AgentSummary].model_validate({"items": items, "next_cursor": found.next_cursor})


@router.post("", status_code=201, response_model=AgentOut)
def create(body: Agent, who: Writer, once: Once) -> Response:
    """Make an agent."""
    return once(who, body, lambda: made(service.create(who, "agents", body), "agents"))


@router.get("/{agent_name}", response_model=AgentOut)
def get(agent_name: str, who: Reader) -> Response:
    """One agent."""
    return _answer(service.read(who, "agents", agent_name))


@router.put("/{agent_name}", response_model=AgentOut)
def put(agent_name: str, body: Agent, who: Writer, known: IfMatch) -> Response:
    """Replace an agent: a new version of it."""
    return _answer(service.put(who, "agents", agent_name, body, known))


@router.delete("/{agent_name}", status_code=204)
def remove(agent_name: str, who: Writer, known: IfMatch) -> None:
    """Remove an agent with its versions."""
    service.remove(who, "agents", agent_name, known)


@router.get("/{agent_name}/versions")
def versions(agent_name: str, who: Reader, page: Paged) -> PageOf[ResourceVersionSummary]:
    """What an agent was before, newest first."""
    found = service.versions(who, "agents", agent_name, page.cursor, page.limit)
    return PageOf[ResourceVersionSummary].model_validate(found)


@router.get("/{agent_name}/versions/{version}")
def version(agent_name: str, version: int, who: Reader) -> ResourceVersionOut:
    """One version with its document."""
    return ResourceVersionOut.model_validate(service.version(who, "agents", agent_name, version))


def _answer(resource: Resource) -> Response:
    return JSONResponse(body_of(resource), headers={"ETag": etag_of(resource.version)})
