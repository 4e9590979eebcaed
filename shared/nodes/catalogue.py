"""The catalogue: every type's declaration as data, for the API, the builder and the reference pages.

`python -m shared.nodes.catalogue docs/nodes` writes the pages anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from shared.nodes.base import Composite, Container, Effect, NodeType, Port, Pure, Trigger
from shared.nodes.registry import get, names

Kind = Literal["trigger", "expr", "run", "box", "state", "container"]

_KINDS: Final[Mapping[Kind, str]] = {
    "trigger": "starts a run",
    "expr": "computes; costs no state and no call of its own",
    "run": "runs in the runner function; its result is recorded before anything after it starts",
    "box": "runs in the sandbox function, which reaches nothing; its result is recorded like any other",
    "state": "rests outside a function; waiting costs nothing",
    "container": "runs the nodes inside it",
}
_CATEGORIES: Final = (
    "trigger",
    "ai",
    "rag",
    "tools",
    "data",
    "logic",
    "human",
    "external",
    "mcp",
    "database",
    "output",
)


def kind_of(node_type: NodeType) -> Kind:
    """How a type runs."""
    if isinstance(node_type, Trigger):
        return "trigger"
    if isinstance(node_type, Pure):
        return "expr"
    if isinstance(node_type, Effect):
        return "box" if node_type.boxed else "run"
    if isinstance(node_type, Composite):
        return "run"
    return "container" if isinstance(node_type, Container) else "state"


def describe(node_type: NodeType) -> dict[str, Any]:
    """A type's declaration as JSON.

    `dynamic_outputs`: further output ports come from the config (a `switch` has one per case). `inner_outputs`: what
    the nodes inside a container see as its outputs. Every type also has the output port `error` and, but
    for triggers, the input port `after`.
    """
    return {
        "type": node_type.type,
        "category": node_type.category,
        "kind": kind_of(node_type),
        "display_name": node_type.display_name,
        "description": node_type.description,
        "inputs": {name: _port(p) for name, p in node_type.inputs.items()},
        "outputs": {name: _port(p) for name, p in node_type.outputs.items()},
        "dynamic_outputs": any("output_ports" in vars(c) for c in type(node_type).__mro__ if c is not NodeType),
        "inner_outputs": {name: _port(p) for name, p in getattr(node_type, "inner", {}).items()},
        "scope_names": sorted(node_type.scope_names() | getattr(node_type, "body_names", frozenset())),
        "config_schema": dict(node_type.config_schema),
        "errors": list(node_type.errors),
        "timeout_seconds": node_type.timeout_seconds,
        "example": dict(node_type.example),
    }


def catalogue() -> list[dict[str, Any]]:
    """All types, by category and then by name."""
    every = [describe(get(name)) for name in names()]
    return sorted(every, key=lambda d: (_CATEGORIES.index(d["category"]), d["type"]))


def pages() -> dict[str, str]:
    """The reference pages: file name → Markdown."""
    every = catalogue()
    return {"README.md": _index(every), **{f"{d['type']}.md": "\n".join(_page(d)) + "\n" for d in every}}


def _port(port: Port) -> dict[str, Any]:
    return {
        "type": port.type,
        "required": port.required,
        "multiple": port.multiple,
        "description": port.description,
    }


def _index(every: list[dict[str, Any]]) -> str:
    lines = ["# Node types", "", "Generated from the declarations by `make catalogue`.", ""]
    for category in _CATEGORIES:
        found = [d for d in every if d["category"] == category]
        if found:
            lines += [f"## {category}", "", "| type | what it does |", "| --- | --- |"]
            lines += [f"| [{d['type']}]({d['type']}.md) | {_cell(d['description'])} |" for d in found] + [""]
    return "\n".join(lines)


def _page(d: dict[str, Any]) -> Iterator[str]:
    yield from (f"# {d['display_name']} (`{d['type']}`)", "", d["description"], "")
    yield from (f"Category `{d['category']}`. Kind `{d['kind']}`: {_KINDS[d['kind']]}.", "")
    if d["kind"] in ("run", "box"):
        yield from (f"One attempt takes at most {d['timeout_seconds']:g} seconds unless the node says otherwise.", "")
    yield from _ports("Inputs", d["inputs"])
    yield from _ports("Outputs", d["outputs"])
    if d["dynamic_outputs"]:
        yield from ("The config adds output ports.", "")
    yield from _ports("What the nodes inside see", d["inner_outputs"])
    if d["scope_names"]:
        names_ = ", ".join(f"`{n}`" for n in d["scope_names"])
        yield from (f"Names in its expressions beside the usual ones: {names_}.", "")
    yield from _fields(d["config_schema"])
    if d["errors"]:
        yield from ("## Errors", "", ", ".join(f"`{e}`" for e in d["errors"]), "")
    yield from ("## Example", "", "```json", json.dumps(d["example"], indent=2, ensure_ascii=False), "```")


def _ports(title: str, ports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not ports:
        return
    yield from (f"## {title}", "", "| port | type | |", "| --- | --- | --- |")
    for name, port in ports.items():
        marks = "".join([", required" if port["required"] else "", ", multiple" if port["multiple"] else ""])
        yield f"| `{name}` | {port['type']}{marks} | {_cell(port['description'])} |"
    yield ""


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_rows(schema, ""))
    if rows:
        yield from ("## Config", "", "| field | type | default | |", "| --- | --- | --- | --- |", *rows, "")


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        default = f"`{json.dumps(field['default'], ensure_ascii=False)}`" if "default" in field else ""
        marks = [m for m in ("template", "expression") if field.get(f"x-{m}")]
        kind = ", ".join([_type(field), *marks, *(["required"] if name in required else [])])
        yield f"| `{prefix}{name}` | {kind} | {default} | {_cell(field['description'])} |"
        if "properties" in field:
            yield from _rows(field, f"{prefix}{name}.")


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " · ".join(f"`{v}`" for v in field["enum"])
    kinds = field.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(folder: Path) -> None:
    """Write the pages into `folder`, and delete those of types that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
