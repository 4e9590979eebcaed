"""The counters of `stepfunctions.contribution` as people read them: of one workflow, and of the whole tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from shared.analytics import service as analytics
from shared.analytics.sketch import quantile
from shared.clock import now_ms
from shared.errors import Invalid, Problem
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.usage.model import NANO
from shared.usage.store import UsageStore
from shared.workflows.store import WorkflowStore

MOST_DAYS: Final = 92
_USUAL_DAYS: Final = 30
_ERRORS: Final = 50
_STATUSES: Final = ("pending", "running", "paused", "completed", "failed", "cancelled")
_KINDS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")

Json = dict[str, Any]
Totals = Mapping[str, int]


def stats(tenant: Tenant, workflow_id: str, first: date | None, last: date | None) -> Json:
    """What a workflow's runs of these days (both included; the day a run was created counts) have come to.

    Raises NotFound; Invalid for days that are no range, or too long a one.
    """
    WorkflowStore(TenantTable(tenant)).get(workflow_id)
    start, end = _range(first, last)
    days = analytics.days(tenant, analytics.workflow(workflow_id), start, end)
    total = _sum(days.values())
    nodes = _nodes(total)
    return {
        "from": start,
        "to": end,
        **_outcome(total),
        "duration_ms": _percentiles(_buckets(total, "run_ms")),
        "errors": _errors({n: v for (n,), v in _named(total, "error", 1)}),
        "nodes": nodes,
        "bottleneck": _bottleneck(nodes),
        "models": _models(total),
        "money_usd": total["money|"] / NANO,
        "calls": total["calls"],
        "days": [{"day": day, **_outcome(days[day])} for day in sorted(days)],
    }


def usage(tenant: Tenant, first: date | None, last: date | None) -> Json:
    """What a tenant has used on these days (of runs: the day they were created), and what its files take now.

    Raises Invalid for days that are no range, or too long a one.
    """
    start, end = _range(first, last)
    days = analytics.days(tenant, analytics.TENANT, start, end)
    size, files = UsageStore(TenantTable(tenant)).files()
    return {
        "from": start,
        "to": end,
        **_used(_sum(days.values())),
        "storage": {"bytes": size, "files": files},
        "days": [{"day": day, **_used(days[day])} for day in sorted(days)],
    }


def _used(total: Counter[str]) -> Json:
    models = _models(total)
    return {
        **_outcome(total),
        "calls": total["calls"],
        "tokens": sum(model["total_tokens"] for model in models),
        "money_usd": total["money|"] / NANO,
        "models": models,
    }


def _range(first: date | None, last: date | None) -> tuple[str, str]:
    today = date.fromisoformat(analytics.day_of(now_ms()))
    end = last or (today if first is None else max(first, today))
    start = first or max(end, date.min + timedelta(_USUAL_DAYS)) - timedelta(_USUAL_DAYS - 1)
    if start > end:
        raise Invalid("`from` is after `to`", errors=[Problem("bad_range", "is after `to`", "query.from")])
    if (end - start).days >= MOST_DAYS:
        message = f"at most {MOST_DAYS} days can be asked for at once"
        raise Invalid(message, errors=[Problem("bad_range", message, "query.from")])
    return start.isoformat(), end.isoformat()


def _sum(days: Iterable[Totals]) -> Counter[str]:
    total: Counter[str] = Counter()
    for day in days:
        total.update(day)
    return total


def _named(total: Totals, kind: str, parts: int) -> Iterable[tuple[list[str], int]]:
    """What stands behind `<kind>|` in names, in so many parts, with the number."""
    for name, amount in total.items():
        if name.startswith(f"{kind}|") and amount:
            yield name.split("|", parts)[1:], amount


def _outcome(total: Counter[str]) -> Json:
    runs = {status: total[f"run|{status}"] for status in _STATUSES}
    over = runs["completed"] + runs["failed"]
    rate = runs["completed"] / over if over else None
    return {"runs": {"total": sum(runs.values()), **runs}, "success_rate": rate}


def _buckets(total: Totals, kind: str) -> dict[int, int]:
    return {int(number): amount for (number,), amount in _named(total, kind, 1)}


def _percentiles(buckets: Mapping[int, int]) -> Json:
    return {"p50": quantile(buckets, 0.5), "p95": quantile(buckets, 0.95)}


def _errors(found: Mapping[str, int]) -> list[Json]:
    """The most frequent first."""
    ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return [{"error": error, "count": count} for error, count in ranked[:_ERRORS]]


def _nodes(total: Counter[str]) -> list[Json]:
    found: dict[str, dict[str, int]] = {}
    errors: dict[str, dict[str, int]] = {}
    for (what, node), amount in _named(total, "node", 2):
        found.setdefault(node, {})[what] = amount
    for (node, error), amount in _named(total, "node_error", 2):
        errors.setdefault(node, {})[error] = amount
    containers = {what.removeprefix("in:") for counts in found.values() for what in counts if what.startswith("in:")}
    whole = sum(counts.get("ms", 0) for node, counts in found.items() if node not in containers)
    shown = []
    for node, counts in sorted(found.items()):
        buckets = {int(what): n for what, n in counts.items() if what.lstrip("-").isdecimal()}
        ms, container = counts.get("ms", 0), node in containers
        did = {what: counts.get(what, 0) for what in ("completed", "failed", "skipped")}
        shown.append(
            {
                "node_id": node,
                "runs": did["completed"] + did["failed"],
                **did,
                "duration_ms": {"total": ms, **_percentiles(buckets)},
                "container": container,
                "share": None if container or not whole else ms / whole,
                "errors": _errors(errors.get(node, {})),
            }
        )
    return shown


def _bottleneck(nodes: Iterable[Json]) -> Json | None:
    """The node in which most of the time went by, of all the time that nodes took. A container's time is its body's."""
    worst = max((n for n in nodes if n["share"]), key=lambda n: n["share"], default=None)
    return None if worst is None else {"node_id": worst["node_id"], "share": worst["share"]}


def _models(total: Counter[str]) -> list[Json]:
    names = sorted({model for (_, model), _ in _named(total, "tokens", 2)})
    return [
        {
            "model": model,
            **{kind: total[f"tokens|{kind}|{model}"] for kind in _KINDS},
            "money_usd": total[f"money|{model}"] / NANO if f"money|{model}" in total else None,
        }
        for model in names
    ]
