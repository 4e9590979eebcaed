from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from shared.clock import now_ms
from shared.errors import Conflict, Unavailable
from shared.events.model import GUIDED_TYPES, TYPES, Event
from shared.notifications import service as notifications
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.webhooks_out import delivering, outbox, service
from shared.webhooks_out.model import EVENTS
from shared.webhooks_out.outbox import Message, tell
from shared.webhooks_out.service import Wanted
from shared.webhooks_out.store import WebhookSubscriptionStore
from tests.shared.webhooks_out.receiving import (
    delayed,
    deliveries,
    due_now,
    editor,
    empty_queue,
    handled,
    messages,
    record,
    verified,
)


def event(kind: str = "execution_completed", number: int = 1, workflow_id: str = "wf_1") -> Event:
    facts = {"status": kind.split("_")[1], "attempt": 0, "error": None}
    return Event(f"{number:040d}-00000", kind, "ex_1", workflow_id, 1_750_000_000_000 + number, facts)


def subscribed(tenant, http, path: str = "/echo", **wanted):
    return service.create(editor(tenant), Wanted(url=f"{http.base}{path}", **wanted))


def test_every_event_of_runs_and_tasks_can_be_subscribed():
    assert {t for t in TYPES if not t.startswith("node_")} | GUIDED_TYPES == EVENTS
    assert {"execution_cancelled", "task_completed", "task_lapsed"} <= EVENTS


def test_an_event_is_sent_signed_once(tenant, http):
    made, secret = subscribed(tenant, http)
    tell(tenant, "ex_1", [event(), event("node_completed", 2), event("task_created", 3)])
    empty_queue()
    bodies = sorted(verified(http, secret), key=lambda b: b["data"]["sequence"])
    assert [b["type"] for b in bodies] == ["execution_completed", "task_created"]
    assert bodies[0] == {
        "type": "execution_completed",
        "timestamp": "2025-06-15T15:06:40.001Z",
        "data": {
            "sequence": event().sequence,
            "execution_id": "ex_1",
            "workflow_id": "wf_1",
            "status": "completed",
            "attempt": 0,
        },
    }
    kept = deliveries(tenant, made.id)
    assert [(d.type, d.status, d.attempts, d.response_status) for d in kept] == [
        ("task_created", "delivered", 1, 200),
        ("execution_completed", "delivered", 1, 200),
    ]
    sent = {h.get("webhook-id") or h.get("Webhook-Id") for _, _, h, _ in http.seen}
    assert sent == {d.id for d in kept}


def test_only_what_is_wanted_is_sent(tenant, other_tenant, http):
    failures, _ = subscribed(tenant, http, events=["execution_failed"], workflow_ids=["wf_1"])
    subscribed(tenant, http, active=False)
    theirs, _ = subscribed(other_tenant, http)
    tell(tenant, "ex_1", [event(), event("execution_failed", 2), event("execution_failed", 3, "wf_2")])
    empty_queue()
    assert [(d.type, d.id) for d in deliveries(tenant, failures.id)] == [
        ("execution_failed", outbox.delivery_id(event(number=2).at, failures.id, "ex_1", event(number=2).sequence))
    ]
    assert len(http.seen) == 1
    assert deliveries(other_tenant, theirs.id) == []


def test_the_platforms_own_runs_are_sent_to_nobody(tenant, http):
    every, _ = subscribed(tenant, http)
    named, _ = subscribed(tenant, http, workflow_ids=["inner-guided"])
    tell(tenant, "ex_1", [event(workflow_id="inner-guided"), event("execution_failed", 2, "inner-guided-action")])
    tell(tenant, "ex_2", [event(workflow_id="inner"), event("execution_started", 2, "inner-generate")])
    empty_queue()
    assert [len(deliveries(tenant, s.id)) for s in (every, named)] == [1, 0]


