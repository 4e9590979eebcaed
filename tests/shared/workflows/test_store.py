from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.settings import settings
from shared.store.keys import Key
from shared.store.table import TenantTable
from shared.workflows.record import Version, Workflow
from shared.workflows.store import MAX_INLINE, WorkflowStore, described


def a_document(**fields: Any) -> dict[str, Any]:
    return {"id": "wf_1", "name": "One", "description": "", "category": None, "tags": [], "nodes": [], **fields}


def a_workflow(document: dict[str, Any], workflow_id: str = "wf_1") -> Workflow:
    return Workflow(id=workflow_id, revision=1, created_at=5, updated_at=5, created_by="us_1", **described(document))


def a_version(number: int, revision: int = 1) -> Version:
    return Version(number, revision, {"plan": f"p{number}"}, 7, "us_1", "notes")


@pytest.fixture
def store(tenant) -> WorkflowStore:
    return WorkflowStore(TenantTable(tenant))


@pytest.fixture
def other(other_tenant) -> WorkflowStore:
    return WorkflowStore(TenantTable(other_tenant))


def test_what_is_written_is_read(store):
    document = a_document(tags=["a", "b"], variables={"pi": 3.14, "big": 10**30, "none": None, "t": True})
    store.create(a_workflow(document), document)
    assert store.get("wf_1") == a_workflow(document)
    assert store.get_with_document("wf_1") == (a_workflow(document), document)
    with pytest.raises(Conflict, match="wf_1"):
        store.create(a_workflow(document), document)


def test_a_large_document_lies_in_s3_until_it_is_small_again(store, tenant):
    noise = os.urandom(MAX_INLINE).hex()
    document = a_document(variables={"noise": noise})
    store.create(a_workflow(document), document)
    item = TenantTable(tenant).get(Key(f"T#{tenant.id}#WF#wf_1", "DRAFT"))
    assert item is not None
    assert "document" not in item
    assert store.get_with_document("wf_1")[1] == document
    small = a_document(name="Small")
    after = store.save(store.get("wf_1"), small, 6)
    assert store.get_with_document("wf_1") == (after, small)
    store.save(after, document, 7)
    assert store.get_with_document("wf_1")[1] == document
    store.release(store.get("wf_1"), a_version(1, 3), document)
    assert store.version(store.get("wf_1"), 1) == (a_version(1, 3), document)


def test_a_stale_save_changes_nothing(store):
    first = a_workflow(a_document())
    store.create(first, a_document())
    second = store.save(first, a_document(name="Two", category="c", tags=["t"]), 9)
    assert (second.revision, second.updated_at, second.created_at) == (2, 9, 5)
    assert store.get("wf_1") == second
    with pytest.raises(PreconditionFailed, match="revision 2"):
        store.save(first, a_document(name="Lost"), 10)
    assert store.get_with_document("wf_1") == (second, a_document(name="Two", category="c", tags=["t"]))
    with pytest.raises(NotFound):
        store.save(replace(first, id="wf_2"), a_document(), 10)
    with pytest.raises(NotFound):
        store.get_with_document("wf_2")


def test_saving_the_draft_leaves_what_is_published(store):
    store.create(a_workflow(a_document()), a_document())
    before = store.get("wf_1")
    store.release(before, a_version(1), a_document())
    store.save(before, a_document(name="Two"), 9)  # read before the release
    for found in (store.get("wf_1"), store.get_with_document("wf_1")[0]):
        assert (found.published_version, found.latest_version, found.revision, found.name) == (1, 1, 2, "Two")
    assert store.get("wf_1").published == {"plan": "p1"}


