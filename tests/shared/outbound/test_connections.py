"""How connections are kept: one user at a time, for a minute, sixteen at most, and never one that is no good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.outbound import connections
from shared.outbound.connections import NotConnected, Way, connected

NOBODY: frozenset[str] = frozenset()


@dataclass
class Line:
    """A connection that knows what became of it."""

    number: int
    said: list[str] = field(default_factory=list)
    dead: bool = False
    stuck: bool = False


class Exchange:
    """Opens lines and remembers them."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.way: Way[Line] = Way(self._open, self._close, self._alive, self._settle)

    async def _open(self, values: Any, allowed: frozenset[str]) -> Line:
        if values.get("password") == "wrong":
            raise NotConnected("AuthenticationFailed", "no")
        self.lines.append(Line(len(self.lines)))
        return self.lines[-1]

    async def _close(self, line: Line) -> None:
        line.said.append("closed")

    async def _alive(self, line: Line) -> bool:
        return not line.dead

    async def _settle(self, line: Line) -> None:
        if line.stuck:
            raise ConnectionError
        line.said.append("settled")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_one_is_used_again_and_closed_when_the_loop_ends() -> None:
    made = Exchange()

    async def work() -> None:
        for _ in range(3):
            async with connected(made.way, {"host": "a"}, NOBODY) as line:
                assert line.number == 0
        assert made.lines[0].said == ["settled"] * 3

    run(work())
    assert made.lines[0].said[-1] == "closed"


def test_two_users_at_once_have_one_each_and_other_credentials_others() -> None:
    made = Exchange()

    async def work() -> None:
        async with connected(made.way, {"p": "1"}, NOBODY) as one, connected(made.way, {"p": "1"}, NOBODY) as two:
            assert one is not two
        for values, allowed in (({"p": "2"}, NOBODY), ({"p": "1"}, frozenset({"a:1"}))):
            async with connected(made.way, values, allowed) as other:
                assert other not in (one, two)

    run(work())
    assert len(made.lines) == 4


@pytest.mark.parametrize("why", ["failed", "cancelled", "dead", "old", "stuck"])
def test_one_that_may_be_no_good_is_not_used_again(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Exchange()

    async def work() -> None:
        fails = {"failed": ValueError, "cancelled": asyncio.CancelledError}.get(why)
        try:
            async with connected(made.way, {}, NOBODY) as line:
                line.stuck = why == "stuck"
                if fails:
                    raise fails
        except (ValueError, asyncio.CancelledError):
            assert fails
        line.dead = why == "dead"
        if why == "old":
            monkeypatch.setattr(connections, "_TRUSTED_SECONDS", 0)
        async with connected(made.way, {}, NOBODY) as other:
            assert other is not line
        assert line.said[-1] == "closed"

    run(work())


def test_one_is_closed_when_its_user_goes_while_it_is_looked_at() -> None:
    made = Exchange()
    looking = asyncio.Event()

    async def stuck(_: Line) -> bool:
        looking.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def use() -> None:
        async with connected(replace(made.way, alive=stuck), {"host": "a"}, NOBODY):
            pass

    async def work() -> None:
        await use()
        second = asyncio.create_task(use())
        await looking.wait()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert made.lines[0].said == ["settled", "closed"]

    run(work())


def test_no_more_than_sixteen_wait() -> None:
    made = Exchange()

    async def work() -> None:
        for number in range(20):
            async with connected(made.way, {"n": number}, NOBODY):
                pass
        assert [line.said[-1] for line in made.lines] == ["closed"] * 4 + ["settled"] * 16

    run(work())


def test_what_cannot_be_opened_is_said() -> None:
    made = Exchange()

    async def work() -> None:
        async with connected(made.way, {"password": "wrong"}, NOBODY):
            pass

    with pytest.raises(NotConnected) as caught:
        run(work())
    assert caught.value.error == "AuthenticationFailed"
