"""What holds for every store there is and will be: it reaches the things of its own tenant and no others.

Every public method of every store is called with ids of the first tenant's things (`store_samples.py`): on the stores
of a tenant that has nothing, of one that by and by has things with the same ids, and of the first tenant itself. Only
the last may show or change anything of the first tenant's, and must, or else the samples would show nothing.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from infrastructure.local.cloud import ACCOUNT, REGION
from shared.aws.clients import client
from shared.errors import AppError
from shared.settings import settings
from shared.store.keys import TenantKeys
from shared.store.table import ConditionFailed, ForeignKey, TenantTable
from shared.tenancy import Tenant, new_tenant
from tests.shared.sampled import MARK, Samples
from tests.shared.store_samples import furnished

ROOT = Path(__file__).parents[2]
Belongings = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class Method:
    """A public method of a store, and arguments to call it with. A static one has no tenant, so it reaches nothing."""

    store: type
    name: str
    static: bool
    calls: list[Mapping[str, Any]]

    def __str__(self) -> str:
        return f"{self.store.__name__}.{self.name}"


@dataclass(frozen=True)
class Outcome:
    """What a call gave or raised, as text; `fault` if it may not."""

    text: str
    fault: bool = False


def stores() -> list[type]:
    """Every class in a `store.py` that is made for a tenant's table."""
    found: list[type] = []
    for file in sorted((ROOT / "shared").glob("*/store.py")):
        module = importlib.import_module(f"shared.{file.parent.name}.store")
        classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        own = [c for c in classes if _is_store(c)]
        assert own, f"{file} has no class whose __init__ takes a TenantTable"
        found += own
    return found


def _is_store(cls: type) -> bool:
    start = inspect.getattr_static(cls, "__init__")
    parameters = inspect.signature(start, eval_str=True).parameters.values() if inspect.isfunction(start) else ()
    return any(p.annotation is TenantTable for p in parameters)


def methods(store: type, samples: Samples) -> Iterator[Method]:
    """Every public method, to be called with the first samples, and once more with each of the others."""
    for name, method in inspect.getmembers(store, inspect.isroutine):
        if name.startswith("_"):
            continue
        static = isinstance(inspect.getattr_static(store, name), staticmethod)
        parameters = list(inspect.signature(method, eval_str=True).parameters.values())[0 if static else 1 :]
        given = {p.name: samples.of(p) for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        missing = [p for p, values in given.items() if not values]
        assert not missing, f"{store.__name__}.{name}: add samples of {missing} to tests/shared/store_samples.py"
        usual = {p: values[0] for p, values in given.items()}
        others = [{**usual, p: other} for p, values in given.items() for other in values[1:]]
        yield Method(store, name, static, [usual, *others])


def outcome(method: Method, arguments: Mapping[str, Any], tenant: Tenant) -> Outcome:
    """What comes of a call on this tenant's store."""
    try:
        answer = getattr(method.store(TenantTable(tenant)), method.name)(**arguments)
        return Outcome(repr(list(answer) if isinstance(answer, Iterator) else answer))
    except Exception as error:
        # A bare LookupError: an object that is not in the tenant's part of S3.
        allowed = isinstance(error, AppError | ConditionFailed | ForeignKey) or type(error) is LookupError
        return Outcome(f"{type(error).__name__} {error} {vars(error)}", fault=not allowed)


def belongings(tenant: Tenant) -> Belongings:
    """All that is a tenant's, byte for byte: items, what the directory says of them, index entries, objects."""
    prefix, found = TenantKeys(tenant).prefix, Belongings()
    # Out of moto's table by hand: it is looked through after every call of every method, and a Scan takes minutes then.
    for row in dynamodb_backends[ACCOUNT][REGION].tables[settings().table].all_items():
        known = {n: row.attrs[n].value for n in ("PK", "GSI1PK", "tenant_id") if n in row.attrs}
        if known.get("tenant_id") == tenant.id or any(str(v).startswith(prefix) for v in known.values()):
            found[row.attrs["PK"].value, row.attrs["SK"].value] = {n: v.to_regular_json() for n, v in row.attrs.items()}
    for bucket in client("s3").list_buckets()["Buckets"]:
        for entry in client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            if tenant.id in entry["Key"]:
                body = client("s3").get_object(Bucket=bucket["Name"], Key=entry["Key"])["Body"].read()
                found[bucket["Name"], entry["Key"]] = body
    return found


def restore(before: Belongings, now: Belongings) -> None:
    """Put a tenant's items and objects back as they were."""
    for (pk, sk), was in before.items():
        if now.get((pk, sk)) == was:
            continue
        if isinstance(was, dict):
            client("dynamodb").put_item(TableName=settings().table, Item=was)
        else:
            client("s3").put_object(Bucket=pk, Key=sk, Body=was)
    for pk, sk in now.keys() - before.keys():
        if isinstance(now[pk, sk], dict):
            client("dynamodb").delete_item(TableName=settings().table, Key={"PK": {"S": pk}, "SK": {"S": sk}})
        else:
            client("s3").delete_object(Bucket=pk, Key=sk)


def marks(mine: Belongings, samples: Samples) -> list[str]:
    """What only the tenant knows, as it would stand in an outcome: the day, and the bytes (documents, secrets)."""
    known = repr(samples)
    values = [v for item in mine.values() if isinstance(item, dict) for v in item.values()]
    return [MARK, *(repr(v["B"]) for v in values if "B" in v and repr(v["B"]) not in known)]


def faults(store: type, samples: Samples, mine: Tenant, other: Tenant) -> list[str]:
    """What is wrong with a store, called with ids of `mine`."""
    before, found = belongings(mine), []
    secrets = marks(before, samples)
    for method in methods(store, samples):
        from_nothing = [outcome(method, arguments, new_tenant()) for arguments in method.calls]
        for seen in (*from_nothing, *(outcome(method, arguments, other) for arguments in method.calls)):
            if seen.fault:
                found.append(f"{method} raises {seen.text}")
            if any(s in seen.text for s in secrets):
                found.append(f"{method} shows another tenant's things: {seen.text:.500}")
        if changed := _changes(before, mine):
            found.append(f"{method} changes another tenant's things: {changed}")
        owns = [outcome(method, arguments, mine) for arguments in method.calls]
        if not _changes(before, mine) and owns == from_nothing and not method.static:
            found.append(f"{method}: the samples do not reach what its own tenant has")
    return found


def _changes(before: Belongings, tenant: Tenant) -> list[tuple[str, str]]:
    """What is not as it was; then it is as it was again."""
    now = belongings(tenant)
    restore(before, now)
    return sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))


