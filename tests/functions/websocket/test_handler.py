from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from functions.websocket.handler import handler
from infrastructure.local.interpreter import Context
from shared.events.model import Event
from shared.events.service import publish
from shared.live import connections
from shared.live.store import ChannelStore
from shared.members import service as members
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.keys import connection
from shared.store.table import Directory, TenantTable
from shared.tenancy import Principal
from tests import connections_server
from tests.connections_server import Connections
from tests.jwks_server import claims_of, signed
from tests.shared.tasks.asking import a_run


@pytest.fixture
def live(aws, monkeypatch) -> Iterator[Connections]:
    with connections_server.serving() as server:
        monkeypatch.setenv("SW_WEBSOCKET_URL", server.url)
        settings.cache_clear()
        yield server


def _call(route: str, connection_id: str = "c1=", body: Any = None, **event: Any) -> int:
    context = {"routeKey": route, "connectionId": connection_id}
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    return int(handler({"requestContext": context, "body": text, **event}, Context())["statusCode"])


def _connect(token: str | None, connection_id: str = "c1=") -> int:
    query = {"token": token} if token is not None else None
    return _call("$connect", connection_id, queryStringParameters=query)


def _say(live: Connections, connection_id: str = "c1=", **frame: Any) -> list[dict[str, Any]]:
    assert _call("$default", connection_id, frame) == 200
    return live.take(connection_id)


def _event(run, number: int, kind: Any = "node_completed", **facts: Any) -> Event:
    return Event(f"{number:040d}-00000", kind, run.id, run.workflow_id, 1_000 + number, facts)


def _nobody_left(tenant, *channels: str) -> bool:
    gone = Directory().get(connection("c1=")) is None
    return gone and not any(ChannelStore(TenantTable(tenant)).watchers(channel) for channel in channels)


# --- connecting ------------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_credential(live, owner):
    for token in (None, "", "nonsense", "sw_x", "sw_" + "a" * 5000, "a.b.c", "ey\u0000", "Bearer x"):
        assert _connect(token) == 401, token
        assert Directory().get(connection("c1=")) is None


def test_an_api_key_gets_in_until_it_is_revoked(live, owner, tenant):
    boss = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    assert _connect(owner.key_text) == 200
    found = connections.find("c1=")
    assert found is not None
    assert found.tenant == tenant
    wrong = owner.key_text[:-4] + ("0000" if not owner.key_text.endswith("0000") else "1111")
    assert _connect(wrong, "c2=") == 401
    members.api_keys.revoke(boss, owner.key.id)
    assert _connect(owner.key_text, "c2=") == 401


def test_a_token_of_the_user_pool_gets_in(live, owner, tenant, aws, key_server, monkeypatch):
    monkeypatch.setenv("SW_WEBSOCKET_URL", live.url)
    settings.cache_clear()
    claims = claims_of(aws, owner.user.subject)
    assert _connect(signed(claims)) == 200
    assert _connect(signed({**claims, "exp": 1}), "c2=") == 401
    assert _connect(signed({**claims, "sub": "somebody-else"}), "c2=") == 401


def test_a_key_without_the_scope_is_refused(live, owner, tenant):
    boss = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    _, text = members.api_keys.create(boss, "narrow", "viewer", ("tasks:read",), None)
    assert _connect(text) == 403


def test_nothing_logged_holds_a_token_or_a_frame(live, owner, tenant, capsys):
    _connect(owner.key_text)
    _connect("sw_secret-looking-nonsense")
    _call("$default", body="a tenant's words")
    _say(live, action="subscribe", channel="execution:a-tenants-words")
    output = capsys.readouterr().out
    assert len(output.splitlines()) == 4
    assert owner.key_text not in output
    assert "nonsense" not in output
    assert "words" not in output


# --- frames ----------------------------------------------------------------------------------------------------------