def test_a_thousand_repeats_are_one_delivery(tenant, http):
    made, _ = subscribed(tenant, http)
    for _ in range(40):
        tell(tenant, "ex_1", [event()])
    found = messages()
    assert len(found) == 40  # as long as nothing was attempted, a lost message is made good
    assert handled(*found) == []
    for _ in range(960):
        tell(tenant, "ex_1", [event()])
    assert messages() == []
    assert (len(http.seen), len(deliveries(tenant, made.id))) == (1, 1)


def test_both_secrets_sign_while_the_grace_lasts(tenant, http):
    made, old = subscribed(tenant, http)
    _, new = service.rotate(editor(tenant), made.id, 60, None)
    assert old != new
    tell(tenant, "ex_1", [event()])
    empty_queue()
    assert verified(http, old) == verified(http, new) != []
    service.rotate(editor(tenant), made.id, 0, None)
    tell(tenant, "ex_1", [event(number=2)])
    empty_queue()
    _, _, headers, body = http.seen[-1]
    for secret in (old, new):
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(body, headers)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/status/500", 500, "HttpError"), ("/status/302", 302, "HttpError"), ("/slow?s=1", None, "Timeout")],
)
def test_a_receiver_that_does_not_take_it_is_asked_again(tenant, http, monkeypatch, path, status, error):
    if error == "Timeout":
        monkeypatch.setattr(delivering, "_PATIENCE_S", 0.3)
    made, _ = subscribed(tenant, http, path)
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts, kept.response_status, kept.error) == ("pending", 1, status, error)
    assert 3_000 < kept.next_attempt_at - kept.last_attempt_at < 7_000
    assert delayed() == 1
    assert len(http.seen) == 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://169.254.169.254/latest/meta-data", "BlockedAddress"),
        ("http://127.0.0.1:1/x", "BlockedAddress"),
        ("http://[::1]/x", "BlockedAddress"),
        ("http://localhost/x", "BlockedAddress"),
        ("https://nobody.invalid/x", "DnsError"),
    ],
)
def test_private_addresses_are_not_reached(tenant, http, url, error):
    made, _ = service.create(editor(tenant), Wanted(url=url))
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.error, kept.response_status) == ("pending", error, None)


def test_a_receiver_that_is_not_there(tenant, http):
    made, _ = subscribed(tenant, http)
    http.shutdown()
    http.server_close()
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.error) == ("pending", "ConnectionFailed")


def test_after_all_attempts_it_is_dead_and_the_subscription_inactive_and_admins_are_told(owner, tenant, http):
    made, _ = subscribed(tenant, http, "/status/503", description="Orders")
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    waits = []
    while (kept := deliveries(tenant, made.id)[0]).status == "pending":
        waits.append((kept.next_attempt_at - kept.last_attempt_at) / 1000)
        assert handled(due_now(tenant, kept)) == []
    assert kept.status == "dead"
    assert kept.attempts == len(http.seen) == len(delivering.WAITS_S) + 1
    assert all(0.75 * w < found < 1.25 * w for w, found in zip(delivering.WAITS_S, waits, strict=True))
    found = service.read(editor(tenant), made.id)
    assert (found.active, found.disabled_reason) == (False, "failing")
    me = Principal(tenant, "user", owner.user.id, "owner", owner.user.id)
    (told,) = notifications.listing(me, None, 50, unread=True).items
    assert "Orders: its receiver has taken nothing" in told.message
    assert http.base not in told.message
    with pytest.raises(Conflict):
        service.replay(editor(tenant), made.id, kept.id)
    tell(tenant, "ex_2", [event()])
    assert messages() == []


def test_one_dead_delivery_among_others_that_are_taken_leaves_the_subscription_active(tenant, http):
    made, _ = subscribed(tenant, http, "/status/400")
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    WebhookSubscriptionStore(TenantTable(tenant)).note_accepted(made.id, now_ms())
    while (kept := deliveries(tenant, made.id)[0]).status == "pending":
        assert handled(due_now(tenant, kept)) == []
    assert kept.status == "dead"
    assert service.read(editor(tenant), made.id).active


