"""Blocks and their order as steps: series become chains, parallel parts branches, containers that rest turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stepfunctions.compiler.regions import Leaf, Parallel, Region, Series, decompose
from stepfunctions.compiler.segments import Block, Blocks
from stepfunctions.compiler.steps import EMPTY, Ask, Do, Rest, Step, Steps, Together, Turns, starts_with_rest
from stepfunctions.plan import BoundNode

_CALL: Final = 0.1  # how long a call takes, against a wait: seconds against minutes or days
_MOST_LANES: Final = 40  # of an inline Map
_MOST_APART: Final = 1_000  # of a Distributed Map: what an account's Lambda concurrency is by default


def layout(scopes: Mapping[str, Blocks], nodes: Mapping[str, BoundNode]) -> Steps:
    """The steps of the workflow; `scopes` has its blocks under "" and those of each opened container's body."""
    return _Layout(scopes, nodes).scope("")


class _Layout:
    def __init__(self, scopes: Mapping[str, Blocks], nodes: Mapping[str, BoundNode]) -> None:
        self._scopes = scopes
        self._nodes = nodes

    def scope(self, scope: str) -> Steps:
        """The steps of one scope."""
        blocks = self._scopes[scope]
        weights = [_CALL if block.kind == "segment" else 1 for block in blocks.blocks]
        return self._chain(decompose(blocks.before, weights), blocks.blocks, armed=False)

    def _chain(self, region: Region, blocks: tuple[Block, ...], *, armed: bool) -> Steps:
        """`armed`: a call has run just before, and can compute the moments of timers that come first."""
        steps: list[Step] = []
        for part in region.parts if isinstance(region, Series) else (region,):
            step = self._step(part, blocks)
            if starts_with_rest(step) and not armed:
                steps.append(Do(EMPTY))
            steps.append(step)
            armed = isinstance(step, Do)
        return tuple(steps)

    def _step(self, region: Region, blocks: tuple[Block, ...]) -> Step:
        match region:
            case Leaf():
                return self._leaf(blocks[region.element])
            case Parallel():
                return Together(tuple(self._chain(part, blocks, armed=True) for part in region.parts))
            case Series():
                raise AssertionError("a series within a series is one series")

    def _leaf(self, block: Block) -> Step:
        match block.kind:
            case "segment":
                return Do(block)
            case "timer":
                return Rest(block)
            case "question":
                return Ask(block)
            case "container":
                return self._turns(block)

    def _turns(self, block: Block) -> Turns:
        node = self._nodes[block.breaker]
        apart = node.config.get("mode") == "distributed"
        lanes = min(int(node.config.get("max_concurrency", 1)), _MOST_APART if apart else _MOST_LANES)
        tolerant = node.config.get("on_item_error", "fail") != "fail"
        return Turns(block, self.scope(node.id), lanes, tolerant, apart=apart)
