"""Question answering over real files on the local AWS: loaded, cut, embedded, kept; then found, ranked, answered."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.caller import Caller
from tests.shared.nodes import papers
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
COLLECTION = {"name": "e2e-handbook", "dimension": 256, "model": {"model": "scripted", "shortened": True}}
PRICES = b"article;price\nred bicycle;450 euro\nblue scooter;120 euro\n"
RULES = b"# Rules\n\n## Smoking\n\nNobody smokes in the building.\n\n## Bicycles\n\nPut them into the yard.\n"
SALES = ["Sales rose in spring.", "Sales fell in autumn because of the weather."]
FILES = {
    "rag/handbook.docx": (papers.word("Handbook"), "application/octet-stream"),
    "rag/price list.csv": (PRICES, "text/csv"),
    "rag/rules.md": (RULES, "text/markdown"),
    "rag/report.pdf": (papers.pdf(SALES), "application/pdf"),
}
QUESTION = "{{ trigger.question }}"
READING = document(
    [
        node("start", "manual_trigger"),
        node("load", "document_loader", inputs={"source": "{{ trigger.files }}"}),
        node("cut", "chunker", {"strategy": "markdown", "size": 80, "overlap": 0}),
        node("keep", "vector_store", {"collection": "e2e-handbook"}),
        node("out", "output"),
    ],
    "load.documents -> cut.documents; cut.chunks -> keep.data; keep.count -> out.value",
)
ASKING = document(
    [
        node("start", "manual_trigger"),
        node(
            "find",
            "retriever",
            {"collection": "e2e-handbook", "mode": "hybrid"},
            inputs={"query": QUESTION},
        ),
        node("rank", "reranker", {"top_k": 1}, inputs={"query": QUESTION}),
        node("say", "llm_chat", {"model": "scripted"}, inputs={"messages": "{{ nodes.rank.documents[0].content }}"}),
        node("out", "output", inputs={"value": "{{ [nodes.say.response, nodes.rank.documents[0].metadata] }}"}),
    ],
    "find.documents -> rank.documents",
)
QUESTIONS = {
    "Who smokes in the building?": ("Nobody smokes", {"source": "rag/rules.md", "title": "Rules"}),
    "What does the blue scooter cost?": ("120 euro", {"source": "rag/price list.csv", "row": 2}),
    "Why did sales fall in autumn?": ("because of the weather", {"source": "rag/report.pdf", "page": 2}),
    "How is leave asked for?": ("in writing", {"source": "rag/handbook.docx", "type": "docx"}),
}


@pytest.fixture(scope="module")
def handbook(mine: Caller) -> Caller:
    for path, (body, kind) in FILES.items():
        asked = {"path": path, "size": len(body), "content_type": kind}
        found = mine.post("/files/upload", asked, 200)
        sent = httpx.put(found["url"], content=body, headers=found["headers"], trust_env=False, timeout=60)
        assert sent.status_code == 200, sent.text
    made = mine.post("/collections", COLLECTION, 201)
    assert (made["backend"], made["count"]) == ("embedded", 0)
    reading = mine.published(READING)
    for _ in range(2):  # again: the same passages, written over
        ended = mine.until(mine.execute(reading, {"files": "rag/*"}), seconds=120)
        assert ended["status"] == "completed", ended["error"]
        assert ended["final_output"] == mine.get("/collections/e2e-handbook")["count"] > 7
    return mine


def test_questions_are_answered_from_the_right_passage(handbook: Caller) -> None:
    asking = handbook.published(ASKING)
    for question, (words, source) in QUESTIONS.items():
        ended = handbook.until(handbook.execute(asking, {"question": question}), seconds=120)
        assert ended["status"] == "completed", ended["error"]
        said, metadata = ended["final_output"]
        assert words in said, question
        assert source.items() <= metadata.items()
    usage = handbook.run(ended["id"])["node_executions"]["find"]["usage"]
    assert usage["prompt_tokens"] == len(question.split())


def test_another_tenant_finds_nothing(handbook: Caller, theirs: Caller) -> None:
    ended = theirs.until(theirs.start(ASKING, {"question": "Who smokes?"}), seconds=120)
    assert (ended["status"], ended["error"]["error"]) == ("failed", "CollectionNotFound")
    theirs.post("/collections", COLLECTION, 201)
    theirs.refused("GET", "/collections/handbook", 404)
    emptied = document(
        [
            node("start", "manual_trigger"),
            node("ask", "vector_store", {"collection": "e2e-handbook", "operation": "count"}, inputs={"data": True}),
            node("out", "output", inputs={"value": "{{ nodes.ask.count }}"}),
        ],
    )
    assert theirs.until(theirs.start(emptied), seconds=120)["final_output"] == 0
    assert theirs.send("DELETE", "/collections/e2e-handbook").status_code == 204
    assert handbook.get("/collections/e2e-handbook")["count"] > 7
