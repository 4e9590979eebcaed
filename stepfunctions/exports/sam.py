"""A SAM project that runs one workflow alone: `stepfunctions.standalone` and what it stands on, zipped."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shared.errors import Invalid, NotFound, Problem
from shared.nodes.registry import find
from shared.resources.model import Kind
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.tools.builtin import BUILTINS
from shared.workflows.model import Document
from stepfunctions.exports.envelope import envelope
from stepfunctions.exports.requires import needs
from stepfunctions.exports.sam_template import template
from stepfunctions.exports.yaml_text import dumped
from stepfunctions.plan import Plan
from stepfunctions.publish import published_of

_PACKAGES: Final = Path(__file__).resolve().parents[2]
_HERE: Final = Path(__file__).resolve().parent
_WHEN: Final = (2020, 1, 1, 0, 0, 0)  # the same project is the same zip
_SANDBOXED: Final = frozenset({"code_executor", "shell_command"})

Named = dict[tuple[Kind, str], Any]


def project(tenant: Tenant, plan: Plan, document: Document, check: Callable[[Kind], object] = str) -> bytes:
    """The zip file. Raises Invalid `not_exportable`, naming each node that the project could not run.

    The project holds the documents of the agents, tools and MCP servers that it needs: `check` is asked of each kind,
    and raises what the caller is refused with.
    """
    resources, lacking = _resources(tenant, document)
    for held_kind in sorted({kind for kind, _ in resources}):
        check(held_kind)
    problems = [*_unfit(plan, document), *lacking]
    if problems:
        raise Invalid("a project of its own cannot run this workflow", code="not_exportable", errors=problems[:50])
    raw = document.model_dump(mode="json")
    wrapped = envelope(raw, plan.version)
    published = published_of(plan, document)
    machine = json.dumps(plan.skeleton, indent=1).replace("arn:aws:states:::", "arn:${partition}:states:::")
    held = {
        "published": {**published.as_dict(), "express": None},
        "plan": plan.as_dict(),
        "resources": [
            {"kind": kind, "name": name, "shown": dict(found.shown), "document": dict(found.document)}
            for (kind, name), found in sorted(resources.items())
        ],
    }
    libraries = json.loads((_HERE / "libraries.json").read_bytes())
    files = {
        "README.md": (_HERE / "project.md").read_text() + _credentials(wrapped["requires"], resources),
        "template.yaml": dumped(template(plan, document)),
        "statemachine.asl.json": machine,
        "workflow.json": json.dumps(wrapped, indent=1, ensure_ascii=False),
        "src/project.json": json.dumps(held, ensure_ascii=False),
        "src/requirements.txt": "\n".join(libraries) + "\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(_entry(name), text.encode())
        for path in _sources():
            archive.writestr(_entry(f"src/{path.relative_to(_PACKAGES)}"), path.read_bytes())
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry


def _sources() -> Iterator[Path]:
    for package in ("shared", "stepfunctions"):
        for path in sorted((_PACKAGES / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _unfit(plan: Plan, document: Document) -> Iterator[Problem]:
    """The nodes that take what the project does not bring."""
    for node in document.nodes:
        if node.disabled:
            continue
        why = ""
        if node.type in _SANDBOXED:
            why = "runs code in the sandbox, which the project does not bring"
        elif node.type == "sub_workflow":
            why = "runs another workflow, and the project holds one"
        elif (
            (bound := plan.nodes.get(node.id)) is not None and bound.runner == "documents" and bound.kind != "container"
        ):
            why = "takes the libraries for documents, vectors and databases, which the project does not bring"
        if why:
            name = getattr(find(node.type), "display_name", node.type)
            yield Problem("not_exportable", f"{node.id} ({name}) {why}", f"nodes.{node.id}", node.id)


def _resources(tenant: Tenant, document: Document) -> tuple[Named, list[Problem]]:
    """The agents, tools and MCP servers that the document names, and those that these name; and what is not there."""
    store, found, problems = ResourceStore(TenantTable(tenant)), Named(), list[Problem]()
    todo: list[tuple[Kind, str, str]] = []
    for need in needs(document):
        if need.kind in ("agents", "tools", "mcp_servers"):
            todo.append((need.kind, need.name, need.path))
    while todo:
        kind, name, path = todo.pop()
        if (kind, name) in found or (kind == "tools" and name in BUILTINS):
            continue
        try:
            made = store.get(kind, name)
        except NotFound:
            problems.append(Problem("not_exportable", f"there is no {name[:100]} among the {kind}", path))
            continue
        found[kind, name] = made
        if made.document.get("kind") == "workflow":
            message = f"the tool {name} runs another workflow, and the project holds one"
            problems.append(Problem("not_exportable", message, path))
        todo += [("tools", each, path) for each in made.document.get("tools") or ()]
        todo += [("mcp_servers", each, path) for each in made.document.get("mcp_servers") or ()]
        todo += [("mcp_servers", made.document["server"], path)] if made.document.get("kind") == "mcp" else []
    return found, problems


def _credentials(wanted: Mapping[str, Any], resources: Named) -> str:
    names = {each["name"]: " or ".join(each["kinds"]) for each in wanted["credentials"]}
    for made in resources.values():
        for holder in (made.document, made.document.get("model") or {}):
            if isinstance(holder, Mapping) and holder.get("credential"):
                names.setdefault(str(holder["credential"]), "as where it comes from")
    if not names:
        return "\n## Credentials\n\nIt needs none.\n"
    rows = "\n".join(f"| `{name}` | {kind} |" for name, kind in sorted(names.items()))
    told = (
        "\n## Credentials\n\nThey are not in here. Before the first run it needs:\n\n| name | kind |\n| --- | --- |\n"
    )
    return f"{told}{rows}\n"
