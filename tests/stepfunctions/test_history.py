from __future__ import annotations

import json
from typing import Any

import pytest

from shared.aws.s3 import TenantObjects
from shared.errors import BadRequest, Conflict, NotFound
from shared.runs.model import NodeRecord
from shared.settings import settings
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from stepfunctions import control, history, manual
from stepfunctions.engine.journal import Journal
from stepfunctions.engine.payloads import Value
from stepfunctions.shown import MAX_TOTAL, Shown
from stepfunctions.start import payload_objects
from tests.stepfunctions.compiler.documents import document, node


def nodes_of(machines, run) -> dict[str, Any]:
    found: dict[str, Any] = history.execution_view(machines.tenant, run.id)["node_executions"]
    return found


def test_inputs_are_what_connections_delivered_and_what_was_typed_in(machines):
    run = machines.start(
        document(
            [
                node("start", "manual_trigger"),
                node("large", "condition", {"condition": "inputs.input > 10"}),
                node("a", "transform", {"expression": "'A'"}),
                node("b", "transform", {"expression": "'B'"}),
                node("c", "transform", {"expression": "'C'"}),
                node("both", "merge"),
                node("note", "log", inputs={"level": "warning", "message": "seen {{ trigger }}"}),
                node("out", "output"),
            ],
            """start.trigger -> large.input; large.true -> a.input; large.false -> b.input; start.trigger -> c.input
            a.output -> both.inputs; b.output -> both.inputs; c.output -> both.inputs; both.output -> out.value""",
        ),
        5,
    )
    assert machines.until(run).status == "completed"
    found = nodes_of(machines, run)
    assert found["large"]["inputs"] == {"input": 5}
    assert found["both"]["inputs"] == {"inputs": ["B", "C"]}  # the dead connection delivers nothing
    assert found["out"]["inputs"] == {"value": ["B", "C"]}
    assert (found["a"]["status"], found["a"]["inputs"], found["a"]["started_at"]) == ("skipped", {}, None)
    assert found["note"]["inputs"] == {"level": "warning", "message": "seen 5"}
    assert found["note"]["logs"][0]["message"] == "seen 5"


def test_nodes_in_loops_are_summed_up_and_their_iterations_can_be_read(machines, http):
    run = machines.start(
        document(
            [
                node("start", "manual_trigger"),
                node("outer", "loop", {"on_item_error": "null"}),
                node("inner", "loop", parent="outer"),
                node("get", "http_request", parent="inner", inputs={"url": http.base + "/status/{{ item }}"}),
                node("even", "transform", {"expression": "index"}, parent="inner"),
                node("out", "output"),
            ],
            """start.trigger -> outer.items; outer.item -> inner.items; inner.index -> even.input
            inner.item -> get.body; outer.results -> out.value""",
        ),
        [[200, 201], [], [500, 202]],
    )
    assert machines.until(run).status == "completed"
    view = history.execution_view(machines.tenant, run.id)
    found = view["node_executions"]
    assert found["get"]["iterations"]["total"] == 3  # 202 was not reached: the failure of 500 ended its loop
    assert found["get"]["iterations"]["completed"] == 2
    assert found["get"]["iterations"]["failed"] == 1
    assert (found["get"]["status"], found["get"]["attempts"]) == ("failed", 3)
    assert found["get"]["error"]["error"] == "HttpError"
    assert found["inner"]["iterations"] == {"total": 3, "completed": 2, "failed": 1}
    assert (found["outer"]["status"], "iterations" in found["outer"]) == ("completed", False)

    gets = history.node_view(machines.tenant, run.id, "get", None, 10, 1000)
    assert [(i["iteration"], i["status"]) for i in gets["items"]] == [
        ([0, 0], "completed"),
        ([0, 1], "completed"),
        ([2, 0], "failed"),
    ]
    assert [i["inputs"]["body"] for i in gets["items"]] == [200, 201, 500]
    assert gets["items"][1]["inputs"]["url"] == http.base + "/status/201"
    assert gets["items"][1]["outputs"]["status"] == 201
    evens = history.node_view(machines.tenant, run.id, "even", None, 10, 1000)
    assert [i["inputs"] for i in evens["items"]][:2] == [{"input": 0}, {"input": 1}]
    inner = history.node_view(machines.tenant, run.id, "inner", None, 10, 1000)
    assert [(i["iteration"], i["inputs"]["items"]) for i in inner["items"]] == [
        ([0], [200, 201]),
        ([1], []),
        ([2], [500, 202]),
    ]
    first = history.node_view(machines.tenant, run.id, "get", None, 2, 1000)
    rest = history.node_view(machines.tenant, run.id, "get", first["next_cursor"], 2, 1000)
    assert first["items"] + rest["items"] == gets["items"]
    assert rest["next_cursor"] is None
    with pytest.raises(BadRequest):
        history.node_view(machines.tenant, run.id, "even", first["next_cursor"], 2, 1000)
    with pytest.raises(NotFound):
        history.node_view(machines.tenant, run.id, "nobody", None, 2, 1000)


