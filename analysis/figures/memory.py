# SPDX-License-Identifier: Apache-2.0
"""Memory per rank against ring size: the designs at fixed tokens, and growth at fixed tokens per rank."""
import rows as choose
import style
from figures import SWEEP, drawn
from load import Row

NAME = "memory"
TITLE = "Memory per rank against ring size"
MIB = 1024.0**2

# Model of a row (see src/memory/memory_model.hpp) -> words and colour. Models that no ring has are drawn only as lines.
DESIGNS = {"ring_sharded": ("ring: queries sharded, scores streamed", style.COLOURS[2]),
           "ring_sharded_materialised": ("ring: queries sharded, scores kept", style.COLOURS[0]),
           "ring_replicated_queries": ("ring: queries replicated, scores streamed", style.COLOURS[3]),
           "ring_replicated_queries_materialised": ("ring: queries replicated, scores kept", style.COLOURS[1]),
           "serial_chunk_loop": ("one device looping over chunks, scores kept", style.COLOURS[5])}


def model_of(row):
    """The memory model of a row: stated by analytic rows, of runs by their placement and kernel."""
    if "model" in row:
        return row["model"]
    replicated = "ring_replicated_queries" if row.get("placement") == "replicated_queries" else "ring_sharded"
    return replicated + ("_materialised" if row.get("kernel") == "materialised" else "")


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
    found = choose.select(results.rows, needs=("ring_size", "memory_peak_bytes", "tokens", "chunk_tokens"))
    return [row for row in choose.valid(found) if model_of(row) in DESIGNS and row.get("schedule") != "local_only"
            and row.get("placement") in ("contiguous", "replicated_queries")]


def closest_model(found, published):
    """(model, largest difference in bytes) of the analytic model nearest to the published series; None without both."""
    printed = {row["ring_size"]: row["memory_peak_bytes"] for row in published}
    by_model = {}
    for row in found:
        if row["kind"] == "analytic" and row["ring_size"] in printed:
            difference = abs(row["memory_peak_bytes"] - printed[row["ring_size"]])
            by_model.setdefault(model_of(row), {})[row["ring_size"]] = difference
    whole = {model: max(parts.values()) for model, parts in by_model.items() if len(parts) == len(printed)}
    return min(whole.items(), key=lambda item: item[1]) if whole and printed else None


def _is_curve(found):
    """Whether any design has two ring sizes: fewer make no figure."""
    return any(len({row["ring_size"] for row in found if model_of(row) == model}) > 1 for model in DESIGNS)


def _spread(found):
    """How many ring sizes a group covers, first of all where several designs are compared."""
    designs = len({model_of(row) for row in found})
    return designs, len({row["ring_size"] for row in found}), len(found)


def _best(found, key, wanted=None):
    """The rows of one problem with one value of `key` that tell most: `wanted` if there is any, else most spread."""
    candidates = [item for item in choose.groups(found, choose.SHAPE + (key,)) if _is_curve(item[1])]
    if not candidates:
        return []
    matching = [rows for values, rows in candidates if wanted is not None and values[-1] == wanted]
    return max(matching or [rows for _, rows in candidates], key=_spread)


def _draw_designs(axes, found, published, used, shown):
    for design, (words, colour) in DESIGNS.items():
        mine = [row for row in found if model_of(row) == design]
        if len({row["ring_size"] for row in mine}) < 2:
            continue
        shown.setdefault(words, colour)
        for kind in ("analytic", "simulated", "measured"):
            points = choose.by([row for row in mine if row["kind"] == kind], "ring_size")
            if points:
                # Memory is a count, the same in every run: a line through measured points would only hide the
                # closed form that they must lie on.
                style.draw(axes, kind, words, [row["ring_size"] for row in points],
                           [row["memory_peak_bytes"] for row in points], colour,
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


def closed_forms(rows):
    """The closed form beside each measured row, as rows of their own; from runs that state it."""
    return [Row({**row, "kind": "analytic", "memory_peak_bytes": row["memory_closed_form_bytes"]}, row.source)
            for row in rows if row["kind"] == "measured" and "memory_closed_form_bytes" in row]


def _title(words, rows, key, per=""):
    return f"{words}: {choose.integer(rows[0][key])} tokens{per}\n{choose.shape_words(rows[0])}"


def _growing(found):
    """Rows at a fixed number of tokens per rank, of the problem that reaches farthest."""
    weak = [row for row in found if row["tokens"] == row["chunk_tokens"] * row["ring_size"]]
    candidates = [rows for _, rows in choose.groups(weak, choose.SHAPE + ("chunk_tokens",)) if _is_curve(rows)]
    return max(candidates, default=[], key=lambda rows: (max(row["ring_size"] for row in rows), len(rows)))


def draw(results):
    found = _usable(results)
    published = published_series(results)
    strong = _best(found, "tokens", published[0]["tokens"] if published else None)
    measured = _best([row for row in found if row["kind"] == "measured"], "tokens")
    weak = _growing(found)
    if not (strong or weak or measured or published):
        missing = ("memory rows", SWEEP)
        return drawn(style.missing_figure(*missing), "", [], [missing])

    figure, (fixed_tokens, on_ranks, fixed_chunk) = style.new_figure(1, 3, width=13.5, height=4.9)
    used, shown, missing = [], {}, []
    same = [row for row in published if not strong or row["tokens"] == strong[0]["tokens"]]
    if not (strong or same):
        missing.append(("memory rows at fixed tokens", SWEEP))
        style.say_missing(fixed_tokens, *missing[-1])
    else:
        _draw_designs(fixed_tokens, strong, same, used, shown)
        fixed_tokens.set_title(_title("Fixed", strong, "tokens") if strong else
                               f"Fixed: {choose.integer(same[0]['tokens'])} tokens")
    if measured:
        _draw_designs(on_ranks, measured + closed_forms(measured), [], used, shown)
        on_ranks.set_title(_title("On real ranks", measured, "tokens"))
    else:
        missing.append(("memory measured on real ranks", SWEEP))
        style.say_missing(on_ranks, *missing[-1])
    if weak:
        _draw_designs(fixed_chunk, weak, [], used, shown)
        fixed_chunk.set_title(_title("Growing", weak, "chunk_tokens", " per rank"))
    else:
        missing.append(("memory rows at a fixed number of tokens per rank", SWEEP))
        style.say_missing(fixed_chunk, *missing[-1])

    shown = {words: colour for words, colour in DESIGNS.values() if words in shown}
    style.finish(figure, [style.series_handles(shown.items()), style.kind_handles({row["kind"] for row in used})])
    caption = ("Left: what a rank needs for one fixed problem. Where queries are replicated only keys, values and scores are "
               "divided, so the line flattens at the size of the whole queries; the sharded, streamed ring falls as 1/P. "
               "Middle: the ledger's high-water mark on real ranks, on the closed form. Right: the problem grows with the "
               "ring. The published figures say MB and are read as MiB.")
    nearest = closest_model(strong, published)
    if nearest:
        caption += (f" Of the designs drawn, the published series is nearest to: {DESIGNS[nearest[0]][0]} (largest "
                    f"difference {choose.size(nearest[1])}).")
    return drawn(figure, caption, used, missing)
