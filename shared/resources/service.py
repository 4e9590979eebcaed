"""What the API does with a tenant's named things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from shared.clock import now_ms
from shared.errors import Invalid, PreconditionFailed, Problem, TooLarge, Unavailable
from shared.nodes.json_schemas import schema_problems
from shared.resources.documents import shown
from shared.resources.model import MAX_DOCUMENT, Kind, Resource, ResourceSummary, ResourceVersion
from shared.resources.store import ResourceStore
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal

_TRIES: Final = 5


def create(who: Principal, kind: Kind, body: BaseModel) -> Resource:
    """A new thing. Raises Conflict (the name is taken), Invalid, TooLarge."""
    made = prepared(who, kind, body)
    _store(who).create(made)
    return made


def listing(who: Principal, kind: Kind, cursor: str | None, limit: int) -> Listing[ResourceSummary]:
    """The tenant's things of a kind, by name."""
    return _store(who).page(kind, cursor, limit)


def read(who: Principal, kind: Kind, name: str) -> Resource:
    """A thing. Raises NotFound."""
    return _store(who).get(kind, name)


def put(who: Principal, kind: Kind, name: str, body: BaseModel, known: int | None) -> Resource:
    """Replace a thing; what changes nothing makes no version. Raises NotFound, Invalid, PreconditionFailed."""
    store = _store(who)
    for _ in range(_TRIES):
        before = store.get(kind, name)
        if known is not None and known != before.version:
            raise PreconditionFailed(f"{name} is at version {before.version} by now; read it again")
        after = prepared(who, kind, body)
        if after.name != name:
            message = "a name does not change: workflows and agents use it"
            raise Invalid(message, errors=[Problem("other_name", message, "name")])
        if json.dumps(after.document) == json.dumps(before.document):  # as text: in Python, 1 and true are equal
            return before
        try:
            return store.save(before, after)
        except PreconditionFailed:
            if known is not None:
                raise
    raise Unavailable("others are changing this at the same time; try again")


def remove(who: Principal, kind: Kind, name: str, known: int | None) -> None:
    """Remove a thing with its versions. Raises NotFound, PreconditionFailed."""
    store = _store(who)
    found = store.get(kind, name)
    if known is not None and known != found.version:
        raise PreconditionFailed(f"{name} is at version {found.version} by now; read it again")
    store.remove(found)


def versions(who: Principal, kind: Kind, name: str, cursor: str | None, limit: int) -> Listing[ResourceVersion]:
    """The versions of a thing, newest first. Raises NotFound."""
    store = _store(who)
    return store.versions(store.get(kind, name), cursor, limit)


def version(who: Principal, kind: Kind, name: str, number: int) -> ResourceVersion:
    """A version of a thing, with its document. Raises NotFound."""
    store = _store(who)
    return store.version(store.get(kind, name), number)


def prepared(who: Principal, kind: Kind, body: BaseModel) -> Resource:
    """A body as the first version of a thing, which is not written yet. Raises Invalid, TooLarge."""
    document = body.model_dump(mode="json")
    schema = document.get("input_schema")
    problems = list(schema_problems(schema, "input_schema")) if schema is not None else []
    if schema is not None and not problems and schema.get("type") != "object":
        what = "variables of a prompt" if kind == "prompts" else "arguments of a tool"
        problems = [Problem("invalid_schema", f"the {what} are an object", "input_schema.type")]
    if kind == "prompts" and document["output_schema"] is not None:
        problems += schema_problems(document["output_schema"], "output_schema")
    if problems:
        raise Invalid(problems[0].message, errors=problems)
    size = len(json.dumps(document, ensure_ascii=False).encode())
    if size > MAX_DOCUMENT:
        raise TooLarge(f"this has {size:,} bytes; the limit is {MAX_DOCUMENT:,}", code="document_too_large")
    now = now_ms()
    return Resource(
        kind=kind,
        name=document["name"],
        shown=shown(kind, document),
        version=1,
        created_at=now,
        updated_at=now,
        updated_by=who.id,
        document=document,
    )


def _store(who: Principal) -> ResourceStore:
    return ResourceStore(TenantTable(who.tenant))


def found(who: Principal, resource: Resource) -> Mapping[str, Any] | None:
    """What was found of a thing when somebody last looked; None if it has changed since."""
    return _store(who).found(resource)


def keep_found(who: Principal, resource: Resource, found: Mapping[str, Any]) -> None:
    """Remember what was found of a thing as it is at this version."""
    _store(who).keep_found(resource, found)
