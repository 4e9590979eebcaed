"""Documents, written shortly."""

from __future__ import annotations

from typing import Any

from shared.workflows.model import Document


def node(node_id: str, type_name: str, config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A node; other fields by name."""
    return {"id": node_id, "type": type_name, "config": config or {}, **fields}


def document(nodes: list[dict[str, Any]], wires: str = "", **fields: Any) -> Document:
    """A document; `wires` are lines such as `a.output -> b.input`."""
    connections = []
    for number, line in enumerate(w.strip() for w in wires.replace(";", "\n").splitlines() if w.strip()):
        source, target = (end.strip().split(".", 1) for end in line.split("->"))
        connections.append(
            {
                "id": f"c{number}",
                "source_node": source[0],
                "source_port": source[1],
                "target_node": target[0],
                "target_port": target[1],
            }
        )
    return Document.model_validate(
        {"id": "wf_test", "name": "Test", "nodes": nodes, "connections": connections, **fields}
    )
