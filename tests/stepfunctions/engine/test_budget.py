"""What models may use: a run's own budget and the tenant's quotas, looked at between nodes."""

from __future__ import annotations

from typing import Any

import pytest

from shared.store.table import TenantTable
from shared.usage import service as usage
from shared.usage.store import spending
from stepfunctions import control
from stepfunctions.compiler.compile import compile_document
from stepfunctions.engine.errors import Stopped
from tests.shared.usage.allowing import allow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench


def _asks(node_id: str, says: str, **config: Any) -> dict[str, Any]:
    return node(node_id, "llm_chat", {"model": "m", **config}, inputs={"messages": says}, on_error="continue")


def _asking(budget: dict[str, Any] | None = None) -> Any:
    """Nodes that ask a model one after the other, ten tokens each."""
    said = {"a": "{{ trigger }}", "b": "{{ nodes.a.response }}", "c": "{{ nodes.b.response }}"}
    asking = [_asks(name, text) for name, text in said.items()]
    settings = {} if budget is None else {"budget": budget}
    nodes = [node("start", "manual_trigger"), *asking, node("out", "output")]
    return document(nodes, "c.response -> out.value", settings=settings)


@pytest.fixture(autouse=True)
def says(model):
    model.scripts["m"] = ["yes"] * 10
    return model


def _stopped(bench: Bench, run) -> dict[str, Any]:
    with pytest.raises(Stopped):
        bench.call(run)
    found = bench.get(run)
    assert found.status == "failed"
    return dict(found.error or {})


@pytest.mark.parametrize(
    ("tokens", "node_id", "asked"), [(1, "b", 1), (9, "b", 1), (10, "b", 1), (11, "c", 2), (20, "c", 2), (29, None, 3)]
)
def test_a_run_stops_before_the_node_that_has_nothing_left(bench, says, tokens, node_id, asked):
    run = bench.start(_asking(budget={"tokens": tokens}), "hello")
    if node_id is None:  # over, but nothing comes after it
        bench.call(run)
        assert bench.get(run).status == "completed"
    else:
        error = _stopped(bench, run)
        assert (error["error"], error["node_id"]) == ("BudgetExceeded", node_id)
        assert f"its budget is {tokens}" in error["message"]
    assert len(says.asked) == asked
    assert bench.get(run).used_tokens == 10 * asked


def test_without_a_budget_nothing_is_counted(bench, says):
    run = bench.start(_asking(), "hello")
    bench.call(run)
    found = bench.get(run)
    assert (found.status, found.used_tokens, len(says.asked)) == ("completed", 0, 3)


def test_money_by_the_tenants_prices(bench):
    bench_tenant = bench.tenant
    TenantTable(bench_tenant).put(TenantTable(bench_tenant).keys.tenant_meta(), {"id": bench_tenant.id})
    allow(bench_tenant, prices={"m": "1000,2000", "served": "1000,2000"})  # 13 thousandths of a dollar an answer
    run = bench.start(_asking(budget={"money_usd": 0.02}), "hello")
    error = _stopped(bench, run)
    assert (error["error"], error["node_id"]) == ("BudgetExceeded", "c")
    assert error["message"] == "the run has used 0.026000 US dollars; its budget is 0.020000"


def test_no_loop_retry_or_branch_handles_it(bench, says):
    looping = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"on_item_error": "skip"}, on_error="continue", inputs={"items": [1, 2, 3, 4]}),
            node("again", "retry", {"max_retries": 3, "interval_seconds": 0}, parent="each"),
            node("a", "llm_chat", {"model": "m"}, parent="again", inputs={"messages": "hi"}, on_error="branch"),
            node("out", "output"),
        ],
        "each.results -> out.value",
        settings={"budget": {"tokens": 15}},
    )
    run = bench.start(looping)
    error = _stopped(bench, run)
    assert (error["error"], error["node_id"]) == ("BudgetExceeded", "again")  # it would have begun next
    assert len(says.asked) == 2


