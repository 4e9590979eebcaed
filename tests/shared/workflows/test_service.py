from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Invalid, NotFound, PreconditionFailed, Unavailable
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.model import Document
from shared.workflows.store import WorkflowStore


@pytest.fixture
def who(tenant) -> Principal:
    return Principal(tenant, "user", "us_1", "editor", user_id="us_1")


@pytest.fixture
def stranger(other_tenant) -> Principal:
    return Principal(other_tenant, "user", "us_2", "owner", user_id="us_2")


def test_a_stored_document_is_complete(who):
    workflow, document = service.create(who, Document(name="Short"))
    assert (workflow.id, document["id"], workflow.created_by) == (document["id"], workflow.id, "us_1")
    assert set(document) == set(Document.model_fields)
    assert service.document_of(document) == Document(id=workflow.id, name="Short")


@pytest.fixture
def quicker(who, monkeypatch):
    """Somebody else who saves each time between another one's reading and writing; `quicker(workflow id, times)`."""
    left: list[str] = []
    real = WorkflowStore.save

    def save(self: WorkflowStore, *arguments: Any) -> Any:
        if left:
            workflow_id = left.pop()
            document = service.read(who, workflow_id)[1]
            changed = {**document, "variables": {**document["variables"], f"other{len(left)}": 1}}
            real(self, self.get(workflow_id), changed, 9)
        return real(self, *arguments)

    monkeypatch.setattr(WorkflowStore, "save", save)
    return lambda workflow_id, times: left.extend([workflow_id] * times)


def test_who_does_not_say_what_they_know_loses_nothing_of_others(who, quicker):
    workflow, _ = service.create(who, Document(name="Both"))
    quicker(workflow.id, 2)
    after, document = service.patch(who, workflow.id, {"variables": {"mine": 1}}, None)
    assert document["variables"] == {"other1": 1, "other0": 1, "mine": 1}
    assert (after.revision, service.read(who, workflow.id)) == (4, (after, document))


def test_who_says_what_they_know_is_told_that_it_is_old(who, quicker):
    workflow, _ = service.create(who, Document(name="Both"))
    quicker(workflow.id, 1)
    with pytest.raises(PreconditionFailed):
        service.patch(who, workflow.id, {"variables": {"mine": 1}}, 1)
    assert service.read(who, workflow.id)[1]["variables"] == {"other0": 1}


def test_who_is_always_too_late_is_told_to_try_again(who, quicker):
    workflow, _ = service.create(who, Document(name="Both"))
    quicker(workflow.id, 100)
    with pytest.raises(Unavailable):
        service.patch(who, workflow.id, {"name": "Mine"}, None)
    assert service.read(who, workflow.id)[1]["name"] == "Both"


def test_a_patch_that_changes_nothing_makes_no_revision(who):
    workflow, _ = service.create(who, Document(name="Same", variables={"n": 1}))
    assert service.patch(who, workflow.id, {"name": "Same"}, 1)[0].revision == 1
    assert service.patch(who, workflow.id, {"variables": {"n": 1.0}}, 1)[0].revision == 2  # 1.0 is written differently


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"nodes": [{"id": "a", "type": "log", "x": 1}]}, "nodes.0.x"),
        ({"name": None}, "name"),
        ({"nope": 1}, "nope"),
        ({"id": "wf_other"}, "id"),
        ({"settings": {"granularity": "x"}}, "settings.granularity"),
    ],
)
def test_a_patch_that_breaks_the_document_is_refused(who, changes, path):
    workflow, _ = service.create(who, Document(name="Kept"))
    with pytest.raises(Invalid) as refused:
        service.patch(who, workflow.id, changes, None)
    assert path in [e.path for e in refused.value.errors]
    assert service.read(who, workflow.id)[0].revision == 1


def test_a_known_revision_must_be_the_current_one(who):
    workflow, _ = service.create(who, Document(name="One"))
    service.put(who, workflow.id, Document(name="Two"), 1)
    with pytest.raises(PreconditionFailed):
        service.put(who, workflow.id, Document(name="Three"), 1)
    with pytest.raises(PreconditionFailed):
        service.patch(who, workflow.id, {"name": "Three"}, 3)
    assert service.read(who, workflow.id)[1]["name"] == "Two"


def test_another_tenants_workflow_is_not_found(who, stranger):
    workflow, _ = service.create(who, Document(name="Mine"))
    for call in (
        lambda: service.read(stranger, workflow.id),
        lambda: service.put(stranger, workflow.id, Document(name="x"), None),
        lambda: service.patch(stranger, workflow.id, {"name": "x"}, None),
        lambda: service.copy(stranger, workflow.id, None),
        lambda: service.versions(stranger, workflow.id, None, 10),
        lambda: service.version(stranger, workflow.id, 1),
    ):
        with pytest.raises(NotFound):
            call()
    assert service.listing(stranger, None, 10).items == []
