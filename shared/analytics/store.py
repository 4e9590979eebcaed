"""Counters in the table: one item for each subject, day and lane, with all counters of it.

    T#t#COUNT#<subject>   <day>#<lane>   {body, version}     body: deflated JSON, name → number
    T#t#COUNTED#<mark>    MARK           {upto, ttl}

A number is added together with the mark that says so, in one transaction: what is told twice is counted once. A process
writes to one of a few lanes, so that many of them seldom meet; whoever reads adds the lanes up.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from shared.clock import now_ms, parse
from shared.errors import Contended, Unavailable
from shared.store.keys import Key
from shared.store.table import Attr, Change, ConditionFailed, TenantTable, Write
from shared.store.turns import step_aside

Amounts: TypeAlias = Mapping[str, int]
Place: TypeAlias = tuple[str, str]  # subject, day (`2026-01-31`)

MAX_MARKS: Final = 80  # in one transaction, which takes at most 100 writes
KEPT_S: Final = 400 * 86_400  # counters, after their day
_MARKED_S: Final = 3 * 86_400  # the stream tells nothing again that is older than a day
_MOST_NAMES: Final = 30_000  # in one item, which has at most 400 KB; what has another name is dropped
_MOST_BYTES: Final = 200_000  # deflated: names that a workflow makes up (errors, models) are long, and all differ
_LANES: Final = 4
_TRIES: Final = 12

_lane: Final = secrets.randbelow(_LANES)


class Counted(Exception):
    """One of the marks says that this, or a part of it, is counted already."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is counted: everything of `name` from `first` to `upto`. Texts that sort as it comes."""

    name: str
    first: str = "0"
    upto: str = "0"


class CounterStore:
    """One tenant's counters."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def add(self, amounts: Mapping[Place, Amounts], marks: Sequence[Mark], also: Sequence[Write] = ()) -> None:
        """Add all of this, with what is `also` to be written, or nothing. Raises Counted, Unavailable."""
        marking = [self._marked(mark) for mark in marks]
        for attempt in range(_TRIES):
            try:
                writes = [self._added(place, more) for place, more in amounts.items() if any(more.values())]
                self._table.transact([*marking, *writes, *also])
                return
            except ConditionFailed as failed:
                if failed.item is not None and "upto" in failed.item:
                    raise Counted from None
            except Contended:  # two transactions met on one item
                if attempt == _TRIES - 1:
                    raise
            step_aside(attempt)
        raise Unavailable("the counters are busy; try again")

    def _marked(self, mark: Mark) -> Write:
        at = self._keys.counted(mark.name)
        change = Change(set={"upto": mark.upto, "ttl": now_ms() // 1000 + _MARKED_S})
        new = Attr("PK").not_exists() | Attr("upto").lt(mark.first)
        return Write("Update", (at.pk, at.sk), change=change, condition=new)

    def _added(self, place: Place, more: Amounts) -> Write:
        subject, day = place
        at = Key(self._keys.counts(subject), f"{day}#{_lane}")
        found = self._table.get(at, consistent=True)
        known = _opened(found["body"]) if found else {}
        total = Counter(known)
        for name, amount in more.items():
            if name in total or len(total) < _MOST_NAMES:
                total[name] += amount
        body = _packed(total)
        if len(body) > _MOST_BYTES:
            body = _packed({n: v for n, v in total.items() if n in known})
        item = {
            "body": body,
            "version": found["version"] + 1 if found else 1,
            "ttl": parse(day) // 1000 + KEPT_S,
        }
        same = Attr("version").eq(found["version"]) if found else Attr("PK").not_exists()
        return Write("Put", (at.pk, at.sk), item=item, condition=same)

    def upto(self, names: Iterable[str]) -> dict[str, str]:
        """How far each of these was counted, of those that were."""
        found = {name: self._table.get(self._keys.counted(name), consistent=True) for name in names}
        return {name: item["upto"] for name, item in found.items() if item}

    def days(self, subject: str, first: str, last: str) -> dict[str, Counter[str]]:
        """The counters of a subject's days, both included; of days with nothing there is none."""
        found: dict[str, Counter[str]] = {}
        for item in self._table.query_all(self._keys.counts(subject), after=first):
            day = item["SK"].partition("#")[0]
            if day > last:
                break
            found.setdefault(day, Counter()).update(_opened(item["body"]))
        return found


def _packed(amounts: Mapping[str, int]) -> bytes:
    text = json.dumps({n: v for n, v in amounts.items() if v}, ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode(errors="replace"), 3)


def _opened(body: bytes) -> dict[str, int]:
    amounts: dict[str, int] = json.loads(zlib.decompress(body))
    return amounts
