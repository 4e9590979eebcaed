"""The node types that workflows are made of. The same for every tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.deps import require
from functions.api.schemas.nodes import NodeTypeOut
from functions.api.schemas.pages import PageOf
from shared.errors import NotFound
from shared.nodes import catalogue
from shared.nodes.registry import find
from shared.tenancy import Principal

router = APIRouter(prefix="/workflows/nodes", tags=["nodes"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]


@router.get("")
def list_all(who: Reader, category: Annotated[str | None, Query(max_length=50)] = None) -> PageOf[NodeTypeOut]:
    """Every type, in one page, or those of a category."""
    del who
    found = [d for d in catalogue.catalogue() if category in (None, d["category"])]
    return PageOf[NodeTypeOut].model_validate({"items": found, "next_cursor": None})


@router.get("/{type_name}")
def get(type_name: str, who: Reader) -> NodeTypeOut:
    """One type."""
    del who
    found = find(type_name)
    if found is None:
        raise NotFound(f"there is no node type {type_name!r}")
    return NodeTypeOut.model_validate(catalogue.describe(found))