def test_a_start_may_ask_for_less_and_not_for_more(bench):
    for own, stops in (({"tokens": 5}, True), ({"tokens": 500}, True), ({"nano": 1}, True)):
        run = bench.start(_asking(budget={"tokens": 15}), "hello", budget=own)
        assert (_stopped(bench, run)["error"] == "BudgetExceeded") is stops
        assert bench.get(run).used_tokens == (10 if own == {"tokens": 5} else 20)


def test_a_retry_with_more_goes_on_from_there(bench, says):
    run = bench.start(_asking(), "hello", budget={"tokens": 10})
    assert _stopped(bench, run)["node_id"] == "b"
    control.retry(bench.tenant, run.id)
    assert _stopped(bench, run)["node_id"] == "b"  # nothing has changed
    control.retry(bench.tenant, run.id, {"tokens": 100})
    bench.call(run)
    found = bench.get(run)
    assert (found.status, found.used_tokens, len(says.asked)) == ("completed", 30, 3)


def test_what_a_failed_attempt_has_used_counts(bench, says):
    """An answer that does not fit its schema was paid for."""
    fussy = _asks("a", "{{ trigger }}", response_schema={"type": "object"}, repair_attempts=0)
    flow = document(
        [node("start", "manual_trigger"), fussy, _asks("b", "{{ $string(nodes.a.response) & 'again' }}")],
        settings={"budget": {"tokens": 10}},
    )
    run = bench.start(flow, "hello")
    assert _stopped(bench, run)["node_id"] == "b"
    assert bench.get(run).used_tokens >= 10


def test_over_the_tenants_tokens_no_model_is_asked(bench, says):
    table = TenantTable(bench.tenant)
    table.put(table.keys.tenant_meta(), {"id": bench.tenant.id})
    allow(bench.tenant, tokens_per_month=50)
    table.transact([spending(table, usage.iso(usage.now_ms())[:7], 50, 0)])
    run = bench.start(_asking(), "hello")
    error = _stopped(bench, run)
    assert (error["error"], error["node_id"], says.asked) == ("QuotaExceeded", "a", [])
    assert "tokens_per_month" in error["message"]
    allow(bench.tenant, tokens_per_month=500)
    control.retry(bench.tenant, run.id)
    bench.call(run)
    assert bench.get(run).status == "completed"


def test_over_the_tenants_money_other_nodes_go_on(bench):
    table = TenantTable(bench.tenant)
    table.put(table.keys.tenant_meta(), {"id": bench.tenant.id})
    allow(bench.tenant, money_usd_per_month=1)
    table.transact([spending(table, usage.iso(usage.now_ms())[:7], 5, 1_000_000_000)])
    run = bench.start(document([node("start", "manual_trigger"), node("b", "log")], "start.trigger -> b.message"), "x")
    bench.call(run)
    assert bench.get(run).status == "completed"
    assert _stopped(bench, bench.start(_asking(), "hello"))["error"] == "QuotaExceeded"


def test_a_run_without_models_reads_and_writes_nothing_for_it(bench, monkeypatch):
    asked: list[str] = []
    flow = document([node("start", "manual_trigger"), node("b", "log")], "start.trigger -> b.message")
    run = bench.start(flow, "x")
    monkeypatch.setattr(usage, "terms", lambda tenant: asked.append(tenant.id))
    monkeypatch.setattr(type(bench.store), "use", lambda *_: asked.append("use"))
    bench.call(run)
    assert bench.get(run).status == "completed"
    assert asked == []


def test_only_a_document_with_a_budget_has_it_in_its_plan():
    plain, limited = (compile_document(_asking(budget=b)).plan for b in (None, {"tokens": 5, "money_usd": 0.5}))
    assert plain is not None
    assert limited is not None
    assert "budget" not in plain.as_dict()
    assert limited.as_dict()["budget"] == {"tokens": 5, "nano": 500_000_000}
    assert type(limited).from_dict(limited.as_dict()).budget == limited.budget
    assert limited.digest != plain.digest
