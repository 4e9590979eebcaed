"""A value into the tenant's cache."""

from __future__ import annotations

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, Effect, Outputs, Port


class CacheSet(Effect):
    """For `cache_get`, in this run or another. Setting a key again puts the new value, and its time, in the old one's
    place, so that a repeated attempt does no harm.
    """

    category = "database"
    keeps = True
    display_name = "Write to the cache"
    description = "Keeps a value under a key for a while, for the runs of all of the tenant's workflows."
    inputs = {
        "key": Port("string", required=True, description="The key: text of at most 1,024 bytes."),
        "value": Port("any", required=True, description="The value: at most 262,144 bytes as JSON."),
        "ttl": Port(
            "number", description="Seconds for which it is kept: 1 to 2,592,000 (30 days); an hour by default."
        ),
    }
    outputs = {"success": Port("boolean", description="True: the value is kept.")}
    config_schema = {
        "type": "object",
        "properties": {
            "credential": credential_field("redis", description="A Redis to write to, in place of the own cache."),
            "prefix": {
                "type": "string",
                "maxLength": 200,
                "title": "Prefix",
                "description": "At a Redis: goes before every key.",
                "default": "",
            },
        },
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "TooLarge",
        "QuotaExceeded",
        "QueryFailed",
        "PermissionDenied",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "AuthenticationFailed",
        "Timeout",
        *CREDENTIAL_ERRORS,
    )
    example = {"config": {}, "inputs": {"key": "rates:EUR", "value": {"USD": 1.08}, "ttl": 600}}
    timeout_seconds = 20

    async def execute(self, call: Call) -> Outputs:
        """`{success}`. Raises NodeError with one of `errors`."""
        given = call.inputs
        server = await credential(call, "redis")
        if server is not None:
            from shared.nodes.databases import _redis

            await _redis.cache(call, server)
        else:
            await ask(lambda: call.world.cache.set(given["key"], given["value"], given.get("ttl")))
        return {"success": True}
