"""What the engine takes: runs of one call, on tables in this process, so that what AWS takes can be left out.

python -m infrastructure.bench.engine ROUNDS NODES ITEMS     prints the figures' numbers as JSON; `measure` runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

from infrastructure.bench.figures import Figure
from infrastructure.bench.shapes import Node, document, node
from infrastructure.bench.sides import BenchFailed
from infrastructure.local import cloud
from infrastructure.local.archive import ROOT
from shared.workflows.model import Document

_FEW: Final = 10
_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_NODE_MS: Final = 0.2
_MOST_WRITES: Final = 6
_GROWTH: Final = 11


def measure(rounds: int, nodes: int, items: int) -> list[Figure]:
    """`engine_per_node`, `journal_writes_ten_nodes`, `loop_growth`."""
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", __name__, str(rounds), str(nodes), str(items)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"the engine cannot be measured:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    per_node, writes, loop = found["per_node_ms"], found["writes"], found["loop_s"]
    (small_alone, small), (large_alone, large) = loop["small"], loop["large"]
    return [
        Figure(
            "engine_per_node",
            round(per_node["hand_on"], 3),
            _NODE_MS,
            {
                "against": f"the clock, without the calls to AWS: a chain of {nodes} pure nodes in one call",
                "transform": round(per_node["transform"], 3),
            },
            "ms",
        ),
        Figure(
            "journal_writes_ten_nodes",
            writes["transforms"],
            _MOST_WRITES,
            {"against": "a count: everything a run of ten transforms writes from its call to its end", **writes},
            "writes",
        ),
        Figure(
            "loop_growth",
            round(large_alone / small_alone, 1),
            _GROWTH,
            {
                "against": f"the same loop, items one after the other through a transform, with {items // 10} of them",
                "items": items,
                "with_aws_of_this_process": round(large / small, 1),
                "ms_per_item": round(large_alone / items * 1000, 3),
            },
        ),
    ]


# --- in a process of its own -----------------------------------------------------------------------------------------


@dataclass
class _Aws:
    """What a run has asked of AWS: how often what, and the seconds until the answers."""

    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0

    @property
    def writes(self) -> int:
        return sum(count for what, count in self.calls.items() if what in _WRITES)


@contextlib.contextmanager
def _watched() -> Iterator[_Aws]:
    from botocore.client import BaseClient

    seen, call = _Aws(), BaseClient._make_api_call

    def watched(client: Any, operation: str, arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(client, operation, arguments)
        finally:
            seen.seconds += time.perf_counter() - began
            seen.calls[operation] += 1

    with patch.object(BaseClient, "_make_api_call", watched):
        yield seen


class _Runs:
    """Publishes documents and makes the one call of each of their runs."""

    def __init__(self) -> None:
        from shared.tenancy import new_tenant

        self._tenant = new_tenant()

    def once(self, made: Document) -> Iterator[tuple[float, _Aws]]:
        """Runs of a document, one after the other: seconds of the call, and what it has asked of AWS."""
        from shared.ids import ulid
        from shared.runs.store import RunStore
        from shared.store.table import TenantTable
        from stepfunctions import calls, plans
        from stepfunctions.publish import publish
        from stepfunctions.start import start

        published = publish(self._tenant, made, 1)
        by = {"kind": "bench", "id": None, "user": None}
        while True:
            run = start(self._tenant, published, trigger_node=None, trigger_data=1, triggered_by=by)
            segments = plans.load(self._tenant, run.plan).segments
            event = {"tenant": self._tenant.id, "execution": run.id, "plan": run.plan, "attempt": 0, "timeouts": []}
            if len(segments) != 1:
                raise BenchFailed("this is to be one call")
            with _watched() as seen:
                began = time.perf_counter()
                calls.segment_call({"run": event, "segment": 0}, owner=ulid(), remaining=lambda: 800.0)
                took = time.perf_counter() - began
            status = RunStore(TenantTable(self._tenant)).get(run.id).status
            if status != "completed":
                raise BenchFailed(f"the run is {status}")
            yield took, seen


def _numbers(rounds: int, nodes: int, items: int) -> Mapping[str, Any]:
    runs = _Runs()

    def fastest(made: Document) -> tuple[float, float]:
        """Seconds without AWS and with it, each of the fastest run; what the first one does once is left out."""
        found = [(took, seen.seconds) for (took, seen), _ in zip(runs.once(made), range(rounds + 1), strict=False)][1:]
        return min(took - aws for took, aws in found), min(took for took, _ in found)

    def per_node(kind: str, config: Node, into: str, out: str) -> float:
        many, few = (fastest(_chain(n, kind, config, into, out))[0] for n in (nodes, _FEW))
        return (many - few) / (nodes - _FEW) * 1000

    def writes(kind: str, config: Node, into: str, out: str) -> int:
        _, seen = next(runs.once(_chain(_FEW, kind, config, into, out)))
        return seen.writes

    add = {"expression": "inputs.input + 1"}
    return {
        "per_node_ms": {
            "hand_on": per_node("parallel", {}, "inputs", "outputs"),
            "transform": per_node("transform", add, "input", "output"),
        },
        "writes": {
            "transforms": writes("transform", add, "input", "output"),
            "short_rests": writes("delay", {"ms": 1}, "input", "output"),
        },
        "loop_s": {"small": fastest(_loop(items // 10)), "large": fastest(_loop(items))},
    }


def _chain(size: int, kind: str, config: Node, into: str, out: str) -> Document:
    names = [f"n{i}" for i in range(size)]
    wires = [("start", "trigger", names[0], into), *((a, out, b, into) for a, b in pairwise(names))]
    return document([node(n, kind, config) for n in names], wires)


def _loop(items: int) -> Document:
    body = node("body", "transform", {"expression": "item * 2"}, parent="each")
    return document([node("each", "loop", inputs={"items": f"{{{{ [1..{items}] }}}}"}), body], [])


def main() -> int:
    """Measure, and print it."""
    rounds, nodes, items = map(int, sys.argv[1:])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SW_", "AWS_"))}
    with patch.dict(os.environ, {**kept, **cloud.ENVIRONMENT}, clear=True), cloud.account() as made:
        os.environ.update(made)
        with contextlib.redirect_stdout(sys.stderr):  # the engine's own log
            found = _numbers(rounds, nodes, items)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
