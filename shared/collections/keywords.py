"""Keyword search by BM25. Loads bm25s and numpy."""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Sequence
from typing import Final

import bm25s
import numpy as np
from numpy.typing import NDArray

# Letters and marks of scripts that put no spaces between words; their digits are words as everywhere.
_SPACELESS: Final = (
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
_WORD: Final = re.compile(r"\w+")
_RUN: Final = re.compile(rf"[{_SPACELESS}]+|[^\W{_SPACELESS}]+")
_IS_SPACELESS: Final = re.compile(f"[{_SPACELESS}]")

# So many words have numbers of their own. Those that come later share as many by a checksum: one may then be found by
# another, but what an index takes has a bound, whatever the texts (Chinese, tables of numbers).
_OWN: Final = 1 << 18
_SHARED: Final = 1 << 18
_ENTRIES: Final = 1 << 20  # that are put in order at a time


def words(text: str) -> list[str]:
    """What a text is found by: its words of any length, without case.

    A run of a script without spaces gives each two neighbours; a run of one character gives that.
    """
    lowered = text.lower()
    if _IS_SPACELESS.search(lowered) is None:
        return _WORD.findall(lowered)
    found: list[str] = []
    for run in _RUN.findall(lowered):
        if len(run) > 1 and _IS_SPACELESS.match(run):
            found += [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            found.append(run)
    return found


class Keywords:
    """An index over texts, by `words`. They are not stemmed and none is left out, so that no language is favoured."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._size = len(texts)
        self._numbers: dict[str, int] = {}
        ids = [array("i", [self._numbered(word) for word in words(text)]) for text in texts]
        self._index = bm25s.BM25() if self._numbers else None
        if self._index is not None:
            full = len(self._numbers) == _OWN
            numbers = range(_OWN + _SHARED if full else len(self._numbers))
            self._index._np_csc = _by_word
            # Not `index`: that would keep the vocabulary twice more.
            self._index.scores = self._index.build_index_from_ids(numbers, ids, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """Each text's score for the query; 0 where it has none of its words."""
        known = [number for word in words(query) if (number := self._number(word)) is not None]
        if not known or self._index is None:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = self._index.get_scores_from_ids(known)
        return found

    def _numbered(self, word: str) -> int:
        number = self._number(word)
        if number is None:
            number = self._numbers[word] = len(self._numbers)
        return number

    def _number(self, word: str) -> int | None:
        number = self._numbers.get(word)
        if number is None and len(self._numbers) == _OWN:
            number = _OWN + zlib.crc32(word.encode(errors="replace")) % _SHARED
        return number


def _by_word(
    data: NDArray[np.float32], rows: NDArray[np.int32], cols: NDArray[np.int32], shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """What bm25s does at once, with a third of the memory: the columns of a matrix, of entries in the order of rows."""
    ends = np.zeros(shape[1] + 1, dtype=np.int64)
    np.cumsum(np.bincount(cols, minlength=shape[1]), out=ends[1:])
    free = ends[:-1].copy()  # of each column, where its next entry belongs
    scores, found = np.empty_like(data), np.empty_like(rows)
    for begin in range(0, len(cols), _ENTRIES):
        some = slice(begin, begin + _ENTRIES)
        order = np.argsort(cols[some], kind="stable")
        numbers, starts, counts = np.unique(cols[some][order], return_index=True, return_counts=True)
        at = np.repeat(free[numbers] - starts, counts) + np.arange(len(order))
        scores[at], found[at] = data[some][order], rows[some][order]
        free[numbers] += counts
    return scores, found, ends
