"""This project's own documentation, loaded, cut, embedded by a real model of sentences, and asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.collections.model import Model
from shared.files.store import FileStore
from shared.store.table import TenantTable
from tests.servers.embeddings import Embeddings, serving
from tests.shared.nodes.calls import Outside, execute
from tests.shared.nodes.collected import made, world_of

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("cache-and-files", "command-line", "human-tasks", "live-events", "triggers", "deploy")
# A question, the page with its answer, and words of the passage that answers it.
QUESTIONS = [
    ("How long may a value stay in the cache at most?", "cache-and-files", "30 days"),
    ("What becomes of a task when the time for an answer was over?", "human-tasks", "the time was over"),
    ("How do I run a workflow from my terminal without any server?", "command-line", "without"),
    ("How are the events of a run pushed to a browser?", "live-events", "WebSocket"),
    ("How is the signature of an incoming webhook verified?", "triggers", "HMAC-SHA256"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Embeddings]:
    with serving() as one:
        yield one


@pytest.fixture
def world(tenant, server) -> Outside:
    files = FileStore(TenantTable(tenant))
    for page in PAGES:
        files.write(f"docs/{page}.md", (DOCS / f"{page}.md").read_bytes(), "text/markdown")
    made(tenant, "docs", 384, model=Model("openai", "minilm", "models"))
    world = world_of(tenant, server)
    world.files = files
    documents = execute("document_loader", {}, {"source": "docs/*.md"}, world=world)["documents"]
    assert [d["metadata"]["source"] for d in documents] == sorted(f"docs/{page}.md" for page in PAGES)
    config = {"strategy": "markdown", "size": 700, "overlap": 0}
    chunks = execute("chunker", config, {"documents": documents})["chunks"]
    written = execute("vector_store", {"collection": "docs"}, {"data": chunks}, world=world, timeout_seconds=120)
    assert written["count"] == len(chunks) > 40
    return world


@pytest.mark.slow
def test_questions_find_the_passages_that_answer_them(world: Outside) -> None:
    missed: dict[str, Any] = {}
    for mode in ("vector", "hybrid"):
        for question, page, words in QUESTIONS:
            config = {"collection": "docs", "k": 3, "mode": mode}
            found = execute("retriever", config, {"query": question}, world=world)["documents"]
            said = [d for d in found if d["metadata"]["source"] == f"docs/{page}.md" and words in d["content"]]
            if not said:
                missed[f"{mode}: {question}"] = [(d["metadata"]["source"], d["content"][:80]) for d in found]
    assert not missed
    found = execute("retriever", {"collection": "docs", "filter": {"title": "Deploying"}}, {"query": "x"}, world=world)
    assert {d["metadata"]["source"] for d in found["documents"]} <= {"docs/deploy.md"}
