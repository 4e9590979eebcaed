import base64
import json

import pytest

from shared.answers import size_of
from shared.errors import BadRequest
from shared.ids import digest
from shared.store import pages
from shared.store.keys import Key
from shared.store.pages import Listing, decode, encode, listing_of, size_in_answer
from shared.store.table import Attr, TenantTable
from shared.tenancy import new_tenant


@pytest.fixture
def table(aws):
    table = TenantTable(new_tenant())
    table.put_all([(Key(table.keys.hooks(), f"wh_{n:02}"), {"n": n}) for n in range(25)])
    return table


def _list(table, cursor, limit, keep=lambda _item: True):
    return listing_of(
        table.tenant,
        "hooks",
        cursor,
        limit,
        lambda start, n: table.query(table.keys.hooks(), start=start, limit=n),
        lambda item: item["n"],
        keep,
    )


@pytest.mark.parametrize("limit", [1, 7, 25, 200])
def test_pages_together_are_the_whole_list(table, limit):
    seen, cursor = [], None
    while True:
        page = _list(table, cursor, limit)
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == list(range(25))


def test_a_filter_reads_on_until_the_page_is_full(table):
    page = _list(table, None, 3, keep=lambda item: item["n"] % 2 == 1)
    assert page.items == [1, 3, 5]
    assert _list(table, page.next_cursor, 3, keep=lambda item: item["n"] % 2 == 1).items == [7, 9, 11]


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("every", [1, 2, 5, 24])
def test_pages_of_a_filter_together_are_the_whole_list(table, limit, every):
    seen, cursor = [], None
    while True:
        page = _list(table, cursor, limit, keep=lambda item: item["n"] % every == 0)
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == list(range(0, 25, every))


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_of_a_filter_of_the_stores_together_are_the_whole_list(table, limit):
    seen, cursor = [], None
    only = Attr("n").gte(6) & Attr("n").lt(20) & (Attr("n").lt(9) | Attr("n").gt(12))
    while True:
        page = listing_of(
            table.tenant,
            "hooks",
            cursor,
            limit,
            lambda start, n: table.query(table.keys.hooks(), start=start, limit=n, condition=only),
            lambda item: item["n"],
        )
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [6, 7, 8, *range(13, 20)]


def test_a_filter_that_lets_little_through_reads_more_at_a_time(table):
    asked = []

    def fetch(start, n):
        asked.append(n)
        return table.query(table.keys.hooks(), start=start, limit=n)

    found = listing_of(table.tenant, "h", None, 1, fetch, lambda i: i["n"], lambda i: i["n"] == 24)
    assert (found.items, found.next_cursor) == ([24], None)
    assert asked == [1, 4, 16, 64]


def test_a_filter_that_lets_nothing_through_stops_and_goes_on_later(table, monkeypatch):
    monkeypatch.setattr(pages, "_MAX_READS", 3)
    page = _list(table, None, 1, keep=lambda item: item["n"] == 24)
    assert page.items == []
    assert _list(table, page.next_cursor, 1, keep=lambda item: item["n"] == 24).items == [24]


def _cursor(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_bad_cursors_are_refused(table):
    tenant, last = table.tenant, {"PK": table.keys.hooks(), "SK": "wh_01"}
    mark = digest(tenant.id, "hooks")
    bad = [
        "x",
        "!!!",
        "ü",
        "[]",
        _cursor(None),
        _cursor([]),
        _cursor([mark]),
        _cursor([mark, None]),
        _cursor([mark, []]),
        _cursor([mark, {}]),
        _cursor([mark, {"PK": 7}]),
        _cursor([mark, {"PK": table.keys.hooks(), "SK": "\ud800"}]),
        _cursor([mark, {"PK": f"T#{new_tenant().id}#HOOKS", "SK": "x"}]),
        base64.urlsafe_b64encode(b"[" * 1500).decode(),
        encode(tenant, "other list", last),
        encode(new_tenant(), "hooks", last),
    ]
    for cursor in bad:
        with pytest.raises(BadRequest):
            decode(tenant, "hooks", cursor)
    assert decode(tenant, "hooks", encode(tenant, "hooks", last)) == last


@pytest.mark.parametrize("only_odd", [False, True])
def test_large_items_end_a_page(table, monkeypatch, only_odd):
    monkeypatch.setattr(pages, "MAX_BYTES", 1_000)
    fetched = []

    def listed(cursor):
        def fetch(start, n):
            fetched.append(n)
            return table.query(table.keys.hooks(), start=start, limit=n)

        def shape(item):
            return {"n": item["n"], "text": "x" * (2_000 if item["n"] == 5 else 300)}

        keep = (lambda item: item["n"] % 2 == 1) if only_odd else (lambda _item: True)
        return listing_of(table.tenant, "large", cursor, 50, fetch, shape, keep)

    seen, cursor = [], None
    while cursor or not seen:
        page = listed(cursor)
        assert page.items
        size = sum(len(json.dumps(i, separators=(",", ":"))) for i in page.items)
        assert size <= 1_000 or len(page.items) == 1, "one that is larger by itself comes alone"
        seen += [i["n"] for i in page.items]
        cursor = page.next_cursor
    assert seen == [n for n in range(25) if n % 2 or not only_odd]
    assert len(fetched) < 60


def test_items_behind_the_end_of_a_page_are_not_unfolded(table, monkeypatch):
    monkeypatch.setattr(pages, "MAX_BYTES", 1_000)
    unfolded = []

    def shape(item):
        unfolded.append(item["n"])
        return "x" * 600

    listing_of(table.tenant, "h", None, 25, lambda s, n: table.query(table.keys.hooks(), start=s, limit=n), shape)
    assert set(unfolded) == {0, 1}


def test_a_size_is_that_of_the_answer():
    at = Listing([{"text": '"\n\u0001é\ud800'}], None)
    assert size_in_answer(at) >= size_of(b'{"items":[{"text":"\\"\\n\\u0001..\\ud800"}],"next_cursor":null}') - 6
