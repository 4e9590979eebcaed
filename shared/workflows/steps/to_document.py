"""From steps to the document: the steps become nodes, their order becomes connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from shared.errors import Invalid, Problem
from shared.ids import digest
from shared.nodes.base import AFTER
from shared.workflows.model import MAX_CONNECTIONS, MAX_NODES, Document
from shared.workflows.steps.model import MAX_NESTING, Written, WrittenStep
from shared.workflows.steps.nodes import Nodes
from shared.workflows.steps.ports import arriving, inner_of, is_trigger, leaving, main_port, outputs_of

Json = dict[str, Any]
End = tuple[str, str]  # (node, output port) from which it goes on
OUTPUT: Final = "output"


def document_of_steps(value: Any) -> Json:
    """The document that steps stand for: whole, its `id` null unless it was given. `value` is the JSON of `Written`.

    Raises Invalid; `errors` name the steps and their fields.
    """
    if isinstance(value, Written):
        return document_of_written(value)
    try:
        written = Written.model_validate(value)
    except ValidationError as error:
        problems = [_problem(each, value) for each in error.errors()[:50]]
        raise Invalid("the steps are not well-formed", errors=problems) from None
    return document_of_written(written)


def document_of_written(written: Written) -> Json:
    """As `document_of_steps`; what is written as nodes and connections stays as it is."""
    names = [n for n in Document.model_fields if n not in ("nodes", "connections")]
    whole = written.model_dump(mode="json", include={*names, "nodes", "connections"})
    if written.steps is None:
        return {n: whole[n] for n in Document.model_fields}
    alone = "connections" in written.model_fields_set
    nodes = Nodes(written.steps, joined=not alone)
    nodes.raise_problems()
    if alone:
        for step in written.steps:
            nodes.add_step(step)
        connections = whole["connections"]
        if any(nodes.nested(s) for s in written.steps):
            nodes.problem(None, "connections", "steps within steps say how they are connected; leave connections out")
    else:
        flow = _Flow(nodes)
        flow.whole(written.steps, written.entry_step, output=written.output)
        connections = _renamed(flow.connections, written.connection_ids)
    nodes.raise_problems()
    made = {**{n: whole[n] for n in names}, "nodes": nodes.listed, "connections": connections}
    if len(made["nodes"]) > MAX_NODES or len(connections) > MAX_CONNECTIONS:
        message = f"a workflow has at most {MAX_NODES:,} nodes and {MAX_CONNECTIONS:,} connections"
        raise Invalid(message, errors=[Problem("too_many", message, "steps")])
    return {n: made[n] for n in Document.model_fields}


@dataclass(frozen=True, slots=True)
class _Part:
    """Some steps that have been joined: where they begin, and where they go on (None: where they are come to)."""

    starts: list[str]
    ends: list[End] | None


@dataclass
class _Flow:
    """Joins the nodes of steps by their order, their branches and `next`."""

    nodes: Nodes
    connections: list[Json] = field(default_factory=list)
    _known: set[tuple[str, str, str, str]] = field(default_factory=set)

    def whole(self, steps: Iterable[WrittenStep], entry: str | None, *, output: bool) -> None:
        """The workflow's own steps; `output`: what the last gives goes to an output node."""
        listed = list(steps)
        part = self._level(listed, entry, 0, top=True)
        if output and part.ends and not any(n["type"] == OUTPUT for n in self.nodes.made.values()):
            node_id = self.nodes.free(OUTPUT)
            self.nodes.add({"id": node_id, "type": OUTPUT})
            self._connect(part.ends, [node_id])

    def _level(self, steps: list[WrittenStep], entry: str | None, depth: int, *, top: bool = False) -> _Part:
        """The steps of one list: one after the other or, where one says what follows it, as they say."""
        if depth > MAX_NESTING:
            self.nodes.problem(steps[0] if steps else None, "steps", f"lists nest at most {MAX_NESTING} levels")
            return _Part([], None)
        if any(self._says_next(s) for s in steps):
            return self._graph(steps, entry, depth)
        first = next((s for s in steps if not is_trigger(s.type)), None)
        if entry is not None and (first is None or entry != self.nodes.id_of(first)):
            self.nodes.problem(None, "entry_step", f"{entry} is not the first step, and no step says what is next")
        return self._sequence(steps, depth, top=top)

    @staticmethod
    def _says_next(step: WrittenStep) -> bool:
        return step.next is not None or isinstance(step.then, str) or isinstance(step.else_, str)

    def _sequence(self, steps: list[WrittenStep], depth: int, *, top: bool = False) -> _Part:
        starts: list[str] = []
        ends: list[End] | None = None
        triggers: list[End] = []
        for step in steps:
            part = self._step(step, depth)
            if is_trigger(step.type):
                if not top or (ends is not None and ends != triggers):
                    self.nodes.problem(step, "type", "a trigger stands before all other steps")
                triggers += part.ends or []
                ends = list(triggers)
                continue
            if ends is None:
                starts += part.starts
            else:
                self._connect(ends, part.starts)
            ends = ends if part.ends is None else part.ends
        return _Part(starts, ends)

    def _graph(self, steps: list[WrittenStep], entry: str | None, depth: int) -> _Part:
        parts = {self.nodes.id_of(s): self._step(s, depth) for s in steps}
        reached: set[str] = set()
        left: list[End] = []
        after: dict[str, list[str]] = {n: [] for n in parts}
        for step in steps:
            own = self.nodes.id_of(step)
            said = list(self._followers(step, parts[own].ends or []))
            for where, ends, named in said:
                target, _, port = named.partition(".")
                if target not in parts:
                    self.nodes.problem(step, where, f"there is no step {target} beside this one")
                elif not ends:
                    self.nodes.problem(step, where, f"a {step.type} step gives nothing to go on from")
                else:
                    self._connect(ends, [target] if port else parts[target].starts, port)
                    after[own].append(target)
            reached |= {named.partition(".")[0] for *_, named in said}
            if not said:
                left += parts[own].ends or []
        starts = [n for n in parts if n not in reached]
        if entry is not None:
            self._check_entry(entry, steps, starts, after)
        return _Part([s for n in starts for s in parts[n].starts], left)

    def _followers(self, step: WrittenStep, ends: list[End]) -> Iterator[tuple[str, list[End], str]]:
        """(the field that says so, from where, the step that follows)."""
        own = self.nodes.id_of(step)
        said = step.next if isinstance(step.next, dict) else {"": step.next} if step.next is not None else {}
        for port, targets in said.items():
            for target in [targets] if isinstance(targets, str) else targets:
                yield (f"next.{port}" if port else "next"), ([(own, port)] if port else ends), target
        for name, port, arm in (("then", "true", step.then), ("else", "false", step.else_)):
            if isinstance(arm, str):
                yield name, [(own, port)], arm

    def _check_entry(
        self, entry: str, steps: list[WrittenStep], starts: list[str], after: Mapping[str, list[str]]
    ) -> None:
        if entry not in after:
            self.nodes.problem(None, "entry_step", f"there is no step {entry}")
            return
        triggers = {self.nodes.id_of(s) for s in steps if is_trigger(s.type)}
        for start in starts:
            if start != entry and start not in triggers:
                message = f"nothing leads to {start}, and entry_step is {entry}"
                self.nodes.problem(self.nodes.step(start), "next", message)
        if entry not in starts and not any(entry in after[t] for t in triggers):
            self.nodes.problem(None, "entry_step", f"{entry} comes after other steps")

    def _step(self, step: WrittenStep, depth: int) -> _Part:
        """One step, with what is in it."""
        own = self.nodes.id_of(step)
        self.nodes.add_step(step)
        node = self.nodes.made[own]
        if node["type"] == "merge" and step.type == "parallel":
            return self._parallel(step, own, depth)
        if step.steps is not None:
            self._body(step, node, depth)
        branches = self._branches(step)
        if branches is None:
            ends = [(own, port) for port in leaving(node)]
            return _Part([own], ends or (None if not outputs_of(node) else []))
        joined: list[End] = []
        for port, steps in branches.items():
            part = self._level(steps, None, depth + 1)
            self._connect([(own, port)], part.starts)
            joined += [(own, port)] if part.ends is None else part.ends
        return _Part([own], joined)

    def _branches(self, step: WrittenStep) -> dict[str, list[WrittenStep]] | None:
        if isinstance(step.branches, dict):
            return step.branches
        if isinstance(step.then, str) or isinstance(step.else_, str):
            return None
        if step.then is None and step.else_ is None:
            return None
        return {"true": step.then or [], "false": step.else_ or []}

    def _parallel(self, step: WrittenStep, own: str, depth: int) -> _Part:
        starts: list[str] = []
        for branch in step.branches or []:
            part = self._level(branch, None, depth + 1)  # type: ignore[arg-type]
            starts += part.starts if part.ends is not None else [*part.starts, own]
            self._connect(part.ends or [], [own])
        return _Part(list(dict.fromkeys(starts)) or [own], [(own, str(main_port(self.nodes.made[own])))])

    def _body(self, step: WrittenStep, node: Json, depth: int) -> None:
        inner = inner_of(node["type"])
        part = self._level(step.steps or [], None, depth + 1)
        for start in part.starts:
            # What a pass is about goes to the steps that take it; the others simply begin.
            if inner is not None and arriving(node, inner, self.nodes.made[start]) != AFTER:
                self._connect([(node["id"], inner)], [start])

    def _connect(self, ends: Iterable[End], starts: Iterable[str], named: str = "") -> None:
        sources = list(ends)
        for target in starts:
            for source, port in sources:
                leads_to = named or arriving(self.nodes.made[source], port, self.nodes.made[target])
                way = (source, port, target, leads_to)
                if way not in self._known:
                    self._known.add(way)
                    self.connections.append(connection(*way))


