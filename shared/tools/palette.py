"""What there is to be put into a workflow: agents, MCP servers, and tools of every kind.

The lists of documents can be long and the documents large, so a page ends when it has enough things, when enough were
looked at, or when it has enough bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.errors import NotFound
from shared.mcp.health import health
from shared.resources.model import Kind, Resource
from shared.resources.store import ResourceStore
from shared.store import pages
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.subscriptions.model import MCP_TOOL
from shared.subscriptions.store import SubscriptionStore
from shared.tenancy import Principal
from shared.tools.builtin import BUILTINS
from shared.tools.names import free_name

ToolKind = Literal["builtin", "http", "workflow", "mcp"]
_LOOKED_AT: Final = 1_000  # things, of which a filter may let few through
_BYTES: Final = 3_000_000
_AT_ONCE: Final = 50
_WORKFLOWS, _SERVERS = 2, 3  # where they stand in the list of tools

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Found:
    """Something at a place in a list; without an item, only the place."""

    place: Mapping[str, str]
    item: Json | None = None


def tools(
    who: Principal, cursor: str | None, limit: int, q: str = "", kind: ToolKind | None = None, server: str | None = None
) -> Listing[Json]:
    """Built-in tools, the tenant's by name, published workflows that are marked as tools, and those that MCP servers
    had when they were last looked at.

    `{name, kind, source, description, input_schema, ask_a_person, server, tool, workflow_id, health}`. `source` is
    builtin, tool (a document of the tenant's), workflow or mcp_server; `input_schema` is null where nobody knows it.
    """
    table = TenantTable(who.tenant)
    start = pages.decode(who.tenant, f"palette {kind} {server} {q}", cursor)

    def wanted(item: Json) -> bool:
        return kind in (None, item["kind"]) and server in (None, item["server"])

    found = (
        f if f.item is None or (wanted(f.item) and _says(f.item, q)) else _Found(f.place) for f in _tools(table, start)
    )
    return _page(who, f"palette {kind} {server} {q}", found, limit)


def agents(who: Principal, cursor: str | None, limit: int, q: str = "") -> Listing[Json]:
    """The tenant's agents by name, as `{resource, document}`."""
    return _resources(who, "agents", cursor, limit, q)


def mcp_servers(who: Principal, cursor: str | None, limit: int, q: str = "") -> Listing[Json]:
    """The tenant's MCP servers by name, as `{resource, document, health, tools}`; tools are `{name, description}`."""
    return _resources(who, "mcp_servers", cursor, limit, q)


def _resources(who: Principal, kind: Kind, cursor: str | None, limit: int, q: str) -> Listing[Json]:
    table, listing = TenantTable(who.tenant), f"palette of {kind} {q}"
    start = pages.decode(who.tenant, listing, cursor)
    after = None if start is None else start["SK"]

    def found() -> Iterator[_Found]:
        for each in _every(table, kind, after):
            place = _place(table, kind, each.name)
            said = _says({"name": each.name, "description": each.document.get("description")}, q)
            yield _Found(place, _shown(table, each) if said else None)

    return _page(who, listing, found(), limit)


def _shown(table: TenantTable, each: Resource) -> Json:
    item: Json = {"resource": each, "document": each.document}
    if each.kind == "mcp_servers":
        known = ResourceStore(table).found(each)
        listed = known["tools"] if known is not None else []
        about = [{"name": t["name"], "description": t.get("description") or ""} for t in listed]
        item |= {"health": health(known), "tools": about}
    return item


def _page(who: Principal, listing: str, found: Iterator[_Found], limit: int) -> Listing[Json]:
    items: list[Json] = []
    left, last = _BYTES, None
    for number, each in enumerate(found):
        if len(items) >= limit or number >= _LOOKED_AT or left <= 0:
            return Listing(items, pages.encode(who.tenant, listing, last))
        if each.item is not None:
            items.append(each.item)
            left -= len(json.dumps(each.item, ensure_ascii=False, default=lambda _: ""))
        last = dict(each.place)
    return Listing(items, None)


def _tools(table: TenantTable, start: Mapping[str, str] | None) -> Iterator[_Found]:
    """Every tool behind a place."""
    kinds = [table.keys.resources(kind) for kind in ("builtin", "tools", "workflow", "mcp_servers")]
    at = kinds.index(start["PK"]) if start is not None and start["PK"] in kinds else 0
    after = start["SK"] if start is not None else None
    if at == 0:
        yield from _builtin(table, after)
    if at <= 1:
        for each in _every(table, "tools", after if at == 1 else None):
            yield _Found(_place(table, "tools", each.name), _own(table, each))
    if at <= _WORKFLOWS:
        yield from _workflows(table, after if at == _WORKFLOWS else None)
    if at == _SERVERS and start is not None:  # on with the server in whose tools the last page has ended
        number = int(start.get("at") or 0) if (start.get("at") or "0").isdecimal() else 0
        server = _if_there(table, "mcp_servers", start["SK"])
        rest = _of_server(table, server) if server is not None else ()
        yield from (f for f in rest if int(f.place["at"]) > number)
    for each in _every(table, "mcp_servers", after if at == _SERVERS else None):
        yield from _of_server(table, each)


def _workflows(table: TenantTable, after: str | None) -> Iterator[_Found]:
    """The published workflows that are marked as tools."""
    for found in sorted(SubscriptionStore(table).of(MCP_TOOL), key=lambda s: s.workflow_id):
        if after is not None and found.workflow_id <= after:
            continue
        about, schema = found.config, found.config["input_schema"]
        known = schema if isinstance(schema, dict) else None
        name, more = about["name"], {"workflow_id": found.workflow_id}
        item = _item(name, "workflow", "workflow", about["description"], known, **more)
        yield _Found(_place(table, "workflow", found.workflow_id), item)


def _builtin(table: TenantTable, after: str | None) -> Iterator[_Found]:
    for name in sorted(BUILTINS):
        if after is None or name > after:
            place = _place(table, "builtin", name)
            own = _if_there(table, "tools", name) is not None  # goes before
            about = (BUILTINS[name].description, dict(BUILTINS[name].input_schema))
            yield _Found(place, None if own else _item(name, "builtin", "builtin", *about))


def _own(table: TenantTable, each: Resource) -> Json:
    document, more = each.document, Json()
    description, schema = document.get("description") or "", document.get("input_schema")
    match document["kind"]:
        case "builtin":
            builtin = BUILTINS[document["builtin"]]
            description, schema = description or builtin.description, schema or dict(builtin.input_schema)
        case "workflow":
            more = {"workflow_id": document["workflow_id"]}
        case "mcp":
            server = _found(table, document["server"])
            tool = next((t for t in (server or {"tools": []})["tools"] if t["name"] == document["tool"]), Json())
            description, schema = description or tool.get("description") or "", schema or tool.get("input_schema")
            more = {"server": document["server"], "tool": document["tool"], "health": health(server)["status"]}
    asks = bool(document.get("ask_a_person"))
    return _item(each.name, document["kind"], "tool", description, schema, ask_a_person=asks, **more)


def _of_server(table: TenantTable, server: Resource) -> Iterator[_Found]:
    known, taken = ResourceStore(table).found(server), set[str]()
    yield _Found(_place(table, "mcp_servers", server.name, at=0))
    for number, tool in enumerate(known["tools"] if known is not None else [], 1):
        name = free_name(f"{server.name}__{tool['name']}", taken)
        taken.add(name)
        about = {"server": server.name, "tool": tool["name"], "health": health(known)["status"]}
        item = _item(name, "mcp", "mcp_server", tool.get("description") or "", tool.get("input_schema"), **about)
        yield _Found(_place(table, "mcp_servers", server.name, at=number), item)


def _found(table: TenantTable, name: str) -> Mapping[str, Any] | None:
    server = _if_there(table, "mcp_servers", name)
    return None if server is None else ResourceStore(table).found(server)


def _if_there(table: TenantTable, kind: Kind, name: str) -> Resource | None:
    try:
        return ResourceStore(table).get(kind, name)
    except NotFound:
        return None


def _item(
    name: str, kind: ToolKind, source: str, description: str, input_schema: Mapping[str, Any] | None, **more: Any
) -> Json:
    nothing = {"ask_a_person": False, **dict.fromkeys(("server", "tool", "workflow_id", "health"))}
    about = {"name": name, "kind": kind, "source": source, "description": description, "input_schema": input_schema}
    return {**about, **nothing, **more}


def _every(table: TenantTable, kind: Kind, after: str | None) -> Iterator[Resource]:
    while True:
        found = ResourceStore(table).following(kind, after, _AT_ONCE)
        yield from found
        if len(found) < _AT_ONCE:
            return
        after = found[-1].name


def _place(table: TenantTable, kind: str, name: str, **more: int) -> dict[str, str]:
    return {"PK": table.keys.resources(kind), "SK": name, **{key: str(value) for key, value in more.items()}}


def _says(item: Mapping[str, Any], q: str) -> bool:
    return q.casefold() in f"{item['name']} {item.get('description') or ''}".casefold()
