# SPDX-License-Identifier: Apache-2.0
"""How each kind of number looks, in one table: a simulated point can never be taken for a measured one."""
import io
import math
import re
import statistics

import matplotlib

import rows as choose

# The back end is chosen before pyplot is imported (E402): batch nodes have no display.
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator  # noqa: E402

# Marker, fill and line of every kind; no two kinds share any of them except where a kind has none.
KIND_STYLE = {
    "measured": {"marker": "o", "fillstyle": "full", "linestyle": "-", "linewidth": 1.8, "markersize": 5.5},
    "simulated": {"marker": "s", "fillstyle": "none", "linestyle": (0, (4, 2)), "linewidth": 1.5, "markersize": 8.5,
                  "markeredgewidth": 1.3},
    "analytic": {"marker": "", "fillstyle": "none", "linestyle": "-", "linewidth": 0.8, "markersize": 0.0},
    "published": {"marker": "x", "fillstyle": "full", "linestyle": "none", "linewidth": 0.0, "markersize": 8.0,
                  "markeredgewidth": 1.8},
}
KIND_WORDS = {
    "measured": "measured on real ranks",
    "simulated": "simulated from a machine file",
    "analytic": "analytic (closed form, no run)",
    "published": "published (printed in the judged document)",
}
INTERVAL_WORDS = {"measured": " (bar: interval of the median, 95 % where the samples allow)",
                  "simulated": " (band: its interval)"}

# Okabe and Ito's palette without its yellow, which is too light on white; readable for every colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#7A5195", "#000000")
PUBLISHED_COLOUR = "#000000"
GUIDE_COLOUR = "#767676"

SETTINGS = {
    "svg.hashsalt": "ringscale", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 10,
    "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 10,
    "axes.labelsize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.7, "axes.axisbelow": True, "legend.frameon": False,
    "legend.fontsize": 9, "figure.facecolor": "white", "savefig.facecolor": "white", "xtick.labelsize": 9,
    "ytick.labelsize": 9, "axes.unicode_minus": False,
}


def new_figure(rows, columns, width=10.5, height=4.6):
    """A figure and its axes as a flat list."""
    plt.rcParams.update(SETTINGS)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes.flat)


def slug(text):
    """A text as part of an SVG id."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")


def gid(axes, kind, series):
    """Id of a drawn series in the SVG: its kind, the number of its panel and its name."""
    return f"{kind}.{axes.figure.axes.index(axes) + 1}.{slug(series)}"


def draw(axes, kind, series, x, y, colour, low=None, high=None, line=True, **changes):
    """Draws one series in the style of its kind. low and high (same length as y) are the ends of the interval.

    Several points at one x keep their own markers; the line runs through their medians.
    """
    if kind not in KIND_STYLE:
        raise ValueError(f"unknown kind {kind!r}")
    look = {**KIND_STYLE[kind], **changes}
    name = gid(axes, kind, series)
    if line and look["linestyle"] != "none":
        middle = {}
        for position, value in zip(x, y):
            middle.setdefault(position, []).append(value)
        positions = sorted(middle)
        values = [statistics.median(middle[p]) for p in positions]
        axes.plot(positions, values, color=colour, linestyle=look["linestyle"], linewidth=look["linewidth"],
                  gid=name + ".line", zorder=2)
    if look["marker"]:
        axes.plot(x, y, color=colour, linestyle="none", marker=look["marker"], fillstyle=look["fillstyle"],
                  markersize=look["markersize"], markeredgewidth=look.get("markeredgewidth", 1.0),
                  gid=name + ".points", zorder=4 if kind == "published" else 3)
    if low is not None and high is not None and len(y):
        if kind == "simulated":
            order = sorted(range(len(x)), key=lambda i: x[i])
            axes.fill_between([x[i] for i in order], [low[i] for i in order], [high[i] for i in order], color=colour,
                              alpha=0.15, linewidth=0, gid=name + ".interval", zorder=1)
        else:
            below = [max(value - end, 0.0) for value, end in zip(y, low)]
            above = [max(end - value, 0.0) for value, end in zip(y, high)]
            bars = axes.errorbar(x, y, yerr=[below, above], fmt="none", ecolor=colour, elinewidth=1.2, capsize=3,
                                 zorder=3)
            for part in bars.lines[2]:
                part.set_gid(name + ".interval")


def guide(axes, name, x, y, label="", **changes):
    """A thin grey line to compare with: an ideal, a bound, a diagonal; its kind is analytic."""
    look = {"color": GUIDE_COLOUR, "linewidth": 0.9, "linestyle": (0, (1, 2)), **changes}
    axes.plot(x, y, gid=gid(axes, "analytic", name), zorder=1.5, label=label or None, **look)


def label_ends(axes, ends, gap=11.0):
    """Writes (x, y, text, colour) to the right of points on a logarithmic y axis, pushed apart to `gap` points.

    Comes after finish(), which settles how long a decade is on the page.
    """
    height = axes.get_position().height * axes.figure.get_figheight() * 72.0
    low, high = (math.log10(end) for end in axes.get_ylim())
    previous = None
    for x, y, words, colour in sorted(ends, key=lambda end: end[1]):
        place = (math.log10(y) - low) / (high - low) * height
        shown = place if previous is None else max(place, previous + gap)
        previous = shown
        axes.annotate(words, xy=(x, y), xytext=(10, shown - place), textcoords="offset points", ha="left", va="center",
                      fontsize=8.5, color=colour, annotation_clip=False)


def kind_handles(kinds, intervals=False):
    """Legend entries that say in words what the marks mean, in the order of KIND_STYLE; and, where the figure has
    them, what the bars and bands are."""
    handles = []
    for kind, look in KIND_STYLE.items():
        if kind not in kinds:
            continue
        words = KIND_WORDS[kind] + (INTERVAL_WORDS.get(kind, "") if intervals else "")
        handles.append(Line2D([], [], color="#333333", label=words, **look))
    return handles


def series_handles(series):
    """Legend entries of colours: pairs of (label, colour)."""
    return [Patch(facecolor=colour, edgecolor="none", label=label) for label, colour in series]


def guide_handle(label, **changes):
    look = {"color": GUIDE_COLOUR, "linewidth": 0.9, "linestyle": (0, (1, 2)), **changes}
    return Line2D([], [], label=label, **look)


def ring_axis(axes, sizes, label="ring size P (devices)"):
    """A log-2 axis of ring sizes with at most nine labelled powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xlabel(label)
    sizes = [size for size in sizes if size > 0] or [1, 2]
    last = math.ceil(math.log2(max(max(sizes), 2)))
    first = math.floor(math.log2(min(sizes)))
    step = max(1, math.ceil((last - first) / 9))
    ticks = [2**power for power in range(first, last + 1, step)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(round(value)):,}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(2 ** (first - 0.35), 2 ** (last + 0.35))
    if max(sizes) > 2000:
        for tick in axes.get_xticklabels():
            tick.set_rotation(35)
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")


