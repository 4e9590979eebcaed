"""The operators' command for what holds for a tenant."""

from __future__ import annotations

import pytest

from infrastructure.terms.__main__ import main
from shared import limits
from shared.store.table import TenantTable
from shared.tenancy import new_tenant
from shared.usage.store import UsageStore


def test_shows_sets_and_unsets(tenant, other_tenant, capsys):
    assert main([tenant.id]) == 0
    assert "runs_per_day = 100,000" in capsys.readouterr().out
    assert main([tenant.id, "--set", "runs_per_day=5", "--set", "money_usd_per_month=2.5", "--price", "a=b=1,2"]) == 0
    shown = capsys.readouterr().out
    assert "runs_per_day = 5\n" in shown
    assert "price a=b = 1,2\n" in shown
    assert main([tenant.id, "--set", "storage_bytes=5000000", "--set", "files=7"]) == 0
    assert "storage_bytes = 5,000,000\nfiles = 7\n" in capsys.readouterr().out
    store = UsageStore(TenantTable(tenant))
    assert (store.terms().quotas.storage_bytes, store.terms().quotas.files) == (5_000_000, 7)
    assert (store.terms().quotas.runs_per_day, store.terms().quotas.money_usd_per_month) == (5, 2.5)
    assert main([tenant.id, "--set", "requests_per_second=7"]) == 0
    assert limits.rate_of(tenant) == 7
    assert main([tenant.id, "--unset", "runs_per_day", "--no-price", "a=b"]) == 0
    assert store.terms().quotas.runs_per_day == 100_000
    assert store.terms().prices.own == {}
    assert UsageStore(TenantTable(other_tenant)).terms().quotas.money_usd_per_month == 10_000


@pytest.mark.parametrize(
    "wrong",
    [
        ["--set", "runs_per_day"],
        ["--set", "runs_per_day=many"],
        ["--set", "runs_per_day=-1"],
        ["--set", "rate_limit=5"],
        ["--unset", "rate_limit"],
        ["--price", "m"],
        ["--price", "m=1"],
        ["--set", "runs_per_day=5", "--price", "=1,2"],
    ],
)
def test_what_is_wrong_changes_nothing(tenant, capsys, wrong):
    before = UsageStore(TenantTable(tenant)).terms()
    assert main([tenant.id, *wrong]) == 1
    assert "not set:" in capsys.readouterr().err
    assert UsageStore(TenantTable(tenant)).terms() == before


@pytest.mark.parametrize("tenant_id", ["", "nobody", "t01", "T#x"])
def test_what_is_no_tenants_id(aws, capsys, tenant_id):
    assert main([tenant_id, "--set", "runs_per_day=5"]) == 1
    assert "not set:" in capsys.readouterr().err


def test_a_tenant_that_is_not_there(aws, capsys):
    assert main([new_tenant().id, "--set", "runs_per_day=5"]) == 1
    assert capsys.readouterr().err == "not set: there is no such tenant\n"
