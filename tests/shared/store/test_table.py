import inspect

import pytest

from shared.store.keys import Key, TenantKeys, user_directory
from shared.store.table import Attr, Change, ConditionFailed, Directory, ForeignKey, TenantTable, Write
from shared.tenancy import new_tenant


@pytest.fixture
def tables(aws):
    return TenantTable(new_tenant()), TenantTable(new_tenant())


def test_two_tenants_things_of_one_name_are_two_things(tables):
    mine, theirs = tables
    mine.put(mine.keys.tenant_meta(), {"v": "mine"})
    theirs.put(theirs.keys.tenant_meta(), {"v": "theirs"})
    assert mine.get(mine.keys.tenant_meta())["v"] == "mine"
    assert [i["v"] for i in theirs.query(theirs.keys.tenant_meta().pk).items] == ["theirs"]


def _operations(table: TenantTable, key: Key):
    return {
        "get": lambda: table.get(key),
        "put": lambda: table.put(key, {}),
        "create": lambda: table.create(key, {}),
        "update": lambda: table.update(key, Change(set={"v": 1})),
        "delete": lambda: table.delete(key),
        "query": lambda: table.query(key.pk),
        "query_all": lambda: list(table.query_all(key.pk)),
        "put_all": lambda: table.put_all([(key, {})]),
        "delete_all": lambda: table.delete_all([key]),
        "transact": lambda: table.transact([Write("Put", (key.pk, key.sk), item={})]),
    }


def test_every_operation_is_in_the_table_of_operations(tables):
    public = {n for n, v in vars(TenantTable).items() if callable(v) and not n.startswith("_")}
    assert public == set(_operations(tables[0], Key("", "")))


@pytest.mark.parametrize("operation", sorted(_operations(None, Key("", ""))))
def test_no_operation_reaches_a_foreign_key(tables, operation):
    mine, theirs = tables
    theirs.put(theirs.keys.tenant_meta(), {"v": 0})
    for key in (theirs.keys.tenant_meta(), user_directory("sub"), Key("T#", "x"), Key(f"T#{mine.tenant.id}", "x")):
        with pytest.raises(ForeignKey):
            _operations(mine, key)[operation]()
    assert theirs.get(theirs.keys.tenant_meta())["v"] == 0


@pytest.mark.parametrize("operation", ["put", "create", "update", "put_all", "transact"])
def test_no_operation_writes_into_a_foreign_index(tables, operation):
    mine, theirs = tables
    key, foreign = Key(mine.keys.hooks(), "wh_1"), {"GSI1PK": theirs.keys.runs_of("wf"), "GSI1SK": "ex_1"}
    with pytest.raises(ForeignKey):
        {
            "put": lambda: mine.put(key, foreign),
            "create": lambda: mine.create(key, foreign),
            "update": lambda: mine.update(key, Change(set=foreign)),
            "put_all": lambda: mine.put_all([(key, foreign)]),
            "transact": lambda: mine.transact([Write("Put", (key.pk, key.sk), item=foreign)]),
        }[operation]()
    assert theirs.query(theirs.keys.runs_of("wf"), index="GSI1").items == []


def test_what_one_may_do_with_ones_own(tables):
    mine, _ = tables
    key = Key(mine.keys.hooks(), "wh_1")
    mine.create(key, {"v": 1})
    with pytest.raises(ConditionFailed):
        mine.create(key, {"v": 2})
    assert mine.update(key, Change(add={"v": 1}), Attr("v").eq(1))["v"] == 2
    mine.put_all([(Key(mine.keys.hooks(), f"wh_{n}"), {"v": n}) for n in range(2, 5)])
    assert len(list(mine.query_all(mine.keys.hooks()))) == 4
    mine.delete(key, Attr("v").eq(2))
    mine.delete_all([Key(mine.keys.hooks(), "wh_2")])
    mine.transact([Write("Delete", (mine.keys.hooks(), "wh_3"))])
    assert [i["SK"] for i in mine.query(mine.keys.hooks()).items] == ["wh_4"]


def test_the_directory_says_whose_a_thing_is(aws):
    directory = Directory()
    key = user_directory("sub-1")
    assert directory.get(key) is None
    directory.put(key, {"tenant_id": "t"})
    assert directory.get(key)["tenant_id"] == "t"
    assert directory.update(key, Change(add={"count": 2}))["count"] == 2
    directory.delete(key)
    assert directory.get(key) is None


def test_the_sweeper_finds_what_is_due(tables):
    mine, theirs = tables
    for table, due in ((mine, "2026-01-01"), (theirs, "2026-01-03")):
        table.put(table.keys.run("ex_1"), {"GSI2PK": "SWEEP#1", "GSI2SK": due})
    (found,) = Directory().due("SWEEP#1", "2026-01-02", 10)
    assert [(i["PK"], i["GSI2SK"]) for i in found] == [(mine.keys.run("ex_1").pk, "2026-01-01")]


def test_every_key_of_a_tenant_starts_with_its_prefix():
    keys = TenantKeys(new_tenant())
    names = [n for n, v in vars(TenantKeys).items() if inspect.isfunction(v) and not n.startswith("_")]
    assert len(names) > 10
    for name in names:
        method = getattr(keys, name)
        kinds = [p.annotation for p in inspect.signature(method).parameters.values()]
        key = method(*(1 if "int" in str(kind) else "x" for kind in kinds))
        assert (key.pk if isinstance(key, Key) else key).startswith(keys.prefix), name
