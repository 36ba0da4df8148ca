# SPDX-License-Identifier: Apache-2.0
"""Error of the ring against the double-precision reference, beside the bound that it must keep."""
import rows as choose
import style
from figures import SWEEP, drawn

NAME = "equality"
TITLE = "Error against the double-precision reference"
CONTROL_COLOUR = style.COLOURS[1]
PLACEMENTS = ("contiguous", "zigzag", "striped", "replicated_queries")


def is_control(row):
    """Deliberately wrong runs: they must exceed the bound, or the check would prove nothing."""
    return row.get("softmax") == "per_chunk" or (row.get("schedule") == "local_only" and row["ring_size"] > 1)


def _spread_x(found):
    """A factor per (placement, mask) so that points at one ring size stand beside each other."""
    names = sorted({(row.get("placement"), row.get("mask")) for row in found})
    middle = (len(names) - 1) / 2
    return {name: 2 ** ((index - middle) * 0.32 / max(len(names), 4)) for index, name in enumerate(names)}


def draw(results):
    found = choose.select(results.rows, needs=("ring_size", "max_error", "error_bound"), kind="measured", verb="ring")
    right = [row for row in found if not is_control(row)]
    control = [row for row in found if is_control(row)]
    if not found:
        missing = ("verified ring runs", SWEEP)
        return drawn(style.missing_figure(*missing), "", [], [missing])

    figure, (error_axes, share_axes) = style.new_figure(1, 2, height=4.8)
    legend = []
    shift = _spread_x(right)
    colours = dict(zip(PLACEMENTS, (c for c in style.COLOURS if c != CONTROL_COLOUR)))
    for placement, rows in sorted((values[0], rows) for values, rows in choose.groups(right, ("placement",))):
        label, colour = choose.placement_words(placement), colours.get(placement, style.GUIDE_COLOUR)
        legend.append((label, colour))
        x = [row["ring_size"] * shift[(placement, row.get("mask"))] for row in rows]
        # An error of exactly zero has no place on a logarithmic axis; it is drawn at the smallest float32 step.
        style.draw(error_axes, "measured", label, x, [max(row["max_error"], 1e-9) for row in rows], colour, line=False)
        style.draw(share_axes, "measured", label, x,
                   [max(row["max_error"] / row["error_bound"], 1e-4) for row in rows], colour, line=False)
    if control:
        legend.append(("negative control (wrong on purpose)", CONTROL_COLOUR))
        x = [row["ring_size"] for row in control]
        style.draw(error_axes, "measured", "negative control", x, [max(row["max_error"], 1e-9) for row in control],
                   CONTROL_COLOUR, line=False, marker="D")
        style.draw(share_axes, "measured", "negative control", x,
                   [max(row["max_error"] / row["error_bound"], 1e-4) for row in control], CONTROL_COLOUR, line=False,
                   marker="D")
    bounds = sorted({(row["ring_size"], row["error_bound"]) for row in right or control})
    sizes = [row["ring_size"] for row in found]
    highest = {size: max(bound for other, bound in bounds if other == size) for size, _ in bounds}
    lowest = {size: min(bound for other, bound in bounds if other == size) for size, _ in bounds}
    order = sorted(highest)
    error_axes.fill_between(order, [lowest[s] for s in order], [highest[s] for s in order], color=style.GUIDE_COLOUR,
                            alpha=0.15, linewidth=0, gid=style.gid(error_axes, "analytic", "range of bounds"))
    style.guide(error_axes, "bound", order, [highest[size] for size in order], linestyle="-", linewidth=1.2)
    style.guide(share_axes, "bound", [min(sizes) * 0.8, max(sizes) * 1.25], [1.0, 1.0], linestyle="-", linewidth=1.2)
    for axes, title, label in ((error_axes, "Largest error of any output element", "absolute error"),
                               (share_axes, "The same as a share of its bound", "error / bound")):
        style.ring_axis(axes, sizes, "ring size P (ranks)")
        style.plain_log_y(axes, style.small)
        axes.set_title(title)
        axes.set_ylabel(label)
    style.finish(figure, [style.series_handles(legend),
                          style.kind_handles({"measured"})
                          + [style.guide_handle("bound from dtype and length (analytic)", linestyle="-")]])
    caption = (f"{len(right)} runs on real ranks, each compared element by element; every point below the grey line is "
               "equal within the bound derived from dtype, tokens, head_dim and merges (band: where bounds differ). Points at one ring size are drawn side by side, by placement and mask.")
    if control:
        caption += f" {len(control)} negative controls must lie above it."
    return drawn(figure, caption, found, [])
