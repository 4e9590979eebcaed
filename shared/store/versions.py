"""The version that a caller knows, as `If-Match` says it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.aws.dynamo import Attr, Condition

NEVER: Final = -1  # versions count from 0 or 1: nothing is ever at this one
_MOST: Final = 100  # operands that DynamoDB takes; nobody knows so many versions of one thing


class AnyOf(int):
    """Several versions, each of which will do: it is equal to all of them.

    A number, because whoever changes something compares one version, and is seldom told more.
    """

    versions: frozenset[int]

    def __new__(cls, versions: Iterable[int]) -> AnyOf:
        """Of at least one version."""
        known = frozenset(versions)
        made = super().__new__(cls, max(known))
        made.versions = known
        return made

    def __eq__(self, other: object) -> bool:
        return other in self.versions

    def __ne__(self, other: object) -> bool:
        return other not in self.versions

    def __hash__(self) -> int:
        return hash(self.versions)


def still_at(known: int | None, name: str = "version") -> Condition:
    """That an item is there and, unless None, at the version that the caller knows."""
    if known is None:
        return Attr("PK").exists()
    if isinstance(known, AnyOf):
        return Attr(name).is_in(sorted(known.versions)[-_MOST:])
    return Attr(name).eq(known)
