"""A statement at a relational database."""

from __future__ import annotations

import asyncio

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class SqlQuery(Effect):
    """One statement in a transaction of its own, committed when it is done; values are bound by the server."""

    category = "database"
    display_name = "SQL query"
    description = "Runs one SQL statement at PostgreSQL, MySQL or MariaDB, with bound parameters."
    inputs = {
        "query": Port(
            "string",
            required=True,
            description="One statement, with `:name` where a value of an object goes, or `:1`, `:2` for an array's.",
        ),
        "params": Port("any", description="The values: an object (for `:name`) or an array (for `:1`)."),
    }
    outputs = {
        "rows": Port("array", description="The rows, each an object by column name."),
        "row_count": Port("number", description="How many rows there are, or were changed."),
        "columns": Port("array", description="The columns: `{name, type}`, with the server's own type names."),
        "truncated": Port("boolean", description="Whether there were more rows than the most that are read."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "credential": credential_field("postgres", "mysql", description="The database and who signs in."),
            "read_only": {
                "type": "boolean",
                "title": "Read only",
                "description": "The server refuses every change. Without it the statement may write; a node that may "
                "not write twice after a crash also needs `idempotent: false`.",
                "default": True,
            },
            "max_rows": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "title": "Most rows",
                "description": "How many rows are read at most.",
                "default": 1000,
            },
            "when_more": {
                "enum": ["fail", "cut"],
                "title": "When there are more",
                "description": "`fail`: TooManyRows, and nothing is changed. `cut`: the rest is left out.",
                "default": "fail",
            },
            "timeout_seconds": {
                "type": "number",
                "minimum": 0.1,
                "maximum": 600,
                "title": "Time for the statement (seconds)",
                "description": "After it the server stops the statement. The node's own time-out holds as well.",
                "default": 30,
            },
        },
        "required": ["credential"],
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "QueryFailed",
        "ReadOnly",
        "ConstraintViolation",
        "PermissionDenied",
        "Conflict",
        "TooManyRows",
        "ResponseTooLarge",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "AuthenticationFailed",
        "Timeout",
        *CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"credential": "shop_database"},
        "inputs": {"query": "SELECT id, total FROM orders WHERE day = :day", "params": {"day": "2026-01-31"}},
    }

    runner = "documents"  # libpq and the TLS library that it brings are large

    async def execute(self, call: Call) -> Outputs:
        """`{rows, row_count, columns, truncated}`. Raises NodeError with one of `errors`."""
        from shared.nodes.databases._sql import run

        found = await credential(call, "postgres", "mysql")
        if found is None:
            raise NodeError("CredentialNotFound", "name a credential in config.credential", retryable=False)
        query, params = call.inputs.get("query"), call.inputs.get("params")
        seconds = min(float(call.config.get("timeout_seconds", 30)), call.timeout_seconds)
        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await run(call, found, query, params, seconds)
        except TimeoutError:
            raise NodeError("Timeout", f"not done within {call.timeout_seconds:g} seconds") from None
