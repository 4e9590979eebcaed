"""A run survives that its runner is killed in the middle of a segment; what was recorded is not done again."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from infrastructure.local.stack import Stack
from shared.workflows.model import Document
from tests.e2e.caller import Caller, Json, statuses_of, until
from tests.echo_server import EchoServer
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("local-aws")]


def calls(echo: EchoServer, mark: str) -> list[tuple[str, str]]:
    """(step, Idempotency-Key) of each call that names the mark, in order of arrival."""
    found = []
    for _, path, headers, _ in list(echo.seen):
        if f"run={mark}&" in path:
            key = {name.lower(): value for name, value in headers.items()}["idempotency-key"]
            found.append((path.partition("step=")[2], key))
    return found


def posts(base: str, node_id: str, mark: str, path: str = "/echo?", step: str = "", **fields: object) -> Json:
    url = f"{base}{path}run={mark}&step={step or node_id}"
    return node(node_id, "http_request", {"method": "POST"}, inputs={"url": url}, **fields)


def in_a_row(base: str, mark: str, **of_the_slow_one: object) -> Document:
    """before → slow → after, in one segment."""
    return document(
        [
            node("start", "manual_trigger"),
            posts(base, "before", mark),
            posts(base, "slow", mark, "/slow?s=2&", **of_the_slow_one),
            posts(base, "after", mark),
            node("out", "output"),
        ],
        "start.trigger -> before.body; before.status -> slow.body; slow.status -> after.body; after.status -> out.value",
    )


def in_a_loop(base: str, mark: str) -> Document:
    """Six calls, two at a time; the fourth is slow."""
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 2, "result": "nodes.call.status"}),
            node(
                "call",
                "http_request",
                {"method": "POST"},
                parent="each",
                inputs={"url": f"{base}/{{{{ item }}}}run={mark}&step={{{{ $string(index) }}}}"},
            ),
            node("out", "output"),
        ],
        "start.trigger -> each.items; each.results -> out.value",
    )


ITEMS = ["echo?", "echo?", "echo?", "slow?s=2&", "echo?", "echo?"]


@pytest.fixture
def killed(local: Stack) -> Callable[[Callable[[], bool]], None]:
    """Kills every process of the runner once something is true."""

    def kill(once: Callable[[], bool]) -> None:
        until(once, every=0.02)
        pids = local.worker_pids("runner")
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    return kill


def test_it_completes_and_does_each_recorded_thing_once(
    mine: Caller, echo: EchoServer, killed: Callable[[Callable[[], bool]], None]
) -> None:
    row = mine.start(in_a_row(echo.base, "row"))
    loop = mine.start(in_a_loop(echo.base, "loop"), ITEMS)
    once = mine.start(in_a_row(echo.base, "once", idempotent=False))
    slow = {"row": "slow", "loop": "3", "once": "slow"}
    killed(lambda: all(step in dict(calls(echo, mark)) for mark, step in slow.items()))
    before = {mark: Counter(calls(echo, mark)) for mark in slow}

    ended = mine.until(row)
    assert (ended["status"], ended["final_output"]) == ("completed", 200)
    assert statuses_of(ended) == dict.fromkeys(statuses_of(ended), "completed")
    assert [step for step, _ in calls(echo, "row")] == ["before", "slow", "slow", "after"]
    assert len({key for _, key in calls(echo, "row")}) == 3  # the slow one came twice under one key
    assert ended["node_executions"]["slow"]["attempts"] == 2
    assert ended["node_executions"]["before"]["attempts"] == 1

    ended = mine.until(loop)
    assert (ended["status"], ended["final_output"]) == ("completed", [200] * 6)
    count = Counter(calls(echo, "loop"))
    assert len(count) == 6
    assert {step: n for (step, _), n in count.items() if n > 1} == {"3": 2} or _in_flight_only(before["loop"], count)

    # Nobody knows whether the call that was cut off did its work, and this one must not be made twice.
    ended = mine.until(once)
    assert (ended["status"], ended["error"]["node_id"], ended["error"]["error"]) == ("failed", "slow", "Interrupted")
    assert [step for step, _ in calls(echo, "once")] == ["before", "slow"]
    assert statuses_of(ended)["after"] in ("cancelled", "skipped")


def _in_flight_only(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> bool:
    """Twice: the slow call, and at most the one that ran beside it when the process died."""
    twice = {step for (step, _), n in after.items() if n > 1}
    return "3" in twice and len(twice) <= 2 and all(n <= 2 for n in after.values()) and twice <= {s for s, _ in before}
