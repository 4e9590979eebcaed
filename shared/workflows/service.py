"""Workflows as people edit them: create, list, read, change, copy. Publishing is `stepfunctions.release`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from shared.answers import size_of
from shared.clock import now_ms
from shared.errors import Invalid, PreconditionFailed, Problem, TooLarge, Unavailable
from shared.ids import digest, new_id
from shared.store.pages import Listing
from shared.store.table import Item, TenantTable
from shared.tenancy import Principal
from shared.workflows.model import Document
from shared.workflows.record import Version, Workflow, is_inner
from shared.workflows.store import Json, WorkflowStore, described

# Words that stand where an id stands in the API's paths, now or in what spec'd routes will need.
RESERVED: Final = frozenset(
    {"executions", "generate", "generations", "import", "nodes", "resources", "templates", "validate"}
)
MAX_DOCUMENT: Final = 5_000_000  # as `shared.answers` counts: what is stored can be read back in one answer
_OF_STEPS: Final = ("steps", "entry_step", "output", "connection_ids")  # see shared.workflows.steps.model
_MAX_NAME: Final = 200
_TRIES: Final = 5


def reserved(workflow_id: str) -> bool:
    """Whether an id is one of the platform's own."""
    return workflow_id in RESERVED or is_inner(workflow_id)


def create(who: Principal, document: Document, origin: Mapping[str, Any] | None = None) -> tuple[Workflow, Json]:
    """A new workflow. Raises Conflict if the id that the document names is taken, Invalid if it may not be used."""
    made, stored = prepared(who, document, origin)
    _store(who).create(made, stored)
    return made, stored


def prepared(who: Principal, document: Document, origin: Mapping[str, Any] | None = None) -> tuple[Workflow, Json]:
    """A new workflow that is not written yet, and its document. Raises Invalid (its id may not be used), TooLarge."""
    if document.id is not None and reserved(document.id):
        message = f"{document.id} is a word of the platform's own; choose another id"
        raise Invalid(message, errors=[Problem("reserved_id", message, "id")])
    workflow_id = document.id or new_id("wf")
    stored = as_json(document, workflow_id)
    now = now_ms()
    about = described(stored)
    made = Workflow(
        id=workflow_id, revision=1, created_at=now, updated_at=now, created_by=who.id, origin=origin, **about
    )
    return made, stored


def copy(who: Principal, workflow_id: str, name: str | None) -> tuple[Workflow, Json]:
    """A new workflow with the draft of another. Raises NotFound."""
    _, document = read(who, workflow_id)
    suffix = " (copy)"
    named = name or document["name"][: _MAX_NAME - len(suffix)] + suffix
    return create(who, document_of({**document, "id": None, "name": named}))


def listing(
    who: Principal,
    cursor: str | None,
    limit: int,
    *,
    category: str | None = None,
    tag: str | None = None,
    q: str | None = None,
    is_active: bool | None = None,
) -> Listing[Workflow]:
    """The tenant's workflows, newest first. `q` is looked for in the name, whatever the case."""
    wanted = q.casefold() if q else ""

    def keep(item: Item) -> bool:
        return (
            category in (None, item.get("category"))
            and (tag is None or tag in item["tags"])
            and wanted in item["name"].casefold()
            and is_active in (None, "published_version" in item)
        )

    listed = digest("workflows", category or "", tag or "", wanted, str(is_active))
    return _store(who).page(listed, cursor, limit, keep)


def read(who: Principal, workflow_id: str) -> tuple[Workflow, Json]:
    """A workflow and its draft. Raises NotFound."""
    return _store(who).get_with_document(workflow_id)


def put(who: Principal, workflow_id: str, document: Document, known: int | None) -> tuple[Workflow, Json]:
    """Replace the draft. Raises NotFound, Invalid (another id), PreconditionFailed (`known` is not its revision)."""
    stored = as_json(document, workflow_id)
    _same_id(document.id, workflow_id)
    return _saved(who, workflow_id, lambda _before: stored, known)


