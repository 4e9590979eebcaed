"""Every night: fetch what has changed since last night, remember it in the cache, tell in the application."""

from __future__ import annotations

import json

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def nightly(echo: EchoServer, whom: str) -> Json:
    made = workflow(
        [
            node("clock", "schedule", {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}),
            node("last", "cache_get"),
            node("fetch", "http_request", {"method": "GET"}),
            node("keep", "cache_set"),
            node("tell", "notification", {"channel": "in_app", "to": whom}),
            node("out", "output"),
        ],
        "clock.timestamp -> keep.value; last.value -> out.value",
    )
    inputs: dict[str, Json] = {
        "last": {"key": "nightly"},
        "fetch": {"url": f"{echo.base}/echo?since={{{{ $string(nodes.last.value) }}}}&mark=nightly"},
        "keep": {"key": "{{ nodes.fetch.status = 200 ? 'nightly' }}", "ttl": 100_000},
        "tell": {
            "title": "Nightly",
            "message": "{{ $string(nodes.fetch.status) }} since {{ $string(nodes.last.value) }}",
        },
    }
    for each in made["nodes"]:
        each["inputs"] = inputs.get(each["id"], {})
    return made


def test_each_night_goes_on_from_the_one_before(mine: Caller, local: Stack, echo: EchoServer) -> None:
    keys = ",".join(k["id"] for k in mine.get("/api-keys")["items"])
    schedule = mine.publish(mine.store(nightly(echo, keys)))["clock"]
    nights = ["2031-01-05T02:00:00.000Z", "2031-01-06T02:00:00.000Z", "2031-01-06T02:00:00.000Z"]
    group = local.outputs["ScheduleGroupName"]
    held = local.client("scheduler").get_schedule(Name=schedule["id"], GroupName=group)["Target"]["Input"]
    runs = []
    for night in nights:
        event = json.loads(held.replace("<aws.scheduler.scheduled-time>", night))
        runs.append(local.invoke("dispatcher", event)["execution_id"])
        ended = mine.until(runs[-1])
        assert ended["status"] == "completed", ended["error"]
    assert runs[1] == runs[2]  # Scheduler may call twice
    assert [mine.run(r)["final_output"] for r in runs[:2]] == [None, nights[0]]
    told = [n for n in mine.get("/notifications?unread=true")["items"] if n["execution_id"] in runs]
    assert [n["message"] for n in reversed(told)] == ["200 since null", f"200 since {nights[0]}"]
    assert mine.post(f"/notifications/{told[0]['id']}/read", None, 200)["read_at"]
    fetched = [path for _, path, _, _ in echo.seen if "mark=nightly" in path]
    assert len(fetched) == 2
    assert "2031-01-05" in fetched[1]