def test_the_passes_of_other_containers_show_what_they_were_given_too(machines, remote):
    remote.fail("/try")
    nodes = [
        node("start", "manual_trigger"),
        node("each", "loop"),
        node("grow", "while_loop", {"condition": "$number(state) < 3"}, parent="each"),
        node("add", "transform", {"expression": "inputs.input + 1"}, parent="grow"),
        node("at", "merge", parent="each"),
        node("own", "while_loop", {"condition": "iteration < 2", "result": "'made'"}),
        node("see", "transform", {"expression": "1"}, parent="own"),
        node("number", "transform", {"expression": "2"}, parent="own"),
        node("again", "retry", {"max_retries": 1, "interval_seconds": 0}),
        node("try", "http_request", {"method": "POST"}, parent="again", inputs={"url": f"{remote.base}/try"}),
    ]
    wires = """start.trigger -> each.items; each.item -> grow.initial; grow.state -> add.input; grow.state -> at.inputs
        own.state -> see.input; own.iteration -> number.input; start.trigger -> again.input; again.input -> try.body"""
    run = machines.start(document(nodes, wires), [1, 2])
    assert machines.until(run).status == "completed"

    def passes(node_id: str) -> list[Any]:
        items = history.node_view(machines.tenant, run.id, node_id, None, 10, 1000)["items"]
        return [(i["iteration"], i["inputs"]) for i in items]

    assert passes("add") == [([0, 0], {"input": 1}), ([0, 1], {"input": 2}), ([1, 0], {"input": 2})]
    assert passes("at") == [([0], {"inputs": [3]}), ([1], {"inputs": [3]})]
    assert passes("see") == [([0], {"input": None}), ([1], {})]  # what an expression made is not kept
    assert passes("number") == [([0], {"input": 0}), ([1], {"input": 1})]
    assert [given["body"] for _, given in passes("try")] == [[1, 2], [1, 2]]


def test_a_question_in_a_loop_is_shown_as_paused_while_its_pass_waits(machines):
    nodes = [
        node("start", "manual_trigger"),
        node("each", "loop"),
        node("say", "template", {"template": "{{ item }}?"}, parent="each"),
        node("ask", "human_in_the_loop", parent="each"),
    ]
    run = machines.start(document(nodes, "start.trigger -> each.items; say.output -> ask.input"), ["a"])
    machines.until(run, "paused")
    found = nodes_of(machines, run)
    assert (found["ask"]["iterations"], found["ask"]["status"]) == ({"total": 1, "paused": 1}, "paused")
    assert found["ask"]["completed_at"] is None
    assert (found["say"]["status"], found["each"]["status"]) == ("running", "running")
    assert history.node_view(machines.tenant, run.id, "ask", None, 9, 1000)["status"] == "paused"
    admin = Principal(machines.tenant, "user", "u_1", "admin", user_id="u_1")
    TaskService(machines.tenant).complete(admin, machines.open_tasks(run)["ask"].id, "approve")
    assert machines.until(run).status == "completed"
    found = nodes_of(machines, run)
    assert {n: found[n]["status"] for n in ("each", "say", "ask")} == dict.fromkeys(("each", "say", "ask"), "completed")


