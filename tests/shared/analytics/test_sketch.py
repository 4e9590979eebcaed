"""Percentiles out of buckets, against those of the values themselves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.sketch import ACCURACY, bucket, quantile

YEAR_MS = 365 * 86_400_000
durations = st.integers(min_value=0, max_value=YEAR_MS)


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_percentile_is_as_near_as_it_says(values: list[int], q: float):
    found = quantile(Counter(map(bucket, values)), q)
    # The rank that the sketch takes: with `q * (n - 1)` between two values, the lower one.
    exact = sorted(values)[int(q * (len(values) - 1))]
    assert found is not None
    assert abs(found - exact) <= exact * ACCURACY + 0.5


@given(st.lists(durations, max_size=50), st.lists(durations, min_size=1, max_size=50))
def test_sketches_are_added_and_taken_back_as_numbers(some: list[int], more: list[int]):
    both = Counter(map(bucket, some)) + Counter(map(bucket, more))
    assert both == Counter(map(bucket, some + more))
    both.subtract(Counter(map(bucket, some)))
    assert quantile(both, 0.5) == quantile(Counter(map(bucket, more)), 0.5)


def test_a_year_fits_without_collapsing():
    assert bucket(YEAR_MS) == 605


@pytest.mark.parametrize("buckets", [{}, {3: 0}])
def test_of_nothing_there_is_no_percentile(buckets):
    assert quantile(buckets, 0.5) is None
