"""A distributed loop of ten thousand items on the local AWS: executions of their own, results in order."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
ITEMS = 10_000


def test_ten_thousand_items(mine: Caller) -> None:
    made = document(
        [
            node("start", "manual_trigger"),
            node("list", "transform", {"expression": f"[1..{ITEMS}]"}),
            node("each", "loop", {"mode": "distributed", "max_concurrency": 5, "on_item_error": "skip"}),
            node("half", "transform", {"expression": "item % 1000 = 7 ? $error('no') : item / 2"}, parent="each"),
            node("short", "transform", {"expression": "{'count': $count(inputs.input), 'sum': $sum(inputs.input)}"}),
            node("sorted", "transform", {"expression": "$string(inputs.input) = $string($sort(inputs.input))"}),
            node("out", "output"),
            node("inorder", "output"),
        ],
        """start.trigger -> list.input; list.output -> each.items; each.results -> short.input
        each.results -> sorted.input; short.output -> out.value; sorted.output -> inorder.value""",
    )
    ended = mine.until(mine.start(made, None), seconds=120)
    kept = [n for n in range(1, ITEMS + 1) if n % 1000 != 7]
    assert (ended["status"], ended["error"]) == ("completed", None)
    assert ended["final_output"] == {"out": {"count": len(kept), "sum": sum(kept) / 2}, "inorder": True}
