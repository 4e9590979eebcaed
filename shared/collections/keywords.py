"""Keyword search by BM25. Loads bm25s and numpy."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import bm25s
import numpy as np
from bm25s.tokenization import Tokenized
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
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        ids = [[numbers[word] for word in words(text)] for text in texts]
        self._index = bm25s.BM25() if numbers else None
        if self._index is not None:
            self._index.index(Tokenized(ids, dict(numbers)), show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """Each text's score for the query; 0 where it has none of its words."""
        known = [] if self._index is None else [w for w in words(query) if w in self._index.vocab_dict]
        if not known or self._index is None:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = self._index.get_scores(known)
        return found
