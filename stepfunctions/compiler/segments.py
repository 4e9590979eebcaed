"""Which nodes run in one call, and what has to be over before.

What ends a segment is a *breaker*: a wait, a container with a wait in it (and, with granularity `node`, every node that
touches the world). Impure
nodes behind the same breakers can start at the same moment, so they are one segment. Pure nodes get no call of their
own: each is put into the call that needs it first, and any later call may compute it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from stepfunctions.plan import BoundNode

BlockKind: TypeAlias = Literal["segment", "timer", "question", "container"]
_KINDS: Final[Mapping[str, BlockKind]] = {"timer": "timer", "question": "question"}


@dataclass(frozen=True, slots=True)
class Block:
    """What becomes a state: a segment, or one wait with the pure nodes it needs. `breaker` is the node that made it a
    block of its own, or "". `runner` is the function that runs a segment: the larger one if a node of it needs that.
    """

    kind: BlockKind
    breaker: str
    nodes: tuple[str, ...]
    runner: Literal["runner", "documents"] = "runner"


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a scope and their order: `before[i]` are all blocks before block i, as a bit mask.

    The last block is always a segment that comes after everything else: it ends the run, or the pass of a body.
    """

    blocks: tuple[Block, ...]
    before: tuple[int, ...]


def segments(nodes: Mapping[str, BoundNode], *, scope: str, granularity: Literal["segment", "node"]) -> Blocks:
    """Cut a scope into blocks. `nodes` are in an order in which they can run."""
    members = [n for n in nodes.values() if n.scope == scope]
    breakers = [n for n in members if n.breaks or (granularity == "node" and not n.pure)]
    behind = _behind(members, breakers)
    groups = _groups(members, breakers, behind)
    before = _order(members, groups)
    everything = (1 << len(groups)) - 1
    last = [i for i, mask in enumerate(before) if mask == everything & ~(1 << i)]
    if not last or groups[last[0]].kind != "segment":
        groups.append(Block("segment", "", ()))
        before.append(everything)
        last = [len(groups) - 1]
    placed = _place_pure(members, groups, before, behind, last[0])
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
        Block(_kind(together[0]), breaker, tuple(n.id for n in together), _runner(together))
        for (_, breaker), together in found.items()
    ]


def _kind(node: BoundNode) -> BlockKind:
    return "container" if node.opened else _KINDS.get(node.kind, "segment")


def _runner(nodes: Sequence[BoundNode]) -> Literal["runner", "documents"]:
    return "documents" if any(n.runner == "documents" for n in nodes) else "runner"


def _order(members: Sequence[BoundNode], groups: Sequence[Block]) -> list[int]:
    """The blocks before each block, transitively."""
    of = {n: i for i, g in enumerate(groups) for n in g.nodes}
    direct = [0] * len(groups)
    ahead: dict[str, int] = {}  # per node, the blocks it comes after, and its own
    for n in members:
        mask = 0
        for each in n.waits_for:
            mask |= ahead[each]
        if n.id in of:
            direct[of[n.id]] |= mask
            mask |= 1 << of[n.id]
        ahead[n.id] = mask
    direct = [mask & ~(1 << i) for i, mask in enumerate(direct)]
    # A block's nodes have different ancestors, so the relation between blocks has to be closed once more.
    changed = True
    while changed:
        changed = False
        for i, mask in enumerate(direct):
            wider = mask
            left = mask
            while left:  # later blocks first: what is before them need not be looked at again
                j = left.bit_length() - 1
                wider |= direct[j]
                left &= ~(direct[j] | 1 << j)
            if wider != mask:
                direct[i] = wider
                changed = True
    return direct


def _place_pure(
    members: Sequence[BoundNode],
    groups: Sequence[Block],
    before: Sequence[int],
    behind: Mapping[str, int],
    last: int,
) -> list[Block]:
    """The blocks with their pure nodes: with impure nodes behind the same breakers, or where first needed."""
    of = {n: i for i, g in enumerate(groups) for n in g.nodes}
    depth = [mask.bit_count() for mask in before]
    consumer: dict[str, tuple[int, int]] = {}  # per node, the first block that needs it: how many are before it, which
    for n in reversed(members):
        needing = [consumer[n.id]] if n.id in consumer else []
        if n.id in of:
            needing.append((depth[of[n.id]], of[n.id]))
        for each in n.waits_for if needing else ():
            consumer[each] = min(*needing, consumer.get(each, needing[0]))
    same = {behind[g.nodes[0]]: i for i, g in enumerate(groups) if g.kind == "segment" and g.nodes}
    extra: dict[int, list[str]] = {}
    for n in members:
        if n.id not in of:
            at = consumer[n.id][1] if n.id in consumer else same.get(behind[n.id], last)
            extra.setdefault(at, []).append(n.id)
    rank = {n.id: i for i, n in enumerate(members)}
    return [
        replace(g, nodes=tuple(sorted((*g.nodes, *extra.get(i, ())), key=lambda n: rank[n])))
        for i, g in enumerate(groups)
    ]
