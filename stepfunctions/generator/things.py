"""What a tenant has, as the model is told of it: names and what they are for, never what a credential holds.

Of each kind at most `READ` things are read. They are ranked by how many words of the prompt stand in their name or
description, then by name, and shown until the kind's number or its characters are used up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.collections.store import CollectionStore
from shared.credentials.store import CredentialStore
from shared.errors import NotFound
from shared.expressions.template import is_template
from shared.resources.model import Kind
from shared.resources.store import ResourceStore
from shared.store.pages import MAX_LIMIT, Listing
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.tools.builtin import BUILTINS
from shared.workflows.store import WorkflowStore
from shared.workflows.typed_secrets import secret_texts

READ: Final = 1_000
_WORD: Final = re.compile(r"[^\W_]{3,}")
_LINE: Final = 300  # characters of a description
_SCHEMA: Final = 800  # characters of a schema
_SERVER_TOOLS: Final = 30
_NEAR: Final = 2  # templates that are shown whole, if they are not large
_TEMPLATE: Final = 8_000  # characters
_SECRET_FIELDS: Final = ("password", "token", "value")  # of a request's `auth`

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of things: how many at most, with how many characters in all."""

    name: str
    most: int
    characters: int


SECTIONS: Final = (
    Section("agents", 40, 10_000),
    Section("tools", 60, 20_000),
    Section("mcp_servers", 15, 15_000),
    Section("prompts", 40, 8_000),
    Section("templates", 30, 26_000),
    Section("collections", 40, 5_000),
    Section("credentials", 80, 6_000),
    Section("workflows", 40, 8_000),
)


@dataclass(slots=True)
class Things:
    """What is shown, by kind, one line of JSON each; and how many of each kind are there but not shown."""

    shown: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def gather(who: Principal, prompt: str) -> Things:
    """The caller's tenant's things that matter most to this prompt."""
    table = TenantTable(who.tenant)
    words = frozenset(w.casefold() for w in _WORD.findall(prompt))
    found, things = _Finders(who, table), Things()
    for section in SECTIONS:
        every = sorted(getattr(found, section.name)(), key=lambda e: (-_score(words, e), e["name"], e.get("id", "")))
        lines: list[str] = []
        left = section.characters
        for at, each in enumerate(every[: section.most]):
            near = at < _NEAR and _score(words, each) > 0
            try:
                line = _line(found.more(section.name, each, near))
            except NotFound:  # it has been removed since it was listed
                continue
            if len(line) > left:
                break
            left -= len(line)
            lines.append(line)
        things.shown[section.name] = lines
        if len(every) > len(lines):
            things.left_out[section.name] = len(every) - len(lines)
    return things


def _score(words: frozenset[str], each: Mapping[str, Any]) -> int:
    text = f"{each['name']} {each.get('description') or ''}".replace("_", " ").casefold()
    return len(words & frozenset(_WORD.findall(text)))


def _line(each: Mapping[str, Any]) -> str:
    """As one line of JSON that cannot close the element it stands in."""
    return json.dumps(each, ensure_ascii=False).replace("<", "\\u003c")


