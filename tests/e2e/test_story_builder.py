"""What a visual builder does: a palette, a canvas, live runs, versions, tests, numbers, exports."""

from __future__ import annotations

import json

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.e2e.test_live_events import ends, live
from tests.functions.api.workflows_over_http import node, workflow
from tests.stepfunctions.agents import Model

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
PALETTE = """
manual_trigger http_webhook schedule file_watch event_listener llm_chat llm_completion openai_chat anthropic_chat
embedding model_router document_loader chunker vector_store retriever reranker graph_query function_call tool_router
code_executor shell_command json_parse json_stringify template extract_json regex_extract mapper filter aggregator
condition switch loop while_loop parallel merge delay retry http_request graphql_query websocket openapi_call mcp_server
mcp_tool mcp_resource mcp_prompt sql_query nosql_query qdrant_search cache_get cache_set output webhook_response
file_write notification log
"""


def at(x: int, y: int) -> Json:
    return {"position": {"x": x, "y": y}}


def rating(limit: int = 5, praise: str = "Well done, {{ name }}") -> Json:
    """A model rates a text; what comes next depends on the rating."""
    said = {"messages": "{{ 'Rate ' & trigger.text }}"}
    vars_ = {"vars": "{{ {'name': trigger.name} }}"}
    nodes = [
        node("start", "manual_trigger", **at(0, 0)),
        node("rate", "llm_chat", {"model": "board-rater", "credential": "told"}, inputs=said, **at(200, 0)),
        node("parse", "json_parse", **at(400, 0)),
        node("good", "condition", {"condition": "inputs.input.score > variables.limit"}, **at(600, 0)),
        node("praise", "template", {"template": praise, "engine": "jinja2"}, inputs=vars_, **at(800, -100)),
        node("advise", "template", {"template": "Try again"}, **at(800, 100)),
        node("out", "output", **at(1000, 0)),
    ]
    wires = """start.trigger -> rate.after; rate.response -> parse.input; parse.output -> good.input;
    good.true -> praise.after; good.false -> advise.after; praise.output -> out.value; advise.output -> out.value"""
    return workflow(nodes, wires, name="Rating", variables={"limit": limit})


@pytest.fixture(scope="module")
def board(mine: Caller, told: Model) -> str:
    """The workflow's id; its first version is published."""
    told.scripts["board-rater"] = ['{"score": 8}']
    return mine.published(rating())


def test_the_palette_says_what_each_node_takes_and_gives(mine: Caller) -> None:
    types = {t["type"]: t for t in mine.get("/workflows/nodes")["items"]}
    assert set(PALETTE.split()) <= set(types), set(PALETTE.split()) - set(types)
    for found in types.values():
        assert all(found[name] for name in ("display_name", "category", "description")), found
        assert found["config_schema"]["type"] == "object"
    chat = mine.get("/workflows/nodes/llm_chat")
    assert {"messages"} <= set(chat["inputs"])
    assert {"response", "usage"} <= set(chat["outputs"])
    assert {"model", "temperature", "max_tokens"} <= set(chat["config_schema"]["properties"])
    mine.refused("GET", "/workflows/nodes/teleport", 404)


def test_a_drawing_is_checked_saved_and_loaded(mine: Caller, board: str) -> None:
    wrong = rating()
    wrong["nodes"][1]["config"]["temperature"] = 9
    wrong["connections"][1]["source_port"] = "nothing"
    checked = mine.post("/workflows/validate", wrong, 200)
    assert checked["valid"] is False
    assert {"rate"} <= {d["node_id"] for d in checked["problems"]}
    assert mine.post("/workflows/validate", rating(), 200)["valid"] is True
    loaded = mine.get(f"/workflows/{board}")
    assert [n["id"] for n in loaded["nodes"]] == [n["id"] for n in rating()["nodes"]]
    assert loaded["variables"] == {"limit": 5}
    # The canvas is the same document; moving a node changes no run.
    moved = mine.send("PUT", f"/workflows/{board}/nodes/good/position", {"x": 640, "y": 40})
    assert moved.status_code == 200, moved.text
    canvas = mine.get(f"/workflows/{board}/canvas")
    positions = {n["id"]: n["position"] for n in canvas["nodes"]}
    assert (positions["good"], positions["rate"]) == ({"x": 640, "y": 40}, {"x": 200, "y": 0})
    edge = next(e for e in canvas["edges"] if e["source"] == "good" and e["target"] == "praise")
    assert (edge["sourceHandle"], edge["targetHandle"]) == ("true", "after")
    assert mine.get(f"/workflows/{board}/versions/1/diff?to=draft")["difference"]["same"] is True


def test_a_run_is_seen_live_and_kept(mine: Caller, local: Stack, board: str) -> None:
    with live(local, mine) as watching:
        assert watching.ask(action="subscribe", channel="tenant")["type"] == "subscribed"
        run_id = mine.execute(board, {"text": "An essay", "name": "Ada"})
        watching.until(ends(run_id))
        seen = [(e["type"], e.get("node_id")) for e in watching.events_of(run_id)]
    done = [("node_completed", name) for name in ("rate", "parse", "good", "praise")]
    assert [s for s in seen if s in done] == done
    assert seen.index(("node_started", "rate")) < seen.index(done[0])  # what takes no time is told of when it is done
    assert (seen[0], seen[-1]) == (("execution_started", None), ("execution_completed", None))
    assert ("node_skipped", "advise") in seen
    run = mine.run(run_id)
    assert (run["status"], run["final_output"], run["version"]) == ("completed", "Well done, Ada", 1)
    rate = mine.get(f"/workflows/executions/{run_id}/nodes/rate")
    [once] = rate["items"]
    assert (once["outputs"]["response"], once["usage"]["total_tokens"]) == ('{"score": 8}', 10)
    assert run["node_executions"]["parse"]["inputs"] == {"input": '{"score": 8}'}


