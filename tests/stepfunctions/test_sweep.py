"""How a sweep shares its time: between shards, between what is slow and what is not, and with the audit log."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from shared.audit import service as audit
from shared.audit.model import Actor, Draft
from shared.audit.store import AuditStore
from shared.aws import clients
from shared.clock import now_ms
from shared.runs.store import RunStore
from shared.store.keys import sweep_shard
from shared.store.table import TenantTable
from shared.tenancy import new_tenant
from stepfunctions import reconcile
from stepfunctions.reconcile import sweep
from tests.shared.tasks.asking import a_run
from tests.stepfunctions.test_reconcile import no_machines

__all__ = ["no_machines"]  # a fixture


def due(tenant, number: int) -> list[str]:
    store, runs = RunStore(TenantTable(tenant)), [a_run(tenant).id for _ in range(number)]
    for run_id in runs:
        store.look_again(run_id, now_ms() - 1)
    return runs


def test_no_shard_has_all_of_a_sweep_that_has_little_time(no_machines, tenant, monkeypatch):
    shards = {sweep_shard(run_id) for run_id in due(tenant, 40)}
    looked: list[str] = []
    monkeypatch.setattr(reconcile, "_look_at", lambda entry, _mails: looked.append(entry["GSI2PK"]) or "looked")
    monkeypatch.setattr(reconcile, "_LOOKS", 1)
    firsts = set()
    for _ in range(20):
        looked.clear()
        assert sweep(lambda: 60.0 if len(looked) < 6 else 1.0) == {"looked": 6, "left": 34}
        assert Counter(looked).keys() == shards
        assert max(Counter(looked).values()) <= 3
        firsts.add(looked[0])
    assert len(firsts) > 1  # whatever takes all the time is not always of the same shard


def test_a_sweep_goes_on_past_a_page_while_time_remains(no_machines, tenant, monkeypatch):
    runs = due(tenant, 30)
    monkeypatch.setattr(reconcile, "_AT_ONCE", 2)
    assert sweep(lambda: 60.0) == {"failed": 30}
    assert {RunStore(TenantTable(tenant)).get(run_id).status for run_id in runs} == {"failed"}


def test_what_is_slow_holds_up_neither_others_nor_the_audit_log(no_machines, tenant, monkeypatch):
    audit.append(tenant, Draft(1, Actor("user", "us_1", "us_1"), "tools_create", "tools", "t", {}))
    slow, *others = due(tenant, 12)
    store, log = RunStore(TenantTable(tenant)), AuditStore(TenantTable(tenant))
    real, over = reconcile._look_at, threading.Event()
    came_to_it: list[bool] = []

    def look_at(entry, mails_until):
        if entry["PK"].endswith(slow):
            came_to_it.append(over.wait(30))
        return real(entry, mails_until)

    monkeypatch.setattr(reconcile, "_look_at", look_at)
    with ThreadPoolExecutor(1) as beside:
        swept = beside.submit(sweep, lambda: 60.0)
        while not swept.done():
            if all(store.get(run_id).ended for run_id in others) and log.inbox(1) == []:
                over.set()
        assert swept.result() == {"failed": 12}
    assert came_to_it == [True]


def test_threads_that_drop_clients_at_the_same_time_are_not_in_each_others_way(aws, monkeypatch):
    """With a data role each tenant has clients of its own, of which a process keeps some."""

    two_at_it = threading.Barrier(2)

    class Kept(dict[Any, Any]):
        def __iter__(self):
            oldest_first = tuple(self.keys())
            with suppress(threading.BrokenBarrierError):
                two_at_it.wait(1)  # for another thread that looks too; one at a time waits once, in vain
            return iter(oldest_first)

    monkeypatch.setattr(clients, "_KEPT", 4)
    monkeypatch.setattr(clients, "_tenant_clients", Kept())
    monkeypatch.setenv("SW_TENANT_ROLE_ARN", "arn:aws:iam::123456789012:role/data")
    clients.settings.cache_clear()
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: clients.tenant_client(new_tenant(), "dynamodb"), range(24)))
        assert len({id(each) for each in made}) == 24
        assert len(clients._tenant_clients) <= 5
    finally:
        clients.settings.cache_clear()
        clients.forget()
