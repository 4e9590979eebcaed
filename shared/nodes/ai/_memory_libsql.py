"""An agent's memory in the tenant's own libSQL database: two tables, made when first needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError
from shared.nodes.databases._reaching import failed
from shared.nodes.world import Credential
from shared.outbound.connections import NotConnected
from shared.outbound.libsql import QueryRefused, Row, Statement, transaction
from shared.threads.messages import bodies, checked_id

_TABLES: Final[tuple[Statement, ...]] = tuple(
    (f"CREATE TABLE IF NOT EXISTS statewright_{columns}", ())
    for columns in (
        "added (thread TEXT, key TEXT, number INTEGER, PRIMARY KEY (thread, key))",
        "messages (thread TEXT, number INTEGER, role TEXT, content TEXT, PRIMARY KEY (thread, number))",
    )
)
_NUMBER: Final = "SELECT number FROM statewright_added WHERE thread = ? AND key = ?"
# What was added under the key says at which number; where that was before, its messages are there and stay.
_ADD: Final = (
    "INSERT OR IGNORE INTO statewright_added SELECT ?, ?, "
    "(SELECT COALESCE(MAX(number) + 1, 0) FROM statewright_messages WHERE thread = ?)"
)
_SAY: Final = "INSERT OR IGNORE INTO statewright_messages SELECT thread, number + ?, ?, ? FROM statewright_added"
_LAST: Final = "SELECT role, content FROM statewright_messages WHERE thread = ? ORDER BY number DESC LIMIT ?"


class LibsqlMemory:
    """See `shared.nodes.ai._memories.Memory`."""

    def __init__(self, call: Call, found: Credential) -> None:
        self._call = call
        self._found = found

    async def history(self, thread_id: str, limit: int) -> list[dict[str, Any]]:
        """The last messages. Raises NodeError."""
        thread = await ask(lambda: checked_id(thread_id))
        try:
            [rows] = await self._done([(_LAST, (thread, limit))]) if limit > 0 else [[]]
        except QueryRefused as error:
            if error.missing:  # nothing was said yet
                return []
            raise _refused() from None
        return [{"role": role, "content": json.loads(content)} for role, content in reversed(rows)]

    async def append(self, thread_id: str, said: Sequence[Mapping[str, Any]], *, key: str) -> int:
        """Add messages. Raises NodeError."""
        thread = await ask(lambda: checked_id(thread_id))
        kept = await ask(lambda: bodies(said))
        own = f"{_SAY} WHERE thread = ? AND key = ?"
        says: list[Statement] = [(own, (i, m["role"], m["content"], thread, key)) for i, m in enumerate(kept)]
        statements = [*_TABLES, (_ADD, (thread, key, thread)), *says, (_NUMBER, (thread, key))]
        try:
            rows = await self._done(statements)
        except QueryRefused:
            raise _refused() from None
        return int(rows[-1][0][0])

    async def _done(self, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            return await transaction(self._found.values, self._call.world.allowed_hosts, statements)
        except NotConnected as error:
            failed(error)


def _refused() -> NodeError:
    # Without what the server says: it quotes what it was given.
    return NodeError("QueryFailed", "the database refused a statement of the memory's tables", retryable=False)