def test_tests_say_what_a_change_would_break(mine: Caller, board: str) -> None:
    url = f"/workflows/{board}/tests"
    trigger = {"text": "x", "name": "Bob"}
    mocks = {"rate": {"outputs": {"response": '{"score": 6}'}}}
    praised = {"praise": {"output": {"equals": "Well done, Bob"}}, "advise": {"was_skipped": True}}
    good: Json = {"name": "Six is good", "trigger_data": trigger, "mocks": mocks, "assertions": praised}
    mine.post(url, {**good, "expected_output": {"equals": "Well done, Bob"}}, 201)
    odd = {"rate": {"outputs": {"response": "no JSON"}}}
    mine.post(url, {"name": "No number", "mocks": odd, "assertions": {"parse": {"should_error": True}}}, 201)
    ran = mine.post(f"{url}/run", {}, 200)
    assert {c["name"]: c["passed"] for c in ran["cases"]} == {"Six is good": True, "No number": True}, ran
    failed = next(c for c in ran["cases"] if c["name"] == "No number")
    assert (failed["status"], failed["error"]["node_id"]) == ("failed", "parse")
    # Seven is what it now takes: the draft breaks the first test, and the run of the tests says where.
    assert mine.send("PUT", f"/workflows/{board}", rating(limit=7)).status_code == 200
    found = next(c for c in mine.post(f"{url}/run", {}, 200)["cases"] if c["name"] == "Six is good")
    assert (found["passed"], found["output"]) == (False, "Try again")
    assert {"path": "output", "kind": "changed", "expected": "Well done, Bob", "found": "Try again"} in found[
        "differences"
    ]


def test_versions_are_compared_and_brought_back(mine: Caller, board: str) -> None:
    assert mine.send("PUT", f"/workflows/{board}", rating(9, "Fine, {{ name }}")).status_code == 200
    mine.post(f"/workflows/{board}/publish", {"notes": "Stricter"}, 200)
    versions = mine.get(f"/workflows/{board}/versions")["items"]
    assert [(v["version"], v["notes"]) for v in versions] == [(2, "Stricter"), (1, "")]
    assert all(v["published_at"] and v["published_by"] for v in versions)
    told = mine.get(f"/workflows/{board}/versions/1/diff?to=2")["difference"]
    assert [(c["path"], c["before"], c["after"]) for c in told["variables"]] == [("limit", 5, 9)]
    assert [c["id"] for c in told["changed"]] == ["praise"]
    assert mine.until(mine.execute(board, {"text": "x", "name": "Ada"}))["final_output"] == "Try again"
    back = mine.send("POST", f"/workflows/{board}/versions/1/restore")
    assert (back.status_code, back.json()["variables"], back.json()["published_version"]) == (200, {"limit": 5}, 2)


def test_what_runs_cost_and_where_their_time_goes(mine: Caller, board: str) -> None:
    failing = mine.execute(board, {"text": "x"}, pinned={"rate": {"response": "no JSON"}})
    assert mine.until(failing)["status"] == "failed"
    stats = until(
        lambda: mine.get(f"/workflows/{board}/stats"), lambda s: s["runs"]["completed"] + s["runs"]["failed"] == 3
    )
    assert (stats["runs"]["completed"], round(stats["success_rate"], 2)) == (2, 0.67), stats
    nodes = {n["node_id"]: n for n in stats["nodes"]}
    assert (nodes["rate"]["completed"], nodes["parse"]["failed"]) == (2, 1)
    assert (nodes["rate"]["duration_ms"]["p95"] > 0, bool(stats["bottleneck"]["node_id"])) == (True, True)
    assert sum(m["total_tokens"] for m in stats["models"]) == 20
    explained = mine.get(f"/workflows/{board}/asl?explain=true")
    assert "cost_per_1000_runs" in json.dumps(explained)


def test_it_is_exported_imported_and_shared(mine: Caller, theirs: Caller, board: str) -> None:
    for form in ("json", "yaml"):
        sent = mine.send("GET", f"/workflows/{board}/export?format={form}&version=1")
        media = {"content-type": sent.headers["content-type"]}
        taken = theirs.http.post("/workflows/import", content=sent.content, headers=media)
        assert taken.status_code == 201, taken.text
        assert [n["id"] for n in taken.json()["nodes"]] == [n["id"] for n in rating()["nodes"]]
        assert any("told" in p["message"] for p in taken.json()["problems"]), "a credential is named, never carried"
    link = mine.post(f"/workflows/{board}/share", {"rights": "view", "version": 1}, 201)
    mine.secrets.add(link["token"])
    with httpx.Client(base_url=str(mine.http.base_url), trust_env=False, timeout=60) as public:
        assert public.get(f"/shared/{link['token']}").json()["document"]["variables"] == {"limit": 5}
    assert theirs.refused("POST", f"/shared/{link['token']}/copy", 403)["code"] == "rights"
