"""More of `store_samples.py`: what lies around workflows and runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import httpx

from shared.analytics.store import CounterStore, Mark
from shared.audit import service as audit_log
from shared.audit.model import Actor, Draft, Head, chained
from shared.audit.store import AuditStore
from shared.canaries.model import Canary
from shared.canaries.store import CanaryStore
from shared.cases.model import KeptCase
from shared.cases.store import CaseStore
from shared.guided.model import Said
from shared.guided.store import InstanceStore, PermissionStore
from shared.invitations.store import InvitationStore
from shared.shares.store import ShareStore
from shared.store.table import TenantTable
from shared.task_links.store import TaskLinkStore
from shared.templates.store import TemplateStore
from shared.usage.model import Terms, with_price
from shared.usage.store import UsageStore, spending
from shared.webhooks_out.model import Delivery, WebhookSubscription
from shared.webhooks_out.store import WebhookSubscriptionStore
from shared.workflows.store import WorkflowStore
from tests.functions.api.samples import made
from tests.shared.sampled import MARK, Samples


def tested(table: TenantTable, samples: Samples, workflow_id: str) -> None:
    """A test of the workflow, and a canary of its only version."""
    workflow, canaries, cases = WorkflowStore(table).get(workflow_id), CanaryStore(table), CaseStore(table)
    canary = Canary("cn_1", 1, 1, 5, 0.5, 3, 60, 1, f"us_{MARK}")
    canaries.begin(workflow, canary, workflow.published or {}, None)
    canaries.count(workflow_id, "cn_1", "ex_1", failed=True, window=0)
    case = KeptCase("tc_1", workflow_id, {"name": f"As of {MARK}"}, 1, 1, 1, "us_1")
    cases.create(case)
    samples.record(canary, case)
    samples.record(canary, None, kind=Canary | None)
    samples.value(
        canary_id=["cn_1"],
        case_id=["tc_1"],
        published=[{"plan": "p"}],
        case=[{"name": "Other"}],
        failed=[True],
        window=[0],
    )


def links(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    task_id = samples.by_name["task_id"][0]
    body = {"assignee": f"{MARK}@outside.example"}
    links = [made(client.post(f"/tasks/{task_id}/links", json=body))["id"] for _ in range(2)]
    store = TaskLinkStore(table)
    store.revoke(links[1])
    samples.record(*(store.get(i) for i in links))
    invited = made(client.post("/invitations", json={"email": f"new-{MARK}@first.example"}))["id"]
    samples.record(InvitationStore(table).get(invited))
    audit_log.chain(table.tenant)
    audit = AuditStore(table)
    draft = Draft(1, Actor("user", f"us_{MARK}", None), "tests_one", "tests", MARK, {"fields": [MARK]})
    audit.append(draft)
    samples.record(draft, audit.head(), Head(0, "x"))
    samples.value(
        link_id=links,
        notice=["overdue"],
        invitation_id=[invited],
        number=[1, 0],
        before=[audit.head()],
        entries=[[chained(draft, audit.head())]],
        inbox_keys=[[audit.inbox(1)[0][0]]],
        filters=[{}, {"actor_id": "us_1", "action": "x", "from_ms": 1, "to_ms": 2}],
        kinds=[("task_overdue",)],
    )


def used(table: TenantTable, samples: Samples) -> None:
    """Counters, places of runs, what models have used, what an operator has set."""
    counters, store = CounterStore(table), UsageStore(table)
    counters.add({("GUIDED#x", MARK): {f"on {MARK}": 1}}, [Mark("run", "0", MARK)], [spending(table, "2031-04", 7, 9)])
    execution_id, workflow_id = samples.by_name["execution_id"][0], samples.by_name["workflow_id"][0]
    for taken in ("", workflow_id):
        store.keep(execution_id, taken)
        store.keep(f"ex_{MARK}", taken)
    store.set_terms(with_price(Terms(), f"model of {MARK}", "1,2"))
    samples.record(Terms())
    samples.value(
        amounts=[{("GUIDED#x", "2031-04-08"): {"n": 1}}],
        marks=[[Mark("other", "1", "1")]],
        names=[["run"]],
        subject=["GUIDED#x"],
        first=["2031-04-01"],
        last=["2031-04-30"],
        most=[None, 1],
        per=[{"day|2031-04-08": 5}],
        periods=[(), ("day|2031-04-08",)],
        lost=[[execution_id]],
        suspects=[[execution_id], ()],
        old=[["day|2031-04-08"]],
        month=["2031-04"],
        tokens=[1],
        nano=[1],
    )


def webhooks_out(table: TenantTable, samples: Samples) -> None:
    store = WebhookSubscriptionStore(table)
    url = f"https://{MARK}.example"
    one = WebhookSubscription("whs_1", url, ("*",), None, MARK, True, MARK.encode(), 1, "us_1", 1)
    store.create(one)
    delivery = store.add(Delivery("dl_1", "whs_1", "task_created", json.dumps(MARK), "pending", 1, 1))
    samples.record(one, replace(one, id="whs_2"), delivery, replace(delivery, id="dl_2"))
    samples.value(
        subscription_id=["whs_1", "whs_2"],
        delivery_id=["dl_1", "dl_2"],
        delivery_status=[None, "dead"],
        accepted_at=[1],
        lease=[1],
    )


def guided(client: httpx.Client, table: TenantTable, samples: Samples) -> None:
    type_id = samples.by_name["type_id"][0]
    body = {
        "name": "claim",
        "guidelines": f"As of {MARK}.",
        "state_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
        "steps": [{"id": "when", "name": "When", "fields": ["day"]}],
        "model": {"model": "m"},
    }
    made(client.post("/workflow-templates", json=body))
    made(client.post("/permissions", json={"user_type_id": type_id, "template": "claim"}))
    begun = {"template": "claim", "conversation_id": "chat", "state": {"day": MARK}}
    instance_id = made(client.post("/workflow-instances", json=begun))["id"]
    store = InstanceStore(table)
    known = store.get(instance_id)
    message = Said(0, "user", f"As of {MARK}", known.user_id, 1)
    store.save(known, replace(known, messages=1, version=known.version + 1), [message], {"active": 0}, "mark")
    known = store.get(instance_id)
    permission = PermissionStore(table).find(type_id, "claim")
    assert permission is not None
    samples.record(known, permission, replace(permission, template="other"))
    samples.value(
        instance_id=[instance_id],
        conversation_id=["chat"],
        kept=[{"template": {"name": "other"}, "published": None}],
        counts=[{"started": 1}],
        user_type_id=[type_id],
        template_name=["claim"],
        first_day=["2000-01-01"],
        last_day=["9999-12-31"],
    )
    more = {"owner_id": [known.user_id], "named": ["claim"], "mark": ["mark"]}
    samples.value(**{name: [*samples.by_name[name], *values] for name, values in more.items()})
    samples.record([Said(1, "user", "Hello", "us_1", 1)], kind=Sequence[Said])


def templates(client: httpx.Client, table: TenantTable, samples: Samples, workflow_id: str) -> None:
    """A template made of the workflow, and a link to it."""
    template_id = made(client.post(f"/workflows/{workflow_id}/template", json={"name": f"As of {MARK}"}))["id"]
    share_id = made(client.post(f"/workflows/{workflow_id}/share"))["id"]
    link = ShareStore(table).get(workflow_id, share_id)
    template = TemplateStore(table).get(template_id)
    samples.record(replace(link, created_by=f"us_{MARK}"), template)
    samples.value(template_id=[template_id], share_id=[share_id])
    samples.value(source=[None, "tenant"], category=[None], q=[""], now=[1])