def test_gone_is_the_end_at_once_and_what_else_waits_is_not_sent(tenant, http):
    made, _ = subscribed(tenant, http, "/status/410")
    tell(tenant, "ex_1", [event(), event(number=2)])
    first, second = messages()
    assert handled(first) == []
    found = service.read(editor(tenant), made.id)
    assert (found.active, found.disabled_reason) == (False, "gone")
    assert handled(second) == []
    kept = deliveries(tenant, made.id)
    assert sorted((d.status, d.error) for d in kept) == [("dead", "HttpError"), ("dead", "Inactive")]
    assert len(http.seen) == 1
    assert service.change(editor(tenant), made.id, Wanted(active=True), None).disabled_reason is None


def test_a_replay_begins_anew_with_the_same_id(tenant, http):
    made, secret = subscribed(tenant, http, "/status/410")
    tell(tenant, "ex_1", [event()])
    empty_queue()
    service.change(editor(tenant), made.id, Wanted(active=True, url=f"{http.base}/echo"), None)
    (dead,) = deliveries(tenant, made.id)
    again = service.replay(editor(tenant), made.id, dead.id)
    assert (again.status, again.completed_at) == ("pending", None)
    empty_queue()
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts, kept.round_attempts) == ("delivered", 2, 1)
    assert verified(http, secret)[0] == verified(http, secret)[1]
    service.replay(editor(tenant), made.id, dead.id)  # also one that was delivered
    empty_queue()
    assert len(http.seen) == 3


class Killed(BaseException):
    """The call ends here, without another word."""


def _killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["claim", "record"])
def test_killed_in_the_middle_the_message_comes_again(tenant, http, monkeypatch, step):
    made, _ = subscribed(tenant, http)
    tell(tenant, "ex_1", [event()])
    (message,) = messages()
    real = getattr(WebhookSubscriptionStore, step)

    def killed_after(*arguments: object) -> None:
        if step == "claim":
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(WebhookSubscriptionStore, step, killed_after)
        with pytest.raises(Killed):
            handled(message)
    assert handled(message) == []  # its lease is not over: nobody else attempts it
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts) == ("pending", 0)
    over = kept.lease + 1
    monkeypatch.setattr("shared.webhooks_out.store.now_ms", lambda: over)
    assert handled(message) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts) == ("delivered", 1)
    assert len({h["Webhook-Id"] if "Webhook-Id" in h else h["webhook-id"] for _, _, h, _ in http.seen}) == 1
    assert len(http.seen) == (1 if step == "claim" else 2)  # at least once


def test_where_the_next_message_cannot_be_sent_this_one_comes_again(tenant, http, monkeypatch):
    made, _ = subscribed(tenant, http, "/status/500")
    tell(tenant, "ex_1", [event()])
    (message,) = messages()

    def unavailable(*_: object, **__: object) -> None:
        raise Unavailable("no queue")

    with monkeypatch.context() as patch:
        patch.setattr(Message, "send", unavailable)
        assert handled(message) == [message["messageId"]]
    assert deliveries(tenant, made.id)[0].attempts == 0


def test_messages_that_are_early_late_or_of_nothing_change_nothing(tenant, other_tenant, http):
    made, _ = subscribed(tenant, http, "/status/500")
    tell(tenant, "ex_1", [event()])
    assert handled(*messages()) == []
    (kept,) = deliveries(tenant, made.id)
    late = record(Message(tenant, made.id, kept.id, 0))
    early = record(Message(tenant, made.id, kept.id, 1))
    nothing = [record(Message(tenant, made.id, "dl_0", 0)), record(Message(tenant, "whs_0", kept.id, 0))]
    nothing += [record(Message(other_tenant, made.id, kept.id, 1)), {"messageId": "x", "body": "[]"}]
    nothing += [{"messageId": "y", "body": '{"tenant": 1}'}, {"messageId": "z", "body": "{"}]
    assert handled(late, early, *nothing) == []
    assert deliveries(tenant, made.id) == [kept]
    assert len(http.seen) == 1
    assert delayed() == 2  # the early one has been put off again


