# SPDX-License-Identifier: Apache-2.0
"""Weak and strong scaling: time and efficiency, measured and simulated."""
import rows as choose
import style
from figures import SWEEP, drawn

NAME = "scaling"
TITLE = "Weak and strong scaling"
MOST_SERIES = 5
# Runs with fewer samples than this were made to check results or memory, not time.
FEWEST_SAMPLES = 3
# Simulated points are drawn this much farther than measured ones; the throughput figure shows the rest.
REACH = 16
SERIES = choose.SHAPE + (choose.device, choose.variation, "placement", "mask", "kernel")


def timed(results):
    """Valid ring rows with a time, of real devices or of simulated ones; runs without polling have their own figure."""
    found = choose.select(results.rows, needs=("ring_size", "tokens", "chunk_tokens", "time_s"), schedule="ring",
                          kind=("measured", "simulated"))
    return [row for row in choose.valid(found) if row.get("progress") != "unpolled"
            and (row["kind"] == "simulated" or len(row.get("samples_s", ())) >= FEWEST_SAMPLES)]


def efficiency(points, weak):
    """(ring sizes, efficiencies) against the same series' P = 1, median where P = 1 was run more than once.

    Strong: T(1) / (P T(P)). Weak, tokens per rank fixed: the work of exact attention per rank grows as P, so the
    ideal is T(P) = P T(1) and the efficiency P T(1) / T(P).
    """
    first = sorted(row["time_s"] for row in points if row["ring_size"] == 1)
    if not first:
        return [], []
    base = first[len(first) // 2]
    sizes = [row["ring_size"] for row in points]
    values = [(size * base if weak else base / size) / row["time_s"] for size, row in zip(sizes, points)]
    return sizes, values


def _series(found, fixed):
    """Groups of rows that share a problem and the value of `fixed`, and go from P = 1 to other ring sizes."""
    def goes_on(rows):
        by_kind = {(row["kind"], row["ring_size"]) for row in rows}
        return any((kind, 1) in by_kind and any(other == kind and size > 1 for other, size in by_kind)
                   for kind, _ in by_kind)
    candidates = [(values, rows) for values, rows in choose.groups(found, SERIES + (fixed,)) if goes_on(rows)]
    # Series without measured points would stretch the axes over many decades: they stand alone or not at all.
    candidates = [item for item in candidates if any(row["kind"] == "measured" for row in item[1])] or candidates
    candidates.sort(key=lambda item: (-len({row["kind"] for row in item[1]}),
                                      -len({row["ring_size"] for row in item[1] if row["kind"] == "measured"}),
                                      -len(item[1])))
    return candidates[:MOST_SERIES], max(0, len(candidates) - MOST_SERIES)


def _label(rows, fixed):
    row = rows[0]
    words = [choose.placement_words(row.get("placement")), "causal" if row.get("mask") == "causal" else "no mask"]
    words = choose.device_words(row) + words
    if row.get("kernel") == "materialised":
        words.append("scores kept")
    words.append(f"{choose.integer(row[fixed])} tokens" + (" per rank" if fixed == "chunk_tokens" else ""))
    return ", ".join(words)


def _draw_series(time_axes, efficiency_axes, rows, label, colour, weak, used):
    for kind in ("simulated", "measured"):
        points = choose.by([row for row in rows if row["kind"] == kind], "ring_size")
        if len({row["ring_size"] for row in points}) < 2:
            continue
        limits = [choose.time_limits(row) for row in points]
        style.draw(time_axes, kind, label, [row["ring_size"] for row in points], [row["time_s"] for row in points],
                   colour, [low for low, _ in limits], [high for _, high in limits])
        sizes, values = efficiency(points, weak)
        style.draw(efficiency_axes, kind, label, sizes, values, colour)
        used.extend(points)


def _panel(time_axes, efficiency_axes, found, fixed, title, used, missing):
    weak = fixed == "chunk_tokens"
    candidates, left_out = _series(found, fixed)
    if not candidates:
        missing.append((f"{'weak' if weak else 'strong'} scaling rows (two ring sizes with {fixed} fixed)", SWEEP))
        style.say_missing(time_axes, *missing[-1])
        efficiency_axes.set_axis_off()
        return [], 0
    legend, sizes = [], []
    for (_, rows), colour in zip(candidates, style.COLOURS):
        label = _label(rows, fixed)
        _draw_series(time_axes, efficiency_axes, rows, label, colour, weak, used)
        legend.append((label, colour))
        sizes.extend(row["ring_size"] for row in rows)
    time_axes.set_title(title)
    style.time_axis(time_axes.yaxis)
    time_axes.set_ylabel("time of one forward pass")
    efficiency_axes.set_ylabel("efficiency against P = 1")
    style.guide(efficiency_axes, f"{fixed} ideal", [min(sizes), max(sizes)], [1.0, 1.0])
    efficiency_axes.set_ylim(bottom=0.0)
    top = efficiency_axes.get_ylim()[1]
    efficiency_axes.set_ylim(0.0, max(1.12, top))
    for axes in (time_axes, efficiency_axes):
        style.ring_axis(axes, sizes)
    return legend, left_out


def draw(results):
    found = timed(results)
    measured = [row["ring_size"] for row in found if row["kind"] == "measured"]
    if measured:
        found = [row for row in found if row["ring_size"] <= REACH * max(measured)]
    if not _series(found, "chunk_tokens")[0] and not _series(found, "tokens")[0]:
        missing = ("rows of one problem on several ring sizes", SWEEP)
        return drawn(style.missing_figure(*missing), "", [], [missing])
    figure, (weak_time, strong_time, weak_efficiency, strong_efficiency) = style.new_figure(2, 2, height=8.4)
    used, missing = [], []
    # A weak series has its tokens in exact proportion; a strong one keeps them.
    weak_rows = [row for row in found if row["tokens"] == row["chunk_tokens"] * row["ring_size"]]
    weak_legend, weak_more = _panel(weak_time, weak_efficiency, weak_rows, "chunk_tokens",
                                    "Weak scaling: tokens per rank fixed", used, missing)
    strong_legend, strong_more = _panel(strong_time, strong_efficiency, found, "tokens",
                                        "Strong scaling: tokens fixed", used, missing)
    for axes, legend in ((weak_efficiency, weak_legend), (strong_efficiency, strong_legend)):
        if legend:
            axes.legend(handles=style.series_handles(legend), loc="upper left", bbox_to_anchor=(-0.02, -0.2), fontsize=9)
    kinds = {row["kind"] for row in used}
    style.finish(figure, [style.kind_handles(kinds, intervals=True) + ([style.guide_handle("ideal")] if used else [])])
    shared = [row for row in used if row["kind"] == "measured" and row.get("ranks_per_core", 1) > 1]
    caption = ("Exact attention costs the square of the tokens: with tokens per rank fixed the ideal time grows as P, "
               "so weak efficiency is P T(1) / T(P); strong efficiency is T(1) / (P T(P)).")
    if shared:
        smallest = min(row["ring_size"] for row in shared)
        caption += (f" From P = {smallest} on, measured ranks shared cores (up to {max(row['ranks_per_core'] for row in shared)} "
                    "ranks on one), which bounds their efficiency by cores / P.")
    if weak_more + strong_more:
        caption += f" {weak_more + strong_more} further series are not drawn; their rows stand in the tables."
    return drawn(figure, caption, used, missing)
