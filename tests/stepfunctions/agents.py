"""A model that works by a script, and what agents of tests are given."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.clock import now_ms
from shared.resources.model import Kind, Resource
from shared.resources.store import ResourceStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.model import Document
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.stepfunctions.compiler.documents import document, node

Says = str | list[tuple[str, Any]]  # a text, or calls of tools: (name, arguments)


def completion(says: Says, step: int = 0, tokens: int = 10) -> dict[str, Any]:
    """What an OpenAI-compatible endpoint answers. Arguments that are text are sent as they are."""
    calls = [
        {
            "id": f"call-{step}-{i}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for i, (name, given) in enumerate(says if isinstance(says, list) else [])
    ]
    message = {"role": "assistant", "content": says if isinstance(says, str) else None}
    usage = {"prompt_tokens": tokens - 3, "completion_tokens": 3, "total_tokens": tokens}
    choice = {"index": 0, "message": message | ({"tool_calls": calls} if calls else {}), "finish_reason": "stop"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [choice],
        "usage": usage,
    }


@dataclass
class Model:
    """Scripts by model name; the step is the number of the model's messages since the last task.

    `paid` counts how often each step of each was answered, `asked` holds the requests.
    """

    scripts: dict[str, Sequence[Says]] = field(default_factory=dict)
    paid: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    asked: list[dict[str, Any]] = field(default_factory=list)
    while_asked: Callable[[], None] = lambda: None
    lock: Any = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Reply:
        body = asked.json
        messages = body["messages"]
        tasks = [i for i, m in enumerate(messages) if m["role"] == "user" and "does not fit" not in m["content"]]
        step = sum(m["role"] == "assistant" for m in messages[tasks[-1] :])
        with self.lock:
            self.asked.append(body)
            self.paid[body["model"], messages[tasks[-1]]["content"], step] += 1
        self.while_asked()
        return Reply(completion(self.scripts[body["model"]][step], step))

    def told(self, step: int = -1) -> list[str]:
        """What tools had given, when the model was asked."""
        return [m["content"] for m in self.asked[step]["messages"] if m["role"] == "tool"]


@contextmanager
def serving_model() -> Iterator[tuple[Model, Server]]:
    """A model that works by a script, at an address of its own."""
    model = Model()
    with serving(model.answer) as server:
        yield model, server


@contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The platform's model endpoint."""
    with serving_model() as (model, server):
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        settings.cache_clear()
        yield model


def keep(tenant: Tenant, noun: Kind, name: str, /, **fields: Any) -> None:
    """A stored tool or agent."""
    made = {"description": f"About {name}.", **fields, "name": name}
    now = now_ms()
    shown = {"description": made["description"]}
    ResourceStore(TenantTable(tenant)).create(Resource(noun, name, shown, 1, now, now, "us_1", made))


def tool(tenant: Tenant, name: str, base: str, **fields: Any) -> None:
    """A tool that posts to `base`."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    given = {"kind": "http", "method": "POST", "url": f"{base}/{name}/{{n}}", "input_schema": schema, **fields}
    keep(tenant, "tools", name, **given)


def workflow(granularity: str = "segment", fields: Mapping[str, Any] | None = None, **config: Any) -> Document:
    """A trigger, the agent `clerk`, and all that it gives."""
    return document(
        [
            node("start", "manual_trigger"),
            node("clerk", "agent", {"model": "m", **config}, **(fields or {})),
            node("out", "output"),
        ],
        "start.trigger -> clerk.input; clerk.output -> out.value",
        settings={"granularity": granularity},
    )
