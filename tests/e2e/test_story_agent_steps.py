"""Workflows of agents: made, gone on with, paused and removed; a thread for each step, kept where the agent says.

Told with the generated client.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, until
from tests.e2e.client import Client, connected
from tests.hrana_server import TOKEN
from tests.servers.databases import Database
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
RESEARCH = {"id": "research", "type": "agent", "agent": "row_research", "input": "Research ${user_input}"}
SUMMARY = {"id": "summary", "type": "agent", "agent": "row_summary", "input": "Sum up: ${steps.research.output}"}
REPORT = {"id": "report", "type": "agent", "agent": "row_report", "input": "Report on: ${steps.summary.output}"}
SAYS = {"row_research": "Found.", "row_summary": "In short.", "row_report": "The report."}


def agent(client: Client, name: str, **memory: Any) -> None:
    model = {"provider": "openai", "model": name, "credential": "told"}
    fields = {"name": name, "model": model, "instructions": f"You are {name}.", "memory": {"enabled": True, **memory}}
    client("agents.create", sent=("Agent", fields))


def workflow(client: Client, *steps: dict[str, Any], **fields: Any) -> Any:
    sent = {"name": "Agents in a row", "description": "A multi-step workflow", "steps": list(steps), **fields}
    return client("workflows.create", sent=("WorkflowIn", sent))


def said(client: Client, thread_id: str) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in client.pages("threads.messages", thread_id)]


@pytest.fixture(scope="module")
def client(local: Stack, mine: Caller, told: Model) -> Iterator[Client]:
    with connected(local, mine) as made:
        for name, says in SAYS.items():
            told.scripts[name] = [says]
            agent(made, name)
        yield made


@pytest.fixture
def held(told: Model) -> Iterator[threading.Event]:
    """The model answers nobody until this is set."""
    gate = threading.Event()

    def wait() -> None:
        gate.wait(30)

    told.while_asked = wait
    yield gate
    gate.set()
    told.while_asked = lambda: None


def test_steps_are_executed_paused_and_gone_on_with(client: Client, told: Model, held: threading.Event) -> None:
    made = workflow(client, RESEARCH, SUMMARY, tags=["research"])
    assert (made.name, made.published_version) == ("Agents in a row", None)
    added = client("steps.add", made.id, sent=("AddStepIn", {"step": REPORT}))
    assert (added.step_id, [s.to_dict()["id"] for s in added.steps]) == ("report", ["research", "summary", "report"])

    run_id = client.started(made.id, "trends")
    until(lambda: [a for a in told.asked if a["model"] == "row_research"])
    client("executions.pause", run_id)
    held.set()
    paused = client.until(run_id, "paused")
    assert (paused.pause_reason, paused.node_executions.to_dict()["report"]["status"]) == ("requested", "pending")
    client("executions.resume", run_id)
    ended = client.sw.wait(run_id, 60)
    assert (ended.status, ended.final_output) == ("completed", "The report."), ended.error
    assert [a["messages"][-1]["content"] for a in told.asked if a["model"] in SAYS] == [
        "Research trends",
        "Sum up: Found.",
        "Report on: In short.",
    ]
    # Where each step stands, and its own thread.
    shown = client("executions.list_interactions", run_id)
    assert [(i.index, i.step_id, i.status, i.output) for i in shown.items] == [
        (0, "research", "completed", "Found."),
        (1, "summary", "completed", "In short."),
        (2, "report", "completed", "The report."),
    ]
    assert said(client, f"{run_id}-summary") == [("user", "Sum up: Found."), ("assistant", "In short.")]
    client("threads.say", f"{run_id}-summary", sent=("MessageIn", {"role": "user", "content": "Thanks."}))
    assert said(client, f"{run_id}-summary")[-1] == ("user", "Thanks.")


def test_workflows_are_listed_read_and_removed(client: Client) -> None:
    ids = [workflow(client, RESEARCH, name=f"Row {n}", tags=["rows"]).id for n in range(3)]
    page = client("workflows.list_all", tag="rows", limit=2)
    assert ([w.id for w in page.items], bool(page.next_cursor)) == ([ids[2], ids[1]], True)
    assert [w.id for w in client.pages("workflows.list_all", tag="rows", limit=2)] == ids[::-1]
    found = client("workflows.get", ids[0])
    assert (found.name, found.revision) == ("Row 0", 1)
    client("workflows.remove", ids[0])
    client.refused(404, "workflows.get", ids[0])
    assert [w.id for w in client.pages("workflows.list_all", tag="rows")] == ids[:0:-1]


def test_a_step_that_fails_says_why_and_is_tried_again(client: Client, told: Model) -> None:
    run_id = client.started(workflow(client, RESEARCH, {**SUMMARY, "agent": "row_late"}).id, "late trends")
    failed = client.sw.wait(run_id, 60)
    assert (failed.status, failed.error.to_dict()["error"]) == ("failed", "AgentNotFound")
    assert failed.error.to_dict()["node_id"] == "summary"
    told.scripts["row_late"] = ["At last."]
    agent(client, "row_late")
    client("executions.retry", run_id)
    assert client.until(run_id, "completed").final_output == "At last."
    asked = [a["messages"][-1]["content"] for a in told.asked if a["model"] == "row_research"]
    assert asked.count("Research late trends") == 1, "what was done is not done again"


PROVIDERS = ("threads", "redis", "libsql", "process")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_where_an_agent_remembers_is_a_setting(
    client: Client, told: Model, mine: Caller, redis_server: Database, libsql: Server, provider: str
) -> None:
    own: dict[str, dict[str, Any]] = {"redis": redis_server.values, "libsql": {"url": libsql.url, "token": TOKEN}}
    memory: dict[str, Any] = {"provider": provider}
    if provider in own:
        memory["credential"] = f"row_{provider}"
        mine.secrets.add(str(own[provider].get("token", own[provider]["url"])))
        sent = {"name": f"row_{provider}", "kind": provider, "values": own[provider]}
        client("credentials.create", sent=("CredentialIn", sent))
    name = f"row_in_{provider}"
    told.scripts[name] = ["I know."]
    agent(client, name, **memory)
    step = {"id": "talk", "type": "agent", "agent": name, "input": "${user_input}", "thread_id": f"row-{provider}"}
    workflow_id = workflow(client, step).id
    for text in ("I am Ada.", "Who am I?"):
        ended = client.sw.execute(workflow_id, text, seconds=60)
        assert (ended.status, ended.final_output) == ("completed", "I know."), ended.error
    last = [m["content"] for m in [a for a in told.asked if a["model"] == name][-1]["messages"]]
    if provider != "process":  # a process may be another one the next time
        assert last[-3:] == ["I am Ada.", "I know.", "Who am I?"]
    if provider == "threads":
        assert len(said(client, "row-threads")) == 4
    else:
        client.refused(404, "threads.get", f"row-{provider}")
