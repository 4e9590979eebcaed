"""What is asked of a tenant's Redis. Loads redis, so import it when needed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from redis import exceptions

from shared.cache.rules import checked_key, encoded, lifetime_ms
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError
from shared.nodes.databases._reaching import connection
from shared.nodes.world import Credential
from shared.outbound.redis import REDIS

MAX_BYTES: Final = 20_000_000
# Each does one thing with keys that are named, at once. Nothing that blocks, scans all keys, runs scripts, rules the
# server, subscribes, or changes the connection.
_WORDS: Final = """
    GET SET SETEX PSETEX SETNX MGET MSET MSETNX GETSET GETDEL GETEX GETRANGE SETRANGE STRLEN APPEND
    INCR INCRBY INCRBYFLOAT DECR DECRBY DEL UNLINK EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME
    EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RENAME RENAMENX COPY TOUCH
    HGET HSET HSETNX HMGET HMSET HGETALL HDEL HEXISTS HINCRBY HINCRBYFLOAT HKEYS HVALS HLEN HSTRLEN HRANDFIELD
    LPUSH LPUSHX RPUSH RPUSHX LPOP RPOP LRANGE LINDEX LLEN LREM LSET LTRIM LINSERT LPOS LMOVE RPOPLPUSH
    SADD SREM SMEMBERS SISMEMBER SMISMEMBER SCARD SPOP SRANDMEMBER SMOVE SINTER SUNION SDIFF SINTERCARD
    ZADD ZREM ZSCORE ZMSCORE ZINCRBY ZCARD ZCOUNT ZRANK ZREVRANK ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE
    ZRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZPOPMIN ZPOPMAX ZUNION ZINTER ZDIFF ZLEXCOUNT
    XADD XLEN XRANGE XREVRANGE XDEL XTRIM SETBIT GETBIT BITCOUNT PFADD PFCOUNT
    GEOADD GEODIST GEOPOS GEOSEARCH HSCAN SSCAN ZSCAN PING
"""
COMMANDS: Final = frozenset(_WORDS.split())


async def command(call: Call, found: Credential, query: Mapping[str, Any]) -> list[Any]:
    """The reply to `{command, args}`: a list's elements, or the one value. Raises NodeError."""
    name, given = query.get("command"), query.get("args", [])
    if not isinstance(name, str) or name.upper() not in COMMANDS:
        _refuse("query.command is none of the commands that may be used")
    if not isinstance(given, list) or not all(isinstance(a, (str, int, float, bool)) for a in given):
        _refuse("query.args must be an array of text, numbers and booleans")
    spare = query.keys() - {"command", "args"}
    if spare:
        _refuse(f"query has a field that is not known: {min(spare)[:100]}")
    words = [str(a).lower() if isinstance(a, bool) else a for a in given]
    async with reached(call, found) as server:
        reply = await server.execute_command(name.upper(), *words)
    made = _plain(reply)
    size = len(json.dumps(made))
    if size > MAX_BYTES:
        raise NodeError("ResponseTooLarge", f"the reply is over {MAX_BYTES:,} bytes as JSON", retryable=False)
    results = made if isinstance(made, list) else [made]
    call.usage.update(results=len(results), bytes=size)
    return results


async def cached(call: Call, found: Credential) -> tuple[bool, Any]:
    """Whether there is a value under the key, and the value. Raises NodeError."""
    key = await _key(call)
    async with reached(call, found) as server:
        reply = await server.execute_command("GET", key)
    if reply is None:
        return False, None
    try:
        return True, json.loads(reply)
    except (ValueError, RecursionError):
        raise NodeError("InvalidResponse", "what is kept under the key is no JSON", retryable=False) from None


async def cache(call: Call, found: Credential) -> None:
    """Keep a value as JSON for its time. Raises NodeError."""
    key = await _key(call)
    body, kept_ms = await ask(lambda: (encoded(call.inputs["value"]), lifetime_ms(call.inputs.get("ttl"))))
    async with reached(call, found) as server:
        await server.execute_command("SET", key, body, "PX", kept_ms)


async def _key(call: Call) -> str:
    key = await ask(lambda: checked_key(call.inputs.get("key")))
    return f"{call.config.get('prefix') or ''}{key}"


@asynccontextmanager
async def reached(call: Call, found: Credential) -> AsyncIterator[Any]:
    """The server, within the call's time; what it refuses is the node's failure. Raises NodeError."""
    try:
        async with asyncio.timeout(call.timeout_seconds), connection(REDIS, found, call) as server:
            yield server
    except TimeoutError:
        raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
    except exceptions.NoPermissionError:
        raise NodeError("PermissionDenied", "the user may not use this command or key", retryable=False) from None
    except (exceptions.ReadOnlyError, exceptions.BusyLoadingError, exceptions.MaxConnectionsError):
        raise NodeError("ConnectionFailed", "the server does not take it right now") from None
    except exceptions.ResponseError as error:
        # Redis names the command and its rule; some messages end in an argument, which may be a value.
        said = str(error).split("'", 1)[0].strip(" ,:`")[:200]
        raise NodeError("QueryFailed", f"the server refused the command: {said}", retryable=False) from None
    except (exceptions.RedisError, OSError):
        raise NodeError("ConnectionFailed", "the connection was lost") from None


def _plain(reply: Any) -> Any:
    """Text where it is UTF-8, else base64; sets and pairs as they come."""
    if isinstance(reply, bytes):
        try:
            return reply.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(reply).decode()}
    if isinstance(reply, dict):
        return {str(_plain(name)): _plain(value) for name, value in reply.items()}
    if isinstance(reply, (list, tuple, set, frozenset)):
        return [_plain(value) for value in reply]
    return reply


def _refuse(message: str) -> NoReturn:
    raise NodeError("InvalidInput", message, retryable=False)
