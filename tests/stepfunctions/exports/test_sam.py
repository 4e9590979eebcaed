"""Exported projects: the template is sound, and what runs from the zip gives what the workflow gives here."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import Invalid
from shared.nodes.registry import get
from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Document
from stepfunctions import standalone
from stepfunctions.compiler.compile import compile_document
from stepfunctions.exports.envelope import opened
from stepfunctions.exports.sam import project
from tests.stepfunctions.agents import Model, keep
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines

ROOT = Path(__file__).resolve().parents[3]
LOOPING = document(
    [
        node("start", "manual_trigger"),
        node("each", "loop", {"max_concurrency": 2}, inputs={"items": "{{ trigger.numbers }}"}),
        node("rest", "delay", {"ms": 10}, parent="each"),
        node("double", "transform", {"expression": "inputs.input * 2"}, parent="each"),
        node("tool", "function_call", inputs={"name": "calculate", "args": {"expression": "6 * 7"}}),
        node(
            "out", "output", inputs={"value": "{{ {'doubled': nodes.each.results, 'tool': nodes.tool.result.result} }}"}
        ),
    ],
    "each.item -> rest.input; rest.output -> double.input",
)
ASKING = document(
    [node("start", "manual_trigger"), node("ask", "human_in_the_loop", {"title": "May I?"}), node("out", "output")],
    "start.trigger -> ask.input; ask.approved -> out.value",
)
TIMED = document(
    [
        node(
            "daily", "schedule", {"cron": "0 7 * * MON-FRI", "timezone": "Europe/Berlin", "end": "2199-01-01T00:00:00Z"}
        ),
        node("often", "schedule", {"every": "5 minutes"}),
        node("off", "schedule", {"every": "1 hour"}, disabled=True),
        node("out", "output"),
    ],
    "daily.timestamp -> out.value; often.timestamp -> out.value",
)
AGENT = document(
    [node("start", "manual_trigger"), node("work", "agent", {"agent": "clerk"}), node("out", "output")],
    "start.trigger -> work.input; work.output -> out.value",
)


def exported(tenant: Any, wanted: Document, folder: Path) -> Path:
    plan = compile_document(wanted, version=3).plan
    assert plan is not None
    with zipfile.ZipFile(io.BytesIO(project(tenant, plan, wanted))) as archive:
        archive.extractall(folder)
    return folder


def ran(folder: Path, *events: Any) -> list[dict[str, Any]]:
    """What the project answers to these events, in a process that has its code and no other of these packages."""
    script = Path(__file__).with_name("run_project.py")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SW_")} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *map(json.dumps, events)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    answers: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text())
    return answers


@pytest.mark.parametrize("wanted", [ASKING, TIMED], ids=["question", "schedules"])
def test_the_template_is_sound(tenant, tmp_path, wanted: Document):
    folder = exported(tenant, wanted, tmp_path)
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--", str(folder / "template.yaml")]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_a_project_gives_what_the_workflow_gives(machines: Machines, tenant, tmp_path):
    trigger = {"numbers": [1, 2, 3]}
    run = machines.until(machines.start(LOOPING, trigger))
    expected = machines.value(run.final_output)
    assert expected == {"doubled": [2, 4, 6], "tool": 42}
    credential = {"credential": {"name": "shop", "kind": "bearer", "values": {"token": "hush"}}}
    event = {"trigger_data": trigger, "wait_seconds": 30}
    *kept, answer = ran(exported(tenant, LOOPING, tmp_path), credential, credential, event)
    assert kept == [{"credential": "shop"}] * 2
    assert (answer["status"], answer["final_output"]) == ("completed", expected)


def test_a_project_asks_and_is_answered(tenant, tmp_path):
    answers = ran(
        exported(tenant, ASKING, tmp_path),
        {"trigger_data": 1},
        {"wait": "paused"},
        {"tasks": "$run"},
        {"answer": {"task": "$task", "decision": "approved", "comment": "yes"}},
        {"wait": "completed"},
    )
    assert [t["title"] for t in answers[2]["tasks"]] == ["May I?"]
    assert answers[-1]["final_output"]["comment"] == "yes"


def test_an_instant_of_a_schedule_is_one_run(tenant, tmp_path):
    due = {"schedule": "daily", "time": "2026-01-05T06:00:00Z"}
    first, again, done = ran(exported(tenant, TIMED, tmp_path), due, due, {"wait": "completed"})
    assert first["run"] == again["run"]
    assert done["final_output"] == "2026-01-05T06:00:00.000Z"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"run": "ex_nobody"}, "not_found"),
        ({"trigger_data": 1, "trigger_node": "nobody"}, "invalid"),
        ({"trigger": 1}, "bad_request"),
        ({"answer": {}}, "bad_request"),
        ({"answer": {"task": "tk_1", "decision": "approved"}}, "not_found"),
        ({"answer": "yes"}, "bad_request"),
        ({"credential": {"name": "a"}}, "bad_request"),
        ({"credential": {"name": "A!", "kind": "bearer", "values": {}}}, "bad_request"),
        ({"credential": {"name": "a", "kind": "bearer", "values": {}}}, "invalid"),
        ({"schedule": "daily", "time": "soon"}, "bad_request"),
        ({"schedule": "daily"}, "bad_request"),
        ({"wait_seconds": "long"}, "bad_request"),
        ([], "bad_request"),
    ],
)
def test_odd_events_are_answered(aws, tenant, tmp_path, monkeypatch, event: Any, code: str):
    exported(tenant, LOOPING, tmp_path)
    monkeypatch.setattr(standalone, "PROJECT", tmp_path / "src" / "project.json")
    standalone._ready.cache_clear()
    assert standalone.start(event, None)["error"] == code


def test_schedules_are_of_the_stack(tenant, tmp_path):
    resources = yaml.safe_load((exported(tenant, TIMED, tmp_path) / "template.yaml").read_text())["Resources"]
    made = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::Scheduler::Schedule"]
    assert [m["ScheduleExpression"] for m in made] == ["cron(0 7 ? * MON,TUE,WED,THU,FRI *)", "rate(5 minutes)"]
    assert [m["ScheduleExpressionTimezone"] for m in made] == ["Europe/Berlin", "UTC"]
    assert json.loads(made[0]["Target"]["Input"])["schedule"] == "daily"
    assert "SchedulerRole" in resources


def test_a_project_brings_what_an_agent_names(tenant, tmp_path):
    keep(tenant, "tools", "look", kind="mcp", server="files", tool="look", credential=None)
    keep(tenant, "mcp_servers", "files", transport="streamable_http", url="https://x.example", credential="files_key")
    keep(tenant, "agents", "clerk", model={"model": "m"}, tools=["look", "calculate"], mcp_servers=[])
    folder = exported(tenant, AGENT, tmp_path)
    held = json.loads((folder / "src" / "project.json").read_text())
    assert [(r["kind"], r["name"]) for r in held["resources"]] == [
        ("agents", "clerk"),
        ("mcp_servers", "files"),
        ("tools", "look"),
    ]
    assert "| `files_key` |" in (folder / "README.md").read_text()
    assert tenant.id not in (folder / "src" / "project.json").read_text()


def chat(node_id: str, **config: Any) -> dict[str, Any]:
    """A node that asks the prompt `greet`."""
    named = {"model": "m", "prompt": "greet", "variables": {"name": "{{ trigger.name }}"}}
    return node(node_id, "llm_chat", {**named, **config}, inputs={"messages": []})


PROMPTED = document(
    [
        node("start", "manual_trigger"),
        chat("first", prompt_version=1),
        chat("newest"),
        node("out", "output", inputs={"value": "{{ nodes.first.response & ' ' & nodes.newest.response }}"}),
    ],
    "start.trigger -> first.after; first.response -> newest.after",
)


def greeted(tenant: Tenant, *texts: str) -> None:
    """Make the prompt `greet`, or further versions of it, of these texts."""
    fields = {"system": "", "model": None, "input_schema": None, "output_schema": None}
    store = ResourceStore(TenantTable(tenant))
    for text in texts:
        found = store.page("prompts", None, 1).items
        if not found:
            keep(tenant, "prompts", "greet", text=text, **fields)
        else:
            before = store.get("prompts", "greet")
            store.save(before, replace(before, document={**before.document, "text": text}))


def test_a_project_brings_those_versions_of_a_prompt_that_count(tenant, model: Model, tmp_path):
    greeted(tenant, "Hello {{ name }}", "Not this, {{ name }}", "Goodbye {{ name }}")
    folder = exported(tenant, PROMPTED, tmp_path)
    held = json.loads((folder / "src" / "project.json").read_text())["resources"]
    assert [(r["kind"], r["name"], r["version"], r["document"]["text"]) for r in held] == [
        ("prompts", "greet", 1, "Hello {{ name }}"),
        ("prompts", "greet", 3, "Goodbye {{ name }}"),
    ]
    model.scripts["m"] = ["Said."]
    [answer] = ran(folder, {"trigger_data": {"name": "Ada"}, "wait_seconds": 30})
    assert (answer["status"], answer["final_output"]) == ("completed", "Said. Said."), answer
    assert [a["messages"][-1]["content"] for a in model.asked] == ["Hello Ada", "Goodbye Ada"]


def test_a_project_of_another_version_takes_its_prompts_along(aws, tenant, tmp_path, monkeypatch):
    alone = Tenant(standalone.TENANT)
    store = ResourceStore(TenantTable(alone))

    def deployed(folder: Path) -> list[str]:
        monkeypatch.setattr(standalone, "PROJECT", folder / "src" / "project.json")
        standalone._ready.cache_clear()
        standalone._ready(alone)
        return [store.find("prompts", "greet", version)["text"] for version in (None, 1)]

    greeted(tenant, "one", "two")
    before = exported(tenant, PROMPTED, tmp_path / "before")
    assert deployed(before) == ["two", "one"]
    kept = store.get("prompts", "greet")
    assert deployed(before) == ["two", "one"]
    assert store.get("prompts", "greet") == kept, "a cold start writes nothing again"
    greeted(tenant, "three")
    assert deployed(exported(tenant, PROMPTED, tmp_path / "after")) == ["three", "one"]
    assert deployed(before) == ["two", "one"]


def test_an_error_workflow_does_not_come_along(tenant):
    wanted = LOOPING.model_copy(update={"settings": LOOPING.settings.model_copy(update={"error_workflow": "wf_other"})})
    plan = compile_document(wanted).plan
    assert plan is not None
    with pytest.raises(Invalid) as refused:
        project(tenant, plan, wanted)
    assert [(e.code, e.path) for e in refused.value.errors] == [("not_exportable", "settings.error_workflow")]


UNFIT = [
    *((name, get(name).example["config"], get(name).example["inputs"]) for name in ("code_executor", "shell_command")),
    ("sub_workflow", {"workflow_id": "wf_other"}, {}),
    ("retriever", {"collection": "laws"}, {"query": "x"}),
    ("sql_query", {"credential": "db"}, {"query": "SELECT 1"}),
    ("function_call", {}, {"name": "nobody_has_it"}),
    ("function_call", {}, {"name": "started"}),
    ("llm_chat", {"model": "m", "prompt": "nobody_has_it"}, {"messages": []}),
    ("llm_chat", {"model": "m", "prompt": "greet", "prompt_version": 2}, {"messages": []}),
]


@pytest.mark.parametrize(("kind", "config", "inputs"), UNFIT)
def test_what_a_project_cannot_run_is_named(tenant, kind: str, config: Any, inputs: Any):
    keep(tenant, "tools", "started", kind="workflow", workflow_id="wf_other", workflow_version=None)
    greeted(tenant, "Hello")
    wanted = document(
        [node("start", "manual_trigger"), node("odd", kind, config, inputs=inputs), node("out", "output")]
    )
    plan = compile_document(wanted).plan
    assert plan is not None
    with pytest.raises(Invalid) as refused:
        project(tenant, plan, wanted)
    assert refused.value.code == "not_exportable"
    assert all(str(problem.path).startswith("nodes.odd") for problem in refused.value.errors)


def test_a_project_is_the_same_zip_each_time_and_can_be_imported(tenant, tmp_path):
    plan = compile_document(LOOPING).plan
    assert plan is not None
    body = project(tenant, plan, LOOPING)
    assert body == project(tenant, plan, LOOPING)
    assert len(body) < 3_000_000  # fits into an answer of the API
    folder = exported(tenant, LOOPING, tmp_path)
    assert opened(json.loads((folder / "workflow.json").read_text())) == LOOPING
    assert not list(folder.rglob("__pycache__"))


def test_libraries_are_those_of_the_runner_as_pinned():
    pins = dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    wanted = (ROOT / "functions" / "runner" / "requirements.txt").read_text().split()
    held = json.loads((ROOT / "stepfunctions" / "exports" / "libraries.json").read_text())
    assert held == [f"{name}=={pinned[name.partition('[')[0]]}" for name in wanted]
