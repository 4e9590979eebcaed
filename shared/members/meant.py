"""Whom names mean: users by id, e-mail address, or the id or name of their user types; API keys by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from shared.errors import NotFound
from shared.members.model import ApiKey, Member
from shared.members.store import MemberStore
from shared.store.pages import MAX_LIMIT, Listing

T = TypeVar("T")
_LONGEST_ID: Final = 100


@dataclass(frozen=True, slots=True)
class Meant:
    """What names stand for. `others` are names that mean nobody of the tenant, such as addresses of outsiders."""

    users: tuple[Member, ...]
    keys: tuple[ApiKey, ...]
    others: tuple[str, ...]

    @property
    def ids(self) -> frozenset[str]:
        """The ids of users and keys."""
        return frozenset([*(u.id for u in self.users), *(k.id for k in self.keys)])


def resolve(store: MemberStore, names: Sequence[str]) -> Meant:
    """Whom these names mean at this moment. A user type means whoever has it by now, if only nobody."""
    members = list(everyone(store))
    types: dict[str, str] = {}
    for each in _all(store.user_types):
        types[each.id.casefold()] = types[each.name.casefold()] = each.id
    users: dict[str, Member] = {}
    keys: list[ApiKey] = []
    others: list[str] = []
    for name in dict.fromkeys(names):
        known = name.casefold()
        hits = [
            m for m in members if known in (m.id.casefold(), m.email.casefold()) or types.get(known) in m.user_types
        ]
        users |= {m.id: m for m in hits}
        if not hits and known not in types:
            key = _key(store, name)
            keys += [key] if key else []
            others += [] if key else [name]
    return Meant(tuple(users.values()), tuple(keys), tuple(others))


def everyone(store: MemberStore) -> Iterator[Member]:
    """All users of the tenant."""
    return _all(store.members)


def _key(store: MemberStore, name: str) -> ApiKey | None:
    if not name.startswith("key_") or len(name) > _LONGEST_ID:  # a longer one could not be looked up at all
        return None
    try:
        return store.api_key(name)
    except NotFound:
        return None


def _all(page: Callable[[str | None, int], Listing[T]]) -> Iterator[T]:
    cursor: str | None = None
    while True:
        found = page(cursor, MAX_LIMIT)
        yield from found.items
        cursor = found.next_cursor
        if cursor is None:
            return
