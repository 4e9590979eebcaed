"""Collections: passages with vectors, which workflows write and search."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Response

from functions.api.deps import IfMatch, Made, Once, Paged, etag_of, require
from functions.api.schemas.collections import CollectionIn, CollectionOut, CollectionPatch
from functions.api.schemas.pages import PageOf
from shared.collections import service
from shared.collections.model import CollectionRecord, Model
from shared.tenancy import Principal

router = APIRouter(prefix="/collections", tags=["collections"])
Reader = Annotated[Principal, require("viewer", "collections:read")]
Writer = Annotated[Principal, require("editor", "collections:write")]


@router.get("")
def list_all(who: Reader, page: Paged) -> PageOf[CollectionOut]:
    """The tenant's collections, by name."""
    found = service.collections(who, page.cursor, page.limit)
    return PageOf[CollectionOut](items=[_shown(c) for c in found.items], next_cursor=found.next_cursor)


@router.post("", status_code=201, response_model=CollectionOut)
def create(body: CollectionIn, who: Writer, once: Once) -> Response:
    """Make a collection."""

    def make() -> Made:
        given = body.model_dump()
        model = Model(**given.pop("model")) if body.model else given.pop("model")
        made = service.create(who, model=model, **given)
        return Made(201, _shown(made), {"ETag": etag_of(made.version)})

    return once(who, body, make)


@router.get("/{collection_name}")
def get(collection_name: str, who: Reader, response: Response) -> CollectionOut:
    """One collection."""
    found = service.collection(who, collection_name)
    response.headers["ETag"] = etag_of(found.version)
    return _shown(found)


@router.patch("/{collection_name}")
def change(
    collection_name: str, body: CollectionPatch, who: Writer, known: IfMatch, response: Response
) -> CollectionOut:
    """Give a collection another description."""
    changed = service.describe(who, collection_name, body.description, known)
    response.headers["ETag"] = etag_of(changed.version)
    return _shown(changed)


@router.delete("/{collection_name}", status_code=204)
def remove(collection_name: str, who: Writer, known: IfMatch) -> None:
    """Remove a collection and all it holds."""
    service.remove(who, collection_name, known)


def _shown(collection: CollectionRecord) -> CollectionOut:
    embedded = collection.backend == "embedded"
    counts = {} if embedded else {"count": None, "size": None}
    return CollectionOut.model_validate({**asdict(collection), **counts})
