from __future__ import annotations

import hashlib
from typing import Any

import pytest

from shared.aws import states
from shared.aws.s3 import TenantObjects
from shared.errors import Conflict, Invalid, NotFound, PreconditionFailed, Unavailable
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Principal
from shared.triggers import service as triggers
from shared.triggers.store import TriggerStore
from shared.workflows import service
from shared.workflows.model import Document
from shared.workflows.store import WorkflowStore
from stepfunctions import plans, release
from stepfunctions.generator.apply import Wanted, apply
from stepfunctions.plan import canonical
from stepfunctions.start import start
from tests.shared.triggers.overtaking import busy, meanwhile
from tests.stepfunctions.compiler.documents import document, node

BY = {"kind": "test", "id": None, "user": None}


@pytest.fixture
def who(tenant) -> Principal:
    return Principal(tenant, "user", "us_1", "editor", user_id="us_1")


def an_adder(plus: int = 1, **fields: Any) -> Document:
    return document(
        [node("start", "manual_trigger"), node("add", "transform", {"expression": f"trigger + {plus}"})],
        "start.trigger -> add.input",
        **fields,
    )


def a_hook(**config: Any) -> Document:
    return document([node("hook", "http_webhook", config), node("out", "output")], "hook.body -> out.value")


def a_hook_and_a_clock(**fields: Any) -> Document:
    nodes = [node("hook", "http_webhook"), node("clock", "schedule", {"every": "1 hour"}), node("out", "output")]
    return document(nodes, "hook.body -> out.value; clock.timestamp -> out.value", **fields)


def test_publishing_makes_what_runs(who, tenant):
    service.create(who, an_adder())
    made = release.publish_workflow(tenant, who, "wf_test", 1, "notes")
    assert (made.version.version, made.version.revision, made.version.published_by) == (1, 1, "us_1")
    published = release.runnable(tenant, "wf_test")
    assert published.as_dict() == made.version.published
    assert (published.version, published.triggers) == (1, (("start", "manual_trigger"),))
    plan = plans.load(tenant, published.plan)
    assert (plan.workflow_id, plan.version) == ("wf_test", 1)
    assert states.describe_execution(published.machine, "never") is None
    states.start_execution(published.machine, "once", {})  # the machine is there


def test_a_plan_is_known_by_its_name(who, tenant):
    """Earlier ones were written, and named, with their keys sorted."""
    service.create(who, an_adder())
    release.publish_workflow(tenant, who, "wf_test", 1)
    body = canonical(plans.load(tenant, release.runnable(tenant, "wf_test").plan).as_dict())
    name = hashlib.sha256(body).hexdigest()
    TenantObjects(tenant, settings().data_bucket, "plans").put(f"{name}.json", body)
    assert plans.load(tenant, name).digest == name


def test_a_published_version_stays_when_the_draft_goes_on(who, tenant):
    service.create(who, an_adder(1))
    release.publish_workflow(tenant, who, "wf_test", None)
    first = release.runnable(tenant, "wf_test")
    service.put(who, "wf_test", an_adder(2), None)
    assert release.runnable(tenant, "wf_test") == first
    draft = release.runnable(tenant, "wf_test", "draft")
    assert (draft.version, draft.plan != first.plan, draft.machine == first.machine) == (0, True, True)
    release.publish_workflow(tenant, who, "wf_test", 2)
    assert release.runnable(tenant, "wf_test", 1) == first
    assert release.runnable(tenant, "wf_test").version == 2
    assert release.document_at(tenant, "wf_test", 1)[2]["nodes"][1]["config"] == {"expression": "trigger + 1"}
    assert release.document_at(tenant, "wf_test")[1] == 2
    assert release.document_at(tenant, "wf_test", "draft")[1] == 0


def test_without_a_published_version_the_draft_runs_and_is_compiled_once(who, tenant, monkeypatch):
    from stepfunctions import publish as publishing

    service.create(who, an_adder())
    compiled = []
    real = publishing.publish

    def counting(*arguments: Any) -> Any:
        compiled.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(publishing, "publish", counting)
    first = release.runnable(tenant, "wf_test")
    assert release.runnable(tenant, "wf_test") == release.runnable(tenant, "wf_test", "draft") == first
    assert len(compiled) == 1
    service.put(who, "wf_test", an_adder(2), None)
    assert release.runnable(tenant, "wf_test") != first
    assert len(compiled) == 2


