"""A guided workflow for tests, a model that says what it is told to, and a person who talks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from shared.settings import settings
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.stepfunctions.agents import completion

Json = dict[str, Any]
Answer = Mapping[str, Any] | str | int

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "title": "Your name"},
        "amount": {"type": "number", "minimum": 1, "maximum": 5_000},
        "damaged": {"type": "boolean"},
        "damage": {"type": "string"},
        "email": {"type": "string", "format": "email"},
    },
    "required": ["name", "amount"],
}
STEPS: list[Json] = [
    {"id": "who", "name": "You", "fields": ["name"]},
    {"id": "what", "name": "Claim", "fields": ["amount", "damaged"]},
    {"id": "damage", "name": "Damage", "fields": ["damage"], "when": "state.damaged"},
    {"id": "contact", "name": "Contact", "fields": ["email"], "required": False},
]


def template(**fields: Any) -> Json:
    """A claim: two required steps, one that depends on what was said, one that is optional."""
    return {
        "name": "claim",
        "description": "A claim for a refund",
        "category": "financial",
        "guidelines": "Be kind.",
        "state_schema": SCHEMA,
        "steps": STEPS,
        "model": {"model": "guide"},
        **fields,
    }


def update(name: str, value: Any, evidence: str) -> Json:
    return {"field": name, "value": value, "evidence": evidence}


def says(reply: str, *updates: Json, **more: Any) -> Json:
    """A model's answer."""
    return {"reply": reply, "updates": list(updates), **more}


ALL = says(
    "Thank you.",
    update("name", "Ada", "Ada"),
    update("amount", 120, "120 euro"),
    update("damaged", False, "not damaged"),
)
EVERYTHING = "I am Ada, it is 120 euro, and it is not damaged"


@dataclass
class Mind:
    """Answers in this order; the last one over and over. A number is the status of a failure, text is sent as it is."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    while_asked: Callable[[], None] = lambda: None
    lock: Any = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked.json)
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.while_asked()
        if isinstance(said, int):
            return Reply(b"{}", status=said)
        return Reply(completion(said if isinstance(said, str) else json.dumps(said)))

    def told(self, at: int = -1) -> str:
        """The instructions of a question."""
        return str(self.asked[at]["messages"][0]["content"])


@contextmanager
def serving_mind() -> Iterator[tuple[Mind, Server]]:
    mind = Mind()
    with serving(mind.answer) as server:
        yield mind, server


@contextmanager
def thinking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mind]:
    """The platform's model endpoint."""
    with serving_mind() as (mind, server):
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        settings.cache_clear()
        yield mind


def body(answer: httpx.Response, *expected: int) -> Any:
    assert answer.status_code in (expected or (200, 201)), answer.text
    return answer.json()


@dataclass
class Person:
    """Somebody who has a conversation over HTTP."""

    client: httpx.Client
    instance: str = ""

    def begin(self, name: str = "claim", **fields: Any) -> Json:
        made: Json = body(self.client.post("/workflow-instances", json={"template": name, **fields}), 201)
        self.instance = made["id"]
        return made

    def say(self, content: str, *, wait: float = 20, key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        sent = {"content": content, "wait_seconds": wait, **fields}
        return self.client.post(f"/workflow-instances/{self.instance}/messages", json=sent, headers=headers)

    def hears(self, content: str, **fields: Any) -> Json:
        """The answer to what is said."""
        said: Json = body(self.say(content, **fields), 200)
        return said

    def act(self, what: str, sent: Json | None = None, *expected: int) -> Json:
        done: Json = body(self.client.post(f"/workflow-instances/{self.instance}/{what}", json=sent), *expected)
        return done

    def now(self, wait: float = 0) -> Json:
        found: Json = body(self.client.get(f"/workflow-instances/{self.instance}?wait_seconds={wait}"), 200)
        return found

    def said(self) -> Sequence[tuple[str, str]]:
        items = body(self.client.get(f"/workflow-instances/{self.instance}/messages"))["items"]
        return [(m["role"], m["content"]) for m in items]
