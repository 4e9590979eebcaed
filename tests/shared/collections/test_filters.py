"""The grammar of filters, and what it means, over plain metadata."""

from __future__ import annotations

from typing import Any

import pytest

from shared.collections.filters import BadFilter, predicate, read
from tests.shared.collections.cases import FITTING, PASSAGES


@pytest.mark.parametrize(("given", "fitting"), FITTING, ids=[str(f)[:60] for f, _ in FITTING])
def test_what_a_filter_means(given: Any, fitting: str) -> None:
    holds = predicate(read(given))
    assert "".join(name for name, metadata in PASSAGES.items() if holds(metadata)) == fitting


BAD: list[tuple[Any, str]] = [
    ([], "filter is an object"),
    ("lang = en", "filter is an object"),
    ({"$and": []}, r"filter\.\$and is an array of filters that is not empty"),
    ({"$or": {"lang": "en"}}, r"filter\.\$or is an array"),
    ({"$and": ["lang"]}, r"filter\.\$and\[0\] is an object"),
    ({"$not": [{"lang": "en"}]}, r"filter\.\$not is an object"),
    ({"$nor": [{"lang": "en"}]}, "neither a field of metadata nor"),
    ({"a.b": 1}, "neither a field of metadata nor"),
    ({"_text": "x"}, "neither a field of metadata nor"),
    ({"": 1}, "neither a field of metadata nor"),
    ({"x" * 64: 1}, "neither a field of metadata nor"),
    ({"lang": {}}, r"filter\.lang has no condition"),
    ({"lang": None}, r"filter\.lang\.?(\$eq)? is a text, a number"),
    ({"lang": ["en"]}, "is a text, a number"),
    ({"lang": {"$eq": {"x": 1}}}, "is a text, a number"),
    ({"lang": {"$in": []}}, "is an array of 1 to 200 values"),
    ({"lang": {"$in": "en"}}, "is an array of 1 to 200 values"),
    ({"lang": {"$in": ["en", None]}}, "is a text, a number"),
    ({"lang": {"$in": ["x"] * 201}}, "is an array of 1 to 200 values"),
    ({"page": {"$gt": "10"}}, "is a number"),
    ({"page": {"$lt": True}}, "is a number"),
    ({"page": {"$exists": 1}}, "is true or false"),
    ({"page": {"$regex": ".*"}}, "is none of"),
    ({"page": {"gt": 1}}, "is none of"),
    ({"$or": [{"page": i} for i in range(101)]}, "at most 100 conditions"),
]


@pytest.mark.parametrize(("given", "said"), BAD, ids=[str(f)[:50] for f, _ in BAD])
def test_what_is_no_filter(given: Any, said: str) -> None:
    with pytest.raises(BadFilter, match=said):
        read(given)


def test_a_filter_is_not_deeper_than_it_may_be() -> None:
    given: dict[str, Any] = {"lang": "en"}
    for _ in range(10):
        given = {"$not": given}
    assert predicate(read(given))({"lang": "en"})
    with pytest.raises(BadFilter, match="at most 10 deep"):
        read({"$not": given})