def test_ten_iterations_are_in_the_order_of_their_numbers(machines):
    nodes = [node("s", "manual_trigger"), node("l", "loop"), node("t", "transform", {"expression": "item"}, parent="l")]
    run = machines.start(document(nodes, "s.trigger -> l.items"), list(range(12)))
    machines.until(run)
    items = history.node_view(machines.tenant, run.id, "t", None, 50, 1000)["items"]
    assert [i["outputs"]["output"] for i in items] == list(range(12))


def test_a_loop_over_nothing_and_one_on_a_dead_path_leave_skipped_bodies(machines):
    run = machines.start(
        document(
            [
                node("s", "manual_trigger"),
                node("c", "condition", {"condition": "false"}),
                node("empty", "loop"),
                node("x", "transform", {"expression": "1"}, parent="empty"),
                node("dead", "loop"),
                node("y", "transform", {"expression": "1"}, parent="dead"),
            ],
            "s.trigger -> empty.items; s.trigger -> c.input; c.true -> dead.items",
        ),
        [],
    )
    machines.until(run)
    found = nodes_of(machines, run)
    assert {n: found[n]["status"] for n in ("empty", "x", "dead", "y")} == {
        "empty": "completed",
        "x": "skipped",
        "dead": "skipped",
        "y": "skipped",
    }
    assert found["x"]["iterations"] == {"total": 0}


def test_large_values_are_shown_by_their_beginning(machines, http):
    run = machines.start(
        document(
            [
                node("get", "http_request", inputs={"url": http.base + "/big?n=1000"}),
                node("few", "filter", {"condition": "item.id < 2"}),
                node("out", "output"),
            ],
            "get.response -> few.items; get.response -> out.value",
        )
    )
    machines.until(run)
    tenant = machines.tenant
    found = nodes_of(machines, run)
    cut = found["get"]["outputs"]["response"]
    assert set(cut) == {"$truncated", "size", "preview"}
    assert cut["size"] > 100_000
    assert cut["preview"].startswith('[{"id":0,"text":"xxx')
    assert found["few"]["inputs"]["items"] == found["out"]["inputs"]["value"] == cut
    assert len(found["few"]["outputs"]["results"]) == 2
    whole = history.execution_view(tenant, run.id, 1_000_000)
    assert len(whole["final_output"]) == 1000
    assert whole["node_executions"]["get"]["outputs"]["response"] == whole["final_output"]
    one = history.node_view(tenant, run.id, "get", None, 10, 1_000_000)["items"][0]
    assert one["outputs"]["response"] == whole["final_output"]
    linked = history.node_view(tenant, run.id, "get", None, 10, 1000)["items"][0]["outputs"]["response"]
    assert tenant.id in linked["url"]


def test_usage_is_added_up(machines):
    run = machines.start(document([node("s", "manual_trigger"), node("o", "output")], "s.trigger -> o.value"), 1)
    machines.until(run)
    journal = Journal(machines.store, run.id, "test")
    journal.note(NodeRecord("s", "", "completed", 1, 2, 1, usage={"total_tokens": 3, "cost": 0.5, "model": "m"}))
    journal.note(NodeRecord("o", "", "completed", 1, 2, 1, usage={"total_tokens": 4, "cost": 0.25, "cached": True}))
    journal.flush()
    assert history.execution_view(machines.tenant, run.id)["usage"] == {"total_tokens": 7, "cost": 0.75}


def test_what_ended_in_the_middle_leaves_nothing_open(machines):
    run = machines.start(
        document(
            [node("s", "manual_trigger"), node("ask", "human_in_the_loop"), node("o", "output")],
            "s.trigger -> ask.input; ask.response -> o.value",
        )
    )
    machines.until(run, "paused")
    before = nodes_of(machines, run)
    assert {n: e["status"] for n, e in before.items()} == {"s": "completed", "ask": "paused", "o": "pending"}
    assert before["ask"]["task_id"].startswith("tk_")
    with pytest.raises(Conflict):
        history.forget(machines.tenant, run.id)
    control.cancel(machines.tenant, run.id)
    after = nodes_of(machines, run)
    assert {n: e["status"] for n, e in after.items()} == {"s": "completed", "ask": "cancelled", "o": "cancelled"}
    control.retry(machines.tenant, run.id)
    machines.until(run, "paused")
    again = nodes_of(machines, run)
    assert {n: e["status"] for n, e in again.items()} == {"s": "completed", "ask": "paused", "o": "pending"}
    control.cancel(machines.tenant, run.id)
    history.forget(machines.tenant, run.id)
    with pytest.raises(NotFound):
        history.execution_view(machines.tenant, run.id)


