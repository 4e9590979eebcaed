"""A value out of the tenant's cache."""

from __future__ import annotations

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, Effect, Outputs, Port


class CacheGet(Effect):
    """What `cache_set` has put there, in this run or another."""

    category = "database"
    keeps = True
    display_name = "Read the cache"
    description = "Reads what a run of any of the tenant's workflows has put into the cache, if that has not expired."
    inputs = {
        "key": Port("string", required=True, description="The key: text of at most 1,024 bytes."),
    }
    outputs = {
        "value": Port("any", description="The value; null when there is none."),
        "hit": Port("boolean", description="Whether there was a value."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "credential": credential_field("redis", description="A Redis to read from, in place of the own cache."),
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
        "InvalidResponse",
        "QueryFailed",
        "PermissionDenied",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "AuthenticationFailed",
        "Timeout",
        *CREDENTIAL_ERRORS,
    )
    example = {"config": {}, "inputs": {"key": "rates:EUR"}}
    timeout_seconds = 20

    async def execute(self, call: Call) -> Outputs:
        """`{value, hit}`. Raises NodeError with one of `errors`."""
        server = await credential(call, "redis")
        if server is not None:
            from shared.nodes.databases import _redis

            hit, value = await _redis.cached(call, server)
            return {"value": value, "hit": hit}
        found = await ask(lambda: call.world.cache.get(call.inputs["key"]))
        return {"value": found.value if found else None, "hit": found is not None}
