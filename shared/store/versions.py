"""Changes on the condition that a thing is at the version its caller knows, as `If-Match` says it."""

from __future__ import annotations

from shared.aws.dynamo import Attr, Condition


def still_at(known: int | None) -> Condition:
    """That an item is there and, unless None, at the version that the caller knows."""
    return Attr("PK").exists() if known is None else Attr("version").eq(known)
