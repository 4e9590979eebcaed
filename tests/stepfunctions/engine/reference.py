"""The meaning of a document, read off the specification as plainly as can be: one node after the other, no journal, no
segments, no clock. It knows a few node types and a handful of expressions, and shares no code with the engine.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

UNDEFINED = object()
PORTS: dict[str, tuple[str, ...]] = {
    "manual_trigger": ("trigger",),
    "http_webhook": ("body", "headers", "query", "method", "path"),
    "transform": ("output",),
    "condition": ("true", "false"),
    "merge": ("output",),
    "parallel": ("outputs",),
    "delay": ("output", "elapsed"),
    "human_in_the_loop": ("response", "approved", "rejected", "timeout"),
    "flaky": ("output",),
    "log": (),
    "output": (),
    "loop": ("results", "count"),
    "while_loop": ("state", "iterations"),
    "retry": ("output",),
}
CONTAINERS = ("loop", "while_loop", "retry")
REQUIRED = {"log": "message", "loop": "items"}
YEAR_MS = 365 * 86_400_000


class Any_:
    """Stands for whatever is there: a time, the words of a message."""

    def __repr__(self) -> str:
        return "*"


ANY = Any_()


@dataclass(frozen=True)
class OneOf:
    """One of these error names: which of several concurrent failures is first is left open."""

    names: frozenset[str]


class Failed(Exception):
    """A node failed, with one of these errors."""

    def __init__(self, *names: str, attempts: int = 1) -> None:
        super().__init__(*names)
        self.names = frozenset(names)
        self.attempts = attempts


@dataclass
class Played:
    """What became of a scope: statuses and outputs by node, and which nodes failed without being handled."""

    container: str | None
    path: str
    local: dict[str, Any]
    outer: Played | None
    status: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    fatal: dict[str, frozenset[str]] = field(default_factory=dict)


def answer_to(node_id: str) -> str:
    """What the person who is asked does: the same on both sides."""
    return ("approve", "reject", "lapse")[sum(node_id.encode()) % 3]


def ports(node: Any) -> tuple[str, ...]:
    """The output ports of a node, `error` apart."""
    if node["type"] == "switch":
        return (*node["config"]["cases"], "default")
    return PORTS[node["type"]]


def value(text: str, names: dict[str, Any]) -> Any:
    """One of the expressions that the documents are made of."""
    if text == "$error('no')":
        raise Failed("ExpressionError")
    if found := re.fullmatch(r"(.+) \? (.+) : (.+)", text):
        test, yes, no = found.groups()
        return value(yes if value(test, names) is True else no, names)
    if found := re.fullmatch(r"\$exists\((.+)\)", text):
        return value(found[1], names) is not UNDEFINED
    if found := re.fullmatch(r"(.+) = (\d+)", text):
        left = value(found[1], names)
        return type(left) is int and left == int(found[2])
    if found := re.fullmatch(r"iteration < (\d+)", text):
        return names["iteration"] < int(found[1])
    if found := re.fullmatch(r"\{'v': (.+)\}", text):
        inside = value(found[1], names)
        return {} if inside is UNDEFINED else {"v": inside}
    if text.isdigit():
        return int(text)
    at: Any = names
    for part in text.replace("`", "").split("."):
        at = at.get(part, UNDEFINED) if isinstance(at, dict) else UNDEFINED
    return at


def rendered(given: Any, names: dict[str, Any]) -> Any:
    """A literal, or the value of a template that is nothing but one expression."""
    if isinstance(given, str) and given.startswith("{{"):
        found = value(given[2:-2].strip(), names)
        return None if found is UNDEFINED else found
    return given


def true(found: Any) -> bool:
    """Whether a condition holds: JSONata's `$boolean`."""
    return any(true(f) for f in found) if isinstance(found, list) else found is not UNDEFINED and bool(found)


def _null(found: Any) -> Any:
    return None if found is UNDEFINED else found


