"""Changes of single steps: a document goes in and comes out. What they do not name stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Conflict, Invalid, NotFound, Problem
from shared.expressions.pieces import parts
from shared.expressions.template import TemplateError, expressions
from shared.nodes.registry import find
from shared.workflows.steps.from_document import steps_as_graph, steps_of_document
from shared.workflows.steps.model import HANGING
from shared.workflows.steps.ports import arriving, leaving, may_lead, outputs_of
from shared.workflows.steps.references import marked
from shared.workflows.steps.to_document import connection, document_of_steps

Json = dict[str, Any]
_NEXT: Final = "next"


def added(
    document: Json, step: Mapping[str, Any], *, after: str | None, inside: str | None, branch: str | None
) -> tuple[Json, str]:
    """The document with another step, and its id.

    It stands behind the step `after`; or at the end of what is `inside` a step: of its body or, with `branch`, of that
    branch; or at the end. Raises NotFound (`after`, `inside`), Invalid.
    """
    made = _opened(document)
    new = dict(step)
    taken = {n["id"] for n in document["nodes"]}
    if new.get("id") in taken:
        raise Invalid(f"there is a step {new['id']}", errors=[Problem("duplicate_id", "it is taken", "step.id")])
    new.setdefault("id", _free(str(new.get("type", "step")), taken))
    siblings, at = _place(made, after, inside, branch)
    siblings.insert(at, new)
    if after is not None and "connections" in made:
        new.setdefault("parent", siblings[at - 1].get("parent"))
        nodes = document_of_steps(made)["nodes"]
        source, target = (next(n for n in nodes if n["id"] == each) for each in (after, new["id"]))
        made["connections"] += [
            connection(after, port, new["id"], arriving(source, port, target)) for port in leaving(source)
        ]
    elif after is not None and _is_graph(siblings):
        _follow(siblings[at - 1], new["id"], _node(document, after), None)
    elif inside is not None and "connections" in made:
        new.setdefault("parent", inside)
    return document_of_steps(made), str(new["id"])


def replaced(document: Json, step_id: str, step: Mapping[str, Any]) -> Json:
    """The document with another step in a step's place. What hangs on it stays where `step` does not name it.

    Raises NotFound, Invalid.
    """
    if step.get("id") not in (None, step_id):
        message = "a step's id does not change: other steps name it"
        raise Invalid(message, errors=[Problem("other_id", message, "id", step_id)])
    made = _opened(document)
    siblings, at = _found(made["steps"], step_id)
    before = siblings[at]
    kept: Json = {
        name: before[name] for name in (*HANGING, "position", "parent") if name in before and name not in step
    }
    siblings[at] = {**dict(step), **kept, "id": step_id}
    return document_of_steps(made)


def removed(document: Json, step_id: str, *, nested: bool) -> Json:
    """The document without a step; what came before it goes on with what came after it.

    Raises NotFound, Conflict: `step_in_use` (others read it), `step_not_empty` (there are steps in it, and not
    `nested`), `step_branches` (it is not one thing that comes after it).
    """
    made = _opened(document)
    siblings, at = _found(made["steps"], step_id)
    step = siblings[at]
    inner = [s["id"] for s in _all(_lists(step))]
    if "connections" in made:
        inner = [n["id"] for n in document["nodes"] if _within(document, n, step_id)]
    if inner and not nested:
        errors = [Problem("inside", f"{each} is in {step_id}", f"steps.{each}", each) for each in inner[:50]]
        raise Conflict(
            f"there are steps in {step_id}; ?nested=true removes them too", code="step_not_empty", errors=errors
        )
    gone = {step_id, *inner}
    errors = [
        Problem("reads", f"{node} reads {read}", f"steps.{node}.{path}", node)
        for node, path, read in _readers(document, gone)
    ]
    if errors:
        raise Conflict(f"other steps read {step_id}", code="step_in_use", errors=errors[:50])
    if "connections" in made:
        made["connections"] = _bridged(document, step_id, gone)
        made["steps"] = [s for s in made["steps"] if s["id"] not in gone]
    else:
        if _is_graph(siblings):
            _unfollow(siblings, step)
        del siblings[at]
    return document_of_steps(made)


def reordered(document: Json, order: list[str]) -> Json:
    """The document with the steps of one list in another order. Raises NotFound, Invalid (not the list's ids)."""
    made = _opened(document)
    siblings, _ = _found(made["steps"], order[0])
    by_id = {s["id"]: s for s in siblings}
    if sorted(order) != sorted(by_id):
        message = f"name each step of the list once: {', '.join(by_id)}"
        raise Invalid(message, errors=[Problem("other_steps", message[:500], "order")])
    siblings[:] = [by_id[each] for each in order]
    return document_of_steps(made)


def connected(document: Json, source: str, target: str, port: str | None, target_port: str | None) -> Json:
    """The document with one more connection between two steps. Raises NotFound, Invalid (ports, walls, cycles)."""
    begin, end = _node(document, source), _node(document, target)
    if port is not None and port != "error" and find(begin["type"]) and port not in outputs_of(begin):
        raise _bad("unknown_port", f"{source} has no output port {port}; it has {', '.join(outputs_of(begin))}", "port")
    type_ = find(end["type"])
    if target_port is not None and type_ and target_port not in (*type_.inputs, "after"):
        raise _bad(
            "unknown_port", f"{target} has no input port {target_port}; it has {', '.join(type_.inputs)}", "to_port"
        )
    if begin["parent"] != end["parent"]:
        raise _bad("crosses_wall", f"{source} and {target} are not inside the same step", "to")
    if port is None and not leaving(begin):
        raise _bad("no_output", f"a {begin['type']} step gives nothing to go on from", "port")
    if source in _after(document, target):
        raise _bad("cycle", f"{source} comes after {target}", "to")
    made = steps_as_graph(document)
    made.pop("entry_step", None)
    if "connections" in made:
        known = {tuple(c.values())[1:] for c in made["connections"]}
        for each in [port] if port else leaving(begin):
            new = connection(source, each, target, target_port or arriving(begin, each, end))
            if tuple(new.values())[1:] not in known:
                made["connections"].append(new)
        return document_of_steps(made)
    siblings, at = _found(made["steps"], source)
    if not any(s["id"] == target for s in siblings):
        raise _bad("crosses_wall", f"{target} is in a list within a step, which says what it follows", "to")
    _follow(siblings[at], f"{target}.{target_port}" if target_port else target, begin, port)
    return document_of_steps(made)


# --- where steps are --------------------------------------------------------------------------------------------------


def _opened(document: Json) -> Json:
    made = steps_of_document(document)
    made.pop("entry_step", None)  # it is found anew
    return made


def _node(document: Json, step_id: str) -> Json:
    found = next((n for n in document["nodes"] if n["id"] == step_id), None)
    if found is None:
        raise NotFound(f"there is no step {step_id}")
    return dict(found)


def _lists(step: Mapping[str, Any]) -> list[list[Json]]:
    """The lists of steps that are in a step."""
    branches = step.get("branches", [])
    found = list(branches.values()) if isinstance(branches, dict) else list(branches)
    return [*found, *(step[name] for name in ("steps", "then", "else") if isinstance(step.get(name), list))]


def _all(lists: list[list[Json]]) -> Iterator[Json]:
    for each in lists:
        for step in each:
            yield step
            yield from _all(_lists(step))


def _found(steps: list[Json], step_id: str) -> tuple[list[Json], int]:
    """The list that a step is in, and its place there. Raises NotFound."""
    lists = [steps]
    while lists:
        each = lists.pop()
        for at, step in enumerate(each):
            if step["id"] == step_id:
                return each, at
            lists += _lists(step)
    raise NotFound(f"there is no step {step_id}")


def _place(made: Json, after: str | None, inside: str | None, branch: str | None) -> tuple[list[Json], int]:
    if after is not None:
        siblings, at = _found(made["steps"], after)
        return siblings, at + 1
    siblings = made["steps"]
    if inside is not None:
        around, at = _found(made["steps"], inside)
        siblings = siblings if "connections" in made else _inside(around[at], branch)
    at = len(siblings)
    while at and siblings[at - 1]["type"] == "output":  # the end of a workflow stays its end
        at -= 1
    return siblings, at


def _inside(step: Json, branch: str | None) -> list[Json]:
    """The body of a step, or one of its branches; one that is not there yet is begun."""
    if branch is None:
        found: Any = step.setdefault("steps", [])
    elif branch in ("then", "else"):
        found = step.setdefault(branch, [])
    elif isinstance(step.get("branches"), list) and branch.isdecimal():
        branches = step["branches"]
        if int(branch[:4]) >= len(branches):
            branches.append([])
        found = branches[min(int(branch[:4]), len(branches) - 1)]
    else:
        branches = step.setdefault("branches", {})
        found = branches.setdefault(branch, []) if isinstance(branches, dict) else None
    if not isinstance(found, list):
        raise _bad("no_such_branch", f"{step['id']} has no list of steps {branch or 'in it'}", "branch")
    return found


def _within(document: Json, node: Mapping[str, Any], container: str) -> bool:
    parents = {n["id"]: n["parent"] for n in document["nodes"]}
    seen: set[str] = set()
    at = node["parent"]
    while at is not None and at not in seen:
        if at == container:
            return True
        seen.add(at)
        at = parents.get(at)
    return False


# --- what follows -----------------------------------------------------------------------------------------------------


def _is_graph(siblings: list[Json]) -> bool:
    return any(_NEXT in s for s in siblings)


def _targets(said: Any) -> list[str]:
    return [said] if isinstance(said, str) else list(said or ())


def _follow(step: Json, target: str, node: Mapping[str, Any], port: str | None) -> None:
    """Say that `target` follows a step, on a port or where it goes on anyway."""
    said = step.get(_NEXT)
    usual = leaving(node)
    if not isinstance(said, dict) and (port is None or [port] == usual):
        step[_NEXT] = list(dict.fromkeys([*_targets(said), target]))
        return
    by_port = dict(said) if isinstance(said, dict) else {p: _targets(said) for p in usual if said}
    for each in [port] if port is not None else usual:
        by_port[each] = list(dict.fromkeys([*_targets(by_port.get(each)), target]))
    step[_NEXT] = by_port


def _unfollow(siblings: list[Json], step: Json) -> None:
    """What led to a step leads to what followed it. Raises Conflict."""
    said = step.get(_NEXT)
    following = _targets(
        said if not isinstance(said, dict) else next(iter(said.values()), []) if len(said) < 2 else None
    )
    if isinstance(said, dict) and len(said) > 1:
        raise Conflict(
            f"{step['id']} leads on by several ports; connect its steps otherwise first", code="step_branches"
        )

    def without(targets: Any) -> list[str]:
        found: list[str] = []
        for each in _targets(targets):
            found += following if each.partition(".")[0] == step["id"] else [each]
        return list(dict.fromkeys(found))

    for each in siblings:
        if isinstance(each.get(_NEXT), dict):
            each[_NEXT] = {port: kept for port, targets in each[_NEXT].items() if (kept := without(targets))}
        elif _NEXT in each:
            each[_NEXT] = without(each[_NEXT])


def _bridged(document: Json, step_id: str, gone: set[str]) -> list[Json]:
    """The connections without those of some steps; what led to `step_id` leads to what followed it."""
    connections = document["connections"]
    nodes = {n["id"]: n for n in document["nodes"]}
    leads_on = [c for c in connections if c["source_node"] == step_id and c["target_node"] not in gone]
    if len({c["source_port"] for c in leads_on}) > 1:
        raise Conflict(f"{step_id} leads on by several ports; connect its steps otherwise first", code="step_branches")
    kept = [c for c in connections if not {c["source_node"], c["target_node"]} & gone]
    known = {(c["source_node"], c["source_port"], c["target_node"]) for c in kept}
    for before in (c for c in connections if c["target_node"] == step_id and c["source_node"] in nodes):
        for behind in (c for c in leads_on if c["target_node"] in nodes):
            way = (before["source_node"], before["source_port"], behind["target_node"])
            if way not in known and way[0] not in gone:
                known.add(way)
                source, target = nodes[way[0]], nodes[way[2]]
                fits = may_lead(source, way[1], target, behind["target_port"])
                port = behind["target_port"] if fits else arriving(source, way[1], target)
                kept.append(connection(*way, port))
    return kept


def _after(document: Json, step_id: str) -> set[str]:
    """A step and all that its connections lead to."""
    reached, stack = set[str](), [step_id]
    while stack:
        at = stack.pop()
        if at not in reached:
            reached.add(at)
            stack += [c["target_node"] for c in document["connections"] if c["source_node"] == at]
    return reached


def _readers(document: Json, gone: set[str]) -> Iterator[tuple[str, str, str]]:
    """(step, path, what it reads) of each expression of other steps that reads one of these."""
    names = "|".join(re.escape(each) for each in gone)
    read = re.compile(rf"(?<![\w.`])nodes\s*\.\s*`?(?P<step>{names})(?![\w-])")
    for node in document["nodes"]:
        if node["id"] in gone:
            continue
        for path, text in _expressions(node):
            found = next((m for part, can_name in parts(text) if can_name for m in read.finditer(part)), None)
            if found is not None:
                yield node["id"], path, found["step"]


def _expressions(node: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def template(path: str, value: Any) -> Any:
        try:
            found.extend((path, text) for text in expressions(value))
        except TemplateError:
            return value
        return value

    def expression(path: str, value: Any) -> Any:
        if isinstance(value, str):
            found.append((path, value))
        return value

    node_type = find(node["type"])
    for port, value in node["inputs"].items():
        template(f"inputs.{port}", value)
    marked(node["config"], node_type.schema_for(node["config"]) if node_type else {}, "config", template, expression)
    return found


def _free(wanted: str, taken: set[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[:80]
    base = base if base[:1].isalpha() else f"step_{base}"
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}_{n}") not in taken)


def _bad(code: str, message: str, path: str) -> Invalid:
    return Invalid(message, errors=[Problem(code, message[:500], path)])
