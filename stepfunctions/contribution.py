"""What one change of a run's partition adds to the counters: plain numbers by name.

    run|<status>              runs, by what has become of them; with their first attempt they begin to count
    run_ms|<bucket>           durations of runs that have completed
    error|<name>              failed runs by their error
    calls                     calls of functions that the state machines have made
    node|<what>|<node>        completed, failed, skipped: how often; ms: time of those that ran; <bucket>: durations of
                              those that completed; in:<container>: it is in that one's body
    node_error|<node>|<name>  failures of a node
    tokens|<kind>|<model>     prompt_tokens, completion_tokens, total_tokens
    money|<model>, money|     billionths of a US dollar, by model where that has a price, and in all

A run counts by its state: what it counted before a change is taken back. So a run that fails and is retried counts
once, as what it comes to in the end. A node counts whenever it has been run. What models have used only ever grows: a
retry forgets results, but they were paid for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from shared.analytics.sketch import bucket
from shared.aws.dynamo import Item
from shared.aws.streams import Change
from shared.runs.model import ENDED, NodeRecord
from shared.usage.prices import Prices
from shared.usage.tokens import NOTHING, Used, used
from stepfunctions.engine.journal import records_of

_OVER: Final = ("completed", "failed", "skipped")
_MOST_CHARACTERS: Final = 100  # of an error's name, which a node may choose


def of_run(change: Change) -> Counter[str]:
    """What a change of the run itself adds."""
    found = _state(change.new)
    found.subtract(_state(change.old))
    return found


def _state(item: Item | None) -> Counter[str]:
    if item is None or (item["status"] == "pending" and not item.get("attempt")):
        return Counter()
    status = item["status"]
    found = Counter({f"run|{status}": 1})
    if status in ENDED:
        found["calls"] = item.get("calls", 0)
    if status == "completed":
        found[f"run_ms|{bucket(item['completed_at'] - item.get('started_at', item['created_at']))}"] = 1
    if status == "failed":
        found[f"error|{_error(json.loads(item.get('error') or '{}'))}"] = 1
    return found


def of_nodes(change: Change) -> tuple[Counter[str], Used]:
    """What a change of the journal adds: what nodes did, and what models have used for it."""
    new = records_of(change.new or {})
    old = records_of(change.old) if change.old and "pack" not in change.old else []
    before = old[0] if old else None
    found: Counter[str] = Counter()
    spent: dict[str, tuple[int, int, int]] = {}
    nano: int | None = None
    for record in new:
        if record.origin is not None:
            continue
        if record.status in _OVER and (before is None or before.status not in _OVER):
            _node(found, record)
        more = used(record.usage).since(used(before.usage) if before else NOTHING)
        for model, counts in more.models.items():
            a, b, c = spent.get(model, (0, 0, 0))
            spent[model] = (a + counts[0], b + counts[1], c + counts[2])
        if more.nano is not None:
            nano = (nano or 0) + more.nano
    return found, Used(spent, nano)


def _node(found: Counter[str], record: NodeRecord) -> None:
    node = record.node
    found[f"node|{record.status}|{node}"] += 1
    if record.scope:
        found[f"node|in:{record.scope.split('/')[-2]}|{node}"] += 1
    if record.status != "skipped" and record.started_at is not None and record.completed_at is not None:
        ms = max(0, record.completed_at - record.started_at)
        found[f"node|ms|{node}"] += ms
        if record.status == "completed":
            found[f"node|{bucket(ms)}|{node}"] += 1
    if record.status == "failed":
        found[f"node_error|{node}|{_error(record.error or {})}"] += 1


def of_models(spent: Used, prices: Prices) -> Counter[str]:
    """What models have used, with what it costs."""
    found: Counter[str] = Counter()
    for model, counts in spent.models.items():
        for kind, amount in zip(("prompt_tokens", "completion_tokens", "total_tokens"), counts, strict=True):
            found[f"tokens|{kind}|{model}"] = amount
        nano = None if spent.nano is not None else prices.nano(model, *counts)
        if nano is not None:
            found[f"money|{model}"] = nano
    if spent.models:
        found["money|"] = spent.cost(prices)
    return found


def _error(error: Mapping[str, Any]) -> str:
    return str(error.get("error") or "Unknown")[:_MOST_CHARACTERS]