def connection(source: str, port: str, target: str, target_port: str) -> Json:
    """A connection under the id that stands for its ends."""
    ends = {"source_node": source, "source_port": port, "target_node": target, "target_port": target_port}
    return {"id": f"c_{digest(source, port, target, target_port)[:16]}", **ends}


def _renamed(connections: list[Json], ids: Mapping[str, str]) -> list[Json]:
    """The connections under the ids that they are given, in the order in which these are; others behind them."""
    order = {own: place for place, own in enumerate(ids)}
    ordered = sorted(connections, key=lambda c: order.get(c["id"], len(order)))
    return [{**c, "id": ids.get(c["id"], c["id"])} for c in ordered]


def _problem(error: Any, value: Any) -> Problem:
    """A problem of the shape; `node_id` is the step's, where it has one."""
    at, step = value, None
    for part in error["loc"]:
        at = at.get(part, at) if isinstance(at, dict) else at[part] if _within(at, part) else at
        if isinstance(at, dict) and isinstance(at.get("id"), str) and "type" in at:
            step = at["id"]
    code = "unknown_field" if error["type"] == "extra_forbidden" else str(error["type"])
    said = "unknown field" if code == "unknown_field" else str(error["msg"])
    message = f"step {step}: {said}" if step else said
    return Problem(code, message[:500], ".".join(map(str, error["loc"]))[:200], step)


def _within(at: Any, part: Any) -> bool:
    return isinstance(at, list) and isinstance(part, int) and part < len(at)
