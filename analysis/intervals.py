# SPDX-License-Identifier: Apache-2.0
"""Median and its nonparametric interval, computed again from the raw samples to check what rows state."""
import math

import numpy as np


def median_interval(samples, confidence=0.95):
    """(low, high, confidence reached) of the median by order statistics (David and Nagaraja 2003, section 7.1).

    The interval [x_(k), x_(n+1-k)] covers the median with probability 1 - 2 P(Binomial(n, 1/2) < k); k is the
    largest one that reaches `confidence`. Below six samples none does: then it is the whole range, and says so.
    """
    ordered = np.sort(np.asarray(samples, dtype=float))
    count = len(ordered)
    if count == 0:
        raise ValueError("no samples")
    below, best = 0.0, (1, 1.0 - 2.0 ** (1 - count))
    for k in range(1, count // 2 + 1):
        below += math.comb(count, k - 1) / 2.0**count
        reached = 1.0 - 2.0 * below
        if not reached >= confidence:
            break
        best = (k, reached)
    k, reached = best
    return float(ordered[k - 1]), float(ordered[count - k]), reached


def disagreements(rows, relative=1e-9):
    """Lines about measured rows whose stated median or interval is not the one of their own samples."""
    lines = []
    for row in rows:
        samples = row.get("samples_s")
        if row["kind"] != "measured" or not samples or "time_s" not in row:
            continue
        median = float(np.median(samples))
        if not math.isclose(row["time_s"], median, rel_tol=relative):
            lines.append(f"{row.source}: time_s is {row['time_s']:.6g}, the median of its samples is {median:.6g}")
        stated = row.get("time_s_interval")
        if stated is not None:
            low, high, _ = median_interval(samples)
            if not (math.isclose(stated["low"], low, rel_tol=relative)
                    and math.isclose(stated["high"], high, rel_tol=relative)):
                lines.append(f"{row.source}: time_s_interval is {stated['low']:.6g} to {stated['high']:.6g}, "
                             f"its samples give {low:.6g} to {high:.6g}")
    return lines
