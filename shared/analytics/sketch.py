"""Durations as counts of logarithmic buckets, from which a percentile can be read.

The buckets are those of DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", PVLDB 12(12), 2019, arXiv:1908.10693): bucket i holds what lies in (g^(i-1), g^i], with
g = (1 + a) / (1 - a), and 2g^i / (g + 1) is at most the share a away from all of it. Being plain counters, sketches
are added, and taken back, by adding numbers; a year in milliseconds is bucket 605, so nothing has to be collapsed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

ACCURACY: Final = 0.02  # a percentile is at most 2 % (or half a millisecond) off the value it stands for
_GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA: Final = math.log(_GAMMA)
_NOTHING: Final = -1  # the bucket of 0 ms


def bucket(ms: int) -> int:
    """The bucket of a duration."""
    return _NOTHING if ms <= 0 else math.ceil(math.log(ms) / _LOG_GAMMA)


def quantile(buckets: Mapping[int, int], q: float) -> int | None:
    """The duration (ms) that the share `q` of all does not exceed; None of none."""
    total = sum(buckets.values())
    if total <= 0:
        return None
    rank, seen = q * (total - 1), 0
    for number in sorted(buckets):
        seen += buckets[number]
        if seen > rank:
            return 0 if number == _NOTHING else round(2 * _GAMMA**number / (_GAMMA + 1))
    return None