def test_versions_are_counted_without_gaps_and_one_publisher_wins(store):
    store.create(a_workflow(a_document()), a_document())
    before = store.get("wf_1")
    store.release(before, a_version(1), a_document(name="One"))
    with pytest.raises(Conflict):
        store.release(before, a_version(1), a_document(name="Late"))
    store.release(store.get("wf_1"), a_version(2), a_document(name="Two"))
    now = store.get("wf_1")
    assert (now.latest_version, now.published_version, now.published) == (2, 2, {"plan": "p2"})
    assert [v.version for v in store.versions(now, None, 10).items] == [2, 1]
    assert store.version(now, 1)[1]["name"] == "One"
    for missing in (0, 3, -1):
        with pytest.raises(NotFound):
            store.version(now, missing)
    store.withdraw("wf_1")
    store.withdraw("wf_1")
    for found in (store.get("wf_1"), store.get_with_document("wf_1")[0]):
        assert (found.is_active, found.published, found.latest_version) == (False, None, 2)
    with pytest.raises(NotFound):
        store.withdraw("wf_2")
    with pytest.raises(NotFound):
        store.release(replace(now, id="wf_2"), a_version(3), a_document())


def test_what_a_draft_compiled_to_is_forgotten_with_the_draft(store):
    first = a_workflow(a_document())
    store.create(first, a_document())
    store.keep_compiled(first, {"plan": "d1"})
    assert store.get("wf_1").compiled == {"plan": "d1"}
    second = store.save(store.get("wf_1"), a_document(name="Two"), 9)
    assert second.compiled is None
    assert store.get("wf_1").compiled is None
    store.keep_compiled(first, {"plan": "stale"})
    assert store.get("wf_1").compiled is None


def test_removing_takes_the_versions_along(store, tenant):
    store.create(a_workflow(a_document()), a_document())
    before = store.get("wf_1")
    store.release(before, a_version(1), a_document())
    with pytest.raises(PreconditionFailed):
        store.remove(before)  # somebody has published it since
    store.remove(store.get("wf_1"))
    assert list(TenantTable(tenant).query_all(f"T#{tenant.id}#WF#wf_1")) == []
    with pytest.raises(NotFound):
        store.remove(before)


def test_leftover_versions_of_an_earlier_life_are_not_seen(store, tenant):
    store.create(a_workflow(a_document()), a_document())
    left = Key(f"T#{tenant.id}#WF#wf_1", "V#000002")
    TenantTable(tenant).put(left, {"version": 2, "revision": 9, "published": "{}", "published_at": 1})
    store.release(store.get("wf_1"), a_version(1), a_document())
    now = store.get("wf_1")
    assert [v.version for v in store.versions(now, None, 10).items] == [1]
    with pytest.raises(NotFound):
        store.version(now, 2)
    store.release(now, a_version(2), a_document(name="Real"))
    assert store.version(store.get("wf_1"), 2)[1]["name"] == "Real"


def test_the_stores_of_two_tenants_share_nothing(store, other):
    store.create(a_workflow(a_document()), a_document())
    store.release(store.get("wf_1"), a_version(1), a_document())
    with pytest.raises(NotFound):
        other.get("wf_1")
    with pytest.raises(NotFound):
        other.get_with_document("wf_1")
    with pytest.raises(NotFound):
        other.save(store.get("wf_1"), a_document(name="Stolen"), 9)
    with pytest.raises(NotFound):
        other.version(store.get("wf_1"), 1)
    with pytest.raises(NotFound):
        other.remove(store.get("wf_1"))
    other.create(a_workflow(a_document(name="Theirs")), a_document(name="Theirs"))
    assert [w.name for w in other.page("all", None, 10).items] == ["Theirs"]
    assert [w.name for w in store.page("all", None, 10).items] == ["One"]


def test_a_large_document_of_one_tenant_is_no_object_of_another(store, other_tenant, tenant):
    from shared.aws.s3 import TenantObjects

    document = a_document(variables={"noise": os.urandom(MAX_INLINE).hex()})
    store.create(a_workflow(document), document)
    name = (TenantTable(tenant).get(Key(f"T#{tenant.id}#WF#wf_1", "DRAFT")) or {})["far"]
    assert TenantObjects(tenant, settings().data_bucket, "documents").get(name)
    assert TenantObjects(other_tenant, settings().data_bucket, "documents").get(name) is None
