"""Statistics, places and budgets on the local AWS: the stream counts, places come back, a run stops at its budget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.caller import Caller, until
from tests.model_server import MODEL_KEY
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def _quota(caller: Caller, name: str) -> Any:
    return {q["name"]: q["used"] for q in caller.get("/quotas")["items"]}[name]


def test_statistics_follow_the_runs(mine: Caller) -> None:
    flow = document(
        [
            node("start", "manual_trigger"),
            node("double", "transform", {"expression": "trigger * 2"}),
            node("out", "output"),
        ],
        "start.trigger -> double.input; double.output -> out.value",
    )
    before = _quota(mine, "runs_per_day")
    workflow_id = mine.published(flow)
    for number in (1, 2, 3, "x"):
        mine.until(mine.execute(workflow_id, number))
    stats = until(
        lambda: mine.get(f"/workflows/{workflow_id}/stats"),
        lambda s: s["runs"]["completed"] + s["runs"]["failed"] == 4 and s["runs"]["total"] == 4,
    )
    assert (stats["runs"]["completed"], stats["runs"]["failed"], stats["success_rate"]) == (3, 1, 0.75)
    nodes = {n["node_id"]: n for n in stats["nodes"]}
    assert (nodes["double"]["completed"], nodes["double"]["failed"]) == (3, 1)
    assert nodes["double"]["errors"] == [{"error": "ExpressionError", "count": 1}]
    assert stats["duration_ms"]["p95"] >= stats["duration_ms"]["p50"] >= 0
    assert stats["calls"] >= 4
    assert mine.get("/usage")["runs"]["total"] >= 4
    assert _quota(mine, "runs_per_day") >= before + 4


def test_a_workflow_has_two_runs_at_once_and_then_the_next(mine: Caller) -> None:
    asking = document(
        [node("start", "manual_trigger"), node("ask", "human_in_the_loop", {"title": "Go on?"}), node("out", "output")],
        "start.trigger -> ask.input; ask.response -> out.value",
        settings={"max_concurrency": 2},
    )
    workflow_id = mine.published(asking)
    path = f"/workflows/{workflow_id}/execute"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: mine.send("POST", path, {}), range(8)))
    started = [a.json()["id"] for a in answers if a.status_code == 202]
    refused = [a for a in answers if a.status_code == 429]
    assert (len(started), len(refused)) == (2, 6), [a.text for a in answers]
    assert {a.json()["code"] for a in refused} == {"quota_exceeded"}
    assert all(int(a.headers["Retry-After"]) >= 1 for a in refused)
    mine.until(started[0], "paused")
    mine.control(started[0], "cancel")
    third = until(lambda: mine.send("POST", path, {}), lambda a: a.status_code == 202, every=0.5).json()["id"]
    for run_id in (started[1], third):
        mine.until(run_id, "paused")
        mine.control(run_id, "cancel")


def test_a_run_stops_at_its_budget_and_goes_on_with_a_higher_one(mine: Caller, models: Server) -> None:
    mine.secrets.add(MODEL_KEY)
    values = {"api_key": MODEL_KEY, "base_url": f"{models.url}/v1"}
    mine.post("/credentials", {"name": "usage_openai", "kind": "openai", "values": values})
    config = {"model": "gpt-4o-mini", "credential": "usage_openai"}
    said = {"a": "{{ trigger }}", "b": "{{ nodes.a.response }}"}
    asking = document(
        [
            node("start", "manual_trigger"),
            *(node(name, "llm_chat", config, inputs={"messages": text}) for name, text in said.items()),
            node("out", "output"),
        ],
        "b.response -> out.value",
        settings={"budget": {"tokens": 1_000_000}},
    )
    workflow_id = mine.published(asking)
    run_id = mine.execute(workflow_id, "Hello", budget={"tokens": 1})
    stopped = mine.until(run_id, "failed")
    assert (stopped["error"]["error"], stopped["error"]["node_id"]) == ("BudgetExceeded", "b")
    assert stopped["node_executions"]["a"]["status"] == "completed"
    mine.post(f"/workflows/executions/{run_id}/retry", {"budget": {"money_usd": 1}}, 202)
    ended = mine.until(run_id, "completed")
    assert ended["final_output"] == "gpt-4o-mini answers"
    stats = until(
        lambda: mine.get(f"/workflows/{workflow_id}/stats"),
        lambda s: s["runs"]["completed"] == 1 and bool(s["models"]),
    )
    assert stats["runs"]["failed"] == 0
    assert sum(m["total_tokens"] for m in stats["models"]) == ended["usage"]["total_tokens"]
