"""Templates as people use them: list, read, make one of a workflow, change, remove, fill in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Forbidden, Invalid, PreconditionFailed, Problem, Unavailable
from shared.ids import new_id
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.templates.fill import filled, placeholders, template_problems
from shared.templates.library import templates
from shared.templates.model import Source, Template
from shared.templates.store import TemplateStore
from shared.tenancy import Principal
from shared.workflows.model import Document
from shared.workflows.service import document_of

_TRIES: Final = 5
_ANYTHING: Final[Mapping[str, Any]] = {"type": "object", "additionalProperties": True}
_LEFT_OUT: Final = ("id", "name", "description", "category", "tags")  # of a workflow's document, in its template


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value of a workflow that becomes a parameter of its template.

    `path` leads to it: `nodes.<id>.config.model`, `variables.limit`. `schema` is its JSON Schema; none given: of the
    type that the value has. The value is the default, unless `required`.
    """

    name: str
    path: str
    title: str = ""
    description: str = ""
    schema: Mapping[str, Any] | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is changed of a template; None leaves it as it is, an empty category is none."""

    name: str | None = None
    description: str | None = None
    category: str | None = None
    tags: tuple[str, ...] | None = None
    parameters: Mapping[str, Any] | None = None
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """A workflow's document made of a template, and where it comes from, for its record."""

    document: Document
    origin: Mapping[str, Any] = field(default_factory=dict)


def listing(
    who: Principal, cursor: str | None, limit: int, source: Source | None, category: str | None, q: str | None
) -> Listing[Template]:
    """The library's templates and the tenant's, without documents. `q`: in name, description or tags."""
    return _store(who).page(cursor, limit, source, category, (q or "").casefold())


def read(who: Principal, template_id: str) -> Template:
    """A template of the library or of the tenant. Raises NotFound."""
    found = templates().get(template_id)
    return found if found is not None else _store(who).get(template_id)


def for_prompt(who: Principal) -> list[dict[str, Any]]:
    """`{id, name, description, parameters}` of each template of the library and the newest 100 of the tenant's.

    For a model that is to choose one; `parameters` is a JSON Schema.
    """
    own = _store(who).page(None, 100, "tenant", None, "").items
    return [
        {"id": t.id, "name": t.name, "description": t.description, "parameters": dict(t.parameters)}
        for t in (*templates().values(), *own)
    ]


def fill(who: Principal, template_id: str, name: str | None, parameters: Mapping[str, Any]) -> Filled:
    """The document of a new workflow. Raises NotFound, Invalid (the parameters do not fit)."""
    template = read(who, template_id)
    body = filled(template.document, template.parameters, parameters)
    about = {"description": template.description[:1_000], "category": template.category, "tags": list(template.tags)}
    document = document_of({**about, **body, "name": name or template.name, "id": None})
    origin = {"kind": "template", "id": template.id, "source": template.source, "version": template.version}
    return Filled(document, origin)


def from_workflow(who: Principal, document: Mapping[str, Any], about: Changes, chosen: Sequence[Chosen]) -> Template:
    """A new template of the tenant's: this document, with the chosen values as parameters. Raises Invalid, TooLarge."""
    if any(True for _ in placeholders(document)):
        message = "the workflow holds objects with $param or $text, which a template would take for its own"
        raise Invalid(message, errors=[Problem("placeholder", message, "document")])
    body = {name: value for name, value in document.items() if name not in _LEFT_OUT}
    properties: dict[str, Any] = {}
    for at, each in enumerate(chosen):
        if each.name in properties:
            message = f"two parameters are called {each.name}"
            raise Invalid(message, errors=[Problem("duplicate_name", message, f"parameters.{at}.name")])
        where = f"parameters.{at}.path"
        alone, value = _replaced(document, each, where)
        if filled(alone, _ANYTHING, {each.name: value}) != document:
            message = f"an expression stands at {each.path[:200]}; make a parameter of a variable that it reads"
            raise Invalid(message, errors=[Problem("bad_path", message, where)])
        body, _ = _replaced(body, each, where)
        properties[each.name] = _property(each, value)
    required = [each.name for each in chosen if each.required]
    now = now_ms()
    made = Template(
        id=new_id("tp"),
        source="tenant",
        name=about.name or document["name"],
        description=document["description"] if about.description is None else about.description,
        category=document["category"] if about.category is None else about.category or None,
        tags=tuple(document["tags"]) if about.tags is None else about.tags,
        version=1,
        parameters={"type": "object", "properties": properties, "required": required},
        document=body,
        created_at=now,
        updated_at=now,
        updated_by=who.id,
    )
    _check(made)
    _store(who).create(made)
    return made