def test_a_draft_with_problems_leaves_nothing_behind(who, tenant):
    service.create(who, document([node("a", "transform", {"expression": "1 +"}), node("b", "no_such")]))
    for call in (
        lambda: release.publish_workflow(tenant, who, "wf_test", None),
        lambda: release.runnable(tenant, "wf_test"),
    ):
        with pytest.raises(Invalid) as refused:
            call()
        assert {e.node_id for e in refused.value.errors} >= {"a", "b"}
    kept = WorkflowStore(TenantTable(tenant)).get("wf_test")
    assert (kept.latest_version, kept.published, kept.compiled) == (0, None, None)


def test_only_the_revision_that_was_meant_is_published(who, tenant):
    service.create(who, an_adder())
    service.put(who, "wf_test", an_adder(2), None)
    with pytest.raises(PreconditionFailed):
        release.publish_workflow(tenant, who, "wf_test", 1)
    with pytest.raises(NotFound):
        release.publish_workflow(tenant, who, "wf_none", None)
    assert WorkflowStore(TenantTable(tenant)).get("wf_test").latest_version == 0


def test_triggers_follow_the_published_version(who, tenant):
    service.create(who, a_hook(auth="hmac"))
    assert triggers.webhooks(who, "wf_test", None, 10).items == []
    made = release.publish_workflow(tenant, who, "wf_test", None)
    (hook,) = made.triggers
    assert (hook["node_id"], bool(hook["secret"])) == ("hook", True)
    assert [h.is_live for h in triggers.webhooks(who, "wf_test", None, 10).items] == [True]
    release.unpublish_workflow(tenant, "wf_test")
    assert [h.is_live for h in triggers.webhooks(who, "wf_test", None, 10).items] == [False]
    release.unpublish_workflow(tenant, "wf_test")
    (again,) = release.publish_workflow(tenant, who, "wf_test", None).triggers
    assert (again["id"], "secret" in again) == (hook["id"], False)  # what other systems know stays as it was
    release.delete_workflow(tenant, "wf_test", None)
    assert triggers.webhooks(who, None, None, 10).items == []


def test_publishing_again_does_what_was_left_undone(who, tenant, monkeypatch):
    service.create(who, a_hook())
    with monkeypatch.context() as broken:

        def fails(*_: Any) -> None:
            raise Unavailable("not now")

        broken.setattr(triggers, "sync", fails)
        with pytest.raises(Unavailable):
            release.publish_workflow(tenant, who, "wf_test", None)
    assert triggers.webhooks(who, "wf_test", None, 10).items == []
    made = release.publish_workflow(tenant, who, "wf_test", None)
    assert (made.version.version, len(made.triggers)) == (2, 1)
    assert len(triggers.webhooks(who, "wf_test", None, 10).items) == 1


def test_a_workflow_is_deleted_once_its_runs_have_ended(who, tenant):
    from stepfunctions import control

    service.create(who, an_adder())
    run = start(tenant, release.runnable(tenant, "wf_test"), trigger_node=None, trigger_data=1, triggered_by=BY)
    with pytest.raises(Conflict, match=run.id):
        release.delete_workflow(tenant, "wf_test", None)
    with pytest.raises(PreconditionFailed):
        release.delete_workflow(tenant, "wf_test", 7)
    control.cancel(tenant, run.id)
    release.delete_workflow(tenant, "wf_test", 1)
    with pytest.raises(NotFound):
        release.runnable(tenant, "wf_test")


def test_nobody_saves_or_publishes_what_is_being_deleted(who, tenant):
    service.create(who, a_hook_and_a_clock())
    release.publish_workflow(tenant, who, "wf_test", None)
    refused = []

    def others() -> None:  # an autosave, and whatever else comes while the triggers are removed
        renamed = a_hook_and_a_clock(name="Autosaved")
        assert not service.read(who, "wf_test")[0].is_active
        for act in (
            lambda: service.put(who, "wf_test", renamed, None),
            lambda: service.put(who, "wf_test", renamed, 1),
            lambda: apply(who, Wanted(renamed, workflow_id="wf_test", revision=1), None),
            lambda: release.publish_workflow(tenant, who, "wf_test", None),
            lambda: release.runnable(tenant, "wf_test"),
            lambda: release.runnable(tenant, "wf_test", 1),
            lambda: triggers.create_webhook(who, "wf_test", "hook"),
        ):
            with pytest.raises(Conflict) as error:
                act()
            refused.append(error.value.code)

    meanwhile("before-call.scheduler.DeleteSchedule", others)
    release.delete_workflow(tenant, "wf_test", None)
    assert refused == ["being_deleted"] * 7
    assert triggers.webhooks(who, None, None, 10).items == []
    with pytest.raises(NotFound):
        service.read(who, "wf_test")


