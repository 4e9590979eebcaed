"""Globs over the paths of files: `*` and `?` stay within a part, `**` goes over parts."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_ANY_PARTS: Final = "**/"  # any number of whole parts, none as well
_ANY: Final = "**"
_IN_PART: Final = "*"
_ONE: Final = "?"


def fits(glob: str, path: str) -> bool:
    """Whether a path fits a glob. Takes time for the product of their lengths at most, whatever they are."""
    ends = {0}  # how much of the path what came before may have taken
    for token in _tokens(glob):
        ends = _after(token, ends, path)
        if not ends:
            return False
    return len(path) in ends


def _after(token: str, ends: set[int], path: str) -> set[int]:
    if token == _ANY:
        return set(range(min(ends), len(path) + 1))
    if token == _ANY_PARTS:
        first = min(ends)
        return ends | {n + 1 for n in range(first, len(path)) if path[n] == "/"}
    if token == _IN_PART:
        found: set[int] = set()
        for start in ends:
            while start not in found:
                found.add(start)
                if start == len(path) or path[start] == "/":
                    break
                start += 1
        return found
    if token == _ONE:
        return {n + 1 for n in ends if n < len(path) and path[n] != "/"}
    return {n + 1 for n in ends if n < len(path) and path[n] == token}


@lru_cache(1_024)
def _tokens(glob: str) -> tuple[str, ...]:
    tokens, at = [], 0
    while at < len(glob):
        starts = at == 0 or glob[at - 1] == "/"
        token = next((t for t in (_ANY_PARTS, _ANY) if glob.startswith(t, at)), glob[at])
        if token == _ANY_PARTS and not starts:  # `a**/b`: what stands before the slash belongs to the part
            token = _ANY
        tokens.append(token)
        at += len(token)
    return tuple(tokens)