class Reference:
    """One run of a document. `scopes` are all scopes that were played, by path; `calls` what flaky nodes were asked."""

    def __init__(self, doc: Any, start: str, trigger: Any) -> None:
        self.doc, self.start, self.trigger = doc, start, trigger
        self.scopes: dict[str, Played] = {}
        self.calls: Counter[str] = Counter()

    def run(self) -> Played:
        """The whole workflow."""
        return self.play(None, "", {}, None)

    @cached_property
    def final_output(self) -> Any:
        """The value of the only output that ran, of several an object."""
        played = self.scopes[""]
        outputs = [n for n in self._within(None) if n["type"] == "output" and not n["disabled"]]
        ran = [n for n in outputs if played.status.get(n["id"]) == "completed"]
        values = {}
        for node in ran:
            found = [v for _, v in self._delivered(node, played)]
            values[node["id"]] = found[0] if found else None
        return next(iter(values.values())) if len(values) == 1 else values or None

    # --- scopes ---------------------------------------------------------------------------------------------------

    def _within(self, scope: str | None) -> list[Any]:
        return [n for n in self.doc["nodes"] if n["parent"] == scope]

    def play(self, scope: str | None, path: str, local: dict[str, Any], outer: Played | None) -> Played:
        """Run the workflow (None), or a container's body once. What waits for a failure is not decided."""
        played = self.scopes[path] = Played(scope, path, local, outer)
        left = self._within(scope)
        while ready := [n for n in left if self._waits_for(n) <= played.status.keys() - played.fatal.keys()]:
            for node in ready:
                self._decide(node, played)
                left.remove(node)
        return played

    def _waits_for(self, node: Any) -> set[str]:
        """The nodes of its scope that must be finished or skipped before."""
        read = set(re.findall(r"nodes\.(\w+)\.", str(self._texts(node))))
        wired = {c["source_node"] for c in self.doc["connections"] if c["target_node"] == node["id"]}
        return {n["id"] for n in self._within(node["parent"]) if n["id"] in read | wired}

    def _texts(self, node: Any) -> list[Any]:
        return [node["config"], node["inputs"], *(self._texts(n) for n in self._within(node["id"]))]

    def _delivered(self, node: Any, played: Played) -> list[tuple[str, Any]]:
        """(port, value) of each connection that delivers one, in document order."""
        found = []
        for c in self.doc["connections"]:
            if c["target_node"] == node["id"]:
                source = played.local if c["source_node"] == node["parent"] else played.outputs[c["source_node"]]
                if c["source_port"] in source:
                    found.append((c["target_port"], source[c["source_port"]]))
        return found

    def _names(self, played: Played, inputs: dict[str, Any] | None) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        local: dict[str, Any] = {}
        scope: Played | None = played
        while scope is not None:
            nodes, local, scope = scope.outputs | nodes, scope.local | local, scope.outer
        shown = {} if inputs is None else {"inputs": inputs}
        return {"nodes": nodes, "trigger": self.trigger, "variables": self.doc.get("variables", {}), **shown, **local}

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _decide(self, node: Any, played: Played) -> None:
        """Settle a node: whether it runs, and what it delivers."""
        found = self._delivered(node, played)
        wired = any(c["target_node"] == node["id"] for c in self.doc["connections"])
        played.status[node["id"]], played.outputs[node["id"]] = "completed", {}
        if (wired and not found) or (node["type"] in ("manual_trigger", "http_webhook") and node["id"] != self.start):
            played.status[node["id"]] = "skipped"
        elif node["disabled"]:
            given = found[0][1] if found else None
            played.outputs[node["id"]] = {ports(node)[0]: given} if ports(node) else {}
        else:
            try:
                inputs = self._inputs(node, found, played)
                if REQUIRED.get(node["type"]) not in (None, *inputs):
                    played.status[node["id"]] = "skipped"
                else:
                    played.outputs[node["id"]] = self._outputs(node, inputs, played)
            except Failed as failure:
                self._fails(node, failure, played)

    def _inputs(self, node: Any, found: list[tuple[str, Any]], played: Played) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for port, given in found:
            if node["type"] == "merge":
                inputs.setdefault(port, []).append(given)
            else:
                inputs.setdefault(port, given)
        for port, given in node["inputs"].items():
            if port not in inputs:
                inputs[port] = rendered(given, self._names(played, None))
        return inputs

    def _fails(self, node: Any, failure: Failed, played: Played) -> None:
        played.status[node["id"]] = "failed"
        names = failure.names
        if any(c["source_node"] == node["id"] and c["source_port"] == "error" for c in self.doc["connections"]):
            told = {"node_id": node["id"], "error": OneOf(names), "message": ANY, "attempts": failure.attempts}
            played.outputs[node["id"]] = {"error": told}
        elif node["on_error"] == "continue":
            played.outputs[node["id"]] = dict.fromkeys(ports(node))
        elif node["on_error"] == "branch":
            told = {"node_id": node["id"], "error": OneOf(names), "message": ANY, "attempts": failure.attempts}
            played.outputs[node["id"]] = {"error": told}
        else:
            played.fatal[node["id"]] = names

    def _outputs(self, node: Any, inputs: dict[str, Any], played: Played) -> dict[str, Any]:
        """The ports that the node sets. Raises Failed."""
        config, names = node["config"], self._names(played, inputs)
        match node["type"]:
            case "manual_trigger":
                return {"trigger": self.trigger}
            case "http_webhook":
                return {"body": self.trigger, "headers": {}, "query": {}, "method": "POST", "path": "/"}
            case "transform":
                return {"output": _null(value(config["expression"], names))}
            case "condition":
                return {"true" if true(value(config["condition"], names)) else "false": inputs.get("input")}
            case "switch":
                for case, text in config["cases"].items():
                    if true(value(text, names)):
                        return {case: inputs.get("input")}
                return {"default": inputs.get("input")}
            case "merge":
                return {"output": self._merged(config["mode"], inputs.get("inputs", []))}
            case "parallel":
                return {"outputs": inputs.get("inputs")}
            case "delay":
                ms = rendered(config.get("ms", 0), names)
                if type(ms) is not int or not 0 <= ms <= YEAR_MS:
                    raise Failed("InvalidInput")
                return {"output": inputs.get("input"), "elapsed": ANY}
            case "log":
                if inputs.get("level") == "bad":
                    raise Failed("InvalidInput")
                return {}
            case "flaky":
                return {"output": self._asked(node, inputs, played)}
            case "human_in_the_loop":
                rendered(config.get("title"), names)
                return self._answered(node["id"], config)
            case "loop":
                return self._looped(node, inputs, played)
            case "while_loop":
                return self._while(node, inputs, played)
            case "retry":
                return self._again(node, inputs, played)
        return {}

    @staticmethod
    def _merged(mode: str, given: list[Any]) -> Any:
        if mode == "array":
            return given
        if mode == "first":
            return given[0] if given else None
        there = [g for g in given if g is not None]
        if not all(isinstance(g, dict) for g in there):
            raise Failed("InvalidInput")
        return {k: v for g in there for k, v in g.items()}

    def _asked(self, node: Any, inputs: dict[str, Any], played: Played) -> Any:
        """A service that fails the first times it is asked."""
        most = (node["retry"] or {"max_attempts": 0})["max_attempts"]
        if node["config"].get("hangs"):
            raise Failed("Timeout", attempts=most + 1)
        key = node["id"] if node["config"].get("across") else f"{played.path}/{node['id']}"
        for _ in range(most + 1):
            self.calls[key] += 1
            if self.calls[key] > node["config"]["fails"]:
                return inputs.get("input")
        raise Failed("Refused", attempts=most + 1)

    @staticmethod
    def _answered(node_id: str, config: Any) -> dict[str, Any]:
        decision = answer_to(node_id)
        if decision == "lapse":
            policy = config["on_timeout"]
            if policy == "fail":
                raise Failed("Timeout")
            if policy == "branch":
                said = {"decision": None, "timed_out": True, "timeout_seconds": config["timeout_seconds"]}
                return {"timeout": said}
            response: dict[str, Any] = {"comment": ANY, "completed_by": None, "completed_at": None, "data": None}
            decision = policy
        else:
            data = {"k": 1}
            response = {**data, "comment": None, "completed_by": ANY, "completed_at": ANY, "data": data}
        port = {"approve": "approved", "reject": "rejected"}[decision]
        response["decision"] = port
        return {"response": response, port: response}

    # --- containers -----------------------------------------------------------------------------------------------

    def _pass(self, node: Any, number: int, local: dict[str, Any], inputs: dict[str, Any], played: Played) -> Any:
        """The result of the body, run once, or the Played that failed."""
        path = f"{played.path}/{node['id']}/{number}".lstrip("/")
        inner = self.play(node["id"], path, local, played)
        if inner.fatal:
            return inner
        if "result" in node["config"]:
            return _null(value(node["config"]["result"], self._names(inner, inputs)))
        body = self._within(node["id"])
        ids = {n["id"] for n in body}
        wired = {c["source_node"] for c in self.doc["connections"] if c["target_node"] in ids}
        sinks = [n for n in body if n["id"] not in wired]
        given = {s["id"]: inner.outputs[s["id"]].get((*ports(s), "")[0]) for s in sinks}
        return next(iter(given.values())) if len(given) == 1 else given

    def _looped(self, node: Any, inputs: dict[str, Any], played: Played) -> dict[str, Any]:
        items, config = inputs["items"], node["config"]
        if not isinstance(items, list):
            raise Failed("InvalidInput")
        results: list[Any] = []
        failed: set[str] = set()
        for index, item in enumerate(items):
            names: frozenset[str] = frozenset()
            try:
                found = self._pass(node, index, {"item": item, "index": index}, inputs, played)
            except Failed as failure:  # of the result
                names = failure.names
            else:
                if isinstance(found, Played):
                    names = frozenset().union(*found.fatal.values())
            if names:
                if config["on_item_error"] == "fail":
                    failed |= names
                results += [None] if config["on_item_error"] == "null" else []
            else:
                results.append(found)
            if failed and config["max_concurrency"] == 1:
                break
        if failed:
            raise Failed(*failed)
        return {"results": results, "count": len(items)}

    def _while(self, node: Any, inputs: dict[str, Any], played: Played) -> dict[str, Any]:
        state, most = inputs.get("initial"), node["config"]["max_iterations"]
        for iteration in range(most + 1):
            local = {"state": state, "iteration": iteration}
            if not true(value(node["config"]["condition"], {**self._names(played, inputs), **local})):
                return {"state": state, "iterations": iteration}
            if iteration < most:
                found = self._pass(node, iteration, local, inputs, played)
                if isinstance(found, Played):
                    raise Failed(*frozenset().union(*found.fatal.values()))
                state = found
        raise Failed("MaxIterations")

    def _again(self, node: Any, inputs: dict[str, Any], played: Played) -> dict[str, Any]:
        names: set[str] = set()
        for number in range(node["config"]["max_retries"] + 1):
            found = self._pass(node, number, {"input": inputs.get("input")}, inputs, played)
            if not isinstance(found, Played):
                return {"output": found}
            names |= frozenset().union(*found.fatal.values())
        raise Failed(*names)