def byte_axis(axes, sizes):
    """A log-2 axis of bytes, labelled every four powers of two at most."""
    ticks = [2**power for power in range(0, 51, 4) if min(sizes) / 2 <= 2**power <= max(sizes) * 2]
    axes.xaxis.set_major_locator(FixedLocator(ticks or [min(sizes)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: choose.size(value).replace("bytes", "B")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("bytes")


def sequence(count):
    """Ordered colours from dark to light that stay readable on white and in grey."""
    palette = matplotlib.colormaps["viridis"]
    return [matplotlib.colors.to_hex(palette(0.85 * index / max(count - 1, 1))) for index in range(count)]


def log_axis(axis):
    """Decades labelled, at most eight of them; no minor labels that would overlap."""
    axis.set_major_locator(LogLocator(base=10, numticks=8))
    axis.set_minor_formatter(NullFormatter())


TIMES_S = ([10.0**power for power in range(-9, 2)] + [60.0, 600.0, 3600.0, 36000.0, 86400.0 * 4, 86400.0 * 40]
           + [365.25 * 86400.0 * 10**power for power in range(0, 12)])


def time_axis(axis):
    """A logarithmic axis of seconds with ticks at times that people say."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = sorted(axis.get_view_interval())
    ticks = [time for time in TIMES_S if low <= time <= high]
    if len(ticks) < 3:  # less than two decades: halve and double too
        ticks = [time * part for time in TIMES_S for part in (1, 2, 5) if low <= time * part <= high]
    axis.set_major_locator(FixedLocator(ticks[::-(-len(ticks) // 8)] if ticks else [low]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: choose.seconds(value)))


def memory_axis(axes):
    """A logarithmic y axis of bytes in powers of two."""
    axes.set_yscale("log", base=2)
    low, high = (math.log2(end) for end in axes.get_ylim())
    step = max(1, math.ceil((high - low) / 8))
    axes.yaxis.set_major_locator(FixedLocator([2.0**power for power in range(math.ceil(low), math.floor(high) + 1, step)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: choose.size(value)))


def large(value):
    """Axis label of a rate: 100 k, 10 M, 1 G; decimals below one."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g}"


def small(value):
    """Axis label of an error: 1e-6 without padding."""
    if value >= 1e-3:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def plain_log_y(axes, formatter):
    """A logarithmic y axis whose labels are made by formatter(value)."""
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formatter(value)))


def say_missing(axes, what, command):
    """Fills an empty panel with what is missing and the command that makes it."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"No {what} in these results.\n\nMake them with:\n{command}", ha="center", va="center",
              transform=axes.transAxes, fontsize=9, color="#555555", wrap=True, gid=gid(axes, "missing", what))


def missing_figure(what, command):
    """A small figure that only says what is missing."""
    figure, (axes,) = new_figure(1, 1, height=1.5)
    say_missing(axes, what, command)
    figure.tight_layout()
    return figure


def finish(figure, legends, right=0.0):
    """Places the legends (lists of handles) below the panels, in rows, without overlap; `right` inches stay free."""
    renderer = figure.canvas.get_renderer()
    height = figure.get_figheight()
    offset = 0.06
    for handles in reversed([group for group in legends if group]):
        columns = len(handles)
        while True:
            legend = figure.legend(handles=handles, loc="lower center", ncol=columns, borderaxespad=0.0,
                                   bbox_to_anchor=(0.5, offset / height), handlelength=2.6, columnspacing=1.6)
            box = legend.get_window_extent(renderer)
            if columns == 1 or box.width < 0.98 * figure.bbox.width:
                break
            legend.remove()
            columns -= 1
        offset += box.height / figure.dpi + 0.02
    figure.tight_layout(rect=(0, (offset - 0.04) / height, 1 - right / figure.get_figwidth(), 1), w_pad=2.2, h_pad=1.6)


def svg_text(figure):
    """The figure as SVG text without dates: the same input gives the same bytes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def png_bytes(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def close(figure):
    plt.close(figure)
