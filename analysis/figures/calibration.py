# SPDX-License-Identifier: Apache-2.0
"""What the simulator rests on: tile table, messages with their fit and residuals, hold-out predictions."""
import statistics

import rows as choose
import style
from figures import CALIBRATE, Drawn

NAME = "calibration"
TITLE = "Calibration and hold-out error"


def number_of(entry):
    """A machine file's number, with or without its source beside it."""
    return entry["value"] if isinstance(entry, dict) else entry


def calibrated(results):
    """Machine documents that were measured, those with most hold-out runs first."""
    found = [document for document in results.machines if document.content.get("kind") == "measured"]
    return sorted(found, key=lambda document: (-len(held_out(document.content)), document.name))


def held_out(machine):
    """The rings that were predicted from fits in which they took no part."""
    return [point for point in (machine.get("hold_out") or {}).get("points", [])
            if point.get("measured_s", 0) > 0 and point.get("predicted_s", 0) > 0]


def message_samples(machine):
    return [sample for sample in (machine.get("messages") or {}).get("samples", []) if sample.get("time_s", 0) > 0]


def tile_rates(machine):
    """{(head_dim, query_tokens): [(key_tokens, GFLOP/s)]} of full tiles: 4 query key query_heads head_dim / time."""
    table = machine.get("tiles") or {}
    heads = table.get("query_heads", 1)
    rates = {}
    for sample in table.get("samples", []):
        if sample.get("mask", "none") == "none" and sample.get("time_s", 0) > 0:
            flop = 4.0 * sample["query_tokens"] * sample["key_tokens"] * heads * sample["head_dim"]
            rates.setdefault((sample["head_dim"], sample["query_tokens"]), []).append(
                (sample["key_tokens"], flop / sample["time_s"] / 1e9))
    return {key: sorted(points) for key, points in rates.items()}


def message_fit(machine, message_bytes, flows):
    """Seconds of a hop by the nearest link's fit while `flows` ranks send at once:
    latency + overhead + bytes / bandwidth (1 + sharing (flows - 1)); None without a link."""
    links = machine.get("links") or []
    if not links:
        return None
    link = links[0]
    crowd = 1.0 + number_of(link.get("sharing", 0.0)) * (flows - 1)
    return (number_of(link["latency_s"]) + number_of(link.get("per_message_overhead_s", 0.0))
            + message_bytes / number_of(link["bandwidth_bytes_per_s"]) * crowd)


def message_series(samples):
    """{words: (ranks that shift at once, or 0 for a ping-pong, samples)}: one message at a time, in order of size."""
    found = {}
    for sample in sorted(samples, key=lambda entry: entry["message_bytes"]):
        if sample.get("messages", 1) != 1:
            continue
        ranks = sample.get("ranks", 2)
        if sample.get("pattern") == "shift":
            found.setdefault(f"shift of {ranks} ranks at once", (ranks, []))[1].append(sample)
        else:
            found.setdefault("ping-pong of 2 ranks, one way", (0, []))[1].append(sample)
    return dict(sorted(found.items()))


def _draw_tiles(axes, machine):
    rates = tile_rates(machine)
    head_dims = sorted({head_dim for head_dim, _ in rates})
    head_dim = max(head_dims, key=lambda dim: (sum(len(points) for (other, _), points in rates.items()
                                                   if other == dim), -dim))
    queries = sorted(query for dim, query in rates if dim == head_dim)
    if len(queries) > 6:
        queries = [queries[round(i * (len(queries) - 1) / 5)] for i in range(6)]
    shades = style.sequence(len(queries))
    legend = []
    for query, colour in zip(queries, shades):
        points = rates[(head_dim, query)]
        style.draw(axes, "measured", f"tile {query} queries", [key for key, _ in points], [rate for _, rate in points],
                   colour, markersize=4.5)
        legend.append((f"{choose.integer(query)}", colour))
    axes.set_title(f"Attention tiles, head_dim {head_dim}")
    style.ring_axis(axes, [key for query in queries for key, _ in rates[(head_dim, query)]], "key tokens of the tile")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("GFLOP/s of one device")
    axes.legend(handles=style.series_handles(legend), title="query tokens", title_fontsize=8, fontsize=8,
                loc="lower right", ncol=2)


