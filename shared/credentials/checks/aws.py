"""Tries an AWS access key: whose it is, which every key may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.credentials.checks import SECONDS, CheckFailed, NothingToTry

_REFUSED: Final = (401, 403)


async def check(values: Mapping[str, Any], allowed_hosts: frozenset[str]) -> None:
    """GetCallerIdentity, at the credential's own endpoint where it has one. Raises CheckFailed, NothingToTry."""
    from shared.aws.foreign import foreign
    from shared.outbound.aws import UNREADABLE, AwsFailed

    try:
        service = foreign("sts", values, allowed_hosts, timeout=SECONDS, attempts=1)
        await asyncio.to_thread(service.call, "get_caller_identity", {})
    except AwsFailed as failed:
        if failed.status in _REFUSED:
            raise CheckFailed(f"AWS refuses the key ({failed.code})") from None
        if values.get("endpoint_url") and (failed.status or failed.code == UNREADABLE):
            raise NothingToTry("the endpoint does not know STS, so the key cannot be tried there") from None
        raise CheckFailed(f"{failed.code}: {failed.message}") from None
