"""Clients of Qdrant: kept for the next call, and not without end."""

from __future__ import annotations

import asyncio

from shared.outbound import qdrant

NOBODY: frozenset[str] = frozenset()


def test_the_clients_used_last_are_kept_and_older_ones_closed() -> None:
    async def work() -> None:
        first = await qdrant.client({"url": "https://q.example", "api_key": "k0"}, NOBODY)
        second = await qdrant.client({"url": "https://q.example", "api_key": "k1"}, NOBODY)
        for n in range(2, qdrant._MOST_CLIENTS + 1):
            assert await qdrant.client({"url": "https://q.example", "api_key": "k0"}, NOBODY) is first
            await qdrant.client({"url": "https://q.example", "api_key": f"k{n}"}, NOBODY)
        assert await qdrant.client({"url": "https://q.example", "api_key": "k0"}, NOBODY) is first
        assert await qdrant.client({"url": "https://q.example", "api_key": "k1"}, NOBODY) is not second
        assert await qdrant.client({"url": "https://q.example", "api_key": "k0"}, frozenset({"a:1"})) is not first

    asyncio.run(work())
