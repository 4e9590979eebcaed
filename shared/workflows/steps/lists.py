"""Finds lists of steps in a document: what follows what, which steps are the branches of another.

The nodes are read in their order, in which a step stands before what is in it and after what it follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.workflows.steps.ports import arriving, is_container, is_trigger, leaving, main_port, outputs_of
from shared.workflows.steps.to_document import End

Json = dict[str, Any]


class NotAList(Exception):
    """The steps do not stand one after the other."""


class Scopes:
    """The nodes of a document by the container that they are in, with what leads to each."""

    def __init__(self, nodes: Sequence[Json], connections: Sequence[Json], step_of: Callable[[Json], Json]) -> None:
        self.step_of = step_of
        self.children: dict[str | None, list[Json]] = {None: []}
        for node in nodes:
            self.children.setdefault(node["parent"], []).append(node)
        self.nodes = {n["id"]: n for n in nodes}
        self.incoming: dict[str, list[End]] = {n["id"]: [] for n in nodes}
        self.outgoing: dict[str, list[tuple[str, str]]] = {n["id"]: [] for n in nodes}
        for c in connections:
            source, target = self.nodes.get(c["source_node"]), self.nodes.get(c["target_node"])
            if source is None or target is None:
                raise NotAList
            if target["parent"] != source["id"]:
                self.incoming[target["id"]].append((source["id"], c["source_port"]))
                usual = arriving(source, c["source_port"], target) == c["target_port"]
                leads_to = target["id"] if usual else f"{target['id']}.{c['target_port']}"
                self.outgoing[source["id"]].append((c["source_port"], leads_to))


def lists_of(scopes: Scopes, scope: str | None = None) -> list[Json]:
    """The steps of a scope as a list. Raises NotAList."""
    nodes = scopes.children.get(scope, [])
    reader = _Reader(scopes, nodes)
    steps, _ = reader.sequence(None, top=scope is None)
    if reader.at < len(nodes):
        raise NotAList
    return steps


def graph_of(scopes: Scopes, scope: str | None = None, *, all_through: bool = False) -> list[Json]:
    """The steps of a scope, each with what is next; bodies as lists where they are such, unless `all_through`."""
    steps = []
    for node in scopes.children.get(scope, []):
        step = scopes.step_of(node)
        if is_container(node["type"]) and node["id"] in scopes.children:
            step["steps"] = _body(scopes, node["id"], all_through=all_through)
        following: dict[str, list[str]] = {}
        for port, target in scopes.outgoing[node["id"]]:
            following.setdefault(port, []).append(target)
        shown = {port: targets[0] if len(targets) == 1 else targets for port, targets in following.items()}
        if shown:
            alike = all(targets == following[next(iter(following))] for targets in following.values())
            step["next"] = next(iter(shown.values())) if alike and [*shown] == leaving(node) else shown
        steps.append(step)
    if steps and not any("next" in s for s in steps):
        steps[0]["next"] = []
    return steps


def _body(scopes: Scopes, container: str, *, all_through: bool) -> list[Json]:
    if not all_through:
        try:
            return lists_of(scopes, container)
        except NotAList:
            pass
    return graph_of(scopes, container, all_through=all_through)


class _Reader:
    """Reads the nodes of one scope from `at` on."""

    def __init__(self, scopes: Scopes, nodes: Sequence[Json]) -> None:
        self._scopes = scopes
        self._nodes = nodes
        self.at = 0

    def sequence(self, begins: list[End] | None, *, top: bool = False) -> tuple[list[Json], list[End] | None]:
        """The steps that follow each other from these ends on (None: from nothing), and where they go on."""
        steps: list[Json] = []
        ends = begins
        if top:
            triggers: list[End] = []
            while (node := self._next()) is not None and is_trigger(node["type"]) and not self._before(node):
                self.at += 1
                steps.append(self._scopes.step_of(node))
                triggers.append((node["id"], str(main_port(node))))
            ends = triggers or begins
        while (node := self._next()) is not None and ends != []:
            parallel = self._parallel(node, ends) if node["type"] == "merge" else None
            if parallel is not None:
                steps.append(parallel)
                ends = [(node["id"], str(main_port(node)))]
            elif self._before(node) == (ends or []) and not is_trigger(node["type"]):
                self.at += 1
                step, goes_on = self._step(node)
                steps.append(step)
                ends = ends if goes_on is None else goes_on
            else:
                break
        return steps, (None if ends is begins else ends)

    def _next(self) -> Json | None:
        return self._nodes[self.at] if self.at < len(self._nodes) else None

    def _leading(self) -> Json:
        """The next node but for those in which branches that stand behind them come together."""
        return next((n for n in self._nodes[self.at :] if n["type"] != "merge"), self._nodes[self.at])

    def _before(self, node: Mapping[str, Any]) -> list[End]:
        return self._scopes.incoming[node["id"]]

    def _step(self, node: Json) -> tuple[Json, list[End] | None]:
        step = self._scopes.step_of(node)
        if is_container(node["type"]) and node["id"] in self._scopes.children:
            step["steps"] = lists_of(self._scopes, node["id"])
        if step["type"] == "conditional":
            return step, self._arms(node, step)
        branches, ends = self._branches(node)
        if branches:
            return {**step, "branches": branches}, ends
        outs = [(node["id"], port) for port in leaving(node)]
        return step, outs or (None if not outputs_of(node) else [])

    def _arms(self, node: Json, step: Json) -> list[End]:
        joined: list[End] = []
        for name, port in (("then", "true"), ("else", "false")):
            begins = [(node["id"], port)]
            steps, ends = self.sequence(begins)
            if steps:
                step[name] = steps
            joined += begins if ends is None else ends
        return joined

    def _branches(self, node: Json) -> tuple[dict[str, list[Json]], list[End]]:
        """The branches at a node's ports, if it goes on from others than its main one."""
        found: dict[str, list[Json]] = {}
        joined: list[End] = []
        while self._next() is not None:
            before = self._before(self._leading())
            if len(before) != 1 or before[0][0] != node["id"] or before[0][1] in found:
                break
            port = before[0][1]
            if not found and [port] == leaving(node):
                break
            steps, ends = self.sequence(before)
            found[port] = steps
            joined += before if ends is None else ends
        return (found, joined) if not found else self._with_empty(node["id"], found, joined)

    def _with_empty(
        self, node_id: str, found: dict[str, list[Json]], joined: list[End]
    ) -> tuple[dict[str, list[Json]], list[End]]:
        """The branches with those that have no steps, of which the next step tells."""
        following = self._next()
        wanted = self._before(following) if following is not None else []
        empty = [end for end in wanted if end[0] == node_id and end[1] not in found]
        if not empty or [end for end in wanted if end not in empty] != joined:
            return found, joined
        first = wanted[: len(empty)] == empty
        ports: dict[str, list[Json]] = {port: [] for _, port in empty}
        return ({**ports, **found} if first else {**found, **ports}), wanted

    def _parallel(self, node: Json, ends: list[End] | None) -> Json | None:
        """The merge node as the end of branches that stand behind it; None if it is no such thing."""
        wanted = list(self._before(node))
        if wanted == (ends or []):
            return None
        begun = self.at
        self.at += 1
        branches: list[list[Json]] = []
        while wanted:
            steps, goes_on = self.sequence(ends)
            comes_to = goes_on if goes_on is not None else ends or []
            if not comes_to or wanted[: len(comes_to)] != comes_to:
                self.at = begun
                return None
            branches.append(steps)
            del wanted[: len(comes_to)]
        step = self._scopes.step_of(node)
        if "mode" in step.get("config", {}):
            step["mode"] = step["config"].pop("mode")
            step = {name: value for name, value in step.items() if name != "config" or value}
        return {**step, "type": "parallel", "branches": branches}