@pytest.fixture
def samples(api_client, tenant) -> Samples:
    """Of the first tenant's things."""
    return furnished(api_client, tenant)


def test_stores_are_where_they_are_looked_for():
    start = re.compile(r"def __init__\([^)]*\bTenantTable\b")
    files = [f for package in ("functions", "shared", "stepfunctions") for f in (ROOT / package).rglob("*.py")]
    found = {f.relative_to(ROOT).as_posix() for f in files if start.search(f.read_text())}
    assert found == {s.__module__.replace(".", "/") + ".py" for s in stores()}


def test_no_method_of_any_store_reaches_another_tenant(samples, tenant, other_tenant):
    found = [f for store in stores() for f in faults(store, samples, tenant, other_tenant)]
    assert not found, "\n".join(found)


class Broken:
    """What no store may do."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def shows(self, execution_id: str) -> Iterator[Any]:
        found = client("dynamodb").scan(TableName=settings().table)["Items"]
        return (i for i in found if execution_id in i["PK"]["S"])

    def tells(self, execution_id: str) -> None:
        raise ConditionFailed({"body": list(self.shows(execution_id))})

    def changes(self, execution_id: str) -> None:
        for item in self.shows(execution_id):
            client("dynamodb").put_item(TableName=settings().table, Item={**item, "status": {"S": "completed"}})

    def takes(self, webhook_id: str) -> None:
        key = {"PK": {"S": f"HOOK#{webhook_id}"}, "SK": {"S": "META"}}
        client("dynamodb").put_item(TableName=settings().table, Item={**key, "tenant_id": {"S": self._table.tenant.id}})

    def breaks(self) -> None:
        raise KeyError("PK")

    def nothing(self, execution_id: str) -> None:
        self._table.get(self._table.keys.run(execution_id + "0"))


def test_a_store_that_does_is_found_out(samples, tenant, other_tenant):
    before = belongings(tenant)
    found = faults(Broken, samples, tenant, other_tenant)
    for said in (
        "shows shows another tenant's things: [{'",
        "tells shows another tenant's things: ConditionFailed",
        "changes changes another tenant's things: [('T#",
        "takes changes another tenant's things: [('HOOK#",
        "breaks raises KeyError",
        "nothing: the samples do not reach",
    ):
        assert any(f.startswith(f"Broken.{said}") for f in found), (said, found)
    assert belongings(tenant) == before


def test_a_method_without_samples_is_named():
    with pytest.raises(AssertionError, match=r"Broken\.changes: add samples of \['execution_id'\] to tests/shared/"):
        list(methods(Broken, Samples()))