BAD_FRAMES = [
    (None, "bad_frame"),
    ("", "bad_frame"),
    ("{", "bad_frame"),
    ("[" * 100_000, "bad_frame"),
    ("5", "bad_frame"),
    ("[]", "bad_frame"),
    ("null", "bad_frame"),
    ({}, "bad_action"),
    ({"action": "shout"}, "bad_action"),
    ({"action": 5}, "bad_action"),
    ({"action": ["subscribe"]}, "bad_action"),
    ({"action": "subscribe"}, "bad_channel"),
    ({"action": "subscribe", "channel": None}, "bad_channel"),
    ({"action": "subscribe", "channel": 5}, "bad_channel"),
    ({"action": "subscribe", "channel": ""}, "bad_channel"),
    ({"action": "subscribe", "channel": "everything"}, "bad_channel"),
    ({"action": "subscribe", "channel": "execution:"}, "bad_channel"),
    ({"action": "subscribe", "channel": "execution:a#b"}, "bad_channel"),
    ({"action": "subscribe", "channel": "tenant "}, "bad_channel"),
    ({"action": "subscribe", "channel": "execution:" + "x" * 121}, "bad_channel"),
    ({"action": "subscribe", "channel": "execution:x\n"}, "bad_channel"),
    ({"action": "unsubscribe", "channel": "execution:\u0000"}, "bad_channel"),
    ({"action": "subscribe", "channel": "execution:ex_none"}, "not_found"),
    ({"action": "subscribe", "channel": "execution:ex_none", "after": 5}, "bad_after"),
    ({"action": "subscribe", "channel": "execution:ex_none", "after": "~"}, "bad_after"),
    ({"action": "subscribe", "channel": "tenant", "after": ""}, "bad_after"),
]


def test_a_frame_that_asks_for_nothing_gets_an_error(live, owner):
    _connect(owner.key_text)
    for body, code in BAD_FRAMES:
        assert _call("$default", body=body) == 200
        (frame,) = live.take("c1=")
        assert (frame["type"], frame["code"]) == ("error", code), body
    assert _say(live, action="ping") == [{"type": "pong"}]


def test_a_connection_that_nobody_knows_is_told_so(live, owner):
    assert [f["code"] for f in _say(live, action="ping")] == ["not_connected"]


def test_another_tenants_execution_is_as_good_as_none(live, owner, tenant, other_tenant):
    _connect(owner.key_text)
    theirs = a_run(other_tenant)
    (real,) = _say(live, action="subscribe", channel=f"execution:{theirs.id}")
    (none,) = _say(live, action="subscribe", channel="execution:ex_none")
    assert real == {**none, "message": none["message"].replace("ex_none", theirs.id)}
    publish(other_tenant, theirs.id, [_event(theirs, 1)])
    assert live.frames == {}


def test_a_connection_watches_so_many_channels(live, owner, tenant):
    _connect(owner.key_text)
    for _ in range(50):
        (frame,) = _say(live, action="subscribe", channel=f"execution:{a_run(tenant).id}")
        assert frame["type"] == "subscribed"
    assert [f["code"] for f in _say(live, action="subscribe", channel="tenant")] == ["too_many_channels"]


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_reach_who_watches_them(live, owner, tenant, other_owner):
    run, other_run = a_run(tenant), a_run(tenant)
    _connect(owner.key_text, "one=")
    _connect(owner.key_text, "all=")
    _connect(other_owner.key_text, "stranger=")
    assert _say(live, "one=", action="subscribe", channel=f"execution:{run.id}") == [
        {"type": "subscribed", "channel": f"execution:{run.id}"}
    ]
    for connection_id in ("all=", "stranger="):
        _say(live, connection_id, action="subscribe", channel="tenant")
    _say(live, "all=", action="subscribe", channel=f"execution:{run.id}")
    publish(tenant, run.id, [_event(run, 1, "node_started", node_id="a"), _event(run, 2, node_id="a")])
    publish(tenant, other_run.id, [_event(other_run, 3)])
    assert [f["type"] for f in live.take("one=")] == ["node_started", "node_completed"]
    frames = live.take("all=")
    assert [f["sequence"][:40].lstrip("0") for f in frames] == ["1", "2", "3"]
    assert frames[0] == {
        "sequence": f"{1:040d}-00000",
        "type": "node_started",
        "execution_id": run.id,
        "workflow_id": run.workflow_id,
        "at": "1970-01-01T00:00:01.001Z",
        "node_id": "a",
    }
    assert live.take("stranger=") == []
    _say(live, "all=", action="unsubscribe", channel="tenant")
    _say(live, "all=", action="unsubscribe", channel="tenant")
    publish(tenant, other_run.id, [_event(other_run, 4)])
    assert live.take("all=") == []


