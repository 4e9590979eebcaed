"""What a search in an embedded collection takes, beside the matrix product that it cannot do without.

python -m infrastructure.bench.retrieval ROUNDS FEW MANY     prints the milliseconds as JSON; `measure` runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from infrastructure.bench.figures import Figure, compared
from infrastructure.bench.sides import BenchFailed
from infrastructure.local.archive import ROOT

_DIMENSION: Final = 384
_K: Final = 5
_TARGET: Final = 1.5
_AGAINST: Final = "numpy: one matrix product in one thread, and the five largest of it"


def measure(rounds: int, few: int, many: int) -> list[Figure]:
    """`retrieval_10000`: the five nearest of so many passages; in `detail` also those of the most there may be."""
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", __name__, str(rounds), str(few), str(many)],
        cwd=ROOT,
        # On both sides one thread: on a busy machine several mostly wait for each other.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"retrieval cannot be measured:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    detail = {
        "dimension": _DIMENSION,
        "passages": few,
        "with_a_filter_ms": round(median(found["few"]["filtered"]), 2),
        f"of_{many}_ms": round(median(found["many"]["ours"]), 2),
        f"bare_of_{many}_ms": round(median(found["many"]["bare"]), 2),
        f"of_{many}_with_a_filter_ms": round(median(found["many"]["filtered"]), 2),
    }
    ours, bare = found["few"]["ours"], found["few"]["bare"]
    return [compared("retrieval_10000", ours, bare, against=_AGAINST, target=_TARGET, detail=detail)]


# --- in a process of its own -----------------------------------------------------------------------------------------


def _milliseconds(rounds: int, passages: int) -> dict[str, list[float]]:
    import numpy as np

    from shared.collections.filters import read
    from shared.collections.model import Passage
    from shared.collections.segments import part_of
    from shared.collections.view import View

    random = np.random.default_rng(7)
    vectors = random.standard_normal((passages, _DIMENSION), dtype=np.float32)
    held = [Passage(f"p{i}", "", row, {"page": i}) for i, row in enumerate(vectors)]
    # As a collection comes to be: a large segment, and a smaller one of what was written since.
    cut = passages * 4 // 5
    parts = [part_of(str(n), some, frozenset(), _DIMENSION) for n, some in enumerate((held[:cut], held[cut:]))]
    view, where = View(1, "cosine", parts), read({"page": {"$lt": passages // 2}})
    normal = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def bare(query: Any) -> Any:
        scores = normal @ (query / np.linalg.norm(query))
        best = np.argpartition(scores, -_K)[-_K:]
        return best[np.argsort(-scores[best])]

    sides: dict[str, Callable[[Any], Any]] = {
        "ours": lambda query: view.nearest(query, _K),
        "bare": bare,
        "filtered": lambda query: view.nearest(query, _K, where),
    }
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        query = random.standard_normal(_DIMENSION, dtype=np.float32)
        for name, search in sides.items():
            began = time.perf_counter()
            found = search(query)
            if number:  # what the first one does once is left out
                took[name].append((time.perf_counter() - began) * 1000)
            if name == "ours":
                ids = [m.id for m in found]
            elif name == "bare" and ids != [f"p{i}" for i in found]:
                raise BenchFailed("the two sides find different passages")
    return took


def main() -> int:
    """Measure, and print it."""
    rounds, few, many = map(int, sys.argv[1:])
    print(json.dumps({"few": _milliseconds(rounds, few), "many": _milliseconds(rounds, many)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
