"""A SAM project that runs one workflow alone: `stepfunctions.standalone` and what it stands on, zipped."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shared.errors import Invalid, NotFound, Problem
from shared.nodes.registry import find
from shared.resources.model import Kind, Resource
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

Named = dict[tuple[Kind, str, int], Resource]  # by kind, name and version


def project(tenant: Tenant, plan: Plan, document: Document, check: Callable[[Kind], object] = str) -> bytes:
    """The zip file. Raises Invalid `not_exportable`, naming each node that the project could not run.

    The project holds the documents of the agents, tools, MCP servers and prompts that it needs: `check` is asked of
    each kind, and raises what the caller is refused with.
    """
    resources, lacking = _resources(tenant, document)
    for held_kind in sorted({kind for kind, _, _ in resources}):
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
            {"kind": kind, "name": name, "version": version, "shown": dict(r.shown), "document": dict(r.document)}
            for (kind, name, version), r in sorted(resources.items())
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
    """The nodes, and the settings, that take what the project does not bring."""
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
    if document.settings.error_workflow is not None:
        message = "its error workflow is another one, and the project holds one"
        yield Problem("not_exportable", message, "settings.error_workflow")


def _resources(tenant: Tenant, document: Document) -> tuple[Named, list[Problem]]:
    """The agents, tools, MCP servers and prompts that the document names, and what these name; and what is not there.

    Of a prompt those versions that a node names, and the newest where one names none.
    """
    store, found, problems = ResourceStore(TenantTable(tenant)), Named(), list[Problem]()
    todo: list[tuple[Kind, str, int | None, str]] = []
    for need in needs(document):
        if need.kind in ("agents", "tools", "mcp_servers", "prompts"):
            todo.append((need.kind, need.name, need.version, need.path))
    while todo:
        kind, name, number, path = todo.pop()
        if kind == "tools" and name in BUILTINS:
            continue
        try:
            made = store.get(kind, name)
            if number is not None:
                made = replace(made, version=number, document=store.version(made, number).document)
        except NotFound:
            which = "" if number is None else f" with a version {number}"
            problems.append(Problem("not_exportable", f"there is no {name[:100]} among the {kind}{which}", path))
            continue
        if (kind, name, made.version) in found:
            continue
        found[kind, name, made.version] = made
        if made.document.get("kind") == "workflow":
            message = f"the tool {name} runs another workflow, and the project holds one"
            problems.append(Problem("not_exportable", message, path))
        todo += [("tools", each, None, path) for each in made.document.get("tools") or ()]
        todo += [("mcp_servers", each, None, path) for each in made.document.get("mcp_servers") or ()]
        todo += [("mcp_servers", made.document["server"], None, path)] if made.document.get("kind") == "mcp" else []
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
