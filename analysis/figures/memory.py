# SPDX-License-Identifier: Apache-2.0
"""Memory per rank against ring size: the designs at fixed tokens, and growth at fixed tokens per rank."""
import rows as choose
import style
from figures import SWEEP, drawn
from load import Row

NAME = "memory"
TITLE = "Memory per rank against ring size"
MIB = 1024.0**2

DESIGNS = {("contiguous", "streamed"): "queries sharded, scores streamed",
           ("contiguous", "materialised"): "queries sharded, scores kept",
           ("replicated_queries", "streamed"): "queries replicated, scores streamed",
           ("replicated_queries", "materialised"): "queries replicated, scores kept"}
COLOUR = dict(zip(DESIGNS, (style.COLOURS[2], style.COLOURS[0], style.COLOURS[3], style.COLOURS[1])))


def published_series(results):
    """The judged documents' memory by ring size. They print "MB"; the numbers only fit when read as MiB
    (2048 = 8192^2 x 8 heads x 4 bytes / 2^20), so they are drawn so."""
    claim = results.published.get("ring-size-memory-series")
    if claim is None:
        return []
    values = claim.get("values", {})
    found = []
    for line in values.get("rows", []):
        if "ring_size" in line and "memory_mb" in line:
            found.append(Row({"kind": "published", "ring_size": line["ring_size"],
                              "tokens": values.get("sequence_length_tokens", 8192),
                              "memory_peak_bytes": line["memory_mb"] * MIB}, claim.source))
    return found


def _usable(results):
    found = choose.select(results.rows, needs=("ring_size", "memory_peak_bytes", "tokens", "chunk_tokens"),
                          schedule="ring")
    return [row for row in found if (row.get("placement"), row.get("kernel")) in DESIGNS
            and row.get("verdict", "valid") == "valid"]


def _spread(found):
    """How many ring sizes a group covers, first of all where several designs are compared."""
    designs = len({(row["placement"], row["kernel"]) for row in found})
    return designs, len({row["ring_size"] for row in found}), len(found)


def _best(found, key, wanted=None):
    """The rows of one problem with one value of `key` that tell most: `wanted` if there is any, else most spread."""
    candidates = choose.groups(found, choose.SHAPE + (key,))
    if not candidates:
        return []
    matching = [rows for values, rows in candidates if wanted is not None and values[-1] == wanted]
    return max(matching or [rows for _, rows in candidates], key=_spread)


def _draw_designs(axes, found, published, used, shown):
    for design, words in DESIGNS.items():
        mine = [row for row in found if (row["placement"], row["kernel"]) == design]
        if len({row["ring_size"] for row in mine}) < 2:
            continue
        shown.setdefault(words, COLOUR[design])
        for kind in ("analytic", "simulated", "measured"):
            points = choose.by([row for row in mine if row["kind"] == kind], "ring_size")
            if points:
                # Memory is a count, the same in every run: a line through measured points would only hide the
                # closed form that they must lie on.
                style.draw(axes, kind, words, [row["ring_size"] for row in points],
                           [row["memory_peak_bytes"] for row in points], COLOUR[design],
                           line=kind == "analytic")
                used.extend(points)
    if published:
        style.draw(axes, "published", "ring size series", [row["ring_size"] for row in published],
                   [row["memory_peak_bytes"] for row in published], style.PUBLISHED_COLOUR)
        used.extend(published)
    sizes = [row["ring_size"] for row in found + published]
    style.ring_axis(axes, sizes)
    style.memory_axis(axes)
    axes.set_ylabel("memory of one rank")


def draw(results):
    found = _usable(results)
    published = published_series(results)
    figure, (fixed_tokens, fixed_chunk) = style.new_figure(1, 2)
    used, shown, missing = [], {}, []

    strong = _best(found, "tokens", published[0]["tokens"] if published else None)
    if strong or published:
        if strong:
            title = f"Fixed problem: {choose.integer(strong[0]['tokens'])} tokens\n{choose.shape_words(strong[0])}"
        else:
            title = f"Fixed problem: {choose.integer(published[0]['tokens'])} tokens"
        fixed_tokens.set_title(title)
        same = [row for row in published if not strong or row["tokens"] == strong[0]["tokens"]]
        _draw_designs(fixed_tokens, strong, same, used, shown)
    else:
        missing.append(("memory rows", SWEEP))
        style.say_missing(fixed_tokens, *missing[-1])

    # One design per line is enough here; the fixed chunk that reaches farthest says most.
    weak = [row for row in found if row["tokens"] == row["chunk_tokens"] * row["ring_size"]]
    candidates = choose.groups(weak, choose.SHAPE + ("chunk_tokens",))
    if candidates:
        weak = max((rows for _, rows in candidates),
                   key=lambda rows: (len({row["ring_size"] for row in rows}) > 1, max(row["ring_size"] for row in rows)))
        fixed_chunk.set_title(f"Growing problem: {choose.integer(weak[0]['chunk_tokens'])} tokens per rank\n"
                              f"{choose.shape_words(weak[0])}")
        _draw_designs(fixed_chunk, weak, [], used, shown)
    else:
        missing.append(("memory rows at a fixed number of tokens per rank", SWEEP))
        style.say_missing(fixed_chunk, *missing[-1])

    kinds = {row["kind"] for row in used}
    style.finish(figure, [style.series_handles(shown.items()), style.kind_handles(kinds)])
    caption = ("Left: what a rank needs for one fixed problem. Only the scores are divided when queries are replicated, so that "
               "design flattens at the size of its inputs; the sharded, streamed ring falls as 1/P. "
               "Right: the problem grows with the ring. Bytes are counted by the ledger (high-water mark over all "
               "purposes); the published figures say MB and are read as MiB.")
    return drawn(figure, caption, used, missing)
