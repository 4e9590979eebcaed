"""Trying a credential out, for real. One file a kind, named after it; it is found by its name:

    async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
        '''Signs in. Raises CheckFailed, NothingToTry.'''

`values` has its defaults filled in. A check goes only where nodes may go (`shared.outbound`), imports its library
when it runs, changes nothing at the other side, and puts no value into a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from shared.errors import Invalid

SECONDS: Final = 15.0
TRIED_AT: Final = frozenset({"basic", "bearer", "api_key"})  # kinds that need an address to be tried at


class CheckFailed(Exception):
    """The credential does not work. The message is for people, is stored, and holds no secret."""


class NothingToTry(Exception):
    """There is no way to tell without doing something for real. The message says so to people."""


async def check(kind: str, values: Mapping[str, Any], allowed_hosts: frozenset[str], url: str | None = None) -> None:
    """Try values of that kind; `url` is where kinds of `TRIED_AT` are tried.

    Raises CheckFailed, NothingToTry, Invalid (an address for a kind that takes none).
    """
    if url is not None and kind not in TRIED_AT:
        raise Invalid(f"a credential of the kind {kind} is not tried at an address", code="no_url")
    name = f"{__name__}.{kind}"
    if find_spec(name) is None:
        raise NothingToTry(f"credentials of the kind {kind} cannot be tried")
    try:
        async with asyncio.timeout(SECONDS):
            given = {"url": url} if kind in TRIED_AT else {}
            await import_module(name).check(values, allowed_hosts, **given)
    except (CheckFailed, NothingToTry, Invalid):
        raise
    except TimeoutError:
        raise CheckFailed(f"there was no answer within {SECONDS:g} seconds") from None
    except Exception as error:  # a driver's own words may repeat an address with a password in it
        raise CheckFailed(f"the connection failed ({type(error).__name__})") from None