def test_who_comes_back_gets_what_they_missed(live, owner, tenant):
    run = a_run(tenant)
    publish(tenant, run.id, [_event(run, n) for n in range(1, 6)])
    _connect(owner.key_text)
    channel = f"execution:{run.id}"
    *all_of_it, done = _say(live, action="subscribe", channel=channel, after="")
    assert len(all_of_it) == 5
    assert done == {"type": "subscribed", "channel": channel, "after": all_of_it[-1]["sequence"], "more": False}
    *missed, done = _say(live, action="subscribe", channel=channel, after=all_of_it[2]["sequence"])
    assert missed == all_of_it[3:]
    assert "ttl" not in missed[0]
    *nothing, done = _say(live, action="subscribe", channel=channel, after=done["after"])
    assert nothing == []
    assert done["after"] == all_of_it[-1]["sequence"]


def test_a_long_past_comes_in_parts(live, owner, tenant):
    run = a_run(tenant)
    runs = RunStore(TenantTable(tenant))
    for n in range(502):
        runs.put_event(run.id, f"{n:040d}-00000", {"type": "node_completed"})
    _connect(owner.key_text)
    channel = f"execution:{run.id}"
    *first, done = _say(live, action="subscribe", channel=channel, after="")
    assert (len(first), done["more"]) == (500, True)
    *rest, done = _say(live, action="subscribe", channel=channel, after=done["after"])
    assert (len(rest), done["more"]) == (2, False)


def test_connections_that_are_gone_are_forgotten(live, owner, tenant):
    run = a_run(tenant)
    channel = f"execution:{run.id}"
    _connect(owner.key_text)
    _connect(owner.key_text, "c2=")
    for connection_id in ("c1=", "c2="):
        _say(live, connection_id, action="subscribe", channel=channel)
        _say(live, connection_id, action="subscribe", channel="tenant")
    live.gone.add("c1=")
    publish(tenant, run.id, [_event(run, 1)])
    assert connections.find("c1=") is None
    assert (
        ChannelStore(TenantTable(tenant)).watchers(channel)
        == ChannelStore(TenantTable(tenant)).watchers("tenant")
        == ["c2="]
    )
    assert len(live.take("c2=")) == 1
    # Also one of which only the subscription is left.
    ChannelStore(TenantTable(tenant)).add(channel, "c1=")
    Directory().delete(connection("c1="))
    publish(tenant, run.id, [_event(run, 2)])
    assert ChannelStore(TenantTable(tenant)).watchers(channel) == ["c2="]


def test_one_connections_trouble_is_not_the_others(live, owner, tenant):
    run = a_run(tenant)
    for connection_id in ("bad=", "good="):
        _connect(owner.key_text, connection_id)
        _say(live, connection_id, action="subscribe", channel="tenant")
    live.broken.add("bad=")
    publish(tenant, run.id, [_event(run, 1)])
    assert len(live.take("good=")) == 1
    assert ChannelStore(TenantTable(tenant)).watchers("tenant") == ["bad=", "good="]


def test_disconnecting_leaves_nothing(live, owner, tenant):
    channel = f"execution:{a_run(tenant).id}"
    _connect(owner.key_text)
    _say(live, action="subscribe", channel=channel)
    _say(live, action="subscribe", channel="tenant")
    assert _call("$disconnect") == 200
    assert _nobody_left(tenant, channel, "tenant")
    assert _call("$disconnect") == 200


def test_what_is_left_of_a_connection_expires(live, owner, tenant):
    _connect(owner.key_text)
    _say(live, action="subscribe", channel="tenant")
    items = boto3.client("dynamodb", region_name="us-east-1").scan(TableName="sw-test-table")["Items"]
    left = [i for i in items if i["PK"]["S"].startswith("WS#") or "#CHAN#" in i["PK"]["S"]]
    assert len(left) == 2
    assert all("ttl" in i for i in left)
    assert owner.key_text not in repr(left)


def test_a_crash_is_an_answer_too(live, owner, capsys):
    live.broken.add("c1=")
    _connect(owner.key_text)
    assert _call("$default", body={"action": "ping"}) == 500
    assert "at" in json.loads(capsys.readouterr().out.splitlines()[-1])
