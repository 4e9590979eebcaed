"""Documents of any size, made up: the same each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from shared.workflows.model import Document

Node = dict[str, Any]
Wire = tuple[str, str, str, str]
_WAITS: Final = (
    ("human_in_the_loop", {"title": "Go on?"}, "input", "response"),
    ("delay", {"ms": 60_000}, "input", "output"),
)


_REQUEST: Final = "http_request", {"method": "POST"}, "body", "status"


def node(node_id: str, kind: str, config: dict[str, Any] | None = None, **more: Any) -> Node:
    """A node; other fields by name."""
    return {"id": node_id, "type": kind, "config": config or {}, **more}


def document(nodes: Sequence[Node], wires: Sequence[Wire], **settings: Any) -> Document:
    """A document that starts by hand, at the node `start`."""
    names = ("source_node", "source_port", "target_node", "target_port")
    connections = [{"id": f"c{i}", **dict(zip(names, wire, strict=True))} for i, wire in enumerate(wires)]
    made = {"name": "Bench", "nodes": [node("start", "manual_trigger"), *nodes], "connections": connections}
    return Document.model_validate({**made, "settings": settings})


def chain(size: int) -> Document:
    """Requests one after the other."""
    names = [f"n{i}" for i in range(size - 2)]
    wires = [("start", "trigger", names[0], "body"), *((a, "status", b, "body") for a, b in pairwise(names))]
    return document([*map(_call, names), node("out", "output")], [*wires, (names[-1], "status", "out", "value")])


def wide(size: int) -> Document:
    """Requests side by side."""
    names = [f"n{i}" for i in range(size - 3)]
    wires = [wire for n in names for wire in (("start", "trigger", n, "body"), (n, "status", "all", "inputs"))]
    ends = [node("all", "merge"), node("out", "output")]
    return document([*map(_call, names), *ends], [*wires, ("all", "output", "out", "value")])


def woven(size: int, waits: float, **settings: Any) -> Document:
    """Pure nodes and requests, some of them with expressions, each behind one to three of the twenty before it.

    `waits` is the share of questions among them.
    """
    dice = random.Random(size)  # noqa: S311 - nothing secret
    ports = [("start", "trigger")]
    nodes, wires = [], []
    for i in range(size - 2):
        name, before = f"n{i}", dice.sample(ports[-20:], min(len(ports), dice.randint(1, 3)))
        kind = dice.random()
        if kind < waits:
            made, into, out = node(name, "human_in_the_loop", {"title": f"Is {i} right?"}), "input", "response"
        elif kind < 0.5:
            read = ".".join(("nodes", *before[0])) if before[0][0] != "start" else "trigger"
            made, into, out = _call(name, f"https://api.example.com/{{{{ {read} }}}}/{i}"), "body", "status"
        else:
            made, into, out = node(name, "transform", {"expression": f"inputs.input + {i}"}), "input", "output"
        nodes.append(made)
        wires += [(*each, name, into) for each in before]
        ports.append((name, out))
    return document([*nodes, node("out", "output")], [*wires, (*ports[-1], "out", "value")], **settings)


def ordered(before: Sequence[Sequence[int]], dice: random.Random, waits: float = 1) -> Document:
    """Nodes n0, n1, …, each behind those of smaller numbers in `before[i]`: that share questions and timers, the others
    requests.
    """
    kinds = [dice.choice(_WAITS) if dice.random() < waits else _REQUEST for _ in before]
    nodes = [node(f"n{i}", kind, dict(config)) for i, (kind, config, _, _) in enumerate(kinds)]
    for each in nodes:
        if each["type"] == "http_request":
            each["inputs"] = {"url": "https://api.example.com/items"}
    wires = [
        (f"n{j}", kinds[j][3], f"n{i}", kinds[i][2]) if j >= 0 else ("start", "trigger", f"n{i}", kinds[i][2])
        for i, each in enumerate(before)
        for j in each or [-1]
    ]
    return document(nodes, wires)


def any_order(size: int, dice: random.Random) -> list[list[int]]:
    """An order of `size` elements: each pair is related with one and the same likelihood, between 1 and 8 for each."""
    likely = dice.choice((1, 2, 4, 8)) / size
    return [[j for j in range(i) if dice.random() < likely] for i in range(size)]


def series_parallel(size: int, dice: random.Random) -> list[list[int]]:
    """An order made of series and parallel parts, down to single elements."""
    before: list[list[int]] = []

    def build(count: int, first: Sequence[int]) -> list[int]:
        """Elements of which the first come behind `first`; gives those that nothing of them comes after."""
        if count == 1:
            before.append(list(first))
            return [len(before) - 1]
        left = dice.randrange(1, count)
        if dice.random() < 0.5:
            return build(count - left, build(left, first))
        return build(left, first) + build(count - left, first)

    build(size, ())
    return before


def _call(name: str, url: str = "https://api.example.com/items") -> Node:
    return node(name, "http_request", {"method": "POST"}, inputs={"url": url})


SHAPES: Final[Mapping[str, Callable[[int], Document]]] = {
    "chain": chain,
    "wide": wide,
    "woven": lambda size: woven(size, 0),
    "woven_with_waits": lambda size: woven(size, 0.05),
    "woven_state_per_node": lambda size: woven(size, 0.05, granularity="node"),
}
