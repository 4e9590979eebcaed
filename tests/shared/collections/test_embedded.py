"""The embedded back end: nothing is lost among writers, nothing is left behind, nothing outgrows its quota."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from shared.aws.clients import client
from shared.collections import embedded, view
from shared.collections.embedded import Embedded, Loaded
from shared.collections.filters import read
from shared.collections.keywords import Keywords
from shared.collections.model import MAX_BYTES, MAX_VECTORS, CollectionRecord, Passage
from shared.collections.segments import decoded, encoded, part_of
from shared.collections.store import CollectionStore
from shared.collections.view import View
from shared.errors import NotFound, TooLarge, Unavailable
from shared.ids import ulid
from shared.settings import settings
from tests.shared.collections.conftest import ids, record


def passages(names: str, **metadata: Any) -> list[Passage]:
    return [Passage(n, f"text {n}", [1.0, ord(n) / 1000, 0.0], metadata) for n in names]


def objects() -> list[str]:
    listed = client("s3").list_objects_v2(Bucket=settings().data_bucket, Prefix="collections/")
    return sorted(o["Key"].rpartition("/")[2] for o in listed.get("Contents", []))


def named(store: CollectionStore) -> list[str]:
    return sorted(s.id for s in store.get("handbook").segments)


@pytest.fixture
def made(store: CollectionStore) -> CollectionRecord:
    store.add(record())
    return store.get("handbook")


def test_two_processes_see_each_others_writes(store, made):
    one, other = Embedded(store, "handbook", Loaded()), Embedded(store, "handbook", Loaded())
    one.upsert(passages("ab"))
    other.upsert(passages("cd"))
    assert one.delete(["a"], None) == 1
    assert ids(other.nearest([1, 0, 0], 9, None)) == list("bcd")
    assert one.count(None) == 3


def test_of_many_writers_at_once_none_loses_anything(store, made):
    """Each has a cache of its own, as processes have; half write new passages, the others remove what they wrote."""
    failed: list[BaseException] = []

    def write(number: int) -> None:
        own = Embedded(store, "handbook", Loaded())
        try:
            for turn in range(4):
                name = f"{number}-{turn}"
                own.upsert(
                    [Passage(name, name, [1.0, 0.0, 0.0], {"writer": number}), Passage("shared", name, [0, 1, 0])]
                )
                if turn % 2:
                    assert own.delete([f"{number}-{turn - 1}"], None) == 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    fresh = Embedded(store, "handbook", Loaded())
    found = set(ids(fresh.nearest([1, 0, 0], 100, None)))
    assert found == {f"{n}-{turn}" for n in range(6) for turn in (1, 3)} | {"shared"}
    kept = store.get("handbook")
    assert (kept.count, kept.revision) == (13, 6 * 6)
    assert objects() == named(store)


def test_segments_stay_few_and_what_they_replace_goes(store, made):
    held = Embedded(store, "handbook", Loaded())
    for i in range(40):
        held.upsert([Passage(f"p{i}-{j}", "", [1.0, i, j]) for j in range(10)])
    assert len(store.get("handbook").segments) <= 3
    assert objects() == named(store)
    held.delete([], read({"none": {"$exists": False}}))
    assert (objects(), named(store), held.count(None)) == ([], [], 0)
    assert store.get("handbook").size == 0


def test_what_was_replaced_in_old_segments_is_dropped_when_it_is_a_third(store, made):
    held = Embedded(store, "handbook", Loaded())
    held.upsert([Passage(f"p{i}", "x" * 100, [1.0, i, 0.0]) for i in range(2_000)])
    size = store.get("handbook").size
    held.delete([f"p{i}" for i in range(600)], None)
    assert len(store.get("handbook").segments) == 2
    held.delete([f"p{i}" for i in range(600, 800)], None)
    [segment] = store.get("handbook").segments
    assert segment.rows == held.count(None) == 1_200
    assert store.get("handbook").size == pytest.approx(size * 0.6, rel=0.01)
    fresh = Embedded(store, "handbook", Loaded())
    assert fresh.nearest([1, 1_100, 0], 1, None)[0].id in {f"p{i}" for i in range(800, 2_000)}


def test_what_is_added_leaves_large_segments_as_they_are(store, made, monkeypatch):
    monkeypatch.setattr(view, "_MERGED", 150_000)  # some 200 rows
    monkeypatch.setattr(view, "_SMALL", 16)
    held = Embedded(store, "handbook", Loaded())
    for i in range(10):
        held.upsert([Passage(f"p{i}-{j}", "x" * 100, [1.0, i, j]) for j in range(100)])
    before = store.get("handbook").segments
    assert [s.rows for s in before] == [200] * 5
    held.upsert(passages("a"))
    held.upsert(passages("b"))
    assert store.get("handbook").segments[:5] == before
    held.delete([f"p{i}-{j}" for i in (4, 5) for j in range(50)], None)
    after = store.get("handbook").segments
    assert [s.rows for s in after][:5] == [200, 200, 100, 200, 200]
    assert (after[:2], after[3:5]) == (before[:2], before[3:5])
    assert objects() == named(store)
    assert Embedded(store, "handbook", Loaded()).count(None) == 902


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_merged_and_dropped_the_same_is_there(seed: int, monkeypatch):
    monkeypatch.setattr(view, "_MERGED", 100_000)
    monkeypatch.setattr(view, "_SMALL", 4)
    draw, there = random.Random(seed), dict[str, str]()
    held = View(0, "dot", [])
    for turn in range(150):
        names = [f"p{draw.randrange(400)}" for _ in range(draw.choice([1, 5, 60]))]
        if draw.random() < 0.6:
            new = {n: f"{n} of {turn}" for n in names}
            part = part_of(ulid(), [Passage(n, text, [1, 0]) for n, text in new.items()], frozenset(), 2)
            there.update(new)
        else:
            part = part_of(ulid(), [], frozenset(there.keys() & set(names)), 2)
            there = {n: text for n, text in there.items() if n not in names}
        parts = {p.id for p in held.parts}
        held, written = held.with_part(part)
        assert {p.id for p in held.parts} - parts == {p.id for p in written}
        held = View(held.revision, "dot", [decoded(p.id, encoded(p)) for p in held.parts])
        assert {n: held.parts[number].texts[row] for n, (number, row) in held.place.items()} == there
        assert sum(len(p.ids) for p in held.parts) <= 1.5 * len(there) + 60


def test_a_process_loads_only_what_it_lacks(store, made, monkeypatch):
    first = Embedded(store, "handbook", Loaded())
    first.upsert([Passage(f"p{i}", "", [1.0, i, 0.0]) for i in range(1_000)])
    reader, read_ = Embedded(store, "handbook", Loaded()), []
    get = CollectionStore.read_segment
    monkeypatch.setattr(CollectionStore, "read_segment", lambda *a: read_.append(a[2]) or get(*a))
    reader.count(None)
    first.upsert(passages("ab"))
    reader.count(None)
    reader.count(None)
    assert len(read_) == 2
    assert sorted(read_) == named(store)


def test_a_writer_that_dies_before_it_commits_leaves_nothing_that_counts(store, made, monkeypatch):
    held = Embedded(store, "handbook", Loaded())
    held.upsert(passages("a"))
    with monkeypatch.context() as patching:
        patching.setattr(CollectionStore, "commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            held.upsert(passages("b"))
    assert len(objects()) == 2
    assert ids(held.nearest([1, 0, 0], 9, None)) == ["a"]
    held.upsert(passages("b"))
    assert ids(Embedded(store, "handbook", Loaded()).nearest([1, 0, 0], 9, None)) == ["a", "b"]


def test_a_commit_that_was_sent_twice_counts_once(store, made, monkeypatch):
    """The SDK repeats a request whose answer was lost; the repeat finds another revision."""
    commit = CollectionStore.commit
    monkeypatch.setattr(CollectionStore, "commit", lambda *a: (commit(*a), commit(*a))[1])
    held = Embedded(store, "handbook", Loaded())
    assert held.upsert(passages("ab")) == 2
    assert Embedded(store, "handbook", Loaded()).count(None) == 2
    assert objects() == named(store)


def test_a_reader_whose_segments_were_merged_meanwhile_looks_again(store, made, monkeypatch):
    held = Embedded(store, "handbook", Loaded())
    held.upsert(passages("a"))
    old = store.get("handbook")
    held.upsert(passages("b"))
    answers = iter([old])
    get = CollectionStore.get
    monkeypatch.setattr(CollectionStore, "get", lambda *a: next(answers, None) or get(*a))
    assert ids(Embedded(store, "handbook", Loaded()).nearest([1, 0, 0], 9, None)) == ["a", "b"]


def test_a_collection_that_never_holds_still_is_unavailable(store, made, monkeypatch):
    Embedded(store, "handbook", Loaded()).upsert(passages("a"))
    monkeypatch.setattr(CollectionStore, "read_segment", lambda *_: None)
    with pytest.raises(Unavailable, match="changes too fast"):
        Embedded(store, "handbook", Loaded()).count(None)


def test_a_writer_that_never_gets_its_turn_gives_up(store, made, monkeypatch):
    monkeypatch.setattr(CollectionStore, "commit", lambda *_: None)
    monkeypatch.setattr(embedded, "_WRITE_SECONDS", 0.05)
    with pytest.raises(Unavailable, match="too many write"):
        Embedded(store, "handbook", Loaded()).upsert(passages("a"))
    assert objects() == []


def test_removed_while_somebody_writes(store, made, monkeypatch):
    held = Embedded(store, "handbook", Loaded())
    held.upsert(passages("a"))
    write = CollectionStore.write_segment

    def gone_meanwhile(*given: Any) -> None:
        removing = store.begin_removal("handbook", None)
        store.delete_segments(removing.id)
        store.remove(removing)
        store.add(record())  # another one of the same name
        write(*given)

    monkeypatch.setattr(CollectionStore, "write_segment", gone_meanwhile)
    with pytest.raises(NotFound):
        held.upsert(passages("b"))
    monkeypatch.undo()
    assert objects() == []
    assert Embedded(store, "handbook").count(None) == 0


def test_quotas(store, made, monkeypatch):
    held = Embedded(store, "handbook", Loaded())
    monkeypatch.setattr(embedded, "MAX_VECTORS", 3)
    held.upsert(passages("abc"))
    held.upsert(passages("abc", again=True))
    with pytest.raises(TooLarge, match="at most 3 passages; this would have 4"):
        held.upsert(passages("d"))
    monkeypatch.setattr(embedded, "MAX_BYTES", 3 * (3 * 4 + 4 * len('text a{"again": true}')) + 200)
    with pytest.raises(TooLarge, match="bytes"):
        held.upsert([Passage("a", "x" * 100, [1, 0, 0])])
    held.upsert([Passage("a", "x" * 50, [1, 0, 0], {"again": True})])
    assert held.delete(["a"], None) == 1
    held.upsert(passages("d"))
    assert objects() == named(store)


def test_as_many_as_may_be_fit_at_the_usual_dimensions():
    for dimension in (384, 768, 1_536):
        assert MAX_VECTORS * (4 * dimension + 4 * (1_024 + 100)) <= MAX_BYTES


def test_room_is_made_before_a_collection_is_loaded(store, monkeypatch):
    loaded, kept = Loaded(), list[int]()
    monkeypatch.setattr(embedded, "_KEPT_BYTES", 200_000)
    for name in ("one", "two"):
        store.add(record(name))
        Embedded(store, name, Loaded()).upsert([Passage(f"p{i}", "x" * 1_000, [1, 0, 0]) for i in range(150)])
    Embedded(store, "one", loaded).count(None)
    get = CollectionStore.read_segment
    monkeypatch.setattr(CollectionStore, "read_segment", lambda *a: kept.append(len(loaded._views)) or get(*a))
    assert Embedded(store, "two", loaded).count(None) == 150
    assert kept == [0]


def test_the_cache_is_bounded(store, monkeypatch):
    loaded = Loaded()
    monkeypatch.setattr(embedded, "_KEPT_BYTES", 200_000)
    for name in ("one", "two", "three"):
        store.add(record(name))
        Embedded(store, name, loaded).upsert([Passage(f"p{i}", "x" * 500, [1, 0, 0]) for i in range(100)])
    assert len(loaded._views) == 1
    assert Embedded(store, "one", loaded).count(None) == 100


def test_the_index_of_words_counts_before_it_is_made(store, monkeypatch):
    loaded = Loaded()
    monkeypatch.setattr(embedded, "_KEPT_BYTES", 500_000)
    for name in ("one", "two"):
        store.add(record(name))
        Embedded(store, name, loaded).upsert([Passage(f"p{i}", "x" * 500, [1, 0, 0]) for i in range(100)])
    assert len(loaded._views) == 1
    monkeypatch.setattr(embedded, "_KEPT_BYTES", 1_000_000)
    Embedded(store, "one", loaded).count(None)
    assert len(loaded._views) == 2
    monkeypatch.setattr(embedded, "_KEPT_BYTES", 500_000)
    loaded._views.clear()
    Embedded(store, "one", loaded).count(None)
    get, kept = CollectionStore.read_segment, list[int]()
    monkeypatch.setattr(CollectionStore, "read_segment", lambda *a: kept.append(len(loaded._views)) or get(*a))
    Embedded(store, "two", loaded).count(None)
    assert kept == [0]


def test_an_index_is_not_made_while_a_collection_is_loaded(store, made, monkeypatch):
    loaded, seen = Loaded(), list[bool]()
    held = Embedded(store, "handbook", loaded)
    held.upsert(passages("ab"))
    monkeypatch.setattr(view, "Keywords", lambda texts: seen.append(loaded._loading.locked()) or Keywords(texts))
    assert held.with_words("text", 5, None) == held.with_words("text", 5, None)
    assert seen == [True]


def test_the_index_of_an_older_revision_makes_room_for_a_newer_one(store, made):
    loaded, other = Loaded(), Embedded(store, "handbook", Loaded())
    here = Embedded(store, "handbook", loaded)
    other.upsert(passages("ab"))
    assert here.with_words("text", 5, None)
    old = here._current()[1]
    other.upsert(passages("c"))
    assert len(here.with_words("text", 5, None) or []) == 3
    assert "_keywords" not in vars(old)


def test_threads_of_one_process_share_a_view(store, made):
    loaded = Loaded()
    Embedded(store, "handbook", Loaded()).upsert(passages("abc"))
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda _: Embedded(store, "handbook", loaded)._current()[1], range(8)))
    assert len({id(v) for v in views}) == 1


def test_words(store, made):
    held = Embedded(store, "handbook", Loaded())
    held.upsert(
        [Passage("1", "The quick brown fox", [1, 0, 0], {"n": 1}), Passage("2", "A slow fox", [1, 0, 0], {"n": 2})]
    )
    held.upsert([Passage("3", "Nothing of the kind: SKU-4711", [1, 0, 0], {"n": 3}), Passage("1", "A cat", [1, 0, 0])])
    assert ids(held.with_words("fox", 5, None)) == ["2"]
    assert ids(held.with_words("which has 4711?", 5, None)) == ["3"]
    assert held.with_words("fox", 5, read({"n": 3})) == []
    assert held.with_words("", 5, None) == held.with_words("zebra", 5, None) == []


def test_a_segments_bytes_hold_all_of_it():
    text = "ä€😀 \ud800 \x00"
    part = part_of("s1", [Passage("id", text, [0.1, -2.0, 3e15], {"a": [1, None, {"b": "ü"}]})], frozenset({"gone"}), 3)
    again = decoded("s1", encoded(part))
    assert (again.ids, again.texts, again.metadata, again.removed) == (
        part.ids,
        part.texts,
        part.metadata,
        part.removed,
    )
    assert np.array_equal(again.vectors, part.vectors)
    with pytest.raises(ValueError, match="of no kind that is known"):
        decoded("s1", b"XXXX" + encoded(part)[4:])


def test_equal_scores_come_in_the_order_of_ids():
    part = part_of("s1", [Passage(n, "", [1, 0]) for n in "dbca"], frozenset(), 2)
    assert ids(View(1, "dot", [part]).nearest([1, 0], 3)) == ["a", "b", "c"]


def test_what_is_near_is_told_apart_far_from_the_origin():
    numbers = {"a": 1000.0, "b": 1000.01, "c": 1000.02}
    part = part_of("s1", [Passage(n, "", [x] * 64) for n, x in numbers.items()], frozenset(), 64)
    found = View(1, "euclidean", [part]).nearest([1000.011] * 64, 3)
    assert [m.id for m in found] == ["b", "c", "a"]
    assert found[0].score == pytest.approx(1 / (1 + 0.001 * 8), abs=1e-3)


def test_a_dot_product_is_the_score():
    part = part_of("s1", [Passage("long", "", [3, 4]), Passage("short", "", [1, 0])], frozenset(), 2)
    assert [(m.id, m.score) for m in View(1, "dot", [part]).nearest([2, 1], 2)] == [("long", 10), ("short", 2)]
