"""The chain: complete, in order, and proof against whoever changes it afterwards."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.audit import service
from shared.audit.model import Actor, Draft, genesis, hash_of
from shared.audit.store import AuditStore, _entry
from shared.aws.dynamo import Dynamo
from shared.errors import NotFound, Unavailable
from shared.store.keys import Key, audit_shard, audit_shards
from shared.store.table import Change, Directory, TenantTable
from shared.tenancy import Principal, Tenant, new_tenant


@pytest.fixture
def tenant(aws):
    return new_tenant()


@pytest.fixture
def other(aws):
    return new_tenant()


def admin(tenant) -> Principal:
    return Principal(tenant, "user", "us_1", "admin", user_id="us_1")


def done(tenant, n=1, **fields) -> None:
    for i in range(n):
        values = {"at": 1_000 + i, "actor": Actor("user", "us_1", "us_1"), "action": "tools_create"}
        values |= {"resource_type": "tools", "resource_id": f"t{i}", "details": {"fields": ["name"]}}
        service.append(tenant, Draft(**{**values, **fields}))


def entries(tenant, **filters):
    return service.listing(admin(tenant), None, 200, **filters).items


def tampered(tenant, n: int, change: Change) -> None:
    table = TenantTable(tenant)
    table.update(Key(table.keys.audit(), table.keys.audit_sk(n)), change)


def test_entries_stand_on_each_other(tenant):
    assert service.chain(tenant) == 0
    done(tenant, 3)
    assert service.chain(tenant) == 3
    assert service.chain(tenant) == 0
    found = list(reversed(entries(tenant)))
    assert [(e.n, e.resource_id) for e in found] == [(1, "t0"), (2, "t1"), (3, "t2")]
    assert [e.prev_hash for e in found] == [genesis(tenant), found[0].hash, found[1].hash]
    first = found[0]
    shown = {
        "n": 1,
        "at": "1970-01-01T00:00:01.000Z",
        "actor": {"kind": "user", "id": "us_1", "user": "us_1"},
        "action": "tools_create",
        "resource": {"type": "tools", "id": "t0"},
        "details": {"fields": ["name"]},
        "prev_hash": first.prev_hash,
    }
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert first.hash == hashlib.sha256(text.encode()).hexdigest()  # as docs/audit-log.md says
    checked = service.verify(admin(tenant), 0, 100)
    assert (checked.ok, checked.checked, checked.next_after, checked.head.hash) == (True, 3, None, found[2].hash)


def test_whoever_chains_at_the_same_time_an_entry_is_there_once(tenant):
    done(tenant, 50)
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: service.chain(tenant), range(4)))
    service.chain(tenant)
    assert sum(counts) <= 50
    found = entries(tenant)
    assert sorted(e.n for e in found) == list(range(1, 51))
    assert {e.resource_id for e in found} == {f"t{i}" for i in range(50)}
    assert service.verify(admin(tenant), 0, 1_000).ok


def test_writers_and_chainers_at_the_same_time_lose_nothing(tenant):
    def work(n: int) -> None:
        done(tenant, 5, resource_id=f"r{n}")
        service.chain(tenant)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(entries(tenant)) == 40
    assert service.verify(admin(tenant), 0, 1_000).ok


def test_the_sweeper_chains_for_every_tenant_whoever_makes_trouble(tenant, other, monkeypatch):
    third = new_tenant()
    for each, n in ((tenant, 2), (other, 1), (third, 1)):
        done(each, n)
    real = AuditStore.inbox

    def busy(self, limit):
        if self._table.tenant == other:
            raise Unavailable("busy")
        return real(self, limit)

    def heads():
        return [AuditStore(TenantTable(t)).head().n for t in (tenant, other, third)]

    service.chain_due(lambda: 1.0)  # no time left
    assert heads() == [0, 0, 0]
    with monkeypatch.context() as patch:
        patch.setattr(AuditStore, "inbox", busy)
        service.chain_due(lambda: 60.0)
    assert heads() == [2, 0, 1]
    for _ in range(2):
        service.chain_due(lambda: 60.0)
    assert heads() == [2, 1, 1]


def test_who_has_done_a_lot_keeps_nobody_waiting(tenant, monkeypatch):
    """All in one shard, and time for a few turns."""
    monkeypatch.setattr(service, "_ROUNDS", 1)
    monkeypatch.setattr(service, "_LOOKED_AT", 50)
    monkeypatch.setattr(service, "_TENANTS", 1)
    others: list[Tenant] = []
    while len(others) < 2:
        if audit_shard((other := new_tenant()).id) == audit_shard(tenant.id):
            others.append(other)
    done(tenant, 130)
    for n, each in enumerate(others):
        done(each, 2, at=5_000 + n)
    turns = []
    real = service.chain

    def chain(whose):
        turns.append(whose)
        return real(whose)

    monkeypatch.setattr(service, "chain", chain)
    service.chain_due(lambda: 60.0 if len(turns) < 4 else 1.0)
    heads = [AuditStore(TenantTable(t)).head().n for t in (tenant, *others)]
    assert heads == [80, 2, 2]
    assert turns == [tenant, *others, tenant]
    service.chain_due(lambda: 60.0)
    assert AuditStore(TenantTable(tenant)).head().n == 130  # in turns, as long as time remains


def test_tenants_entries_wait_in_several_shards(aws):
    tenants = [new_tenant() for _ in range(60)]
    for each in tenants:
        done(each)
    waiting = [e for shard in audit_shards() for page in Directory().due(shard, "2", 9) for e in page]
    assert sorted(e["PK"] for e in waiting) == sorted(f"T#{t.id}#AUDITIN" for t in tenants)
    assert len({e["GSI2PK"] for e in waiting}) > 8
    service.chain_due(lambda: 60.0)
    assert [AuditStore(TenantTable(t)).head().n for t in tenants] == [1] * 60


def test_pages_that_are_short_are_no_end_of_the_chain(tenant, monkeypatch):
    """A page of DynamoDB's ends after a megabyte, however many entries were asked for."""
    done(tenant, 7)
    service.chain(tenant)
    query = Dynamo.query

    def short(self, pk, *, limit=None, **arguments):
        return query(self, pk, limit=min(limit or 3, 3), **arguments)

    monkeypatch.setattr(Dynamo, "query", short)
    for limit, checked, following in ((1_000, 7, None), (5, 5, 5)):
        found = service.verify(admin(tenant), 0, limit)
        assert (found.ok, found.checked, found.next_after) == (True, checked, following)


