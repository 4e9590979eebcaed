"""The tenant's cache and files, reached by runs: theirs only, and unharmed by calls that are killed or made twice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.cache.store import CacheStore, Hit
from shared.errors import NotFound
from shared.files.store import FileStore
from shared.store.table import TenantTable
from shared.workflows.model import Document
from stepfunctions.publish import publish
from stepfunctions.start import start
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Moment, Service, Strike, Time, Wire

BY = {"kind": "test", "id": None, "user": None}


def keeping() -> Document:
    """Looks for a value, then puts its own there, and into a file."""
    return document(
        [
            node("start", "manual_trigger"),
            node("before", "cache_get", inputs={"key": "who"}),
            node("put", "cache_set", inputs={"key": "{{ nodes.before ? 'who' }}", "ttl": 600}),
            node("file", "file_write", inputs={"path": "who.json"}),
            node("out", "output", inputs={"value": "{{ [nodes.before, nodes.put, nodes.file.path] }}"}),
        ],
        "start.trigger -> put.value; start.trigger -> file.content",
    )


def test_a_run_reaches_its_own_tenants_cache_and_files_and_no_others(machines: Machines, tenant, other_tenant):
    theirs = Machines(other_tenant, machines.functions)
    for one, name in ((machines, "first"), (theirs, "second")):
        published = publish(one.tenant, keeping(), 1)
        run = one.until(start(one.tenant, published, trigger_node=None, trigger_data=name, triggered_by=BY))
        assert run.status == "completed"
        assert one.value(run.final_output) == [{"value": None, "hit": False}, {"success": True}, "who.json"]
    for owner, name in ((tenant, "first"), (other_tenant, "second")):
        assert CacheStore(TenantTable(owner)).get("who") == Hit(name)
        assert FileStore(TenantTable(owner)).read("who.json") == name.encode()
        with pytest.raises(NotFound):
            FileStore(TenantTable(owner)).read(f"{tenant.id}/who.json")


def test_a_later_run_of_another_workflow_finds_what_was_kept(machines: Machines):
    machines.until(machines.start(keeping(), {"n": 0.1}))
    other = document(
        [node("start", "manual_trigger"), node("got", "cache_get", inputs={"key": "who"}), node("out", "output")],
        "got.value -> out.value",
    ).model_copy(update={"id": "wf_other"})
    assert machines.value(machines.until(machines.start(other)).final_output) == {"n": 0.1}


def test_the_example_of_the_docs_asks_only_once(machines: Machines, remote: Service):
    page = (Path(__file__).parents[3] / "docs" / "cache-and-files.md").read_text()
    found = re.search(r"```jsonc\n(.*?)```", page, re.DOTALL)
    assert found
    fields = json.loads("{" + found[1].replace("https://rates.example", remote.base) + "}")
    made = Document.model_validate({"id": "wf_test", "name": "Test", **fields})
    for currency in ("EUR", "EUR", "USD"):
        ended = machines.until(machines.start(made, {"currency": currency}))
        assert machines.value(ended.final_output) == {"path": "/latest"}
    assert remote.count() == {"/latest": 2}


def test_what_is_refused_is_a_failure_that_the_workflow_can_handle(machines: Machines):
    bad = {"path": "../{{ trigger }}", "content": "x"}
    made = document(
        [
            node("start", "manual_trigger"),
            node("file", "file_write", inputs=bad, retry={"max_attempts": 3, "interval_seconds": 1}),
            node("told", "transform", {"expression": "[inputs.input.error, inputs.input.attempts]"}),
            node("out", "output"),
        ],
        "file.error -> told.input; told.output -> out.value",
    )
    run = machines.until(machines.start(made, "secret"))
    assert machines.value(run.final_output) == ["InvalidInput", 1]
    assert "secret" not in str(machines.records(run)["", "file"].error)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_the_run_comes_to_the_same(bench: Bench, wire: Wire, time_: Time, moment: Moment):
    at = 0
    while True:
        run = bench.start(keeping(), {"at": at})
        wire.reset(Strike(at, moment))
        try:
            bench.call(run)
        except Killed:
            wire.reset()
            if not bench.get(run).ended:
                bench.through(run, time_)
        else:
            break
        assert bench.get(run).status == "completed", at
        table = TenantTable(bench.tenant)
        assert CacheStore(table).get("who") == Hit({"at": at})
        assert FileStore(table).read("who.json") == b'{"at": %d}' % at
        at += 1
    assert at > 6
