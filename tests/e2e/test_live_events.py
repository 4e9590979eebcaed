"""Live events: over the WebSocket API, and by polling."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.e2e.calling import asking
from tests.echo_server import EchoServer
from tests.stepfunctions.scenario import APPROVE

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


class Live:
    """A connection of one tenant. `frames` are all that it got."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.frames: list[Json] = []

    def ask(self, **frame: Any) -> Json:
        """Send a frame; the answer to it, which is the next frame that is no event."""
        self._connection.send(json.dumps(frame))
        return self.until(lambda f: "sequence" not in f)

    def until(self, good: Callable[[Json], bool], seconds: float = 60) -> Json:
        """The next frame that is good."""
        deadline = time.monotonic() + seconds
        while True:
            frame = json.loads(self._connection.recv(timeout=max(0, deadline - time.monotonic())))
            if frame.keys() == {"statusCode"}:  # what the function gave, which AWS would send to nobody
                continue
            self.frames.append(frame)
            if good(frame):
                return frame

    def events_of(self, run_id: str) -> list[Json]:
        return [f for f in self.frames if f.get("execution_id") == run_id and "sequence" in f]


@contextmanager
def live(local: Stack, caller: Caller) -> Iterator[Live]:
    with connect(f"{local.ws_url}?token={caller.key}", proxy=None, open_timeout=30) as connection:
        yield Live(connection)


def ends(run_id: str) -> Callable[[Json], bool]:
    return lambda f: f.get("execution_id") == run_id and f["type"] == "execution_completed"


def test_who_watches_sees_a_run_from_its_first_event_to_its_last(
    mine: Caller, theirs: Caller, echo: EchoServer, local: Stack
) -> None:
    workflow_id = mine.published(asking(echo, "live"))
    with live(local, mine) as watching, live(local, theirs) as others:
        assert watching.ask(action="ping") == {"type": "pong"}
        assert watching.ask(action="subscribe", channel="tenant")["type"] == "subscribed"
        assert others.ask(action="subscribe", channel="tenant")["type"] == "subscribed"
        run_id = mine.execute(workflow_id)
        refused = others.ask(action="subscribe", channel=f"execution:{run_id}")
        assert (refused["type"], refused["code"]) == ("error", "not_found")

        asked = watching.until(lambda f: f["type"] == "task_created")
        assert asked["execution_id"] == run_id
        mine.answer(run_id, "ask", APPROVE)
        watching.until(ends(run_id))
        seen = watching.events_of(run_id)
        assert others.ask(action="ping") == {"type": "pong"}
        assert others.events_of(run_id) == []

    assert seen == mine.events(run_id)
    sequences = [e["sequence"] for e in seen]
    assert sequences == sorted(set(sequences))
    told = [(e["type"], e.get("node_id")) for e in seen]
    assert told[0] == ("execution_started", None)
    assert told[-1] == ("execution_completed", None)
    in_order = [
        ("execution_started", None),
        ("node_started", "before"),
        ("node_completed", "before"),
        ("task_created", "ask"),
        ("task_completed", "ask"),
        ("node_started", "after"),
        ("node_completed", "after"),
        ("execution_completed", None),
    ]
    assert [t for t in told if t in in_order] == in_order
    assert told.index(("execution_paused", None)) < told.index(("execution_resumed", None))
    assert told.count(("node_completed", "ask")) == 1
    assert {e["workflow_id"] for e in seen} == {workflow_id}
    # From any point on, polling gives the rest.
    for place in (0, len(sequences) // 2, len(sequences) - 1):
        assert mine.events(run_id, sequences[place]) == seen[place + 1 :]


def test_who_was_away_gets_what_was_missed(mine: Caller, echo: EchoServer, local: Stack) -> None:
    run_id = mine.start(asking(echo, "replay"))
    mine.task(run_id, "ask")
    waiting = {"task_created", "execution_paused"}
    first = until(lambda: mine.events(run_id), lambda found: waiting <= {e["type"] for e in found})
    with live(local, mine) as back:
        subscribed = back.ask(action="subscribe", channel=f"execution:{run_id}", after="")
        assert (subscribed["type"], subscribed["after"], subscribed["more"]) == (
            "subscribed",
            first[-1]["sequence"],
            False,
        )
        assert back.events_of(run_id) == first
        mine.answer(run_id, "ask", APPROVE)
        back.until(ends(run_id))
        assert back.events_of(run_id) == mine.events(run_id)
    with live(local, mine) as later:
        later.ask(action="subscribe", channel=f"execution:{run_id}", after=first[2]["sequence"])
        assert later.events_of(run_id) == mine.events(run_id)[3:]
        assert later.ask(action="unsubscribe", channel=f"execution:{run_id}")["type"] == "unsubscribed"
        assert later.ask(action="dance")["code"] == "bad_action"


@pytest.mark.parametrize("token", ["", "?token=sw_nobody", "?token=a.b.c"])
def test_nobody_else_connects(local: Stack, token: str) -> None:
    with pytest.raises(InvalidStatus), connect(f"{local.ws_url}{token}", proxy=None, open_timeout=30):
        pass
