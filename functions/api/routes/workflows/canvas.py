"""The canvas of a draft: its nodes and connections as React Flow wants them. It has the workflow's ETag."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from functions.api.deps import IfMatch, etag_of, require
from functions.api.schemas.steps import CanvasIn, CanvasOut
from shared.errors import NotFound
from shared.tenancy import Principal
from shared.workflows import canvas, service
from shared.workflows.model import Position
from shared.workflows.record import Workflow

router = APIRouter(prefix="/workflows/{workflow_id}", tags=["canvas"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]
Writer = Annotated[Principal, require("editor", "workflows:write")]


@router.get("/canvas", response_model=CanvasOut)
def get(workflow_id: str, who: Reader) -> Response:
    """The draft as a canvas draws it; nodes that have no position get one."""
    return _answer(service.read(who, workflow_id))


@router.put("/canvas", response_model=CanvasOut)
def put(workflow_id: str, body: CanvasIn, who: Writer, known: IfMatch) -> Response:
    """Make these the draft's nodes and connections. Its name, settings and variables stay."""
    nodes = [n.model_dump(mode="json") for n in body.nodes]
    edges = [e.model_dump(mode="json") for e in body.edges]
    return _answer(service.change(who, workflow_id, lambda d: canvas.drawn(d, nodes, edges), known))


@router.put("/nodes/{node_id}/position", response_model=CanvasOut)
def move(workflow_id: str, node_id: str, body: Position, who: Writer, known: IfMatch) -> Response:
    """Put a node somewhere else."""

    def change(document: dict[str, Any]) -> dict[str, Any]:
        if not any(n["id"] == node_id for n in document["nodes"]):
            raise NotFound(f"there is no node {node_id}")
        place = body.model_dump()
        return {**document, "nodes": [{**n, "position": place} if n["id"] == node_id else n for n in document["nodes"]]}

    return _answer(service.change(who, workflow_id, change, known))


def _answer(found: tuple[Workflow, dict[str, Any]]) -> Response:
    workflow, document = found
    body = {"workflow_id": workflow.id, "revision": workflow.revision, **canvas.canvas_of(document)}
    return JSONResponse(body, headers={"ETag": etag_of(workflow.revision)})