@pytest.mark.parametrize("act", ["save", "publish"])
def test_a_workflow_that_was_changed_before_its_deletion_began_keeps_its_triggers(who, tenant, act):
    service.create(who, a_hook_and_a_clock())
    release.publish_workflow(tenant, who, "wf_test", None)
    hooks = TriggerStore(TenantTable(tenant)).webhooks_of("wf_test")

    def other() -> None:
        if act == "save":
            service.put(who, "wf_test", a_hook_and_a_clock(name="Autosaved"), None)
        else:
            release.publish_workflow(tenant, who, "wf_test", None)

    meanwhile("before-call.dynamodb.TransactWriteItems", other)  # it has been read, and nothing is written yet
    with pytest.raises(PreconditionFailed):
        release.delete_workflow(tenant, "wf_test", None)
    assert release.runnable(tenant, "wf_test").version >= 1
    assert TriggerStore(TenantTable(tenant)).webhooks_of("wf_test") == hooks
    assert len(triggers.schedules(who, "wf_test", None, 10).items) == 1


def test_a_publication_that_a_deletion_overtakes_leaves_no_trigger(who, tenant):
    """The version is released; before its triggers are made, the workflow is deleted, triggers and all."""
    service.create(who, a_hook_and_a_clock())
    meanwhile("before-call.scheduler.CreateSchedule", lambda: release.delete_workflow(tenant, "wf_test", None))
    with pytest.raises(Conflict) as error:
        release.publish_workflow(tenant, who, "wf_test", None)
    assert error.value.code == "being_deleted"
    assert triggers.webhooks(who, None, None, 10).items == triggers.schedules(who, None, None, 10).items == []


def test_a_deletion_that_failed_half_way_is_gone_on_with(who, tenant):
    service.create(who, a_hook_and_a_clock())
    release.publish_workflow(tenant, who, "wf_test", None)
    meanwhile("before-call.scheduler.DeleteSchedule", busy)
    with pytest.raises(Unavailable):
        release.delete_workflow(tenant, "wf_test", 1)
    (found,) = service.listing(who, None, 10).items  # whoever asked finds it, out of service
    assert (found.id, found.is_active) == ("wf_test", False)
    assert service.read(who, "wf_test")[0].revision == 1
    with pytest.raises(Conflict, match="delete it again"):
        release.publish_workflow(tenant, who, "wf_test", None)
    with pytest.raises(PreconditionFailed):
        release.delete_workflow(tenant, "wf_test", 2)
    release.delete_workflow(tenant, "wf_test", 1)
    assert service.listing(who, None, 10).items == []
    assert triggers.webhooks(who, None, None, 10).items == triggers.schedules(who, None, None, 10).items == []
    service.create(who, a_hook_and_a_clock())  # its id is free
    assert release.publish_workflow(tenant, who, "wf_test", None).version.version == 1


def test_another_tenants_workflow_is_not_found(who, tenant, other_tenant):
    service.create(who, an_adder())
    release.publish_workflow(tenant, who, "wf_test", None)
    stranger = Principal(other_tenant, "user", "us_2", "owner", user_id="us_2")
    for call in (
        lambda: release.publish_workflow(other_tenant, stranger, "wf_test", None),
        lambda: release.unpublish_workflow(other_tenant, "wf_test"),
        lambda: release.delete_workflow(other_tenant, "wf_test", None),
        lambda: release.runnable(other_tenant, "wf_test"),
        lambda: release.document_at(other_tenant, "wf_test"),
    ):
        with pytest.raises(NotFound):
            call()
    assert release.runnable(tenant, "wf_test").version == 1
