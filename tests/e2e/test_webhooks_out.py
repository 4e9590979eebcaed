"""Webhooks out on the local AWS: from the table's stream over the queue to a receiver; and error workflows."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import asker, node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
URL = "/webhook-subscriptions"


def breaking(**settings: str) -> Json:
    return workflow(
        [node("start", "manual_trigger"), node("bad", "json_parse"), node("out", "output")],
        "start.trigger -> bad.input; bad.output -> out.value",
        settings=settings,
    )


def subscribed(caller: Caller, url: str, **more: object) -> Json:
    made: Json = caller.post(URL, {"url": url, **more}, 201)
    caller.secrets.add(made["secret"])
    return made


def received(echo: EchoServer, mark: str, secret: str) -> list[Json]:
    """What came under this mark, verified with the reference library."""
    found = [(headers, body) for _, path, headers, body in list(echo.seen) if f"mark={mark}" in path]
    return [Webhook(secret).verify(body, headers) for headers, body in found]


def test_events_of_runs_and_tasks_are_sent_signed(mine: Caller, theirs: Caller, echo: EchoServer) -> None:
    asking = mine.published(asker())
    one = subscribed(mine, f"{echo.base}/echo?mark=out", workflow_ids=[asking])
    other = subscribed(theirs, f"{echo.base}/echo?mark=theirs")
    run_id = mine.execute(asking, {})
    mine.answer(run_id, "ask", {"decision": "approve"})
    mine.until(run_id)
    last = until(
        lambda: received(echo, "out", one["secret"]),
        lambda found: "execution_completed" in {b["type"] for b in found},
    )
    wanted = {"execution_started", "task_created", "execution_paused", "task_completed", "execution_resumed"}
    told = until(lambda: received(echo, "out", one["secret"]), lambda found: wanted <= {b["type"] for b in found})
    assert {b["data"]["execution_id"] for b in [*told, *last]} == {run_id}
    kept = until(
        lambda: mine.get(f"{URL}/{one['id']}/deliveries")["items"],
        lambda found: {d["status"] for d in found} == {"delivered"},
    )
    ids = {h.get("webhook-id") or h.get("Webhook-Id") for _, p, h, _ in list(echo.seen) if "mark=out" in p}
    assert ids == {d["id"] for d in kept}
    assert theirs.get(f"{URL}/{other['id']}/deliveries")["items"] == []
    mine.send("DELETE", f"{URL}/{one['id']}")
    theirs.send("DELETE", f"{URL}/{other['id']}")


def test_a_receiver_that_fails_once_gets_it_again_and_a_private_address_nothing(mine: Caller, echo: EchoServer) -> None:
    flaky = subscribed(mine, f"{echo.base}/flaky?n=1&mark=flaky", events=["task_created"])
    metadata = subscribed(mine, "http://169.254.169.254/latest/meta-data/", events=["task_created"])
    for one in (flaky, metadata):
        mine.post(f"{URL}/{one['id']}/test", None, 202)
    (kept,) = until(lambda: mine.get(f"{URL}/{flaky['id']}/deliveries?status=delivered")["items"], bool)
    assert (kept["attempts"], kept["response_status"], kept["type"]) == (2, 200, "webhook_test")
    first, second = received(echo, "flaky", flaky["secret"])
    assert first == second
    refused = until(
        lambda: mine.get(f"{URL}/{metadata['id']}/deliveries")["items"], lambda found: found[0]["attempts"] > 0
    )
    assert (refused[0]["status"], refused[0]["error"]) == ("pending", "BlockedAddress")
    for one in (flaky, metadata):
        mine.send("DELETE", f"{URL}/{one['id']}")


def test_a_failure_starts_the_error_workflow(mine: Caller, local: Stack) -> None:
    handling = mine.published(
        workflow([node("start", "manual_trigger"), node("out", "output")], "start.trigger -> out.value")
    )
    broken = mine.published(breaking(error_workflow=handling))
    run_id = mine.execute(broken, "{ no json")
    assert mine.until(run_id)["status"] == "failed"
    (run,) = until(lambda: mine.get(f"/workflows/{handling}/executions")["items"])
    ended = mine.until(run["id"])
    told = ended["final_output"]
    assert ended["triggered_by"]["kind"] == "error"
    assert (told["execution"]["id"], told["workflow"]["id"], told["node"]["id"]) == (run_id, broken, "bad")
    assert told["trigger"]["data"] == "{ no json"
