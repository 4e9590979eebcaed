"""Keyword search by BM25. Loads bm25s and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray


class Keywords:
    """An index over texts: words of two and more letters, without case.

    Words are not stemmed and none is left out, so that no language is favoured.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._size = len(texts)
        tokens: Any = bm25s.tokenize(list(texts), stopwords=None, show_progress=False)
        self._index = bm25s.BM25() if tokens.vocab.keys() - {""} else None
        if self._index is not None:
            self._index.index(tokens, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """Each text's score for the query; 0 where it has none of its words."""
        words = bm25s.tokenize([query], stopwords=None, return_ids=False, show_progress=False)[0]
        known = [] if self._index is None else [w for w in words if w in self._index.vocab_dict]
        if not known or self._index is None:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = self._index.get_scores(known)
        return found
