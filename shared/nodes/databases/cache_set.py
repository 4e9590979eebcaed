"""A value into the tenant's cache."""

from __future__ import annotations

from shared.nodes._tenant_things import ERRORS, ask
from shared.nodes.base import Call, Effect, Outputs, Port


class CacheSet(Effect):
    """For `cache_get`, in this run or another. Setting a key again puts the new value, and its time, in the old one's
    place, so that a repeated attempt does no harm.
    """

    category = "database"
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
    errors = ERRORS
    example = {"config": {}, "inputs": {"key": "rates:EUR", "value": {"USD": 1.08}, "ttl": 600}}
    timeout_seconds = 20

    async def execute(self, call: Call) -> Outputs:
        """`{success}`. Raises NodeError with one of `errors`."""
        given = call.inputs
        await ask(lambda: call.world.cache.set(given["key"], given["value"], given.get("ttl")))
        return {"success": True}
