# SPDX-License-Identifier: Apache-2.0
"""What merging many blocks costs in accuracy, with the partial kept in float32 or rounded to the storage's dtype."""
import math

import rows as choose
import style
from figures import drawn

NAME = "merging"
TITLE = "Error against the number of merged blocks"
COMMAND = "ringscale sweep experiments/merge-error.json --output DIR"
UNIT_ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}
COLOURS = {("float32", "float32"): style.COLOURS[6], ("bfloat16", "float32"): style.COLOURS[4],
           ("bfloat16", "bfloat16"): style.COLOURS[1], ("float16", "float32"): style.COLOURS[3],
           ("float16", "float16"): style.COLOURS[2]}


def series_words(dtype, merge_dtype):
    return f"{dtype} tensors, partial in {merge_dtype}"


def growth_exponent(found):
    """Slope of log(mean error) over log(blocks) from the first to the last row: 0.5 for a random walk."""
    first, last = (choose.by(found, "merged_blocks")[index] for index in (0, -1))
    if first["merged_blocks"] == last["merged_blocks"] or not first["mean_error"] or not last["mean_error"]:
        return None
    return math.log(last["mean_error"] / first["mean_error"]) / math.log(last["merged_blocks"] / first["merged_blocks"])


def draw(results):
    found = choose.valid(choose.select(results.rows, needs=("merged_blocks", "mean_error", "max_error_median"),
                                       kind="measured", verb="attention"))
    if not found:
        missing = ("merged blocks", COMMAND)
        return drawn(style.missing_figure(*missing), "", [], [missing])
    figure, panels = style.new_figure(1, 2, height=5.2)
    legend = []
    sizes = [row["merged_blocks"] for row in found]
    for (dtype, merge_dtype), members in sorted(choose.groups(found, ("dtype", "merge_dtype"))):
        members = choose.by(members, "merged_blocks")
        colour = COLOURS.get((dtype, merge_dtype), style.GUIDE_COLOUR)
        legend.append((series_words(dtype, merge_dtype), colour))
        for axes, quantity in zip(panels, ("mean_error", "max_error")):
            limits = [row.get(f"{quantity}_interval") or {} for row in members]
            values = [row[f"{quantity}_median"] for row in members]
            style.draw(axes, "measured", series_words(dtype, merge_dtype), [row["merged_blocks"] for row in members],
                       values, colour, low=[limit.get("low", value) for limit, value in zip(limits, values)],
                       high=[limit.get("high", value) for limit, value in zip(limits, values)])
    span = [min(sizes), max(sizes)]
    levels = [row["output_rms"] for row in found if row.get("output_rms")]
    for axes in panels:
        for dtype, unit in UNIT_ROUNDOFF.items():
            if levels:
                style.guide(axes, f"roundoff-{dtype}", span, [unit * max(levels)] * 2, linestyle="--")
    for axes, title in zip(panels, ("Mean over the output's elements", "Largest element")):
        style.ring_axis(axes, sizes, "blocks merged, the same keys in all")
        style.plain_log_y(axes, style.small)
        axes.set_title(title)
        axes.set_ylabel("absolute error")
    guides = [style.guide_handle("unit roundoff of bfloat16, float16, float32 (from above) times the output's root mean square",
                                 linestyle="--")] if levels else []
    style.finish(figure, [style.series_handles(legend), style.kind_handles({"measured"}, intervals=True), guides])
    rounded = {row["dtype"]: [] for row in found if row["merge_dtype"] != "float32"}
    for row in found:
        if row["merge_dtype"] != "float32":
            rounded[row["dtype"]].append(row)
    exponents = {dtype: growth_exponent(members) for dtype, members in sorted(rounded.items())}
    growth = [f"{dtype}: power {value:.2f}" for dtype, value in exponents.items() if value is not None]
    caption = ("Attention over the same keys, cut into ever more blocks that are met one after the other, against exact "
               "attention of the same stored tensors in double precision; medians over seeds.")
    if growth:
        caption += (" A partial that is rounded after every block errs more with every merge, about as a random walk "
                    f"would (power 0.5 of the number of blocks; found {', '.join(growth)}).")
    return drawn(figure, caption, found, [])
