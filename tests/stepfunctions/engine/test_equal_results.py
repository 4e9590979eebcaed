"""Any document gives what the specification says, in both granularities, also when a call is killed on the way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.workflows.model import Document
from stepfunctions.engine.errors import NodeFailed, Stopped
from tests.stepfunctions.engine import reference
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Strike, Time, Wire

EXAMPLES = int(os.environ.get("STATEWRIGHT_EXAMPLES", "40"))
KINDS = ("transform", "transform", "condition", "switch", "merge", "delay", "log", "timer", "loop")


@dataclass
class _Made:
    """A document as it grows: `sources` are the (node, port) that later nodes of the scope may be wired to."""

    draw: Any
    nodes: list[dict[str, Any]]
    connections: list[dict[str, Any]]

    def expression(self, sources: list[tuple[str, str]], local: tuple[str, ...]) -> str:
        read = [f"nodes.{n}.`{p}`" for n, p in sources if p not in ("error", "elapsed", "item", "index")]
        atoms = st.sampled_from(["inputs.input", "1", "2", "trigger", *local, *read[-6:]])
        atom = self.draw(atoms)
        shape = self.draw(
            st.sampled_from(["{}", "{}", "{{'v': {}}}", "$exists({})", "{} = 1 ? $error('no') : 3", "bad"])
        )
        return "$error('no')" if shape == "bad" else str(shape.format(atom))

    def test(self, sources: list[tuple[str, str]], local: tuple[str, ...]) -> str:
        read = [f"nodes.{n}.`{p}`" for n, p in sources if p not in ("error", "elapsed", "item", "index")]
        atom = self.draw(st.sampled_from(["inputs.input", "trigger", *local, *read[-6:]]))
        return str(self.draw(st.sampled_from(["{} = 1", "{} = 2", "$exists({})", "$error('no')"])).format(atom))

    def add(self, node_id: str, parent: str | None, kind: str, sources: list[tuple[str, str]], outer: Any = ()) -> None:
        local = ("item", "index") if parent else ()
        known = [*outer, *sources]
        node: dict[str, Any] = {
            "id": node_id, "type": kind, "parent": parent, "config": {}, "inputs": {},
            "on_error": self.draw(st.sampled_from(["fail", "continue", "continue", "branch"])),
            "disabled": self.draw(st.integers(0, 9)) == 0,
        }  # fmt: skip
        port = "input"
        match kind:
            case "transform":
                node["config"] = {"expression": self.expression(known, local)}
            case "condition":
                node["config"] = {"condition": self.test(known, local)}
            case "switch":
                node["config"] = {"cases": {"a": self.test(known, local), "b": self.test(known, local)}}
            case "merge":
                node["config"], port = (
                    {"mode": self.draw(st.sampled_from(["array", "array", "object", "first"]))},
                    "inputs",
                )
            case "delay":
                node["config"] = {"ms": 0}
            case "timer":  # one whose moment is past: the run is cut in two there
                node["type"], node["config"] = "delay", {"until": "2001-01-01T00:00:00Z"}
            case "log":
                level = self.draw(st.sampled_from(["info", "info", "bad"]))
                node["inputs"], port = {"message": "m", "level": level}, "message"
            case "loop":
                tolerance = self.draw(st.sampled_from(["fail", "skip", "null"]))
                lanes = 1 if tolerance == "fail" else self.draw(st.integers(1, 3))
                node["config"], port = {"on_item_error": tolerance, "max_concurrency": lanes}, "items"
                if self.draw(st.booleans()):
                    node["inputs"] = {"items": self.draw(st.lists(st.integers(0, 2), max_size=3))}
            case "output":
                port = "value"
        self.nodes.append(node)
        most = 4 if kind == "merge" else 2
        fitting = [s for s in sources if kind != "loop" or s[1] not in ("error", "count")]
        wired = self.draw(st.lists(st.sampled_from(fitting), max_size=most))
        if kind == "loop" and not node["inputs"] and not wired:
            node["inputs"] = {"items": [1, 2]}
        for source, source_port in wired:
            self.connections.append(
                {"source_node": source, "source_port": source_port, "target_node": node_id, "target_port": port}
            )
        if kind == "loop":
            inner = [(node_id, "item"), (node_id, "index")]
            for number in range(self.draw(st.integers(1, 3))):
                name = f"{node_id}b{number}"
                self.add(name, node_id, self.draw(st.sampled_from(KINDS[:-2])), inner, sources)
            if self.draw(st.booleans()):
                node["config"]["result"] = self.expression([*sources, *inner[2:]], ("item", "index")).replace(
                    "inputs.input", "item"
                )
        if kind != "output":
            sources += [(node_id, p) for p in (*reference.ports(node), "error") if p != "elapsed"]


@st.composite
def documents(draw: Any) -> tuple[dict[str, Any], Any]:
    plain = {"parent": None, "config": {}, "inputs": {}, "on_error": "fail", "disabled": False}
    made = _Made(draw, [{"id": "start", "type": "manual_trigger", **plain}], [])
    sources = [("start", "trigger")]
    if draw(st.integers(0, 4)) == 0:
        made.nodes.append({"id": "hook", "type": "http_webhook", **plain})
        sources.append(("hook", "body"))
    for number in range(draw(st.integers(1, 8))):
        made.add(f"n{number}", None, draw(st.sampled_from(KINDS)), sources)
    for number in range(draw(st.integers(1, 2))):
        made.add(f"o{number}", None, "output", sources)
        made.nodes[-1] |= {"disabled": False, "on_error": "fail"}
    for number, connection in enumerate(made.connections):
        connection["id"] = f"c{number}"
    if draw(st.booleans()):
        made.nodes.reverse()
    doc = {"id": "wf_any", "name": "Any", "nodes": made.nodes, "connections": made.connections}
    return doc, draw(st.sampled_from([None, 1, 2, [1, 2], {"v": 1}]))


def plain(found: Any, killed: bool) -> Any:
    """Without the words of error messages, and without the attempts that it took a run that was killed on the way."""
    if isinstance(found, dict):
        left_out = {"message"} | ({"attempts"} if killed else set())
        told = found.keys() == {"node_id", "error", "message", "attempts"}
        return {k: "*" if told and k in left_out else plain(v, killed) for k, v in found.items()}
    return [plain(v, killed) for v in found] if isinstance(found, list) else found


def ends(bench: Bench, run: Any, time_: Time) -> None:
    try:
        bench.through(run, time_)
    except (NodeFailed, Stopped):
        assert bench.get(run).ended


def agree(bench: Bench, run: Any, doc: Any, expected: reference.Played, *, killed: bool = False) -> None:
    ended, statuses = bench.get(run), bench.statuses(run)
    if expected.fatal:
        assert ended.status == "failed"
        assert ended.error is not None
        assert expected.fatal[ended.error["node_id"]] == ended.error["error"]
        settled = {n: s for n, s in statuses.items() if s in ("completed", "skipped", "failed")}
        assert settled.items() <= expected.status.items()
    else:
        assert ended.status == "completed", ended.error
        assert statuses == expected.status
        assert plain(bench.output(run), killed) == plain(reference.final_output(doc, expected), killed)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="STATEWRIGHT_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(made=documents(), at=st.integers(0, 25), moment=st.sampled_from(["before", "after"]))
def test_as_the_specification_says(bench: Bench, wire: Wire, time_: Time, made, at: int, moment) -> None:
    doc, trigger = made
    expected = reference.play(doc, None, {}, None, trigger)
    for granularity in ("segment", "node"):
        document = Document.model_validate(doc | {"settings": {"granularity": granularity}})
        run = bench.start(document, trigger)
        ends(bench, run, time_)
        agree(bench, run, doc, expected)
        bench.store.delete(run.id)  # moto looks at every item for every query
    run = bench.start(document, trigger)
    wire.reset(Strike(at, moment))
    try:
        ends(bench, run, time_)
    except Killed:
        wire.reset()
        if not bench.get(run).ended:
            ends(bench, run, time_)
    wire.reset()
    agree(bench, run, doc, expected, killed=True)
    bench.store.delete(run.id)