def _draw_messages(time_axes, residual_axes, machine):
    legend = []
    samples = message_samples(machine)
    for (words, (flows, points)), colour in zip(message_series(samples).items(), style.COLOURS):
        legend.append((words, colour))
        sizes = [sample["message_bytes"] for sample in points]
        style.draw(time_axes, "measured", words, sizes, [sample["time_s"] for sample in points], colour, line=False,
                   markersize=4.5)
        fitted = [message_fit(machine, size, flows) for size in sizes] if flows else [None]
        if None not in fitted:
            style.draw(time_axes, "analytic", f"fit of {words}", sizes, fitted, colour)
            style.draw(residual_axes, "measured", f"residual of {words}", sizes,
                       [100 * (sample["time_s"] / fit - 1) for sample, fit in zip(points, fitted)], colour, line=False,
                       markersize=4.5)
    for axes in (time_axes, residual_axes):
        axes.set_xscale("log", base=2)
        style.byte_axis(axes, [sample["message_bytes"] for sample in samples])
    style.time_axis(time_axes.yaxis)
    time_axes.set_title("Hops and their fit")
    time_axes.set_ylabel("time of one message")
    time_axes.legend(handles=style.series_handles(legend), fontsize=8, loc="upper left")
    style.guide(residual_axes, "no residual", list(residual_axes.get_xlim()), [0, 0], linestyle="-")
    residual_axes.set_title("Residual of the fit")
    residual_axes.set_ylabel("measured / fit - 1 (%)")


def _draw_hold_out(axes, machine):
    legend = []
    for shares, words, colour in ((False, "a core for every rank", style.COLOURS[2]),
                                  (True, "ranks share cores", style.COLOURS[3])):
        points = [point for point in held_out(machine) if bool(point.get("shares_cores")) == shares]
        if not points:
            continue
        legend.append((words, colour))
        axes.plot([point["measured_s"] for point in points], [point["predicted_s"] for point in points],
                  color=colour, linestyle="none", gid=style.gid(axes, "simulated", f"hold-out {words}") + ".points",
                  **{key: style.KIND_STYLE["simulated"][key] for key in ("marker", "fillstyle", "markersize",
                                                                         "markeredgewidth")})
    times = [point[key] for point in held_out(machine) for key in ("measured_s", "predicted_s")]
    ends = [min(times) * 0.7, max(times) * 1.4]
    style.guide(axes, "diagonal", ends, ends, linestyle="-")
    axes.fill_between(ends, [0.9 * end for end in ends], [1.1 * end for end in ends], color=style.GUIDE_COLOUR,
                      alpha=0.15, linewidth=0, gid=style.gid(axes, "analytic", "ten percent"))
    style.time_axis(axes.xaxis)
    style.time_axis(axes.yaxis)
    axes.set_title("Predicted against measured, held out")
    axes.set_xlabel("measured time")
    axes.set_ylabel("simulated time")
    axes.legend(handles=style.series_handles(legend), fontsize=8, loc="upper left")


def hold_out_median(machine):
    """Median of |predicted / measured - 1|, from the points themselves."""
    points = held_out(machine)
    return statistics.median(abs(point["predicted_s"] / point["measured_s"] - 1) for point in points) if points else None


def draw(results):
    machines = calibrated(results)
    if not machines:
        missing = ("calibrated machine file", CALIBRATE)
        return Drawn(style.missing_figure(*missing), "", [], [], [missing])

    figure, (tiles, hold_out, times, residuals) = style.new_figure(2, 2, height=7.8)
    document = machines[0]
    machine, missing, kinds = document.content, [], ["measured"]
    if tile_rates(machine):
        _draw_tiles(tiles, machine)
    else:
        missing.append(("tile times in the machine file", CALIBRATE))
        style.say_missing(tiles, *missing[-1])
    caption = f"Machine {machine.get('name', document.name)}. "
    hidden = (machine.get("overlap") or {}).get("hidden_fraction")
    if hidden is not None:
        caption += f"Polled progress hides {100 * number_of(hidden):.0f} % of the shorter of a hop and its computing. "
    if message_samples(machine):
        _draw_messages(times, residuals, machine)
        kinds.append("analytic")
    else:
        missing.append(("messages in the machine file", CALIBRATE))
        style.say_missing(times, *missing[-1])
        residuals.set_axis_off()
    if held_out(machine):
        _draw_hold_out(hold_out, machine)
        kinds.insert(1, "simulated")
        error = hold_out_median(machine)
        worst = max(abs(point["predicted_s"] / point["measured_s"] - 1) for point in held_out(machine))
        caption += (f"Every held-out ring was predicted from fits in which it took no part: median error "
                    f"{100 * error:.2g} %, largest {100 * worst:.2g} % over {len(held_out(machine))} rings "
                    "(band: 10 %). ")
    else:
        missing.append(("held-out rings in the machine file", CALIBRATE))
        style.say_missing(hold_out, *missing[-1])
    if len(machines) > 1:
        caption += f"{len(machines) - 1} further machine files are not drawn."
    kind_order = [kind for kind in style.KIND_STYLE if kind in kinds]
    style.finish(figure, [style.kind_handles(kind_order)])
    return Drawn(figure, caption.strip(), kind_order, [document.name], missing)
