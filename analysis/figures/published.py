# SPDX-License-Identifier: Apache-2.0
"""What the simulator makes of published tables: predicted over published, table by table."""
import statistics

import rows as choose
import style
from figures import drawn

NAME = "published"
TITLE = "Published tables"
VALIDATE = "ringscale validate --published --output DIR"
ROLES = (("predicted", style.COLOURS[0]), ("fitted", style.COLOURS[1]))


def ratios(found):
    """[(table, role, predicted / published)] in the order of the rows; figures that are 0 have none."""
    return [(row["table"], row["role"], row["predicted"] / row["published"]) for row in found if row["published"] != 0]


def median_error(found):
    """Median of |predicted / published - 1| over predicted rows, or None without any."""
    errors = [abs(ratio - 1) for _, role, ratio in ratios(found) if role == "predicted"]
    return statistics.median(errors) if errors else None


def places(found):
    """(names of the tables, x of every row): each table is a column, its rows lie side by side in it."""
    names = list(dict.fromkeys(row["table"] for row in found))
    counts = {name: sum(row["table"] == name for row in found) for name in names}
    met = dict.fromkeys(names, 0)
    positions = []
    for row in found:
        name = row["table"]
        positions.append(names.index(name) + 0.8 * ((met[name] + 0.5) / counts[name] - 0.5))
        met[name] += 1
    return names, positions


def draw(results):
    found = choose.select(results.rows, needs=("table", "published", "predicted", "role"), verb="validate", kind="simulated")
    found = [row for row in found if row["published"] and row["predicted"]]
    if not found:
        missing = [("simulated figures of published tables", VALIDATE)]
        return drawn(style.missing_figure(*missing[0]), "", [], missing)
    figure, (axes,) = style.new_figure(1, 1)
    names, positions = places(found)
    for role, colour in ROLES:
        chosen = [(x, row["predicted"] / row["published"]) for x, row in zip(positions, found) if row["role"] == role]
        if chosen:
            style.draw(axes, "simulated", role, [x for x, _ in chosen], [y for _, y in chosen], colour, line=False, markersize=4.5)
    style.guide(axes, "exact", [-0.5, len(names) - 0.5], [1, 1])
    style.plain_log_y(axes, lambda value: f"{value:g}")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.3), max(high, 3.5))
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_title("Simulated over published")
    axes.set_ylabel("predicted / published")
    axes.set_xlabel("table")
    style.finish(figure, [style.series_handles([(f"{role} figures", colour) for role, colour in ROLES]),
                          style.kind_handles({"simulated"}) + [style.guide_handle("exact")]])
    error = median_error(found)
    words = "" if error is None else f" The median error of the predicted ones is {100 * error:.3g} %."
    caption = ("Times, rates and FLOP/s that others published, each simulated from its setting alone. Constants that no machine "
               "file has were taken from the fitted figures." + words)
    return drawn(figure, caption, found, [])
