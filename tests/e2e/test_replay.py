"""Replay, another version, pinned outputs and a single node, over HTTP, on the local AWS."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.e2e.calling import post, steps
from tests.echo_server import EchoServer
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def failing(echo: EchoServer, mark: str, path: str = "/status/500?"):
    """One call that succeeds, and then one that fails."""
    return document(
        [
            node("start", "manual_trigger"),
            post(echo, "good", mark),
            node("rest", "delay", {"ms": 1_100}),
            post(echo, "bad", mark, path),
            node("out", "output"),
        ],
        "start.trigger -> good.body; good.status -> rest.input; rest.output -> bad.body; bad.status -> out.value",
    )


def test_a_failed_run_is_replayed_and_goes_on_under_another_version(mine: Caller, echo: EchoServer) -> None:
    workflow_id = mine.published(failing(echo, "again"))
    first = mine.until(mine.execute(workflow_id, {"n": 1}), "failed")
    url = f"/workflows/executions/{first['id']}"
    edits = {"bad": {"status": 7, "response": "x" * 20_000}}
    replayed = mine.until(mine.post(f"{url}/replay", {"from_node": "bad", "edits": edits})["id"], "completed")
    assert (replayed["final_output"], replayed["trigger_data"]) == (7, {"n": 1})
    assert [e["type"] for e in mine.events(replayed["id"]) if e.get("node_id") in ("good", "rest", "bad")] == []
    assert steps(echo, "again") == ["good", "bad"]
    mended = failing(echo, "again", "/echo?").model_dump(mode="json", exclude_none=True, exclude={"id"})
    assert mine.send("PUT", f"/workflows/{workflow_id}", mended).status_code == 200
    mine.publish(workflow_id)
    mine.post(f"{url}/retry", {"version": 2}, 202)
    ended = mine.until(first["id"], "completed")
    assert (ended["version"], ended["attempt"], ended["final_output"]) == (2, 1, 200)
    assert steps(echo, "again") == ["good", "bad", "bad"]


def test_pinned_outputs_and_a_node_by_itself(mine: Caller, echo: EchoServer) -> None:
    workflow_id = mine.published(failing(echo, "pinned"))
    pinned = {"rest": {"output": None}, "bad": {"status": 201}}
    run = mine.until(mine.execute(workflow_id, pinned=pinned), "completed")
    assert (run["final_output"], steps(echo, "pinned")) == (201, ["good"])
    body = {"inputs": {"body": {"by": "itself"}}, "wait_seconds": 20}
    alone = mine.post(f"/workflows/{workflow_id}/nodes/good/execute", body, 200)
    assert (alone["status"], alone["final_output"]["status"]) == ("completed", 200)
    assert steps(echo, "pinned") == ["good", "good"]
