# SPDX-License-Identifier: Apache-2.0
"""Medians and intervals of the page against numpy, scipy and a simulation of their coverage."""
import numpy as np
import pytest
from conftest import loaded
from scipy import stats

import intervals


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 9, 10, 25, 100, 1001])
def test_interval_is_the_order_statistics_that_the_binomial_gives(count):
    samples = np.random.default_rng(count).normal(size=count)
    low, high, reached = intervals.median_interval(samples)
    ordered = np.sort(samples)
    trimmed = int(np.searchsorted(ordered, low))
    assert (low, high) == (ordered[trimmed], ordered[count - 1 - trimmed])
    assert reached == pytest.approx(1 - 2 * stats.binom.cdf(trimmed, count, 0.5), abs=1e-12)
    if count >= 6:
        assert reached >= 0.95
        assert 1 - 2 * stats.binom.cdf(trimmed + 1, count, 0.5) < 0.95  # a narrower pair would not reach it
    else:
        assert trimmed == 0


def test_interval_covers_the_true_median_as_often_as_it_says():
    random = np.random.default_rng(7)
    hits, trials = 0, 4000
    for _ in range(trials):
        low, high, reached = intervals.median_interval(random.exponential(size=9))
        hits += low <= np.log(2) <= high
    assert abs(hits / trials - reached) < 4 * np.sqrt(reached * (1 - reached) / trials)


def test_no_samples_are_refused():
    with pytest.raises(ValueError):
        intervals.median_interval([])


def test_rows_that_agree_with_their_samples_raise_no_warning(results):
    found = loaded(results[0])
    assert sum("samples_s" in row for row in found.rows) > 40
    assert intervals.disagreements(found.rows) == []


def test_a_median_or_interval_that_is_not_its_samples_is_named(results):
    found = loaded(results[0])
    row = next(row for row in found.rows if "time_s_interval" in row and "samples_s" in row)
    row["time_s"] *= 1.001
    row["time_s_interval"] = {"low": row["samples_s"][0], "high": row["time_s_interval"]["high"], "confidence": 0.95}
    lines = intervals.disagreements(found.rows)
    assert len(lines) == 2 and all(row.source in line for line in lines)
    assert "the median of its samples" in lines[0] and "time_s_interval" in lines[1]
