"""Named things in the table: two at once, calls that die half way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.resources import service
from shared.resources.documents import Agent
from shared.resources.model import Resource
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant


@pytest.fixture
def store(tenant: Tenant) -> ResourceStore:
    return ResourceStore(TenantTable(tenant))


@pytest.fixture
def who(owner: Any, tenant: Tenant) -> Principal:
    return Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)


def clerk(said: str = "one") -> Resource:
    document = {"name": "clerk", "instructions": said}
    return Resource("agents", "clerk", {"description": ""}, 1, 1, 1, "us_1", document)


def body(said: str) -> Agent:
    return Agent.model_validate({"name": "clerk", "model": {"model": "m"}, "instructions": said})


def test_of_two_that_make_it_one_does(store: ResourceStore) -> None:
    store.create(clerk("one"))
    with pytest.raises(Conflict, match="taken"):
        store.create(clerk("two"))
    assert store.find("agents", "clerk")["instructions"] == "one"
    with pytest.raises(NotFound):
        store.find("tools", "clerk")


def test_of_two_that_change_it_one_is_told(store: ResourceStore) -> None:
    store.create(clerk())
    before = store.get("agents", "clerk")
    assert store.save(before, clerk("two")).version == 2
    with pytest.raises(PreconditionFailed, match="version 2"):
        store.save(before, clerk("three"))
    with pytest.raises(PreconditionFailed, match="version 2"):
        store.remove(before)
    assert [store.version(store.get("agents", "clerk"), n).document["instructions"] for n in (1, 2)] == ["one", "two"]


def test_who_does_not_say_what_they_know_gets_theirs_onto_what_is_there(
    who: Principal, store: ResourceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.create(who, "agents", body("one"))
    save, meanwhile = ResourceStore.save, [True]

    def late(self: ResourceStore, before: Resource, after: Resource) -> Resource:
        if meanwhile:
            meanwhile.clear()
            save(store, before, replace(after, document={**after.document, "instructions": "theirs"}))
        return save(self, before, after)

    monkeypatch.setattr(ResourceStore, "save", late)
    assert service.put(who, "agents", "clerk", body("mine"), None).version == 3
    meanwhile.append(True)
    with pytest.raises(PreconditionFailed):
        service.put(who, "agents", "clerk", body("again"), 3)


def test_what_a_removal_that_died_has_left_is_not_seen(
    store: ResourceStore, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(clerk())
    last = store.save(store.get("agents", "clerk"), clerk("two"))
    store.keep_found(last, {"tools": []})

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TenantTable, "delete_all", dies)
        with pytest.raises(KeyboardInterrupt):
            store.remove(last)
    store.create(replace(clerk("new"), created_at=2))
    new = store.get("agents", "clerk")
    assert [v.version for v in store.versions(new, None, 50).items] == [1]
    assert store.version(new, 1).document["instructions"] == "new"
    with pytest.raises(NotFound):
        store.version(new, 2)
    assert store.found(store.save(new, clerk("newer"))) is None


def test_a_table_of_one_tenant_shows_nothing_of_anothers(store: ResourceStore, other_tenant: Tenant) -> None:
    store.create(clerk())
    theirs = ResourceStore(TenantTable(other_tenant))
    assert theirs.page("agents", None, 50).items == []
    with pytest.raises(NotFound):
        theirs.get("agents", "clerk")


def test_what_comes_from_elsewhere_keeps_its_numbers(store: ResourceStore) -> None:
    store.restore(replace(clerk("seven"), version=7), [replace(clerk("two"), version=2)])
    found = store.get("agents", "clerk")
    assert (found.version, found.document["instructions"]) == (7, "seven")
    assert [store.find("agents", "clerk", n)["instructions"] for n in (2, 7)] == ["two", "seven"]
    for number in (1, 3, 8):
        with pytest.raises(NotFound, match=f"no version {number}"):
            store.find("agents", "clerk", number)
    store.restore(replace(clerk("five"), version=5))
    assert store.find("agents", "clerk")["instructions"] == "five"
    with pytest.raises(NotFound):
        store.find("agents", "clerk", 7)
    assert store.save(store.get("agents", "clerk"), clerk("six")).version == 6
