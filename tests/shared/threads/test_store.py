"""A thread's messages: in order, added once, gone with their thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.clock import now_ms
from shared.errors import AppError, Invalid, NotFound, PreconditionFailed, TooLarge
from shared.store.table import TenantTable
from shared.threads.store import ThreadStore


@pytest.fixture
def store(tenant) -> ThreadStore:
    return ThreadStore(TenantTable(tenant), "ex_1")


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_what_is_said_is_kept_in_order(store):
    assert (
        store.append("t-1", [user("a"), {"role": "assistant", "content": [{"type": "text", "text": "b"}]}], key="1")
        == 0
    )
    assert store.append("t-1", [user("c")], key="2") == 2
    said = [user("a"), {"role": "assistant", "content": [{"type": "text", "text": "b"}]}, user("c")]
    assert store.history("t-1", 10) == said
    assert store.history("t-1", 2) == said[1:]
    assert store.history("t-1", 0) == store.history("t-2", 5) == []
    thread = store.get("t-1")
    assert (thread.messages, thread.version) == (3, 1)
    newest = store.messages(thread, None, 2, newest_first=True)
    assert [(m.number, m.source) for m in newest.items] == [(2, "ex_1"), (1, "ex_1")]
    rest = store.messages(thread, newest.next_cursor, 2, newest_first=True)
    assert [m.number for m in rest.items] == [0]


def test_the_same_key_adds_nothing_twice(store):
    for _ in range(3):
        assert store.append("t", [user("a"), user("b")], key="run node 0") == 0
    assert store.append("t", [user("c")], key="run node 1") == 2
    assert [m["content"] for m in store.history("t", 9)] == ["a", "b", "c"]


def test_many_at_the_same_time_lose_nothing(store):
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda i: store.append("t", [user(str(i))], key=str(i)), range(12)))
    assert sorted(numbers) == list(range(12))
    assert sorted(int(m["content"]) for m in store.history("t", 50)) == list(range(12))


def test_a_thread_that_was_removed_begins_anew(store):
    store.append("t", [user("old"), user("older")], key="1")
    store.remove(store.get("t"))
    assert store.history("t", 9) == []
    assert store.append("t", [user("new")], key="1") == 0
    assert [m["content"] for m in store.history("t", 9)] == ["new"]


def test_a_thread_that_is_begun_anew_while_the_old_one_goes_loses_nothing(store, monkeypatch):
    store.append("t", [user("old")], key="1")
    old, delete = store.get("t"), TenantTable.delete

    def and_then(table, key, *condition):
        delete(table, key, *condition)
        store.append("t", [user("new")], key="2")

    monkeypatch.setattr(TenantTable, "delete", and_then)
    store.remove(old)
    assert [m["content"] for m in store.history("t", 9)] == ["new"]
    assert store.append("t", [user("new")], key="2") == 0


def test_a_removal_that_broke_off_is_made_again(store, tenant, monkeypatch):
    store.append("t", [user("a"), user("b")], key="1")

    def dies(*_a):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TenantTable, "delete_all", dies)
        with pytest.raises(KeyboardInterrupt):
            store.remove(store.get("t"))
    store.remove(store.get("t"))
    table = TenantTable(tenant)
    assert list(table.query_all(table.keys.thread("t"))) == []
    with pytest.raises(NotFound):
        store.get("t")


def test_a_change_needs_the_newest_version(store):
    store.append("t", [user("a")], key="1")
    before = store.get("t")
    after = store.change(before, {"title": "Refund", "metadata": {"order": "7"}})
    assert (after.title, after.metadata, after.version, after.messages) == ("Refund", {"order": "7"}, 2, 1)
    for stale in (lambda: store.change(before, {"title": "x"}), lambda: store.remove(before)):
        with pytest.raises(PreconditionFailed):
            stale()
    store.remove(after)
    with pytest.raises(NotFound):
        store.change(after, {"title": "x"})


@pytest.mark.parametrize(
    ("thread_id", "said", "error"),
    [
        ("", [user("a")], Invalid),
        ("a#b", [user("a")], Invalid),
        ("-a", [user("a")], Invalid),
        ("a" * 101, [user("a")], Invalid),
        (7, [user("a")], Invalid),
        ("t", [], Invalid),
        ("t", [user("a")] * 91, Invalid),
        ("t", [{"role": "boss", "content": "a"}], Invalid),
        ("t", [{"role": "user"}], Invalid),
        ("t", [{"role": "user", "content": [float("nan")]}], Invalid),
        ("t", [user("a" * 200_000)], TooLarge),
        ("t", [user("a" * 190_000)] * 20, TooLarge),
    ],
)
def test_what_cannot_be_said(store, thread_id, said, error: type[AppError]):
    with pytest.raises(error):
        store.append(thread_id, said, key="1")
    assert store.page(None, 10).items == []


def test_a_message_that_was_removed_leaves_a_gap(store):
    store.append("t", [user(text) for text in "abcd"], key="1")
    thread = store.get("t")
    for number in (1, 2):
        store.remove_message(thread, number)
    assert store.get("t").messages == 2
    assert store.append("t", [user("e")], key="2") == 4
    assert store.append("t", [user("a")], key="1") == 0
    assert [m["content"] for m in store.history("t", 9)] == ["a", "d", "e"]
    assert [m["content"] for m in store.history("t", 1, before=4)] == ["d"]
    assert [m["content"] for m in store.history("t", 2, before=1)] == ["a"]
    store.append("t", [user(text) for text in "fgh"], key="3")
    for number in (5, 6):
        store.remove_message(thread, number)
    assert [m["content"] for m in store.history("t", 2, before=7)] == ["d", "e"]
    for number in (1, 99):
        with pytest.raises(NotFound):
            store.remove_message(thread, number)
        with pytest.raises(NotFound):
            store.message(thread, number)


def test_a_message_of_a_thread_that_was_begun_anew_stays(store):
    store.append("t", [user("old")], key="1")
    old = store.get("t")
    store.remove(old)
    while now_ms() <= old.created_at:  # a thread is told from the one before it by its millisecond
        pass
    store.append("t", [user("new")], key="2")
    with pytest.raises(NotFound):
        store.remove_message(old, 0)
    assert store.get("t").messages == 1


def test_messages_are_removed_while_others_are_said(store):
    store.append("t", [user(str(n)) for n in range(8)], key="0")
    thread = store.get("t")
    with ThreadPoolExecutor(4) as pool:
        said = [pool.submit(store.append, "t", [user("x")], key=str(n + 1)) for n in range(6)]
        gone = [pool.submit(store.remove_message, thread, n) for n in range(6)]
        for each in (*said, *gone):
            each.result()
    assert store.get("t").messages == len(store.history("t", 99)) == 8
