"""The table in memory answers as moto's does, asked through our own code with whatever it may ask."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.aws.clients import client
from shared.aws.dynamo import Attr, Change, ConditionFailed, Dynamo, Write
from shared.aws.memory import MemoryClient, NotUnderstood, Table
from tests.stepfunctions.engine.memory import Keys, Objects

NAMES = ("status", "owner", "lease", "calls")
PARTITIONS, SORTS = st.sampled_from(["p", "q"]), st.sampled_from(["J#a#N#1", "J#a#P#1", "J##N#2", "META"])
KEYS = st.tuples(PARTITIONS, SORTS)
VALUES = st.sampled_from(["running", "paused", "", 0, 7, True, None, b"\x01", ["a", {"b": 1}], {"c": []}])
COMPARED = st.sampled_from(["running", "paused", "", 0, 7, True, b"\x01"])  # moto takes what is absent for null
SETS = st.frozensets(st.sampled_from(["s0", "s1", "s2"]), min_size=1)
INDEX = st.fixed_dictionaries({"GSI1PK": st.just("g"), "GSI1SK": st.sampled_from(["1", "2"])})
ITEMS = st.builds(
    lambda plain, lease, index: plain | lease | index,
    st.dictionaries(st.sampled_from([n for n in NAMES if n != "lease"]), VALUES),
    st.dictionaries(st.just("lease"), st.integers(0, 9)),
    st.one_of(st.just({}), INDEX),
)


def _tests() -> st.SearchStrategy[Any]:
    name = st.sampled_from([*NAMES, "PK"])
    one = st.one_of(
        st.builds(lambda n: Attr(n).exists(), name),
        st.builds(lambda n: Attr(n).not_exists(), name),
        st.builds(lambda n, v: Attr(n).eq(v), name, COMPARED),
        st.builds(lambda n, v: Attr(n).is_in(v), name, st.lists(COMPARED, min_size=1, max_size=3)),
        st.builds(lambda n, v: Attr(n).lt(v), st.just("lease"), st.integers(0, 9)),
        st.builds(lambda n, v: Attr(n).gte(v), st.just("lease"), st.integers(0, 9)),
        st.builds(lambda v: Attr("working").contains(v), st.sampled_from(["s0", "s1"])),
        # moto refuses the size of what is absent
        st.builds(lambda v: Attr("working").not_exists() | Attr("working").size().lt(v), st.integers(0, 3)),
    )
    both = st.one_of(st.builds(lambda a, b: a & b, one, one), st.builds(lambda a, b: a | b, one, one))
    return st.one_of(st.none(), one, both, st.builds(lambda a, b: a & b, both, one), st.builds(lambda a: ~a, one))


def _changes() -> st.SearchStrategy[Change]:
    return st.builds(
        Change,
        set=st.dictionaries(st.sampled_from(["status", "owner"]), VALUES, min_size=1, max_size=2),
        first=st.dictionaries(st.just("started_at"), st.integers(0, 9)),
        remove=st.lists(st.just("lease"), max_size=1),
        add=st.one_of(st.just({}), st.builds(lambda s: {"working": s, "counted": 1}, SETS)),
        take=st.one_of(st.just({}), st.builds(lambda s: {"left": s}, SETS)),
    )


WRITES = st.one_of(
    st.builds(lambda k, i, c: Write("Put", k, item=i, condition=c), KEYS, ITEMS, _tests()),
    st.builds(lambda k, u, c: Write("Update", k, change=u, condition=c), KEYS, _changes(), _tests()),
    st.builds(lambda k, c: Write("Delete", k, condition=c), KEYS, _tests()),
)
CALLS = st.one_of(
    st.tuples(st.just("put"), KEYS, ITEMS, _tests()),
    st.tuples(st.just("update"), KEYS, _changes(), _tests()),
    st.tuples(st.just("delete"), KEYS, _tests()),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("put_all"), st.lists(st.tuples(KEYS, ITEMS), min_size=1, max_size=3, unique_by=lambda w: w[0])),
    st.tuples(st.just("delete_all"), st.lists(KEYS, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("transact"), st.lists(WRITES, min_size=1, max_size=3, unique_by=lambda w: w.key)),
    st.tuples(
        st.just("query"),
        PARTITIONS,
        st.fixed_dictionaries(
            {"forward": st.booleans(), "limit": st.sampled_from([None, 1, 2, 50])},
            optional={
                "prefix": st.sampled_from(["J#", "J##", "X"]),
                "attributes": st.just(["SK", "status"]),
                "condition": _tests().filter(lambda t: t is not None),
            },
        ),
    ),
    st.tuples(st.just("index"), st.fixed_dictionaries({"forward": st.booleans(), "limit": st.sampled_from([None, 1])})),
)


def _asked(dynamo: Dynamo, call: Any) -> Any:
    """What our code gives for the call, all pages of it, or what it raises."""
    name, *rest = call
    try:
        match name:
            case "put":
                (pk, sk), item, condition = rest
                return dynamo.put({**item, "PK": pk, "SK": sk}, condition)
            case "update" | "delete" | "get":
                return getattr(dynamo, name)(*rest[0], *rest[1:])
            case "put_all":
                return dynamo.put_all([{**item, "PK": pk, "SK": sk} for (pk, sk), item in rest[0]])
            case "query":
                return _pages(dynamo, rest[0], **rest[1])
            case "index":
                return _pages(dynamo, "g", index="GSI1", **rest[0])
        return getattr(dynamo, name)(rest[0])
    except ConditionFailed as failed:
        return "failed", failed.item


def _pages(dynamo: Dynamo, pk: str, **arguments: Any) -> list[Any]:
    found, start = [], None
    while True:
        page = dynamo.query(pk, start=start, **arguments)
        found += page.items
        if page.last is None:
            return found
        start = page.last


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(calls=st.lists(CALLS, min_size=1, max_size=12))
def test_the_table_answers_as_motos_does(aws: dict[str, str], calls: list[Any]) -> None:
    moto, memory = Dynamo(client("dynamodb"), aws["SW_TABLE"]), Dynamo(MemoryClient(Table()), aws["SW_TABLE"])
    moto.delete_all([(pk, sk) for pk in "pq" for sk in ("J#a#N#1", "J#a#P#1", "J##N#2", "META")])
    for call in calls:
        assert _asked(memory, call) == _asked(moto, call), call
    for pk in "pq":
        assert list(memory.query_all(pk)) == list(moto.query_all(pk))


def test_an_expression_that_is_not_known_is_refused() -> None:
    with pytest.raises(NotUnderstood):
        Dynamo(MemoryClient(Table()), "t").put({"PK": "p", "SK": "s"}, Attr("a").attribute_type("S"))


def test_objects_come_back_and_others_are_not_there() -> None:
    objects, where = Objects(), {"Bucket": "b", "Key": "k"}
    objects.call("PutObject", {**where, "Body": b"body"})
    assert objects.call("GetObject", where)["Body"].read() == b"body"
    with pytest.raises(ClientError, match="NoSuchKey"):
        objects.call("GetObject", {"Bucket": "b", "Key": "other"})


def test_what_was_sealed_in_one_context_opens_in_no_other() -> None:
    keys = Keys()
    sealed = keys.call("Encrypt", {"Plaintext": b"token", "EncryptionContext": {"task": "1"}})["CiphertextBlob"]
    assert keys.call("Decrypt", {"CiphertextBlob": sealed, "EncryptionContext": {"task": "1"}})["Plaintext"] == b"token"
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        keys.call("Decrypt", {"CiphertextBlob": sealed, "EncryptionContext": {"task": "2"}})
