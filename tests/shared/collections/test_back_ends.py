"""One suite for all back ends: embedded, Amazon S3 Vectors (moto), Qdrant (its client's local mode)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.collections.filters import read
from shared.collections.model import MAX_TEXT_BYTES, Passage
from tests.shared.collections.cases import FITTING, PASSAGES
from tests.shared.collections.conftest import Make, ids

NORTH, EAST, UP = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def five() -> list[Passage]:
    return [Passage(name, f"text {name}", [1.0, 0.1 * i, 0.0], m) for i, (name, m) in enumerate(PASSAGES.items())]


def test_what_is_written_is_found_nearest_first(make: Make) -> None:
    held = make()
    assert held.upsert(five()) == 5
    found = held.nearest(NORTH, 3, None)
    assert ids(found) == ["a", "b", "c"]
    assert found[1].text == "text b"
    assert found[1].metadata == PASSAGES["b"]
    assert held.count(None) == 5


def test_metadata_comes_back_as_it_was(make: Make) -> None:
    held = make()
    held.upsert(five())
    assert {m.id: m.metadata for m in held.nearest(NORTH, 5, None)} == PASSAGES


def test_an_empty_collection(make: Make) -> None:
    held = make()
    assert held.nearest(NORTH, 5, None) == []
    assert held.count(None) == 0
    assert held.count(read({"lang": "en"})) == 0
    assert held.delete(["a"], None) == 0
    assert held.delete([], read({"lang": "en"})) == 0


@pytest.mark.parametrize(
    ("metric", "scores"), [("cosine", [1.0, 0.0, -1.0]), ("euclidean", [1 / 2, 1 / (1 + 5**0.5), 1 / 4])]
)
def test_scores(make: Make, metric: str, scores: list[float]) -> None:
    held = make(metric=metric)
    held.upsert([Passage("same", "", [2.0, 0.0, 0.0]), Passage("across", "", [0.0, 2.0, 0.0])])
    held.upsert([Passage("against", "", [-2.0, 0.0, 0.0])])
    found = held.nearest(NORTH, 3, None)
    assert ids(found) == ["same", "across", "against"]
    assert [m.score for m in found] == pytest.approx(scores, abs=1e-6)


def test_the_same_id_is_written_over(make: Make) -> None:
    held = make()
    held.upsert([Passage("x", "old", NORTH, {"v": 1}), Passage("y", "other", EAST)])
    assert held.upsert([Passage("x", "first", UP, {"v": 2}), Passage("x", "new", UP, {"v": 3})]) == 1
    assert held.count(None) == 2
    [found] = held.nearest(UP, 1, None)
    assert (found.id, found.text, found.metadata) == ("x", "new", {"v": 3})
    assert found.score == pytest.approx(1)
    assert held.count(read({"v": 1})) == 0


def test_writing_twice_is_writing_once(make: Make) -> None:
    held = make()
    held.upsert(five())
    held.upsert(five())
    assert held.count(None) == 5
    assert ids(held.nearest(NORTH, 5, None)) == list("abcde")


def test_removed_by_id(make: Make) -> None:
    held = make()
    held.upsert(five())
    assert held.delete(["b", "d", "nobody"], None) == 2
    assert ids(held.nearest(NORTH, 5, None)) == list("ace")
    assert held.delete(["b"], None) == 0
    held.upsert([Passage("b", "again", NORTH)])
    assert held.count(None) == 4


def test_removed_by_filter(make: Make) -> None:
    held = make()
    held.upsert(five())
    assert held.delete([], read({"lang": {"$ne": "en"}})) == 3
    assert ids(held.nearest(NORTH, 5, None)) == ["a", "c"]
    assert held.delete(["a"], read({"page": 10})) == 2
    assert held.count(None) == 0


def test_nothing_is_removed_beyond_a_scope(make: Make) -> None:
    held = make()
    held.upsert(five())
    english = read({"lang": "en"})
    assert held.delete(["a", "b", "nobody"], None, english) == 1
    assert held.delete(["d"], read({"page": {"$gt": 1}}), english) == 1
    assert ids(held.nearest(NORTH, 5, None)) == ["b", "d", "e"]
    assert held.delete(["b", "d", "e"], None, english) == 0


def test_every_filter(make: Make) -> None:
    held = make()
    held.upsert(five())
    wrong: dict[str, Any] = {}
    for given, fitting in FITTING:
        found = "".join(sorted(ids(held.nearest(NORTH, 5, read(given)))))
        counted = held.count(read(given))
        if (found, counted) != (fitting, len(fitting)):
            wrong[str(given)] = (found, counted, fitting)
    assert not wrong


def test_a_filter_leaves_k_of_those_that_fit(make: Make) -> None:
    held = make()
    held.upsert([Passage(f"p{i}", "", [1.0, i / 100, 0.0], {"even": i % 2 == 0}) for i in range(60)])
    assert ids(held.nearest(NORTH, 3, read({"even": False}))) == ["p1", "p3", "p5"]
    assert len(held.nearest(NORTH, 50, read({"even": True}))) == 30


def test_large_and_odd_texts(make: Make) -> None:
    held = make()
    texts = ["x" * MAX_TEXT_BYTES, "Zeile\n\ttab \"quoted\" 'x' \\ {{ }}", "ä€😀\u200d", ""]
    held.upsert([Passage(f"id {i} ü/#?", t, [1.0, i / 10, 0.0], {"t": t[:20]}) for i, t in enumerate(texts)])
    assert [m.text for m in held.nearest(NORTH, 4, None)] == texts
    assert held.delete(["id 2 ü/#?"], None) == 1


def test_nothing_is_written(make: Make) -> None:
    held = make()
    assert held.upsert([]) == 0
    assert held.delete([], None) == 0


def test_many_at_once(make: Make) -> None:
    held = make()
    held.upsert([Passage(f"p{i}", str(i), [1.0, i / 1000, 0.0], {"i": i}) for i in range(1_200)])
    assert held.count(None) == 1_200
    assert held.delete([f"p{i}" for i in range(0, 1_200, 2)], None) == 600
    assert ids(held.nearest(NORTH, 2, None)) == ["p1", "p3"]
