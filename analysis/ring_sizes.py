#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the curve over ring sizes of a `ringscale plan --tokens T --devices N --json` document.

    python3 analysis/ring_sizes.py DOCUMENT FIGURE

FIGURE ends in .svg or .png and must not be there yet. Time is simulated and drawn as such, memory is analytic.
Exit codes: 0 done, 2 bad input.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

# The modules lie beside this script, so its folder is put on the path before they are imported (E402).
import load  # noqa: E402
import style  # noqa: E402


def read_curve(path):
    """The document and its rows by ring size. Raises load.BadInput for another document."""
    document = load.read_document(Path(path), Path(path).name).content
    if document["schema"] != "ringscale.sizing" or document.get("schema_version") != 1:
        raise load.BadInput(f'{path}: $.schema is "{document["schema"]}"; expected "ringscale.sizing", version 1')
    if document.get("question") != "best_configuration":
        raise load.BadInput(f'{path}: $.question is "{document.get("question")}"; the curve is in answers to --tokens with '
                            '--devices')
    return document, document["by_ring_size"]


def times(rows):
    """Of the rows with a time: ring sizes, times, lower and upper ends of their intervals."""
    timed = [row for row in rows if row["kind"] == "simulated"]
    interval = [row["time_s_interval"] for row in timed]
    return ([row["ring_size"] for row in timed], [row["time_s"] for row in timed],
            [one["low"] for one in interval], [one["high"] for one in interval])


def draw(document, rows):
    """The figure: time of the best configuration of each ring size, and the memory of its devices."""
    figure, (time_axes, memory_axes) = style.new_figure(1, 2)
    colour = style.COLOURS[0]
    sizes, seconds, low, high = times(rows)
    machine = document["machine"]
    if sizes:
        style.draw(time_axes, "simulated", machine["name"], sizes, seconds, colour, low, high)
        style.time_axis(time_axes.yaxis)
        style.ring_axis(time_axes, [row["ring_size"] for row in rows])
        time_axes.set_ylabel("time of the batch, simulated")
    else:
        style.say_missing(time_axes, "times", "ringscale plan with more memory, fewer tokens or more --most-steps")
    time_axes.set_title(f"{rows[0]['tokens']:,} tokens on {machine['name']}")
    held = [row for row in rows if row["memory_peak_bytes"] is not None]
    style.draw(memory_axes, "analytic", "memory", [row["ring_size"] for row in held],
               [row["memory_peak_bytes"] for row in held], colour)
    style.guide(memory_axes, "budget", [min(row["ring_size"] for row in rows), max(row["ring_size"] for row in rows)],
                [machine["budget_bytes"]] * 2)
    style.memory_axis(memory_axes)
    style.ring_axis(memory_axes, [row["ring_size"] for row in rows])
    memory_axes.set_ylabel("memory per device, analytic")
    memory_axes.set_title("The device with the most")
    style.finish(figure, [style.kind_handles({"simulated", "analytic"}, intervals=low != high) +
                          [style.guide_handle("memory for attention")]])
    return figure


def make_figure(source, target):
    """Writes the figure; raises load.BadInput for a user's mistake, and then writes nothing."""
    target = Path(target)
    kinds = {".svg": lambda figure: style.svg_text(figure).encode("utf-8"), ".png": style.png_bytes}
    if target.suffix not in kinds:
        raise load.BadInput(f"{target}: a figure ends in .svg or .png")
    figure = draw(*read_curve(source))
    data = kinds[target.suffix](figure)
    style.close(figure)
    try:
        with open(target, "xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise load.BadInput(f"{target}: is there already; give another name") from error
    except OSError as error:
        raise load.BadInput(f"{target}: cannot be written: {error.strerror}") from error


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="ring_sizes.py", description="Draws a plan's curve over ring sizes.")
    parser.add_argument("document", metavar="DOCUMENT", help="what plan --tokens T --devices N --json printed")
    parser.add_argument("figure", metavar="FIGURE", help="new .svg or .png")
    options = parser.parse_args(arguments)
    try:
        make_figure(options.document, options.figure)
    except load.BadInput as mistake:
        print(f"ring_sizes: {mistake}", file=sys.stderr)
        return 2
    print(options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
