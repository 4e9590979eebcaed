import json
import os
import threading
import zlib

import pytest

from shared import clock, idempotency
from shared.errors import BadRequest, Conflict, Invalid, Unavailable
from shared.idempotency import InFlight, Kept, once
from shared.ids import digest
from shared.store.table import TenantTable
from shared.tenancy import new_tenant
from tests.trouble import client_error, failing, throttled, unreachable


@pytest.fixture
def table(aws):
    return TenantTable(new_tenant())


class Counting:
    """Makes an answer that says how often it was made."""

    def __init__(self, body: bytes = b"") -> None:
        self.calls = 0
        self.body = body

    def __call__(self) -> Kept:
        self.calls += 1
        return Kept(201, self.body or f'{{"call": {self.calls}}}'.encode(), {"ETag": '"1"'})


@pytest.mark.parametrize("secret", [False, True])
def test_a_repeat_gives_the_first_answer(table, secret):
    make = Counting()
    first = once(table, key="k", request="r", make=make, secret=secret)
    again = once(table, key="k", request="r", make=make, secret=secret)
    assert (again.status, again.body, again.headers) == (201, b'{"call": 1}', {"ETag": '"1"'})
    assert (first.replayed, again.replayed, make.calls) == (False, True, 1)


def test_a_secret_answer_is_not_stored_in_clear(table):
    once(table, key="k", request="r", make=Counting(b'{"key": "sw_visible"}'), secret=True)
    item = table.get(table.keys.idempotency(digest("http", "k")))
    with pytest.raises(zlib.error):
        zlib.decompress(item["answer"])


def test_the_same_key_with_another_request_is_refused(table):
    make = Counting()
    once(table, key="k", request="r", make=make)
    with pytest.raises(Invalid) as mismatch:
        once(table, key="k", request="other", make=make)
    assert mismatch.value.code == "idempotency_mismatch"
    assert make.calls == 1


def test_keys_of_two_tenants_are_two_keys(table):
    make = Counting()
    once(table, key="k", request="r", make=make)
    once(TenantTable(new_tenant()), key="k", request="r", make=make)
    assert make.calls == 2


def test_a_repeat_during_the_first_is_in_flight_and_done_once(table):
    entered, leave = threading.Event(), threading.Event()
    make = Counting()

    def slow() -> Kept:
        entered.set()
        assert leave.wait(10)
        return make()

    first = threading.Thread(target=once, args=(table,), kwargs={"key": "k", "request": "r", "make": slow})
    first.start()
    assert entered.wait(10)
    with pytest.raises(InFlight):
        once(table, key="k", request="r", make=make)
    leave.set()
    first.join(10)
    assert once(table, key="k", request="r", make=make).body == b'{"call": 1}'
    assert make.calls == 1


def test_a_failure_frees_the_key(table):
    def failing() -> Kept:
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        once(table, key="k", request="r", make=failing)
    assert not once(table, key="k", request="another request", make=Counting()).replayed


def _later(monkeypatch, seconds: float) -> None:
    now = clock.now_ms()
    monkeypatch.setattr(idempotency, "now_ms", lambda: now + int(seconds * 1000))


def test_a_call_that_died_frees_the_key_in_time_and_cannot_take_it_back(table, monkeypatch):
    make = Counting()

    def overtaken() -> Kept:
        _later(monkeypatch, 121)
        assert not once(table, key="k", request="r", make=make).replayed
        return Kept(500, b"late")

    once(table, key="k", request="r", make=overtaken)
    assert once(table, key="k", request="r", make=make).body == b'{"call": 1}'


def test_an_answer_is_forgotten_after_a_day(table, monkeypatch):
    make = Counting()
    once(table, key="k", request="r", make=make)
    _later(monkeypatch, 24 * 3600 + 1)
    assert not once(table, key="k", request="r", make=make).replayed


def test_an_answer_too_large_to_keep_is_given_once_and_nothing_is_done_twice(table):
    make = Counting(os.urandom(500_000).hex().encode())  # hex can be packed into half
    assert len(once(table, key="k", request="r", make=make).body) == 1_000_000
    with pytest.raises(Conflict) as kept:
        once(table, key="k", request="r", make=make)
    assert kept.value.code == "idempotency_not_kept"
    assert make.calls == 1


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(idempotency, "_PAUSE_S", 0.0)


def _told(capsys) -> list[str]:
    return [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]


def _not_done_again(table, make, **how) -> None:
    with pytest.raises(Conflict) as kept:
        once(table, key="k", request="r", make=make, **how)
    assert kept.value.code == "idempotency_not_kept"
    assert make.calls == 1


def test_an_answer_that_cannot_be_encrypted_is_given_all_the_same_and_nothing_is_done_twice(table, monkeypatch, capsys):
    make = Counting()
    with failing("kms", throttled("Encrypt")):
        assert once(table, key="k", request="r", make=make, secret=True).body == b'{"call": 1}'
    assert _told(capsys) == ["answer_not_packed"]
    _later(monkeypatch, 121)  # a key that was merely taken would be free again
    _not_done_again(table, make, secret=True)


def test_a_database_that_is_gone_for_a_moment_keeps_the_answer(table, hasty, capsys):
    make = Counting()
    with failing("dynamodb", throttled("UpdateItem"), {"UpdateItem"}, times=2):
        once(table, key="k", request="r", make=make)
    assert _told(capsys) == []
    assert once(table, key="k", request="r", make=make).replayed
    assert make.calls == 1


def test_an_answer_that_the_database_does_not_take_leaves_a_mark(table, hasty, monkeypatch):
    make = Counting()
    refusal = client_error("ValidationException", "UpdateItem")
    with failing("dynamodb", refusal, {"UpdateItem"}, times=1):
        assert once(table, key="k", request="r", make=make).body == b'{"call": 1}'
    _later(monkeypatch, 121)
    _not_done_again(table, make)


def test_a_database_that_stays_away_does_not_take_the_answer_with_it(table, hasty, capsys):
    make = Counting()
    with failing("dynamodb", unreachable(), {"UpdateItem"}) as calls:
        assert once(table, key="k", request="r", make=make).body == b'{"call": 1}'
    assert len(calls) == idempotency._TRIES
    assert _told(capsys) == ["answer_not_kept"]
    with pytest.raises(InFlight):
        once(table, key="k", request="r", make=make)
    assert make.calls == 1


def test_nobody_waits_long_for_an_answer_to_be_kept(table, hasty, monkeypatch):
    monkeypatch.setattr(idempotency, "_PATIENCE_S", -1.0)
    with failing("dynamodb", unreachable(), {"UpdateItem"}) as calls:
        once(table, key="k", request="r", make=Counting())
    assert len(calls) == 1


def test_why_nothing_was_done_is_what_counts(table, capsys):
    def failing_make() -> Kept:
        raise BadRequest("no")

    with failing("dynamodb", unreachable(), {"DeleteItem"}), pytest.raises(BadRequest):
        once(table, key="k", request="r", make=failing_make)
    assert _told(capsys) == ["key_not_freed"]


def test_without_the_database_nothing_is_done(table):
    make = Counting()
    with failing("dynamodb", unreachable()), pytest.raises(Unavailable):
        once(table, key="k", request="r", make=make)
    assert make.calls == 0
