"""An openCypher query."""

from __future__ import annotations

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes.base import Call, Effect, Outputs, Port


class GraphQuery(Effect):
    """Asks a graph of the tenant's own, or a Neo4j or Neptune by connection."""

    category = "rag"
    display_name = "Graph query"
    description = (
        "Runs an openCypher query over a graph of the tenant's own, which is there as soon as something is written to "
        "it, or over a Neo4j or Neptune by connection."
    )
    runner = "documents"
    inputs = {
        "query": Port("string", required=True, description="openCypher. Put values into params, not into the text."),
        "params": Port("object", description="What the query calls `$name`."),
    }
    outputs = {
        "nodes": Port("array", description="All nodes in the rows, each once: `{id, labels, properties}`."),
        "edges": Port("array", description="All edges in the rows, each once: `{id, type, start, end, properties}`."),
        "rows": Port(
            "array",
            description="An object for each row, by column. A query that only writes has one: what it did, counted.",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "graph": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9_-]{0,63}$",
                "title": "Graph",
                "description": "The tenant's graph, by name. Not used with a credential.",
                "default": "main",
            },
            "mode": {
                "enum": ["read", "write"],
                "title": "Mode",
                "description": "`read`: any number at once; a query that writes is refused. `write`: one at a time.",
                "default": "read",
            },
            "credential": credential_field("neo4j", description="A database of your own instead, by its credential."),
        },
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "QueryFailed",
        "ReadOnly",
        "Busy",
        "GraphTooLarge",
        "ResultTooLarge",
        "MemoryExceeded",
        "TooLarge",
        "Timeout",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        *CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"graph": "people", "mode": "write"},
        "inputs": {
            "query": "MERGE (a:Person {name: $from}) MERGE (b:Person {name: $to}) MERGE (a)-[k:KNOWS]->(b) "
            "RETURN a, k, b",
            "params": {"from": "Ada", "to": "Charles"},
        },
    }
    timeout_seconds = 60

    async def execute(self, call: Call) -> Outputs:
        """`{nodes, edges, rows}`. Raises NodeError with one of `errors`."""
        from shared.nodes.rag import _graph

        opened = await credential(call, "neo4j")
        return await (_graph.embedded(call) if opened is None else _graph.connected(call, opened))
