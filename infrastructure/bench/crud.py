"""CRUD: a request for a workflow against a bare handler that makes the same DynamoDB calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, Final, TypeAlias

from infrastructure.bench.figures import Figure, compared, rounds
from infrastructure.bench.sides import Sides
from infrastructure.bench.transitions import DOCUMENTS
from infrastructure.local.deploy import STACK_NAME

Pair: TypeAlias = tuple[tuple[str, str, Any], Any]
"""A request to the API, and what the bare function is given for the same."""

_FIRST: Final = 2  # rounds that are left out: what is only done once was done in them
_TARGET: Final = 1.5
_PAGE: Final = 20
_CALLS: Final = {
    "create": "one transaction of two puts, and one put for the audit log",
    "read": "one consistent GetItem",
    "list": f"one Query of {_PAGE} items",
    "update": "one consistent GetItem, one transaction of two updates, and one put for the audit log",
}


def measure(sides: Sides, count: int, seconds: float) -> list[Figure]:
    """`crud_create`, `crud_read`, `crud_list`, `crud_update`."""
    document = json.loads(DOCUMENTS[-1].read_text())
    workflow = sides.ours.send("POST", "/workflows", document)["id"]
    bare_id = sides.bare.send("POST", "/create", {"document": document})["id"]
    for _ in range(_PAGE):
        sides.ours.send("POST", "/workflows", document)
    partition = f"T#{sides.tenant_id}#"
    draft = {"pk": f"{partition}WF#{workflow}", "sk": "DRAFT"}
    page = {"pk": f"{partition}WFS", "limit": _PAGE}

    def pair(what: str, number: int) -> Pair:
        change = {"description": f"change {number}"}
        return {
            "create": (("POST", "/workflows", document), {"document": document}),
            "read": (("GET", f"/workflows/{workflow}", None), draft),
            "list": (("GET", f"/workflows?limit={_PAGE}", None), page),
            "update": (("PATCH", f"/workflows/{workflow}", change), {"id": bare_id, "changes": change}),
        }[what]

    return [_figure(sides, what, partial(pair, what), count, seconds / len(_CALLS)) for what in _CALLS]


def _figure(sides: Sides, what: str, pair: Callable[[int], Pair], count: int, seconds: float) -> Figure:
    ours: list[float] = []
    bare: list[float] = []
    for number in rounds(count + _FIRST, seconds, at_least=_FIRST + 2):
        call, job = pair(number)
        ours.append(sides.ours.timed(*call)[0])
        bare.append(sides.bare.timed("POST", f"/{what}", job)[0])
    ours, bare = ours[_FIRST:], bare[_FIRST:]
    inside = [median(sides.inside(name, len(ours))) for name in (f"{STACK_NAME}-api", "bench-bare-web")]
    return compared(
        f"crud_{what}",
        ours,
        bare,
        against=f"a bare handler behind the same kind of API: {_CALLS[what]}",
        target=_TARGET,
        detail={"inside_ours_ms": inside[0], "inside_bare_ms": inside[1]},
    )
