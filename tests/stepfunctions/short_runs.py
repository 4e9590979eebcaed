"""Documents that Express is for, and some that it is not for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from stepfunctions.compiler.compile import compile_document
from stepfunctions.plan import Plan
from tests.stepfunctions.compiler.documents import document, node

URL = "http://localhost"


def post(node_id: str, base: str = URL, **fields: Any) -> dict[str, Any]:
    return node(node_id, "http_request", {"method": "POST"}, inputs={"url": f"{base}/{node_id}"}, **fields)


def row(base: str = URL, *, names: str = "abc", granularity: str = "segment", timeout: int = 86_400, **fields: Any):
    wires = [f"{one}.status -> {two}.body" for one, two in pairwise(names)]
    return document(
        [node("start", "manual_trigger"), *(post(n, base, **fields) for n in names), node("out", "output")],
        ";".join([f"start.trigger -> {names[0]}.body", *wires, f"{names[-1]}.status -> out.value"]),
        settings={"granularity": granularity, "timeout_seconds": timeout},
    )


def looping(**fields: Any):
    nodes = [node("start", "manual_trigger"), node("each", "loop"), post("call", parent="each"), node("out", "output")]
    return document(nodes, "start.trigger -> each.items; each.results -> out.value", **fields)


def plan_of(made) -> Plan:
    compiled = compile_document(made)
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan
