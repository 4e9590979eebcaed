"""Graphs over moto's S3 and DynamoDB: versions, one writer at a time, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.aws.clients import client
from shared.errors import Conflict, TooLarge, Unavailable
from shared.graphs import service, store
from shared.graphs.errors import GraphQueryFailed
from shared.graphs.service import GraphService, forget
from shared.graphs.store import GraphStore
from shared.settings import settings
from shared.store.table import TenantTable

COUNT = "MATCH (n:N) RETURN count(n) AS c"


@pytest.fixture
def graphs(tenant: Any) -> Iterator[GraphStore]:
    forget()
    yield GraphStore(TenantTable(tenant))
    forget()


def run(
    graphs: GraphStore, query: str, *, occasion: str = "o", write: bool = True, seconds: float = 20, name: str = "g"
) -> Any:
    return GraphService(graphs).run(name, query, {}, write=write, occasion=occasion, seconds=seconds)


def objects() -> list[str]:
    found = client("s3").list_objects_v2(Bucket=settings().data_bucket).get("Contents", [])
    return [o["Key"].rsplit("/", 1)[1].lstrip("0") for o in found if o["Key"].startswith("graphs/")]


def test_what_is_written_is_read_by_others_of_the_tenant_only(graphs: GraphStore, other_tenant: Any) -> None:
    assert run(graphs, COUNT, write=False) == [{"c": 0}]
    assert objects() == []
    run(graphs, "CREATE (:N)")
    forget()  # another process
    assert run(graphs, COUNT, write=False) == [{"c": 1}]
    assert run(graphs, COUNT, write=False, name="another") == [{"c": 0}]
    assert run(GraphStore(TenantTable(other_tenant)), COUNT, write=False) == [{"c": 0}]
    assert run(GraphStore(TenantTable(other_tenant)), "CREATE (:N)") != []
    assert run(graphs, COUNT, write=False) == [{"c": 1}]


def test_a_version_is_kept_for_who_reads_it_still(graphs: GraphStore) -> None:
    for n in range(5):
        run(graphs, "CREATE (:N)", occasion=str(n))
    assert objects() == ["4", "5"]
    assert graphs.version("g") == 5


def test_old_versions_go_however_many_writers_came_to_nothing_in_between(graphs: GraphStore) -> None:
    for n in range(4):
        run(graphs, "CREATE (:N)", occasion=str(n))
        for _ in range(25):  # each has a number, and writes nothing
            graphs.release(graphs.lease("g", 1000))
    assert len(objects()) == 2
    assert run(graphs, COUNT, write=False) == [{"c": 4}]


def test_a_query_that_changes_nothing_makes_no_version(graphs: GraphStore) -> None:
    run(graphs, "CREATE (:N)")
    run(graphs, COUNT)
    run(graphs, "CREATE (:N)")  # the same occasion
    assert graphs.version("g") == 1
    graphs.release(graphs.lease("g", 1000))


def test_a_failed_query_gives_the_turn_back(graphs: GraphStore) -> None:
    with pytest.raises(GraphQueryFailed):
        run(graphs, "MATCH (n")
    run(graphs, "CREATE (:N)", seconds=2)
    assert run(graphs, COUNT, write=False) == [{"c": 1}]


def test_one_writes_at_a_time_and_none_is_lost(graphs: GraphStore) -> None:
    def write(n: int) -> Any:
        return run(graphs, "CREATE (:N)", occasion=str(n), seconds=60)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(8)))
    assert run(graphs, COUNT, write=False) == [{"c": 8}]


def test_the_same_write_at_once_is_done_once(graphs: GraphStore) -> None:
    with ThreadPoolExecutor(3) as threads:
        answers = list(
            threads.map(lambda _: run(graphs, "CREATE (n:N {x: 5}) WITH n RETURN n.x AS x", seconds=60), range(3))
        )
    assert answers == [[{"x": 5}]] * 3
    assert run(graphs, COUNT, write=False) == [{"c": 1}]


def test_who_waits_too_long_is_told(graphs: GraphStore) -> None:
    graphs.lease("g", 60_000)
    with pytest.raises(Conflict) as caught:
        run(graphs, "CREATE (:N)", seconds=0.5)
    assert caught.value.code == "graph_busy"
    assert run(graphs, COUNT, write=False) == [{"c": 0}]


def test_a_writer_that_crashed_loses_its_own_write_only(graphs: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run(graphs, "CREATE (:N)", occasion="1")
    lease = graphs.lease("g", 0)  # its time is over at once
    graphs._objects.put(f"g/{lease.fence:012d}", b"half of")  # and it crashed between its two writes
    assert run(graphs, COUNT, write=False) == [{"c": 1}]
    run(graphs, "CREATE (:N)", occasion="2")
    assert run(graphs, COUNT, write=False) == [{"c": 2}]
    assert objects() == ["1", "3"], "what it left is gone"


def test_a_writer_that_was_overtaken_writes_nothing(graphs: GraphStore) -> None:
    late = graphs.lease("g", 0)
    run(graphs, "CREATE (:N)")
    with pytest.raises(Conflict) as caught:
        graphs.commit(late, b"late")
    assert caught.value.code == "graph_lost"
    graphs.release(late)
    assert run(graphs, COUNT, write=False) == [{"c": 1}]
    assert objects() == ["2"]


def test_a_lease_that_was_given_back_commits_nothing(graphs: GraphStore) -> None:
    lease = graphs.lease("g", 60_000)
    graphs.release(lease)
    graphs.release(lease)
    with pytest.raises(Conflict):
        graphs.commit(lease, b"x")


def test_a_commit_that_is_sent_twice_holds(graphs: GraphStore) -> None:
    lease = graphs.lease("g", 60_000)
    graphs.commit(lease, b"x")
    graphs.commit(lease, b"x")
    assert graphs.version("g") == lease.fence
    assert graphs.body("g", lease.fence) == b"x"


def test_a_reader_that_comes_between_reads_again(graphs: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run(graphs, "CREATE (:N)", occasion="1")
    forget()
    seen, read = [], GraphStore.body

    def overtaken(self: GraphStore, name: str, version: int) -> bytes | None:
        seen.append(version)
        return None if len(seen) == 1 else read(self, name, version)

    monkeypatch.setattr(GraphStore, "body", overtaken)
    assert run(graphs, COUNT, write=False) == [{"c": 1}]
    assert len(seen) == 2
    forget()
    monkeypatch.setattr(GraphStore, "body", lambda *_: None)
    with pytest.raises(Unavailable, match="too fast"):
        run(graphs, COUNT, write=False)
    with pytest.raises(Unavailable, match="cannot be read"):
        run(graphs, COUNT)


def test_there_are_a_hundred_graphs_at_most(graphs: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_GRAPHS", 2)
    run(graphs, "CREATE (:N)", name="a")
    run(graphs, "CREATE (:N)", name="b")
    with pytest.raises(TooLarge):
        run(graphs, "CREATE (:N)", name="c")
    run(graphs, "CREATE (:N)", name="b", occasion="2")


def test_a_name_under_which_nothing_was_ever_written_takes_no_room(
    graphs: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_GRAPHS", 2)
    for n in range(3):
        with pytest.raises(GraphQueryFailed):
            run(graphs, "MATCH (n", name=f"x{n}")
    run(graphs, "CREATE (:N)", name="y")
    graphs.lease("z", 60_000)  # it may become one
    with pytest.raises(TooLarge):
        run(graphs, "CREATE (:N)", name="x0")


def test_what_is_kept_in_memory_has_an_end(graphs: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_KEPT_BYTES", 500_000)
    for n in range(4):
        run(graphs, "CREATE (:N)", name=f"g{n}")
    assert 1 <= len(service._kept) < 4
    assert [run(graphs, COUNT, name=f"g{n}", write=False) for n in range(4)] == [[{"c": 1}]] * 4


def test_readers_do_not_wait_for_a_writer(graphs: GraphStore) -> None:
    run(graphs, "CREATE (:N)")
    held = graphs.lease("g", 60_000)
    assert run(graphs, COUNT, write=False, seconds=5) == [{"c": 1}]
    graphs.release(held)
