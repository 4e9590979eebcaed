import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from shared.aws.clients import client
from shared.aws.dynamo import Attr, Change, ConditionFailed, Dynamo, Write
from shared.errors import BadRequest, Contended, TooLarge, Unavailable
from tests.trouble import client_error, failing, unreachable


@pytest.fixture
def dynamo(aws):
    return Dynamo(client("dynamodb"), aws["SW_TABLE"])


def test_plain_values_come_back_as_they_were(dynamo):
    item = {"PK": "p", "SK": "s", "n": 3, "b": b"\x00\xff", "none": None, "yes": True, "l": [1, {"a": "x"}], "e": ""}
    dynamo.put(item)
    assert dynamo.get("p", "s") == item
    assert dynamo.get("p", "other") is None


def test_a_float_is_refused(dynamo):
    with pytest.raises(TypeError):
        dynamo.put({"PK": "p", "SK": "s", "n": 0.5})


def test_a_failed_condition_gives_what_stands_there(dynamo):
    dynamo.put({"PK": "p", "SK": "s", "v": 1})
    with pytest.raises(ConditionFailed) as failed:
        dynamo.put({"PK": "p", "SK": "s", "v": 2}, Attr("PK").not_exists())
    assert failed.value.item == {"PK": "p", "SK": "s", "v": 1}
    with pytest.raises(ConditionFailed) as failed:
        dynamo.delete("p", "gone", Attr("PK").exists())
    assert failed.value.item is None


def test_an_update_sets_removes_and_counts_in_one_go(dynamo):
    dynamo.put({"PK": "p", "SK": "s", "version": 1, "status": "old", "size": 9, "name": "n"})
    change = Change(set={"status": "new", "data": {"a": 1}}, remove=["size", "name"], add={"version": 1, "count": 5})
    after = dynamo.update("p", "s", change, Attr("version").eq(1) & Attr("status").eq("old"))
    assert after == {"PK": "p", "SK": "s", "version": 2, "count": 5, "status": "new", "data": {"a": 1}}
    with pytest.raises(ConditionFailed) as failed:
        dynamo.update("p", "s", change, Attr("version").eq(1))
    assert failed.value.item == after


def test_an_update_makes_an_absent_item(dynamo):
    assert dynamo.update("p", "s", Change(add={"count": 2}))["count"] == 2


def test_sets_grow_and_shrink_and_are_gone_when_empty(dynamo):
    def change(**arguments):
        return dynamo.update("p", "s", Change(**arguments))

    assert change(add={"at": frozenset(["a"])})["at"] == {"a"}
    assert change(add={"at": frozenset(["a", "b"])})["at"] == {"a", "b"}
    assert change(take={"at": frozenset(["a", "never there"])})["at"] == {"b"}
    assert "at" not in change(take={"at": frozenset(["b"])})
    assert "at" not in change(take={"at": frozenset(["b"])})


@pytest.fixture
def partition(dynamo):
    dynamo.put_all([{"PK": "p", "SK": f"a#{n:03}", "n": n, "GSI1PK": "g", "GSI1SK": f"{n:03}"} for n in range(60)])
    dynamo.put_all([{"PK": "p", "SK": "b#1", "n": -1}])
    return dynamo


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"prefix": "b#"}, [-1]),
        ({"prefix": "a#", "limit": 2}, [0, 1]),
        ({"prefix": "a#", "limit": 2, "forward": False}, [59, 58]),
        ({"after": "a#057"}, [58, 59, -1]),
        ({"up_to": "a#001"}, [0, 1]),
        ({"prefix": "a#", "condition": Attr("n").gt(57) & Attr("n").lt(59)}, [58]),
    ],
)
def test_a_query_reads_the_part_that_was_asked_for(partition, arguments, expected):
    assert [i["n"] for i in partition.query("p", **arguments).items] == expected


def test_a_query_may_take_some_attributes_only(partition):
    assert partition.query("p", prefix="a#", limit=1, attributes=["n"]).items == [{"n": 0, "PK": "p", "SK": "a#000"}]


def test_a_query_goes_on_where_it_stopped(partition):
    first = partition.query("g", index="GSI1", limit=40)
    rest = partition.query("g", index="GSI1", start=first.last)
    assert [i["n"] for i in first.items + rest.items] == list(range(60))
    assert rest.last is None


def test_query_all_reads_every_page(partition):
    assert len(list(partition.query_all("p", limit=7))) == 61


