"""Things that belong to an event loop and should outlive one call: connection pools and clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_held: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, tuple[Any, AsyncGenerator[None, None]]]] = (
    WeakKeyDictionary()
)


async def warm(key: Hashable, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> T:
    """The running loop's one thing of that key, made when first asked for. Do not close it: the loop's end does."""
    loop = asyncio.get_running_loop()
    held = _held.setdefault(loop, {})
    if key not in held:
        made = make()
        lifetime = _closing(made, close, loop)
        held[key] = (made, lifetime)
        await anext(lifetime)
    thing: T = held[key][0]
    return thing


async def _closing(
    made: T, close: Callable[[T], Awaitable[None]], loop: asyncio.AbstractEventLoop
) -> AsyncGenerator[None, None]:
    """Lives as long as the loop: a loop that ends closes its async generators, and this one what it holds."""
    try:
        yield
    finally:
        _held.pop(loop, None)
        await close(made)
