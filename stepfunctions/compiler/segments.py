"""Which nodes run in one call, and what has to be over before.

What ends a segment is a *breaker*: a wait (and, with granularity `node`, every node that touches the world). Impure
nodes behind the same breakers can start at the same moment, so they are one segment. Pure nodes get no call of their
own: each is put into the call that needs it first, and any later call may compute it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from stepfunctions.plan import BoundNode

BlockKind: TypeAlias = Literal["segment", "timer", "question"]
_KINDS: Final[Mapping[str, BlockKind]] = {"timer": "timer", "question": "question"}


@dataclass(frozen=True, slots=True)
class Block:
    """What becomes a state: a segment, or one wait with the pure nodes it needs. `breaker` is the node that made it a
    block of its own, or "".
    """

    kind: BlockKind
    breaker: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a scope and their order: `before[i]` are all blocks before block i, as a bit mask.

    The last block is always a segment that comes after everything else: it ends the run.
    """

    blocks: tuple[Block, ...]
    before: tuple[int, ...]


def segments(nodes: Mapping[str, BoundNode], *, scope: str, granularity: Literal["segment", "node"]) -> Blocks:
    """Cut a scope into blocks. `nodes` are in an order in which they can run."""
    members = [n for n in nodes.values() if n.scope == scope]
    breakers = [n for n in members if n.kind in ("timer", "question") or (granularity == "node" and not n.pure)]
    behind = _behind(members, breakers)
    groups = _groups(members, breakers, behind)
    ancestors = _ancestors(members)
    before = _order(groups, ancestors)
    everything = (1 << len(groups)) - 1
    last = [i for i, mask in enumerate(before) if mask == everything & ~(1 << i)]
    if not last or groups[last[0]].kind != "segment":
        groups.append(Block("segment", "", ()))
        before.append(everything)
        last = [len(groups) - 1]
    placed = _place_pure(members, groups, before, behind, ancestors, last[0])
    return Blocks(tuple(placed), tuple(before))


def _behind(members: Sequence[BoundNode], breakers: Sequence[BoundNode]) -> dict[str, int]:
    """Per node, the breakers it comes after, as a bit mask."""
    bit = {n.id: 1 << i for i, n in enumerate(breakers)}
    behind: dict[str, int] = {}
    for n in members:
        mask = 0
        for each in n.waits_for:
            mask |= behind[each] | bit.get(each, 0)
        behind[n.id] = mask
    return behind


def _groups(members: Sequence[BoundNode], breakers: Sequence[BoundNode], behind: Mapping[str, int]) -> list[Block]:
    """Waits by themselves, every other impure node with those behind the same breakers; in running order."""
    alone = {n.id for n in breakers}
    found: dict[tuple[int, str], list[BoundNode]] = {}
    for n in members:
        if n.id in alone:
            found[0, n.id] = [n]
        elif not n.pure:
            found.setdefault((behind[n.id], ""), []).append(n)
    return [
        Block(_KINDS.get(together[0].kind, "segment"), breaker, tuple(n.id for n in together))
        for (_, breaker), together in found.items()
    ]


def _ancestors(members: Sequence[BoundNode]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for n in members:
        found[n.id] = frozenset(n.waits_for).union(*(found[each] for each in n.waits_for))
    return found


def _order(groups: Sequence[Block], ancestors: Mapping[str, frozenset[str]]) -> list[int]:
    """The blocks before each block, transitively."""
    of = {n: i for i, g in enumerate(groups) for n in g.nodes}
    direct = []
    for i, g in enumerate(groups):
        mask = 0
        for n in g.nodes:
            for a in ancestors[n]:
                if a in of and of[a] != i:
                    mask |= 1 << of[a]
        direct.append(mask)
    # A block's nodes have different ancestors, so the relation between blocks has to be closed once more.
    changed = True
    while changed:
        changed = False
        for i, mask in enumerate(direct):
            wider = mask
            left = mask
            while left:
                low = left & -left
                wider |= direct[low.bit_length() - 1]
                left ^= low
            if wider != mask:
                direct[i] = wider
                changed = True
    return direct


def _place_pure(
    members: Sequence[BoundNode],
    groups: Sequence[Block],
    before: Sequence[int],
    behind: Mapping[str, int],
    ancestors: Mapping[str, frozenset[str]],
    last: int,
) -> list[Block]:
    """The blocks with their pure nodes: with impure nodes behind the same breakers, or where first needed."""
    of = {n: i for i, g in enumerate(groups) for n in g.nodes}
    needed_by: dict[str, list[int]] = {}
    for n in members:
        if n.id in of:
            for a in ancestors[n.id]:
                needed_by.setdefault(a, []).append(of[n.id])
    same = {behind[g.nodes[0]]: i for i, g in enumerate(groups) if g.kind == "segment" and g.nodes}
    depth = [mask.bit_count() for mask in before]
    extra: dict[int, list[str]] = {}
    for n in members:
        if n.id not in of:
            consumers = needed_by.get(n.id)
            at = min(consumers, key=lambda i: (depth[i], i)) if consumers else same.get(behind[n.id], last)
            extra.setdefault(at, []).append(n.id)
    rank = {n.id: i for i, n in enumerate(members)}
    return [
        Block(g.kind, g.breaker, tuple(sorted((*g.nodes, *extra.get(i, ())), key=lambda n: rank[n])))
        for i, g in enumerate(groups)
    ]