def test_a_message_that_comes_before_the_attempt_before_it_is_recorded_is_not_dropped(tenant, http, monkeypatch):
    """A database that is busy: recording takes longer than the wait for the next attempt."""
    made, _ = subscribed(tenant, http, "/status/500")
    tell(tenant, "ex_1", [event()])
    (first,) = messages()
    monkeypatch.setattr(delivering, "WAITS_S", (0,) * 7)  # the next message comes at once
    real = WebhookSubscriptionStore.record

    def slow(self, *arguments):
        monkeypatch.setattr(WebhookSubscriptionStore, "record", real)
        (early,) = messages()
        assert handled(early) == []
        assert len(http.seen) == 1  # it is not attempted side by side either
        return real(self, *arguments)

    monkeypatch.setattr(WebhookSubscriptionStore, "record", slow)
    assert handled(first) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts) == ("pending", 1)
    assert (messages(), delayed()) == ([], 1)  # for when the lease is over
    assert handled(first) == []  # one that is late is dropped: its attempt was made
    assert (messages(), delayed()) == ([], 1)


@pytest.mark.parametrize("path", ["/status/500", "/status/410", "/echo"])
@pytest.mark.parametrize("attempts", [0, 7])
def test_a_replay_during_an_attempt_is_made_whatever_comes_of_that(tenant, http, monkeypatch, path, attempts):
    made, _ = subscribed(tenant, http, path)
    monkeypatch.setattr("shared.webhooks_out.outbox.now_ms", lambda: now_ms() - 86_400_000)
    tell(tenant, "ex_1", [event()])
    monkeypatch.setattr("shared.webhooks_out.outbox.now_ms", now_ms)
    messages()
    store = WebhookSubscriptionStore(TenantTable(tenant))
    (waiting,) = deliveries(tenant, made.id)
    assert store.record(waiting, {"attempts": attempts, "next_attempt_at": 1})
    real = delivering.send

    async def meanwhile(*arguments):
        monkeypatch.setattr(delivering, "send", real)
        await asyncio.to_thread(service.replay, editor(tenant), made.id, waiting.id)
        return await real(*arguments)

    monkeypatch.setattr(delivering, "send", meanwhile)
    assert handled(record(Message(tenant, made.id, waiting.id, attempts))) == []
    (kept,) = deliveries(tenant, made.id)
    assert (kept.status, kept.attempts, kept.round_attempts) == ("pending", attempts, attempts)
    assert service.read(editor(tenant), made.id).active  # whether it fails is for the new attempts to say
    assert handled(*messages()) == []
    (kept,) = deliveries(tenant, made.id)
    assert kept.attempts == attempts + 1
    assert kept.status == {"/status/500": "pending", "/status/410": "dead", "/echo": "delivered"}[path]


def test_one_slow_receiver_does_not_hold_up_the_others_of_its_batch(tenant, other_tenant, http, monkeypatch):
    monkeypatch.setattr(delivering, "_PATIENCE_S", 3.0)
    for _ in range(8):
        subscribed(tenant, http, "/slow?s=4")
    quick, _ = subscribed(other_tenant, http)
    tell(tenant, "ex_1", [event()])
    tell(other_tenant, "ex_1", [event()])
    began = datetime.now(UTC)
    assert handled(*messages()) == []
    assert (datetime.now(UTC) - began).total_seconds() < 8 * 3.0  # one after another
    assert deliveries(other_tenant, quick.id)[0].status == "delivered"


def test_without_a_subscription_nothing_is_written(tenant, aws, monkeypatch):
    monkeypatch.setattr(WebhookSubscriptionStore, "add", _killed)
    tell(tenant, "ex_1", [event()])
    assert messages() == []