def _refusing(aws, operation: str, code: str) -> Dynamo:
    """A table whose next call gets this error from the service; moto gives none of these by itself."""
    made = boto3.client("dynamodb")
    stub = Stubber(made)
    stub.add_client_error(operation, code)
    stub.activate()
    return Dynamo(made, aws["SW_TABLE"])


def test_a_start_that_is_no_key_is_a_bad_cursor(aws):
    with pytest.raises(BadRequest):
        _refusing(aws, "query", "ValidationException").query("p", start={"PK": "p", "SK": "a", "bogus": "x"})
    with pytest.raises(ClientError):
        _refusing(aws, "query", "ValidationException").query("p")


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_a_busy_database_is_said_to_be_busy(aws, code):
    with pytest.raises(Unavailable) as busy:
        _refusing(aws, "get_item", code).get("p", "s")
    assert not isinstance(busy.value, Contended)  # nobody is in the way: to step aside is no use


def test_a_database_that_cannot_be_reached(dynamo):
    calls = [
        lambda: dynamo.get("p", "s"),
        lambda: dynamo.put({"PK": "p", "SK": "s"}),
        lambda: dynamo.query("p"),
        lambda: dynamo.put_all([{"PK": "p", "SK": "s"}]),
        lambda: dynamo.transact([Write("Delete", ("p", "s"))]),
    ]
    for call in calls:
        with (
            failing("dynamodb", unreachable()),
            pytest.raises(Unavailable, match="cannot be reached"),
        ):
            call()


def test_a_write_that_met_a_transaction_may_step_aside(aws):
    with pytest.raises(Contended):
        _refusing(aws, "put_item", "TransactionConflictException").put({"PK": "p", "SK": "s"})


@pytest.mark.parametrize(
    ("reasons", "contended"), [(["None", "TransactionConflict"], True), (["ThrottlingError", "None"], False)]
)
def test_why_a_transaction_was_cancelled(dynamo, reasons, contended):
    cancelled = client_error("TransactionCanceledException")
    cancelled.response["CancellationReasons"] = [{"Code": code} for code in reasons]
    with failing("dynamodb", cancelled), pytest.raises(Unavailable) as refused:
        dynamo.transact([Write("Delete", ("p", "s")), Write("Delete", ("p", "t"))])
    assert isinstance(refused.value, Contended) == contended


def test_an_item_that_is_too_large_is_said_to_be(dynamo):
    large = "x" * 410_000
    with pytest.raises(TooLarge):
        dynamo.put({"PK": "p", "SK": "s", "v": large})
    dynamo.put({"PK": "p", "SK": "s"})
    with pytest.raises(TooLarge):
        dynamo.update("p", "s", Change(set={"v": large}))
    with pytest.raises(TooLarge):
        dynamo.transact([Write("Put", ("p", "t"), {"v": large}), Write("Delete", ("p", "s"))])
    assert dynamo.get("p", "s") == {"PK": "p", "SK": "s"}


def test_a_cancelled_transaction_without_a_failed_condition_may_be_tried_again(aws):
    with pytest.raises(Contended):
        _refusing(aws, "transact_write_items", "TransactionCanceledException").transact([Write("Delete", ("p", "s"))])


def test_more_than_a_batch_is_removed(partition):
    partition.delete_all([("p", f"a#{n:03}") for n in range(60)])
    assert [i["SK"] for i in partition.query("p").items] == ["b#1"]


def test_a_transaction_is_all_or_nothing(dynamo):
    dynamo.put({"PK": "p", "SK": "there", "v": 1})
    new = Attr("PK").not_exists()
    with pytest.raises(ConditionFailed) as failed:
        dynamo.transact(
            [
                Write("Put", ("p", "fresh"), item={"v": 2}, condition=new),
                Write("Put", ("p", "there"), item={"v": 3}, condition=new),
            ]
        )
    assert failed.value.item == {"PK": "p", "SK": "there", "v": 1}
    assert dynamo.get("p", "fresh") is None
    dynamo.transact(
        [
            Write("Put", ("p", "fresh"), item={"v": 2}, condition=new),
            Write("Update", ("p", "there"), change=Change(add={"v": 1})),
            Write("ConditionCheck", ("p", "absent"), condition=new),
            Write("Delete", ("p", "gone")),
        ]
    )
    assert dynamo.get("p", "fresh") == {"PK": "p", "SK": "fresh", "v": 2}
    assert dynamo.get("p", "there") == {"PK": "p", "SK": "there", "v": 2}
