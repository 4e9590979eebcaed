from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from shared.nodes.base import NodeError
from shared.nodes.rag import _chunker
from shared.nodes.rag.chunker import STRATEGIES
from tests.shared.nodes.calls import execute, problems

PROSE = (
    "The first sentence is here. Is the second one, too? “It is,” she said. And so on…\n\n"
    "A new paragraph has a list:\n- one\n- two\n\n第一句。第二句。第三句。 The end of it. "
) * 6
MARKDOWN = (
    "# Leave\n\nAsk in writing.\n\n## How much\n\n- Thirty days\n- More later\n\n```python\nx = 1\n\ny = 2\n```\n"
)


def chunks(documents: Any, **config: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = execute("chunker", config, {"documents": documents})["chunks"]
    return found


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("size", "overlap"), [(60, 0), (60, 20), (200, 199), (5000, 0)])
def test_chunks_are_small_and_say_where_they_stood(strategy: str, size: int, overlap: int) -> None:
    found = chunks([PROSE], strategy=strategy, size=size, overlap=overlap)
    covered = bytearray(len(PROSE))
    for number, chunk in enumerate(found):
        at = chunk["metadata"]
        assert at["chunk"] == number
        assert PROSE[at["start"] : at["end"]] == chunk["content"] != ""
        assert strategy == "token" or len(chunk["content"]) <= size
        covered[at["start"] : at["end"]] = b"\1" * (at["end"] - at["start"])
    assert all(covered[i] or PROSE[i].isspace() for i in range(len(PROSE))), "nothing is lost but space"
    starts = [c["metadata"]["start"] for c in found]
    assert starts == sorted(set(starts))
    for one, other in pairwise(found):
        shared = one["metadata"]["end"] - other["metadata"]["start"]
        assert strategy == "token" or shared <= overlap


def test_each_strategy_cuts_where_it_says() -> None:
    text = "One two three. Four five six? Seven eight nine!"
    assert [c["content"] for c in chunks([text], strategy="fixed", size=20, overlap=5)] == [
        "One two three. Four ",
        "Four five six? Seven",
        "Seven eight nine!",
    ]
    whole = ["One two three.", "Four five six?", "Seven eight nine!"]
    assert [c["content"] for c in chunks([text], strategy="sentence", size=20, overlap=0)] == whole
    assert [c["content"] for c in chunks([text], strategy="sentence", size=32, overlap=15)] == [
        "One two three. Four five six?",
        "Four five six? Seven eight nine!",
    ]
    first = chunks([MARKDOWN], strategy="markdown", size=40, overlap=0)
    assert [c["content"] for c in first][:2] == [
        "# Leave\n\nAsk in writing.",
        "## How much\n\n- Thirty days\n- More later",
    ]
    assert any(c["content"].startswith("```python\nx = 1") for c in first)
    tokens = chunks(["word " * 100], strategy="token", size=10, overlap=0)
    assert [len(c["content"].split()) for c in tokens] == [10] * 10


def test_a_sentence_that_is_longer_than_a_chunk_is_cut_at_words() -> None:
    found = chunks(["Short. " + "long " * 30 + "end. Last."], strategy="sentence", size=50, overlap=0)
    assert found[0]["content"] == "Short."
    assert all(len(c["content"]) <= 50 and not c["content"].startswith("ong") for c in found)


def test_metadata_is_kept() -> None:
    document = {"content": "a b", "metadata": {"source": "x.md", "page": 3}, "id": "7"}
    [found] = chunks([document])
    assert found == {"content": "a b", "metadata": {"source": "x.md", "page": 3, "chunk": 0, "start": 0, "end": 3}}
    assert [c["metadata"]["chunk"] for c in chunks(["a", {"text": "b"}, {"content": "c", "metadata": None}])] == [0] * 3


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_odd_texts(strategy: str) -> None:
    assert chunks([], strategy=strategy) == chunks(["", " \n\t "], strategy=strategy) == []
    text = "half \ud800 a pair, 👩‍👩‍👧 and e\u0301"
    [found] = chunks([text], strategy=strategy)
    assert found["content"] == text
    family = chunks(["👩‍👩‍👧" * 10], strategy=strategy, size=7, overlap=0)
    assert "".join(c["content"] for c in family) == "👩‍👩‍👧" * 10


@pytest.mark.parametrize("text", ["." * 200_000 + "x", " " * 200_000, "\n " * 100_000, ('."' * 100_000) + "x"])
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    chunks([text], strategy="sentence", size=1000)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("tokens_of", ["gpt-4o", "gpt-4", "gpt-3.5-turbo"])
def test_tokens_need_no_network(tokens_of: str) -> None:
    assert len(chunks(["Hello world. " * 50], strategy="token", size=20, overlap=0, tokens_of=tokens_of)) > 5


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ("text", {}, "documents is an array"),
    (None, {}, "documents is an array"),
    ({"content": "x"}, {}, "documents is an array"),
    ([7], {}, r"documents\[0\] is neither"),
    (["x", {"content": 7}], {}, r"documents\[1\] is neither"),
    ([{"metadata": {}}], {}, r"documents\[0\] is neither"),
    ([{"content": "x", "metadata": "y"}], {}, r"documents\[0\] is neither"),
    (["x"], {"size": 10, "overlap": 10}, "overlap is less than the size"),
    (["x"], {"strategy": "token", "tokens_of": "no-model"}, "'no-model' are not known"),
]


@pytest.mark.parametrize(("documents", "config", "said"), BAD, ids=[s for *_, s in BAD])
def test_bad_input(documents: Any, config: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        chunks(documents, **config)
    assert (caught.value.error, caught.value.retryable) == ("InvalidInput", False)


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_chunker, "_MOST_CHUNKS", 10)
    with pytest.raises(NodeError, match="make them larger"):
        chunks(["x" * 100], strategy="fixed", size=2, overlap=0)
    monkeypatch.setattr(_chunker, "_MOST_CHARACTERS", 10)
    with pytest.raises(NodeError, match="TooLarge"):
        chunks(["x" * 11])
    with pytest.raises(NodeError, match="Timeout"):
        execute("chunker", {}, {"documents": ["x"]}, timeout_seconds=-1)


def test_the_config_is_checked() -> None:
    assert problems("chunker", {"size": 100, "overlap": 100}) == ["config.overlap"]
    assert problems("chunker", {"size": 50}) == ["config.overlap"]
    assert problems("chunker", {"size": 500}) == []
