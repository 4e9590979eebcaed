"""Each template of the library is made into a workflow over the API, published, and run on the real functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from shared.files.store import FileStore
from shared.members.service import SignedUp
from shared.nodes.base import Trigger
from shared.nodes.registry import get, names
from shared.notifications.store import NotificationStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.templates.library import templates
from tests.outside_of_templates import outside
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.conftest import Machines

EVENT = {"id": "e-1", "source": "shop", "detail-type": "order.placed", "time": "2026-01-05T08:00:00.000Z"}
REQUEST = {"headers": {}, "query": {}, "method": "POST", "path": "/"}
RULES = "Nobody smokes in the building.\n\nBicycles belong into the yard."


@dataclass
class Story:
    """One run: what it is started with, the answer to its question if it has one, what it gives and did."""

    trigger: Any
    gives: Callable[[Any], bool]
    node: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    told: str | None = None
    kept: str | None = None


def story(template: str, *arguments: Any, **more: Any) -> Any:
    kind = f"{template}{more.pop('called', '')}"
    return pytest.param(template, Story(*arguments, **more), id=kind)


STORIES = [
    story(
        "rag-qa",
        {"filepath": "handbook/rules.md", "event": "created", "size": 10},
        lambda out: out == 1,
        node="added",
        files={"handbook/rules.md": RULES},
        called="-reads",
    ),
    story(
        "rag-qa",
        {"question": "Who smokes in the building?"},
        lambda out: "Nobody smokes" in out["answer"] and out["sources"] == ["handbook/rules.md"],
        files={"handbook/rules.md": RULES},
        called="-answers",
    ),
    story(
        "model-router", {"prompt": "Prove it."}, lambda out: out["model"] == "large" and "it is hard" in out["reason"]
    ),
    story(
        "agentic-loop",
        {"task": "What is 6 times 7?"},
        lambda out: "42" in out["answer"] and [c["name"] for c in out["calls"]] == ["calculate"],
    ),
    story(
        "document-pipeline",
        {"filepath": "inbox/rules.md", "event": "created", "size": 10},
        lambda out: out == {"file": "inbox/rules.md", "passages": 1},
        files={"inbox/rules.md": RULES},
        told="inbox/rules.md: 1 passages kept",
    ),
    story(
        "document-pipeline",
        {"filepath": "inbox/broken.pdf", "event": "created", "size": 10},
        lambda out: out == {"file": "inbox/broken.pdf"},
        files={"inbox/broken.pdf": "%PDF-1.7 and nothing more"},
        told="inbox/broken.pdf could not be read: ",
        called="-told-of-what-is-broken",
    ),
    story(
        "api-gateway",
        {"body": {"text": "A long text."}, **REQUEST},
        lambda out: out == {"summary": "Short.", "language": "English"},
    ),
    story("api-gateway", {"body": {"text": 7}, **REQUEST}, lambda out: out is None, called="-refuses"),
    story(
        "race-and-combine",
        {"prompt": "Hello"},
        lambda out: (
            "gpt-4o-mini read" in out["answer"]
            and [r["model"] for r in out["responses"]] == ["first", "second", "third"]
        ),
    ),
    story(
        "race-and-combine",
        {"prompt": "Hello"},
        lambda out: "read: Hello" in out["answer"],
        parameters={"mode": "first"},
        called="-first",
    ),
    story(
        "prompt-chain",
        {"subject": "tea"},
        lambda out: "- Between" in out,
        answer={"decision": "approved", "data": {"headings": ["Before", "Between"]}},
    ),
    story(
        "prompt-chain",
        {"subject": "tea"},
        lambda out: out["comment"] == "no",
        answer={"decision": "rejected", "comment": "no"},
        called="-refused",
    ),
    story(
        "scheduled-report",
        {"timestamp": "2026-01-05T07:00:00.000Z"},
        lambda out: out["file"] == "reports/2026-01-05.md" and "/sales" in out["report"],
        parameters={"url": "{base}/sales"},
        told="gpt-4o-mini read",
        kept="reports/2026-01-05.md",
    ),
    story(
        "event-alert",
        {"event": {**EVENT, "detail": {"amount": 1400}}},
        lambda out: out == {"event": "e-1", "alerted": True},
        told="order.placed: amount is 1400",
    ),
    story(
        "event-alert",
        {"event": {**EVENT, "detail": {"amount": 14}}},
        lambda out: out == {"event": "e-1", "alerted": False},
        called="-only-notes",
    ),
    story(
        "chat-assistant",
        {"message": "And in July?", "thread_id": "th_1", "history": [{"role": "user", "content": "Sales?"}]},
        lambda out: "And in July?" in out,
    ),
    story("approval", {"what": "tea", "amount": 10}, lambda out: out == {"approved": True}, called="-small"),
    story(
        "approval",
        {"what": "a car", "amount": 10_000},
        lambda out: out["approved"] is False and out["comment"] == "too much",
        answer={"decision": "rejected", "comment": "too much"},
    ),
    story(
        "ticket-triage",
        {"ticket": "It burns."},
        lambda out: out == {"category": "bug", "urgent": True, "told": True},
        told="Urgent (bug): It burns.",
    ),
    story(
        "batch-enrichment",
        {"ids": ["a/b", "missing", 7]},
        lambda out: (
            [i["id"] for i in out["items"]] == ["a/b", 7]
            and out["items"][0]["found"] == {"path": "/items/a%2Fb"}
            and out["missing"] == 1
        ),
        parameters={"url": "{base}/items/"},
    ),
    story(
        "failure-watch",
        {"event": {**EVENT, "detail": {"workflow_id": "wf_other", "execution_id": "ex_1"}}},
        lambda out: out is True,
        told="Run ex_1 of wf_other has failed.",
    ),
    story(
        "file-summary",
        {"filepath": "contracts/2026/rent.txt", "event": "created", "size": 10},
        lambda out: out == "summaries/rent.txt.md",
        files={"contracts/2026/rent.txt": "The rent is due."},
        kept="summaries/rent.txt.md",
    ),
]
COLLECTION = {"name": "handbook", "dimension": 64, "model": {"model": "words"}}


@pytest.fixture
def base(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with outside() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server


def test_every_template_has_a_story():
    assert {p.values[0] for p in STORIES} == set(templates())
    assert len(templates()) >= 12


def test_every_trigger_has_a_template():
    used = {n["type"] for t in templates().values() for n in t.document["nodes"]}
    assert {name for name in names() if isinstance(get(name), Trigger)} <= used


@pytest.mark.parametrize(("template", "told"), STORIES)
def test_a_template_of_the_library_runs(
    machines: Machines, owner: SignedUp, api_client: httpx.Client, base: Server, template: str, told: Story
):
    assert api_client.post("/collections", json=COLLECTION).status_code == 201
    files = FileStore(TenantTable(machines.tenant))
    for path, text in told.files.items():
        files.write(path, text.encode(), "text/plain")
    given = {
        name: value.format(base=base.url) if isinstance(value, str) else value
        for name, value in told.parameters.items()
    }
    made = api_client.post(f"/workflows/templates/{template}/instantiate", json={"parameters": given})
    assert made.status_code == 201, made.text
    draft = made.json()
    assert draft["problems"] == []
    assert draft["origin"] == {"kind": "template", "id": template, "source": "library", "version": 1}
    workflow = f"/workflows/{draft['id']}"
    published = api_client.post(f"{workflow}/publish")
    assert published.status_code == 200, published.text
    if template == "rag-qa" and told.node is None:  # what is asked for was read before
        read = {
            "trigger_node": "added",
            "trigger_data": {"filepath": next(iter(told.files)), "event": "created", "size": 1},
        }
        machines.until(api_client.post(f"{workflow}/execute", json=read).json()["id"])
    body = {"trigger_data": told.trigger, **({"trigger_node": told.node} if told.node else {})}
    started = api_client.post(f"{workflow}/execute", json=body)
    assert started.status_code in (200, 202), started.text
    run_id = started.json()["id"]
    if told.answer is not None:
        answered(machines, api_client, run_id, told.answer)
    run = machines.until(run_id)
    assert run.status == "completed", (run.error, machines.statuses(run))
    final = machines.value(run.final_output)
    assert told.gives(final), final
    notes = NotificationStore(TenantTable(machines.tenant)).page(owner.user.id, None, 50, unread=False).items
    if told.answer is None:  # else the person was told of the question
        assert [note.message.startswith(str(told.told)) for note in notes] == [True] * (told.told is not None)
    if told.kept is not None:
        assert told.kept in [f["path"] for f in api_client.get("/files").json()["items"]]


def answered(machines: Machines, client: httpx.Client, run_id: str, answer: dict[str, Any]) -> None:
    """The run's one question is answered, over the API."""
    machines.until(run_id, "paused", "completed", "failed")
    [task] = machines.open_tasks(machines.store.get(run_id)).values()
    done = client.post(f"/tasks/{task.id}/complete", json=answer)
    assert done.status_code == 200, done.text
