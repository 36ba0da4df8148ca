# SPDX-License-Identifier: Apache-2.0
"""One packed message against two over sizes, and what overlap hides."""
import statistics

import rows as choose
import style
from figures import CALIBRATE, SWEEP, drawn
from figures.scaling import FEWEST_SAMPLES

NAME = "communication"
TITLE = "Messages and overlap"


def packing_pairs(found):
    """(bytes, time of one message, time of two) for every payload sent both ways; medians of repeated rows."""
    times = {}
    for row in found:
        times.setdefault(row["message_bytes"], {}).setdefault(row["messages"], []).append(row["time_s"])
    return [(size, statistics.median(by_count[1]), statistics.median(by_count[2]))
            for size, by_count in sorted(times.items()) if 1 in by_count and 2 in by_count]


def _draw_messages(axes, saving_axes, found, published, used):
    for messages, colour in ((1, style.COLOURS[0]), (2, style.COLOURS[1])):
        points = choose.by([row for row in found if row["messages"] == messages], "message_bytes")
        limits = [choose.time_limits(row) for row in points]
        style.draw(axes, "measured", f"{messages} messages", [row["message_bytes"] for row in points],
                   [row["time_s"] for row in points], colour, [low for low, _ in limits], [high for _, high in limits])
    used.extend(found)
    axes.set_xscale("log", base=2)
    style.time_axis(axes.yaxis)
    axes.set_title("One message or two for K and V")
    axes.set_ylabel("time of one hop")
    axes.legend(handles=style.series_handles([("packed: one message", style.COLOURS[0]),
                                              ("K and V apart: two messages", style.COLOURS[1])]), loc="upper left")
    pairs = packing_pairs(found)
    style.draw(saving_axes, "measured", "saving of packing", [size for size, _, _ in pairs],
               [100 * (1 - one / two) for _, one, two in pairs], style.COLOURS[0])
    if published:
        claimed = published["values"]["latency_reduction_percent"]
        style.draw(saving_axes, "published", "packing", [size for size, _, _ in pairs], [claimed] * len(pairs),
                   style.PUBLISHED_COLOUR, markersize=6)
        used.append(published)
    saving_axes.set_xscale("log", base=2)
    saving_axes.set_title("Time saved by packing")
    saving_axes.set_ylabel("saving (%)")
    for panel in (axes, saving_axes):
        style.byte_axis(panel, [row["message_bytes"] for row in found])
        panel.set_xlabel("bytes of K and V together")


def overlap_rows(results):
    found = choose.select(results.rows, needs=("ring_size", "time_s", "compute_s", "exposed_communication_s"),
                          schedule="ring", kind="measured")
    return [row for row in choose.valid(found) if row["ring_size"] > 1 and row["time_s"] > 0
            and len(row.get("samples_s", ())) >= FEWEST_SAMPLES]


# Words and colour of an overlap series; ranks that share a core wait for it, not only for blocks.
OVERLAP = {("polled", False): ("progress polled, a core for every rank", style.COLOURS[2]),
           ("polled", True): ("progress polled, ranks share cores", style.COLOURS[0]),
           ("unpolled", False): ("not polled, a core for every rank", style.COLOURS[3]),
           ("unpolled", True): ("not polled, ranks share cores", style.COLOURS[1])}


def _draw_overlap(axes, found, used):
    legend = []
    for (progress, shared), (words, colour) in OVERLAP.items():
        points = choose.by([row for row in found if row.get("progress", "polled") == progress
                            and (row.get("ranks_per_core", 1) > 1) == shared], "chunk_tokens")
        if points:
            style.draw(axes, "measured", f"exposed {words}", [row["chunk_tokens"] for row in points],
                       [100 * row["exposed_communication_s"] / row["time_s"] for row in points], colour, line=False)
            legend.append((words, colour))
    used.extend(found)
    style.ring_axis(axes, [row["chunk_tokens"] for row in found], "tokens per rank")
    # Room for the legend above the highest point.
    top = 1.5 * max([1.0] + [100 * row["exposed_communication_s"] / row["time_s"] for row in found])
    axes.set_ylim(-0.03 * top, top)
    axes.set_title("Communication left exposed")
    axes.set_ylabel("share of the time (%)")
    axes.legend(handles=style.series_handles(legend), loc="upper right", fontsize=8)


def draw(results):
    messages = [row for row in choose.select(results.rows, needs=("messages", "message_bytes", "time_s"), kind="measured")
                if row.get("pattern", "ping_pong") == "ping_pong"]
    overlap = overlap_rows(results)
    published = results.published.get("packed-kv-50-percent-latency")
    if published is not None:
        published = type(published)({**published, "kind": "published"}, published.source)
        if "latency_reduction_percent" not in published.get("values", {}):
            published = None
    figure, (time_axes, saving_axes, overlap_axes) = style.new_figure(1, 3, width=12.5, height=4.6)
    used, missing = [], []
    if packing_pairs(messages):
        _draw_messages(time_axes, saving_axes, messages, published, used)
    else:
        missing.append(("rows of one and of two messages", CALIBRATE))
        style.say_missing(time_axes, *missing[-1])
        saving_axes.set_axis_off()
    if overlap:
        _draw_overlap(overlap_axes, overlap, used)
    else:
        missing.append(("ring rows with exposed communication (P > 1)", SWEEP))
        style.say_missing(overlap_axes, *missing[-1])
    style.finish(figure, [style.kind_handles({row["kind"] for row in used}, intervals=True)])
    caption = ("Packing saves one latency a hop: half of the time only while the payload is small against latency times "
               "bandwidth. Exposed communication is the time a rank waits for a block that compute did not hide.")
    return drawn(figure, caption, used, missing)