def change(who: Principal, template_id: str, changes: Changes, known: int | None) -> Template:
    """Change one of the tenant's templates. Raises NotFound, Forbidden (the library's), Invalid, PreconditionFailed."""
    store = _store(who)
    for _ in range(_TRIES):
        before = _own(store, template_id, known)
        given = {name: getattr(changes, name) for name in Changes.__slots__}
        new: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if "category" in new:
            new["category"] = new["category"] or None
        after = replace(before, **new, updated_at=now_ms(), updated_by=who.id)
        _check(after)
        try:
            return store.save(before, after)
        except PreconditionFailed:
            if known is not None:
                raise
    raise Unavailable("others are changing this template at the same time; try again")


def remove(who: Principal, template_id: str, known: int | None) -> None:
    """Remove one of the tenant's templates; workflows made of it stay. Raises as `change` does."""
    store = _store(who)
    store.remove(_own(store, template_id, known))


def _own(store: TemplateStore, template_id: str, known: int | None) -> Template:
    if template_id in templates():
        raise Forbidden("a template of the library does not change", code="library_template")
    found = store.get(template_id)
    if known is not None and known != found.version:
        raise PreconditionFailed(f"the template is at version {found.version} by now; read it again")
    return found


def _check(template: Template) -> None:
    """Raises Invalid for what could not be filled in."""
    problems = list(template_problems(template.document, template.parameters))
    odd = sorted(set(template.document) - {"nodes", "connections", "variables", "settings", "metadata"})
    problems += [Problem("unknown_field", f"a template's document has no {name[:100]}", "document") for name in odd]
    if problems:
        raise Invalid("this is no template", errors=problems[:50])


def _replaced(body: Mapping[str, Any], chosen: Chosen, where: str) -> tuple[dict[str, Any], Any]:
    """The body with a placeholder at the path, and what stood there. Raises Invalid."""
    first, *rest = chosen.path.split(".")
    if (
        first not in ("nodes", "variables")
        or not rest
        or (first == "nodes" and rest[1:2] not in (["config"], ["inputs"]))
    ):
        message = "a parameter stands at nodes.<id>.config.…, nodes.<id>.inputs.… or variables.…"
        raise Invalid(message, errors=[Problem("bad_path", message, where)])
    steps: list[str | int] = [first, *rest]
    if first == "nodes":
        ids = [node["id"] for node in body["nodes"]]
        steps = [first, ids.index(rest[0]) if rest[0] in ids else -1, *rest[1:]]
    try:
        made: tuple[dict[str, Any], Any] = _with(body, steps, {"$param": chosen.name})
        return made
    except (KeyError, IndexError, ValueError, TypeError):
        message = f"there is nothing at {chosen.path[:200]}, or a parameter already"
        raise Invalid(message, errors=[Problem("bad_path", message, where)]) from None


def _with(value: Any, steps: Sequence[str | int], new: Any) -> Any:
    if not steps:
        if any(True for _ in placeholders(value)):
            raise ValueError("a parameter in a parameter")
        return new, value
    if isinstance(value, list):
        at = int(steps[0])
        if not 0 <= at < len(value):
            raise IndexError(at)
        inner, old = _with(value[at], steps[1:], new)
        return [*value[:at], inner, *value[at + 1 :]], old
    if "$param" in value:
        raise ValueError("a parameter in a parameter")
    inner, old = _with(value[steps[0]], steps[1:], new)
    return {**value, steps[0]: inner}, old


_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def _property(chosen: Chosen, value: Any) -> dict[str, Any]:
    kind = _TYPES.get(type(value))
    schema = dict(chosen.schema) if chosen.schema is not None else {"type": kind} if kind else {}
    about = {"title": chosen.title or chosen.name, "description": chosen.description}
    made = {**schema, **{name: text for name, text in about.items() if text}}
    return made if chosen.required or value is None else {**made, "default": value}


def _store(who: Principal) -> TemplateStore:
    return TemplateStore(TenantTable(who.tenant))