def test_a_failure_of_an_earlier_attempt_is_not_shown_once_the_run_goes_on(machines):
    nodes = [node("s", "manual_trigger"), node("bad", "transform", {"expression": "$number(trigger)"})]
    run = machines.start(document(nodes, "s.trigger -> bad.input"), "seven")
    assert machines.until(run).status == "failed"
    assert nodes_of(machines, run)["bad"]["status"] == "failed"
    assert machines.store.reopen(machines.store.get(run.id)) is not None  # as `retry` does, before anything has run
    bad = nodes_of(machines, run)["bad"]
    assert (bad["status"], bad["error"], bad["outputs"]) == ("pending", None, {})


def test_another_tenants_run_is_not_found(machines, other_tenant):
    run = machines.start(document([node("s", "manual_trigger")]))
    machines.until(run)
    for call in (
        lambda: history.execution_view(other_tenant, run.id),
        lambda: history.node_view(other_tenant, run.id, "s", None, 1, 1),
        lambda: history.events(other_tenant, run.id, "", 1),
        lambda: history.forget(other_tenant, run.id),
        lambda: history.listing(other_tenant, run.workflow_id, None, 1, None, None, None),
        lambda: manual.execute(
            Principal(other_tenant, "user", "us_2", "owner"),
            run.workflow_id,
            trigger_data=None,
            trigger_node=None,
            version=None,
            wait_seconds=0,
            mark=None,
        ),
    ):
        with pytest.raises(NotFound):
            call()
    assert nodes_of(machines, run)["s"]["status"] == "completed"


class TestShown:
    @pytest.fixture
    def objects(self, tenant) -> TenantObjects:
        return payload_objects(tenant)

    def test_small_values_are_whole(self, objects):
        value = {"$truncated": True, "text": "ü" * 10, "list": [1, None, 2.5]}
        assert Shown(objects).value(Value(value).store(objects)) == value

    def test_the_limit_is_in_bytes_of_json(self, objects):
        stored = Value("ü" * 50).store(objects)  # 102 bytes, 52 characters
        assert Shown(objects, 102).value(stored) == "ü" * 50
        assert Shown(objects, 101).value(stored)["size"] == 102
        far = Value("ü" * 50_000).store(objects)
        assert "r" in far
        assert Shown(objects, 100_002).value(far) == "ü" * 50_000
        assert Shown(objects, 100_001).value(far)["preview"] == '"' + "ü" * 199  # never half a character

    def test_one_answer_has_a_limit_too(self, objects):
        stored = Value("x" * 900_000).store(objects)
        shown = Shown(objects, 1_000_000)
        given = [shown.value(stored) for _ in range(6)]
        assert [isinstance(g, str) for g in given] == [True] * 4 + [False] * 2
        assert len(json.dumps(given)) < MAX_TOTAL + 1000

    def test_what_lies_no_longer_in_s3_says_so(self, objects):
        gone = {"r": {"sha256": "0" * 64, "size": 70_000}}
        assert Shown(objects).value(gone) == {"$truncated": True, "size": 70_000, "preview": None}
        assert Shown(objects, 100_000).value(gone)["preview"] is None

    def test_no_more_is_read_than_an_answer_has_time_for(self, objects):
        many = [Value("x" * 9_000 + str(n)).store(objects) for n in range(120)]
        shown = Shown(objects)
        shown.load(many)
        whole = [isinstance(shown.value(v), str) for v in many]
        assert whole.count(True) == 100

    def test_an_object_of_another_tenant_is_out_of_reach(self, objects, other_tenant):
        stored = Value("x" * 9_000).store(objects)
        theirs = TenantObjects(other_tenant, settings().data_bucket, "payloads")
        assert Shown(theirs).value(stored)["preview"] is None
