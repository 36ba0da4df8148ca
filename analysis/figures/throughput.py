# SPDX-License-Identifier: Apache-2.0
"""Throughput in total and per device from one device to the largest simulated ring, beside the published series."""
import rows as choose
import style
from figures import SIMULATE, SWEEP, drawn
from figures.scaling import timed
from load import Row

NAME = "throughput"
TITLE = "Throughput from one device to a quarter of a million"
MOST_DEVICES = 4
SERIES = choose.SHAPE + (choose.device, choose.variation, "placement", "mask", "chunk_tokens")


def published_series(results):
    """The judged documents' total throughput by ring size, per device by plain division."""
    claim = results.published.get("scaling-series-throughput")
    lines = claim.get("values", {}).get("rows", []) if claim is not None else []
    return [Row({"kind": "published", "ring_size": line["ring_size"], "tokens": line.get("sequence_length_tokens"),
                 "tokens_per_s": line["throughput_tokens_per_s"],
                 "tokens_per_s_per_device": line["throughput_tokens_per_s"] / line["ring_size"]}, claim.source)
            for line in lines if "ring_size" in line and "throughput_tokens_per_s" in line]


def _reach(rows):
    return max(row["ring_size"] for row in rows)


def _candidates(found):
    """Weak series (tokens per rank fixed) to draw, and how many are left out: of the cores at hand the one that reaches
    farthest and the best measured one, and one of each published machine."""
    usable = [row for row in found if "tokens_per_s" in row and row.get("kernel", "streamed") == "streamed"
              and row["tokens"] == row["chunk_tokens"] * row["ring_size"]]
    grouped = [rows for _, rows in choose.groups(usable, SERIES)
               if len({row["ring_size"] for row in rows}) > 1 or _reach(rows) > 1024]
    at_hand = [rows for rows in grouped if not choose.device(rows[0])]
    chosen = []
    if at_hand:
        chosen.append(max(at_hand, key=lambda rows: (_reach(rows), choose.variation(rows[0]) == (0.0, 0.0),
                                                     rows[0].get("mask") == "none", len(rows))))
        measured = max(at_hand, key=lambda rows: (len({row["ring_size"] for row in rows if row["kind"] == "measured"}),
                                                  rows[0].get("mask") == "none", rows[0]["chunk_tokens"]))
        if measured is not chosen[0] and any(row["kind"] == "measured" for row in measured):
            chosen.append(measured)
    elsewhere = [rows for rows in grouped if choose.device(rows[0])]
    for name in sorted({choose.device(rows[0]) for rows in elsewhere})[:MOST_DEVICES]:
        chosen.append(max((rows for rows in elsewhere if choose.device(rows[0]) == name),
                          key=lambda rows: (_reach(rows), len(rows))))
    return chosen, len(grouped) - len(chosen)


def _label(row):
    words = choose.device_words(row)
    if not choose.device(row):
        words.insert(0, "cores of this machine")
    if row.get("placement") != "contiguous":
        words.append(choose.placement_words(row.get("placement")))
    if row.get("mask") == "causal":
        words.append("causal")
    return ", ".join(words + [f"{choose.integer(row['chunk_tokens'])} tokens each"])


def _draw(axes, rows, label, colour, per_device):
    for kind in ("simulated", "measured"):
        points = choose.by([row for row in rows if row["kind"] == kind], "ring_size")
        if points:
            share = [row["ring_size"] if per_device else 1 for row in points]
            limits = [choose.throughput_limits(row) for row in points]
            style.draw(axes, kind, label, [row["ring_size"] for row in points],
                       [row["tokens_per_s"] / part for row, part in zip(points, share)], colour,
                       [low / part for (low, _), part in zip(limits, share)],
                       [high / part for (_, high), part in zip(limits, share)])


def _name_ends(axes, candidates, published):
    """Writes the last per-device value of each series and of the published one beside their points."""
    ends = []
    for rows, colour in zip(candidates, style.COLOURS):
        last = max(rows, key=lambda row: (row["ring_size"], row.source))
        ends.append((last, last["tokens_per_s"] / last["ring_size"], colour))
    if published:
        last = max(published, key=lambda row: row["ring_size"])
        ends.append((last, last["tokens_per_s_per_device"], style.PUBLISHED_COLOUR))
    farthest = max((row["ring_size"] for row, _, _ in ends), default=0)
    style.label_ends(axes, [(row["ring_size"], value, f"{choose.number(value, 2)}/s", colour)
                            for row, value, colour in ends if row["ring_size"] == farthest])


def draw(results):
    candidates, left_out = _candidates(timed(results))
    published = published_series(results)
    figure, panels = style.new_figure(1, 2, width=11.0, height=5.2)
    used, missing, legend = [], [], []
    for index, (axes, per_device) in enumerate(zip(panels, (False, True))):
        sizes = [row["ring_size"] for row in published]
        for rows, colour in zip(candidates, style.COLOURS):
            _draw(axes, rows, _label(rows[0]), colour, per_device)
            sizes += [row["ring_size"] for row in rows]
            if index == 0:
                legend.append((_label(rows[0]), colour))
                used += rows
        if published:
            key = "tokens_per_s_per_device" if per_device else "tokens_per_s"
            style.draw(axes, "published", "scaling series", [row["ring_size"] for row in published],
                       [row[key] for row in published], style.PUBLISHED_COLOUR)
            if index == 0:
                used += published
            first = published[0]
            ends = [first["ring_size"], max(sizes)]
            linear = [first["tokens_per_s"] * size / first["ring_size"] / (size if per_device else 1) for size in ends]
            style.guide(axes, "linear scaling", ends, linear)
        if not sizes:
            what = "ring rows at a fixed number of tokens per rank"
            missing.append((what, SWEEP))
            style.say_missing(axes, what, SWEEP)
            continue
        style.ring_axis(axes, sizes)
        style.plain_log_y(axes, style.large)
        axes.set_ylabel("tokens/s per device" if per_device else "tokens/s of the whole ring")
        axes.set_title("Per device" if per_device else "In total")
    if candidates and not any(row["kind"] == "simulated" for row in used):
        missing.append(("simulated rows", SIMULATE))
    if candidates and not any(row["kind"] == "measured" for row in used):
        missing.append(("measured rows", SWEEP))
    kinds = {row["kind"] for row in used}
    guides = [style.guide_handle("what linear scaling from the first published point would be")] if published else []
    style.finish(figure, [style.series_handles(legend), guides, style.kind_handles(kinds, intervals=True)], right=0.45)
    if used:
        _name_ends(panels[1], candidates, published)
    caption = ("With a fixed number of tokens per device, the work of exact attention grows as the square of the ring, so the ideal "
               "total throughput is flat and each device's share falls as 1/P. The published series follows the same law: "
               "it is not linear scaling (dotted).")
    if not published:
        caption = caption.split(" The published")[0]
    if left_out:
        caption += f" {left_out} further series are not drawn; their rows stand in the tables."
    return drawn(figure, caption, used, missing)