@dataclass(frozen=True, slots=True)
class _Finders:
    """For each section a method that lists its things; `more` adds to those that are shown."""

    who: Principal
    table: TenantTable

    def agents(self) -> list[Json]:
        return self._resources("agents")

    def tools(self) -> list[Json]:
        own = self._resources("tools")
        named = {each["name"] for each in own}
        builtin = [{"name": n, "description": b.description} for n, b in BUILTINS.items() if n not in named]
        return [*own, *builtin]

    def mcp_servers(self) -> list[Json]:
        return self._resources("mcp_servers")

    def prompts(self) -> list[Json]:
        return self._resources("prompts")

    def templates(self) -> list[Json]:
        from shared.templates.service import for_prompt

        return for_prompt(self.who)

    def collections(self) -> list[Json]:
        store = CollectionStore(self.table)
        return [{"name": c.name, "description": c.description[:_LINE]} for c in _every(store.page)]

    def credentials(self) -> list[Json]:
        store = CredentialStore(self.table)
        return [{"name": c.name, "kind": c.kind, "description": c.description[:_LINE]} for c in _every(store.page)]

    def workflows(self) -> list[Json]:
        store = WorkflowStore(self.table)

        def page(cursor: str | None, limit: int) -> Listing[Any]:
            return store.page("generator", cursor, limit, lambda item: "published_version" in item)

        return [{"id": w.id, "name": w.name, "description": w.description[:_LINE]} for w in _every(page)]

    def more(self, section: str, each: Json, near: bool) -> Json:
        """A thing as it is shown; `near`: it is among the first, and has to do with the prompt."""
        match section:
            case "tools":
                return self._tool(each)
            case "agents":
                document = self._document("agents", each["name"])
                return {**each, **{name: document[name] for name in ("tools", "mcp_servers") if document.get(name)}}
            case "mcp_servers":
                return {**each, "tools": self._tools_of(each["name"])}
            case "prompts":
                schema = self._document("prompts", each["name"]).get("input_schema")
                return each if schema is None else {**each, "variables": _cut(schema)}
            case "templates":
                shown = {**each, "parameters": _cut(each["parameters"])}
                return {**shown, "document": self._template(each["id"])} if near else shown
        return each

    def _template(self, template_id: str) -> Any:
        from shared.templates.service import read

        document = read(self.who, template_id).document
        small = len(json.dumps(document, ensure_ascii=False)) <= _TEMPLATE
        return document if small and not any(True for _ in _typed(document)) else None

    def _tool(self, each: Json) -> Json:
        if each["name"] in BUILTINS and "kind" not in each:
            return {**each, "input_schema": _cut(BUILTINS[each["name"]].input_schema)}
        schema = self._document("tools", each["name"]).get("input_schema")
        return each if schema is None else {**each, "input_schema": _cut(schema)}

    def _document(self, kind: Kind, name: str) -> Mapping[str, Any]:
        return ResourceStore(self.table).find(kind, name)

    def _tools_of(self, server: str) -> list[Json]:
        store = ResourceStore(self.table)
        found = store.found(store.get("mcp_servers", server)) or {"tools": []}
        listed = found["tools"][:_SERVER_TOOLS]
        return [{"name": t["name"], "description": (t.get("description") or "")[:150]} for t in listed]

    def _resources(self, kind: Kind) -> list[Json]:
        store = ResourceStore(self.table)
        every = _every(lambda cursor, limit: store.page(kind, cursor, limit))
        kept = ("kind", "ask_a_person")
        return [
            {
                "name": r.name,
                "description": str(r.shown.get("description") or "")[:_LINE],
                **{name: r.shown[name] for name in kept if r.shown.get(name)},
            }
            for r in every
        ]


def _typed(document: Any) -> Iterator[str]:
    """Where a tenant's own template holds what looks like a secret: no model sees it."""
    yield from secret_texts(document)
    for node in document.get("nodes", ()):
        config = node.get("config")
        auth = config.get("auth") if isinstance(config, Mapping) else None
        if isinstance(auth, Mapping):
            texts = ((name, auth.get(name)) for name in _SECRET_FIELDS)
            yield from (name for name, text in texts if isinstance(text, str) and text and not is_template(text))


def _every(page: Callable[[str | None, int], Listing[Any]]) -> Iterator[Any]:
    cursor: str | None = None
    for _ in range(READ // MAX_LIMIT):
        found = page(cursor, MAX_LIMIT)
        yield from found.items
        cursor = found.next_cursor
        if cursor is None:
            return


def _cut(schema: Mapping[str, Any]) -> Any:
    """A schema, if it is short; else the names and types of its fields."""
    if len(json.dumps(schema, ensure_ascii=False)) <= _SCHEMA:
        return schema
    properties = schema.get("properties")
    fields: Sequence[tuple[str, Any]] = list(properties.items())[:20] if isinstance(properties, Mapping) else []
    required = [name for name in schema.get("required", ()) if isinstance(name, str)]
    typed = {str(n)[:60]: f.get("type", "any") if isinstance(f, Mapping) else "any" for n, f in fields}
    return {"fields": typed, "required": required[:20]}