def test_killed_between_the_inbox_and_the_chain(tenant, monkeypatch):
    """Before the transaction nothing is chained, after it everything is: there is nothing in between."""
    done(tenant, 2)
    real = AuditStore.link
    for when in ("before", "after"):

        def dies(self, *arguments, when=when):
            if when == "after":
                real(self, *arguments)
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(AuditStore, "link", dies)
            with pytest.raises(SystemExit):
                service.chain(tenant)
    assert service.chain(tenant) == 0
    assert [e.n for e in entries(tenant)] == [2, 1]


TAMPERING = {
    "changed": (lambda t: _rewritten(t, 2, action="nothing_much"), 2, "was changed"),
    "changed with a new hash": (lambda t: _rewritten(t, 2, action="nothing_much", rehash=True), 3, "does not stand on"),
    "removed": (lambda t: TenantTable(t).delete(_key(t, 2)), 2, "missing"),
    "cut off": (lambda t: TenantTable(t).delete(_key(t, 4)), 4, "missing at the end"),
}


def _key(tenant, n: int) -> Key:
    keys = TenantTable(tenant).keys
    return Key(keys.audit(), keys.audit_sk(n))


def _rewritten(tenant, n: int, *, rehash: bool = False, **fields) -> None:
    item = TenantTable(tenant).get(_key(tenant, n))
    data = json.loads(item["entry"]) | fields
    if rehash:
        data["hash"] = hash_of(_entry({"entry": json.dumps(data)}))
    tampered(tenant, n, Change(set={"entry": json.dumps(data)}))


def _head_back(tenant) -> None:
    third = AuditStore(TenantTable(tenant)).get(3)
    table = TenantTable(tenant)
    table.update(Key(table.keys.audit(), "HEAD"), Change(set={"n": 3, "hash": third.hash}))


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found(tenant, how):
    done(tenant, 4)
    service.chain(tenant)
    act, n, what = TAMPERING[how]
    act(tenant)
    found = service.verify(admin(tenant), 0, 100)
    assert (found.ok, found.fault.n) == (False, n)
    assert what in found.fault.what


def test_a_head_that_was_set_back_is_found_with_the_next_entry_or_by_who_kept_it(tenant):
    done(tenant, 4)
    kept = service.verify(admin(tenant), 0, 100).head
    _head_back(tenant)
    assert service.verify(admin(tenant), 0, 100).head != kept
    done(tenant)
    assert service.chain(tenant) == 0  # entry 4 is in the way
    assert AuditStore(TenantTable(tenant)).get(4).hash == kept.hash


def test_a_long_chain_is_checked_piece_by_piece(tenant):
    done(tenant, 25)
    after, checked = 0, 0
    while after is not None:
        part = service.verify(admin(tenant), after, 10)
        assert part.ok
        checked, after = checked + part.checked, part.next_after
    assert checked == 25
    with pytest.raises(NotFound):
        service.verify(admin(tenant), 26, 10)


def test_filters(tenant):
    done(tenant, 2)
    done(tenant, 1, actor=Actor("api_key", "key_1", "us_2"), action="users_remove", resource_type="users", at=5_000)
    assert len(entries(tenant, actor_id="us_1")) == 2
    assert len(entries(tenant, actor_id="us_2")) == len(entries(tenant, actor_id="key_1")) == 1
    assert [e.n for e in entries(tenant, action="users_remove", resource_type="users", resource_id="t0")] == [3]
    assert [e.n for e in entries(tenant, from_ms=1_001, to_ms=5_000)] == [2]
    assert entries(tenant, from_ms=5_001) == []
    page = service.listing(admin(tenant), None, 2)
    rest = service.listing(admin(tenant), page.next_cursor, 2)
    assert [e.n for e in (*page.items, *rest.items)] == [3, 2, 1]


def test_two_tenants_have_chains_of_their_own(tenant, other):
    done(tenant, 2)
    done(other, 1)
    mine, theirs = entries(tenant), entries(other)
    assert ([e.n for e in mine], [e.n for e in theirs]) == ([2, 1], [1])
    assert mine[1].prev_hash != theirs[0].prev_hash


def test_an_entry_that_cannot_be_written_is_said_in_the_log_without_what_was_sent(tenant, monkeypatch, capsys):
    def down(*_):
        raise Unavailable("down")

    monkeypatch.setattr(AuditStore, "append", down)
    done(tenant)
    assert "entry_lost" in capsys.readouterr().out
