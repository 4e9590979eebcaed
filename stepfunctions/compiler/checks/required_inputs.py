"""Every required input port has somewhere to get a value from."""

from __future__ import annotations

from collections.abc import Iterator

from stepfunctions.compiler.diagnostics import Diagnostic, node_error
from stepfunctions.compiler.graph import Graph


def required_inputs(graph: Graph) -> Iterator[Diagnostic]:
    """Required ports that no connection and no entry in `inputs` serves."""
    for node_id, node_type in graph.types.items():
        served = {c.target_port for c in graph.incoming[node_id]} | set(graph.nodes[node_id].inputs)
        for name, port in node_type.inputs.items():
            if port.required and name not in served:
                message = f"the input {name!r} needs a connection or a value"
                yield node_error("missing_input", node_id, message, f"inputs.{name}")
