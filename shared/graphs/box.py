"""A query, run in a box over a graph's bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Invalid, TooLarge
from shared.graphs.errors import GraphQueryFailed
from shared.graphs.limits import MAX_ANSWER, MAX_GRAPH, MAX_PARAMS, MAX_QUERY
from shared.ids import digest
from shared.sandbox.limits import Limits
from shared.sandbox.process import BoxFailed, Reason, run

# In strings and comments, too: no way of writing them must count as something else here than in the engine.
_FILES: Final = re.compile(r"\bload\b.*\bcsv\b", re.IGNORECASE | re.DOTALL)
_CALL: Final = re.compile(r"\bcall\b", re.IGNORECASE)
# What the engine gets wrong: it gives ids for nodes there, and null for edges and paths.
_CREATE_RETURN: Final = re.compile(r"^\s*create\b(?!.*\bwith\b).*\breturn\b", re.IGNORECASE | re.DOTALL)
_CREATE_PATH: Final = re.compile(r"\bcreate\s+\w+\s*=", re.IGNORECASE)
_NOT_WORDS: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|//[^\n]*|/\*.*?\*/""", re.DOTALL)
_MEMORY: Final = 768 * 1024 * 1024
_REASONS: Final[Mapping[Reason, tuple[str, str]]] = {
    "timeout": ("Timeout", "the query was not done in its time"),
    "memory": ("MemoryExceeded", "the query used up its memory"),
    "too_large": ("ResultTooLarge", f"the rows are more than {MAX_ANSWER:,} bytes"),
    "crashed": ("QueryFailed", "the query ended its engine"),
    "refused": ("Unavailable", "graphs are not safe here, so nothing was run"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was checked. `occasion` stands for this run of this node: the same write happens once for it."""

    text: str
    params: Mapping[str, Any]
    occasion: str

    @classmethod
    def checked(cls, text: Any, params: Any, occasion: str) -> Query:
        """Raises Invalid, TooLarge."""
        if not isinstance(text, str) or not text.strip():
            raise Invalid("a query is a text that is not empty")
        if not isinstance(params, Mapping):
            raise Invalid("params is an object")
        if len(text) > MAX_QUERY:
            raise TooLarge(f"a query has at most {MAX_QUERY:,} characters; this has {len(text):,}")
        try:
            text.encode()
            given = json.dumps(params, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise Invalid("a query and its params are valid Unicode and JSON") from None
        if len(given) > MAX_PARAMS:
            raise TooLarge(f"params have at most {MAX_PARAMS:,} bytes as JSON; these have {len(given):,}")
        if "\0" in text:
            raise Invalid("a query holds no null characters")
        if _FILES.search(text):
            raise Invalid("LOAD CSV reads files, and there are none (put a text that says so into params)")
        words = _NOT_WORDS.sub(" ", text)
        if _CALL.search(words):
            raise Invalid("CALL is not there: neither procedures nor subqueries")
        if _CREATE_RETURN.search(words):
            raise Invalid("put WITH between CREATE and RETURN: CREATE (n) WITH n RETURN n")
        if _CREATE_PATH.search(words):
            raise Invalid("CREATE names no path: MATCH it afterwards")
        return cls(text, params, digest(occasion, text, given.decode()))


def answer(query: Query, graph: bytes, seconds: float, *, write: bool) -> tuple[list[Any], bytes | None]:
    """The rows, and the graph's new bytes if it has changed. Blocks. Raises GraphQueryFailed."""
    asked = {"query": query.text, "params": dict(query.params), "write": write, "occasion": query.occasion}
    limits = Limits(seconds, _MEMORY, 2 * MAX_GRAPH)
    try:
        said = run("shared.graphs.engine", "apsw", json.dumps(asked).encode() + b"\n" + graph, limits)
    except BoxFailed as failed:
        raise GraphQueryFailed(*_REASONS[failed.reason]) from None
    head, _, changed = said.partition(b"\n")
    found = json.loads(head)
    if "error" in found:
        raise GraphQueryFailed(found["error"], found["message"])
    return found["rows"], changed if found["changed"] else None
