"""Queries of a tenant's graphs: any number of readers, one writer at a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

from shared.errors import Conflict, Unavailable
from shared.graphs.box import Query, answer
from shared.graphs.limits import MAX_SECONDS
from shared.graphs.store import GraphStore, Lease

_MARGIN_MS: Final = 30_000  # to read a graph and to write one, beside the query's own time
_LOOK_SECONDS: Final = 0.2
_LOOKS: Final = 5
_KEPT_BYTES: Final = 128 * 1024 * 1024

_kept: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()  # (tenant, graph, version): a version never changes
_lock: Final = Lock()


class GraphService:
    """What nodes see of the graphs."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store

    def run(
        self, name: str, query: Any, params: Any, *, write: bool, occasion: str, seconds: float
    ) -> Sequence[Mapping[str, Any]]:
        """The rows of a query. Blocks; a writer waits its turn for as long as the query may take.

        Raises GraphQueryFailed, Invalid, TooLarge, Conflict, Unavailable.
        """
        checked, patience = Query.checked(query, params, occasion), min(seconds, MAX_SECONDS)
        if write:
            return self._write(name, checked, patience)
        return answer(checked, self._current(name), patience, write=False)[0]

    def _write(self, name: str, query: Query, seconds: float) -> Sequence[Mapping[str, Any]]:
        lease = self._turn(name, seconds)
        try:
            graph = self._body(name, lease.version)
            if graph is None:
                raise Unavailable(f"the graph {name} cannot be read; try again")
            rows, changed = answer(query, graph, seconds, write=True)
            if changed is not None:
                self._store.commit(lease, changed)
                self._keep(name, lease.fence, changed)
                return rows
        except BaseException:  # whatever it is: the next writer is not to wait for the lease to run out
            self._store.release(lease)
            raise
        self._store.release(lease)
        return rows

    def _turn(self, name: str, seconds: float) -> Lease:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._store.lease(name, int(seconds * 1000) + _MARGIN_MS)
            except Conflict:
                if time.monotonic() + _LOOK_SECONDS > deadline:
                    raise
            time.sleep(_LOOK_SECONDS)

    def _current(self, name: str) -> bytes:
        for _ in range(_LOOKS):
            body = self._body(name, self._store.version(name))
            if body is not None:
                return body
        raise Unavailable(f"the graph {name} changes too fast to be read; try again")

    def _body(self, name: str, version: int) -> bytes | None:
        if version == 0:
            return b""
        slot = (self._store.tenant_id, name, version)
        with _lock:
            if slot in _kept:
                _kept.move_to_end(slot)
                return _kept[slot]
        body = self._store.body(name, version)
        if body is not None:
            self._keep(name, version, body)
        return body

    def _keep(self, name: str, version: int, body: bytes) -> None:
        with _lock:
            _kept[self._store.tenant_id, name, version] = body
            while len(_kept) > 1 and sum(map(len, _kept.values())) > _KEPT_BYTES:
                _kept.popitem(last=False)


def forget() -> None:
    """Drop what is kept of graphs in this process. For tests."""
    with _lock:
        _kept.clear()
