import base64
import json

import pytest

from shared.errors import BadRequest
from shared.ids import digest
from shared.store.keys import Key
from shared.store.pages import decode, encode, listing_of
from shared.store.table import TenantTable
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


def test_a_filter_that_lets_nothing_through_stops_and_goes_on_later(table):
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