def patch(who: Principal, workflow_id: str, changes: Mapping[str, Any], known: int | None) -> tuple[Workflow, Json]:
    """Change some of the draft, by JSON Merge Patch (RFC 7396); `steps` replace its nodes. Raises as `put` does."""
    _same_id(changes.get("id"), workflow_id)

    in_steps = any(changes.get(name) is not None for name in _OF_STEPS)

    def changed(before: Json) -> Json:
        if (
            changes.get("steps") is not None
        ):  # they stand for the nodes, and for connections unless these come with them
            before = {name: value for name, value in before.items() if name not in ("nodes", "connections")}
        merged = _merged(before, {**changes, "id": workflow_id})
        return as_json(document_of(_from_steps(merged) if in_steps else merged), workflow_id)

    return _saved(who, workflow_id, changed, known)


def change(who: Principal, workflow_id: str, made: Callable[[Json], Json], known: int | None) -> tuple[Workflow, Json]:
    """Make of the draft what `made` makes of it; if others save meanwhile and `known` is None, of what is there then.

    Raises NotFound, Invalid, PreconditionFailed, and what `made` raises.
    """
    return _saved(who, workflow_id, lambda before: as_json(document_of(made(before)), workflow_id), known)


def _saved(who: Principal, workflow_id: str, change: Any, known: int | None) -> tuple[Workflow, Json]:
    """Write what `change` makes of the draft; who does not say what they know gets their change onto what is there."""
    store = _store(who)
    for _ in range(_TRIES):
        before, document = store.get_with_document(workflow_id)
        if known is not None and known != before.revision:
            raise PreconditionFailed(f"the workflow is at revision {before.revision} by now; read it again")
        after: Json = change(document)
        if json.dumps(after) == json.dumps(document):  # as text: in Python, 1 and true are equal
            return before, document
        try:
            return store.save(before, after, now_ms()), after
        except PreconditionFailed:
            if known is not None:
                raise
    raise Unavailable("others are changing this workflow at the same time; try again")


def versions(who: Principal, workflow_id: str, cursor: str | None, limit: int) -> Listing[Version]:
    """The published versions, newest first. Raises NotFound."""
    store = _store(who)
    return store.versions(store.get(workflow_id), cursor, limit)


def version(who: Principal, workflow_id: str, number: int) -> tuple[Version, Json]:
    """A published version and its document. Raises NotFound."""
    store = _store(who)
    return store.version(store.get(workflow_id), number)


def _from_steps(value: Json) -> Json:
    from shared.workflows.steps.to_document import document_of_steps  # it knows the node types: not for every function

    return document_of_steps(value)


def document_of(value: Json) -> Document:
    """A document from its JSON. Raises Invalid with all that is not well-formed."""
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        raise Invalid("the document is not well-formed", errors=_problems(error.errors())) from None


def as_json(document: Document, workflow_id: str) -> Json:
    """A document as it is stored: complete, with its id. Raises TooLarge."""
    names = tuple(Document.model_fields)
    whole = document.model_dump(mode="json", include=set(names))
    made = {**{name: whole[name] for name in names}, "id": workflow_id}
    size = size_of(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_DOCUMENT:
        raise TooLarge(f"the document has {size:,} bytes; the limit is {MAX_DOCUMENT:,}", code="document_too_large")
    return made


def _problems(errors: Sequence[Any]) -> list[Problem]:
    return [
        Problem(
            "unknown_field" if e["type"] == "extra_forbidden" else str(e["type"]),
            "unknown field" if e["type"] == "extra_forbidden" else str(e["msg"]),
            ".".join(map(str, e["loc"]))[:200],
        )
        for e in errors[:50]
    ]


def _same_id(given: Any, workflow_id: str) -> None:
    if given not in (None, workflow_id):
        message = "a workflow's id does not change"
        raise Invalid(message, errors=[Problem("other_id", message, "id")])


def _merged(before: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: objects are merged, null removes, anything else replaces."""
    merged = dict(before) if isinstance(before, Mapping) else {}
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value) if isinstance(value, Mapping) else value
    return merged


def _store(who: Principal) -> WorkflowStore:
    return WorkflowStore(TenantTable(who.tenant))
