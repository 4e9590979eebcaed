"""How retriever searches. Loads bm25s where a back end has no search for words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.collections.filters import Condition
from shared.collections.model import MAX_K, Match
from shared.nodes.base import Call, Outputs
from shared.nodes.rag._collections import Held, condition, document, embedded, how_many, opened

_FUSED: Final = 60  # the constant of reciprocal rank fusion, as its authors found it best
_POOL: Final = 4  # times k: how far down each ranking is read for the fusion


async def retrieve(call: Call, query: str) -> Outputs:
    """The documents and their scores. Raises NodeError."""
    k, where = how_many(call), condition(call.config.get("filter"), call.inputs.get("filter"))
    collection, held = await opened(call)
    [vector] = await embedded(call, collection, [query], "query")
    if call.config["mode"] == "hybrid":
        found = await _hybrid(held, query, vector, k, where)
    else:
        found = await held.nearest(vector, k, where)
    least = call.config.get("threshold")
    kept = [document(m) for m in found if least is None or m.score >= least]
    return {"documents": kept, "scores": [d["score"] for d in kept]}


async def _hybrid(held: Held, query: str, vector: Sequence[float], k: int, where: Condition | None) -> list[Match]:
    deep = min(MAX_K, max(20, _POOL * k))
    near = await held.nearest(vector, deep, where)
    worded = await held.with_words(query, deep, where)
    if worded is None:
        near = await held.nearest(vector, MAX_K, where)
        worded = _by_words(near, query)
    return fused([near[:deep], worded[:deep]])[:k]


def _by_words(found: Sequence[Match], query: str) -> list[Match]:
    from shared.collections.keywords import Keywords

    points = Keywords([m.text for m in found]).scores(query).tolist()
    ranked = sorted(zip(points, found, strict=True), key=lambda pair: -pair[0])
    return [replace(m, score=score) for score, m in ranked if score > 0]


def fused(rankings: Sequence[Sequence[Match]]) -> list[Match]:
    """One ranking made of several by the ranks in them; scores from 0 to 1."""
    points: dict[str, float] = {}
    matches: dict[str, Match] = {}
    for ranking in rankings:
        for rank, match in enumerate(ranking, 1):
            points[match.id] = points.get(match.id, 0.0) + 1 / (_FUSED + rank)
            matches.setdefault(match.id, match)
    most = len(rankings) / (_FUSED + 1)
    ordered = sorted(points, key=lambda i: (-points[i], i))
    return [replace(matches[i], score=points[i] / most) for i in ordered]
