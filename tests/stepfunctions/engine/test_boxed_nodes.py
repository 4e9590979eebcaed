"""Code, shell and graphs in runs: in loops, in both granularities, with values typed in, and called twice."""

from __future__ import annotations

from typing import Any

import pytest

from shared.graphs.service import GraphService
from shared.graphs.store import GraphStore
from shared.store.table import TenantTable
from shared.workflows.model import Document
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines

COUNT = "MATCH (n:N) RETURN count(n) AS c"


def looping(granularity: str) -> Document:
    command = "{{ 'read x; echo $((x + ' & index & '))' }}"
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"result": "nodes.shell.stdout"}),
            node("code", "code_executor", {"code": "input * 10"}, parent="each", inputs={"input": "{{ item }}"}),
            node(
                "shell",
                "shell_command",
                parent="each",
                inputs={"command": command, "stdin": "{{ $string(nodes.code.result) & '\n' }}"},
            ),
            node(
                "put",
                "graph_query",
                {"mode": "write"},
                parent="each",
                inputs={"query": "CREATE (:N {x: $x})", "params": "{{ {'x': item} }}"},
            ),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
        settings={"granularity": granularity},
    )


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_in_a_loop(machines: Machines, granularity: str, tenant: Any) -> None:
    run = machines.until(machines.start(looping(granularity), [1, 2, 3]), seconds=60)
    assert run.status == "completed", run.error
    assert machines.value(run.final_output) == ["10\n", "21\n", "32\n"]
    graphs = GraphService(GraphStore(TenantTable(tenant)))
    assert graphs.run("main", COUNT, {}, write=False, occasion="", seconds=5) == [{"c": 3}]


def test_of_a_long_traceback_the_beginning_and_the_end_are_told(machines: Machines) -> None:
    code = "\n".join(["def f(n):", "    if n: return f(n - 1) if n % 2 else g(n - 1)", "    raise ValueError('last')"])
    code += "\ndef g(n): return f(n)\nf(40)"
    failing = document([node("start", "manual_trigger"), node("n", "code_executor", {"code": code})])
    run = machines.until(machines.start(failing), seconds=60)
    assert run.error is not None
    assert (run.error["error"], len(run.error["message"])) == ("CodeFailed", 4_000)
    assert run.error["message"].startswith("Traceback")
    assert run.error["message"].endswith("ValueError: last\n")


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (node("n", "code_executor", {"code": "1 / 0"}), "CodeFailed"),
        (node("n", "shell_command", inputs={"command": "f() { f; }; f"}), "LimitExceeded"),
        (node("n", "graph_query", inputs={"query": "MATCH (n"}), "QueryFailed"),
    ],
)
def test_a_failure_delivers_at_the_error_port(machines: Machines, failing: dict[str, Any], error: str) -> None:
    caught = document([node("start", "manual_trigger"), failing, node("out", "output")], "n.error -> out.value")
    run = machines.until(machines.start(caught), seconds=60)
    assert run.status == "completed", run.error
    assert machines.value(run.final_output)["error"] == error
