"""Documents by chance, for hypothesis: well-formed, with everything that decides the course of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.stepfunctions.engine import reference

PLAIN = ("transform", "transform", "condition", "switch", "merge", "parallel", "delay", "log", "flaky")
DEEPEST = 3
MOST_NODES = 18
TRIGGERS = (None, 1, 2, [1, 2], {"v": 1})
_INPUT = {"merge": "inputs", "parallel": "inputs", "log": "message", "loop": "items", "while_loop": "initial"}
_UNREAD = ("error", "elapsed", "item", "index", "state", "iteration", "input", "headers", "response")
_NO_ARRAY = ("error", "count", "iterations", "index", "iteration", "response", "approved", "rejected", "timeout")

Source = tuple[str, str]  # (node, port)


@dataclass
class _Scope:
    """A scope as it grows: `sources` are what later nodes of it may be wired to, `outer` what they may read beside."""

    parent: str | None
    depth: int
    sources: list[Source]
    outer: list[Source]
    local: tuple[str, ...]  # names that containers give
    once: bool = True  # every container around is a retry

    @property
    def readable(self) -> list[str]:
        """What expressions may name."""
        known = [f"nodes.{n}.`{p}`" for n, p in (*self.outer, *self.sources) if p not in _UNREAD]
        return [*self.local, *known[-6:]]


@dataclass
class _Made:
    """The document so far. `waits`: whether containers may hold timers and questions."""

    draw: Any
    waits: bool
    nodes: list[dict[str, Any]] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    across: bool = False  # there is a flaky node that counts across the passes of a retry

    def one_of(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def rarely(self) -> bool:
        return bool(self.draw(st.integers(0, 9)) == 9)

    def expression(self, scope: _Scope, given: str = "inputs.input") -> str:
        atom = self.one_of(given, "1", "2", "trigger", "variables.two", *scope.readable)
        shape = self.one_of("{}", "{}", "{{'v': {}}}", "$exists({})", "{} = 1 ? $error('no') : 3", "bad")
        return "$error('no')" if shape == "bad" else str(shape.format(atom))

    def test(self, scope: _Scope, given: str = "inputs.input") -> str:
        atom = self.one_of(given, "trigger", *scope.readable)
        return str(self.one_of("{} = 1", "{} = 2", "$exists({})", "{}", "$error('no')").format(atom))

    def add(self, node_id: str, scope: _Scope, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {
            "id": node_id, "type": kind, "parent": scope.parent, "config": {}, "inputs": {}, "retry": None,
            "on_error": self.one_of("continue", "continue", "branch", "fail"), "disabled": self.rarely(),
        }  # fmt: skip
        self.nodes.append(node)
        self._configure(node, scope)
        self._wire(node, scope)
        if kind in reference.CONTAINERS:
            self._fill(node, scope)
        if kind != "output":
            scope.sources += [(node_id, p) for p in (*reference.ports(node), "error") if p != "elapsed"]
        if node["config"].get("across"):
            scope.sources.remove((node_id, "error"))
        return node

    def _configure(self, node: dict[str, Any], scope: _Scope) -> None:
        match node["type"]:
            case "transform":
                node["config"] = {"expression": self.expression(scope)}
                if self.rarely():
                    node["inputs"] = {"input": f"{{{{ {self.expression(scope, '1')} }}}}"}
            case "condition":
                node["config"] = {"condition": self.test(scope)}
            case "switch":
                node["config"] = {"cases": {"b": self.test(scope), "a": self.test(scope)}}
            case "merge":
                node["config"] = {"mode": self.one_of("array", "array", "object", "first")}
            case "delay":
                node["config"] = {"ms": self.one_of(0, 700)}
            case "timer":
                node["type"] = "delay"
                computed = f"{{{{ {self.expression(scope)} }}}}"
                past = {"until": "2001-01-01T00:00:00Z"}
                node["config"] = self.one_of({"ms": 5_000}, {"ms": 3_600_000}, past, {"ms": computed})
            case "question":
                node["type"] = "human_in_the_loop"
                policy = self.one_of("branch", "approve", "reject", "fail")
                node["config"] = {"on_timeout": policy, "timeout_seconds": self.one_of(60, 90_000)}
                if self.rarely():
                    node["config"]["title"] = f"{{{{ {self.expression(scope)} }}}}"
            case "log":
                node["inputs"] = {"message": "m", "level": self.one_of("info", "info", "bad")}
            case "flaky":
                self._flaky(node, scope)

    def _flaky(self, node: dict[str, Any], scope: _Scope) -> None:
        again = self.one_of(0, 1, 2)
        node["retry"] = {"max_attempts": again, "interval_seconds": self.one_of(0, 3)} if again else None
        node["config"] = {"fails": self.one_of(0, again, 99)}
        if self.rarely():
            node["config"] |= {"hangs": True}
            node["timeout_seconds"] = 5
        elif scope.parent is not None and scope.once and not self.across and self.one_of(True, False):
            # It succeeds in a later pass of the retry around it, however often a crash lets it be asked again.
            self.across = True
            node |= {"retry": None, "on_error": "fail", "disabled": False, "config": {"fails": 2, "across": True}}

    def _wire(self, node: dict[str, Any], scope: _Scope) -> None:
        kind = node["type"]
        fitting = [s for s in scope.sources if kind != "loop" or s[1] not in _NO_ARRAY]
        port = "value" if kind == "output" else _INPUT.get(kind, "input")
        if kind == "loop" and (not fitting or self.draw(st.booleans())):
            node["inputs"] = {"items": self.draw(st.lists(st.integers(0, 2), max_size=3))}
        wired = self.draw(st.lists(st.sampled_from(fitting), max_size=4 if kind == "merge" else 2)) if fitting else []
        if kind == "loop" and not node["inputs"] and not wired:
            node["inputs"] = {"items": [1, 2]}
        for source, source_port in wired:
            self.connections.append(
                {"source_node": source, "source_port": source_port, "target_node": node["id"], "target_port": port}
            )

    def _fill(self, node: dict[str, Any], scope: _Scope) -> None:
        """A container's config and its body."""
        kind, node_id = node["type"], node["id"]
        local, inner = {
            "loop": (("item", "index"), ("item", "index")),
            "while_loop": (("state", "iteration"), ("state", "iteration")),
            "retry": ((), ("input",)),
        }[kind]
        body = _Scope(
            node_id, scope.depth + 1, [(node_id, p) for p in inner], [*scope.outer, *scope.sources],
            tuple(dict.fromkeys((*scope.local, *local))), scope.once and kind == "retry",
        )  # fmt: skip
        match kind:
            case "loop":
                tolerance = self.one_of("fail", "skip", "null")
                node["config"] = {"on_item_error": tolerance, "max_concurrency": self.one_of(1, 1, 2, 3)}
            case "while_loop":
                most = self.one_of(1, 3)
                shorter = f"iteration < {self.one_of(0, 1, 2)}"
                outside = _Scope(None, 0, [], [*scope.outer, *scope.sources], body.local)
                node["config"] = {
                    "condition": self.one_of(shorter, shorter, self.test(outside, "inputs.initial")),
                    "max_iterations": most,
                }
            case "retry":
                node["config"] = {"max_retries": self.one_of(0, 2), "interval_seconds": self.one_of(0, 4)}
        before = self.across
        for number in range(self.draw(st.integers(1, 3))):
            self.add(f"{node_id}b{number}", body, self.kind(body))
        if self.across and not before and kind == "retry":
            node["config"]["max_retries"] = 2
        if self.draw(st.booleans()):
            inside = _Scope(None, 0, body.sources[len(inner) :], [*scope.outer, *scope.sources], body.local)
            node["config"]["result"] = self.expression(inside, f"inputs.{_INPUT.get(kind, 'input')}")

    def kind(self, scope: _Scope) -> str:
        """The kind of the next node of a scope."""
        kinds = list(PLAIN)
        if scope.depth < DEEPEST and len(self.nodes) < MOST_NODES:
            kinds += reference.CONTAINERS
        if scope.parent is None or self.waits:
            kinds += ["timer", "question", "timer", "question"]
        return str(self.one_of(*kinds))


@st.composite
def documents(draw: Any, waits: bool = False) -> tuple[dict[str, Any], str, Any]:
    """(document, the node it starts at, the trigger's data). `waits`: timers and questions in containers, too."""
    made = _Made(draw, waits)
    plain = {"parent": None, "config": {}, "inputs": {}, "on_error": "fail", "disabled": False, "retry": None}
    made.nodes.append({"id": "start", "type": "manual_trigger", **plain})
    sources, start = [("start", "trigger")], "start"
    if made.rarely():
        made.nodes.append({"id": "hook", "type": "http_webhook", **plain})
        sources.append(("hook", "body"))
        start = made.one_of("start", "hook")
    scope = _Scope(None, 0, sources, [], ())
    for number in range(draw(st.integers(1, 7))):
        made.add(f"n{number}", scope, made.kind(scope))
    for number in range(draw(st.integers(1, 2))):
        made.add(f"o{number}", scope, "output")
        made.nodes[-1] |= {"disabled": False, "on_error": "fail"}
    for number, connection in enumerate(made.connections):
        connection["id"] = f"c{number}"
    doc = {
        "id": "wf_any", "name": "Any", "nodes": made.nodes, "connections": made.connections, "variables": {"two": 2},
        "settings": {"timeout_seconds": 31_536_000},
    }  # fmt: skip
    return doc, start, draw(st.sampled_from(TRIGGERS))
