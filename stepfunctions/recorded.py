"""What a run has recorded, as a whole: for going on with the run, and for starting another one from it.

A container that is over counts as one node: what its passes have recorded says how it came to its outputs, and nothing
more. Of one that is not over, what its passes have recorded counts for itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from shared.runs.model import NodeRecord
from shared.runs.store import RunStore
from shared.store.keys import journal_prefix
from shared.store.table import Item
from stepfunctions.engine.journal import records_of
from stepfunctions.engine.repeats import TOO_MANY_FAILURES
from stepfunctions.plan import Plan

Place: TypeAlias = tuple[str, str]  # scope, node
SETTLED: Final = ("completed", "failed", "skipped")
_EVERYTHING: Final = journal_prefix("")[:2]


@dataclass(frozen=True, slots=True)
class Recorded:
    """`own` are the records that have an item each, with it; `packed` the others, and `packs` where those lie.

    `answerable` are the run's tasks that are answered, or may still be.
    """

    plan: Plan
    own: Mapping[Place, tuple[NodeRecord, Item]]
    packed: Mapping[Place, NodeRecord]
    packs: tuple[str, ...]
    answerable: Collection[str] = frozenset()

    def inner_first(self) -> list[tuple[NodeRecord, Item]]:
        """`own`, what is in a pass before the container: that says what of its passes a retry takes back, to whoever
        goes on with a retry that has died half way, too.
        """
        return sorted(self.own.values(), key=lambda own: -own[0].scope.count("/"))

    def at(self, place: Place) -> NodeRecord | None:
        """What is recorded there."""
        return self.own[place][0] if place in self.own else self.packed.get(place)

    def starts_anew(self, record: NodeRecord) -> bool:
        """Whether a retry takes this record back: a failure that ended its scope, a question that nobody can answer.

        What was in flight keeps its lease — its call may still be running, and if not, the lease runs out. A failure
        that the loop around it put up with, or that lies in a loop which is over, is part of what is kept; those of
        which the loop said that they were too many are taken back with its own.
        """
        if record.status == "paused":
            return record.task is not None and record.task not in self.answerable
        if record.handled or record.status != "failed":
            return False
        if not record.scope:
            return True
        outer, loop = around(record.scope)
        over = self.at((outer, loop))
        if over is None:
            return False
        if self.plan.nodes[loop].config.get("on_item_error", "fail") != "fail":
            return over.error is not None and over.error["error"] == TOO_MANY_FAILURES and self.starts_anew(over)
        return over.status not in SETTLED or self.starts_anew(over)

    def is_over(self, scope: str) -> bool:
        """Whether a container that this scope lies in is over, and stays so."""
        while scope:
            scope, container = around(scope)
            record = self.at((scope, container))
            if record is not None and record.status in SETTLED and not self.starts_anew(record):
                return True
        return False

    def results(self) -> Iterator[NodeRecord]:
        """What stands: of the workflow's nodes and, where a container is not over, of those in its passes."""
        every = [r for r, _ in self.own.values()] + [r for place, r in self.packed.items() if place not in self.own]
        for record in every:
            if record.status in SETTLED and not self.starts_anew(record) and not self.is_over(record.scope):
                yield record


def read(runs: RunStore, execution_id: str, plan: Plan, answerable: Collection[str] = frozenset()) -> Recorded:
    """Everything that a run has recorded under its plan."""
    own: dict[Place, tuple[NodeRecord, Item]] = {}
    packed: dict[Place, NodeRecord] = {}
    packs: list[str] = []
    for item in runs.journal(execution_id, _EVERYTHING):
        if "pack" in item:
            packs.append(item["SK"])
        for record in records_of(item):  # of packs, a later one is right
            if "pack" in item and record.status == "pending":  # see `stepfunctions.history`
                packed.setdefault((record.scope, record.node), record)
            elif "pack" in item:
                packed[record.scope, record.node] = record
            else:
                own[record.scope, record.node] = record, item
    return Recorded(plan, own, packed, tuple(packs), answerable)


def around(scope: str) -> Place:
    """The container whose pass a scope is: `each/3/inner/0` is one of `inner`, in the scope `each/3`."""
    outer, _, container = scope.rpartition("/")[0].rpartition("/")
    return outer, container
