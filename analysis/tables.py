# SPDX-License-Identifier: Apache-2.0
"""The page's tables of rows, definitions, documents and provenance."""
import rows as choose
from html_parts import kind_badge, table, text, value, verdict_badge

# What a reader wants to see of a row, in this order; a column appears when a row of the table has it.
COLUMNS = (
    ("ring_size", "P", choose.integer), ("tokens", "tokens", choose.integer),
    ("chunk_tokens", "tokens per rank", choose.integer), ("schedule", "schedule", str),
    ("placement", "placement", choose.placement_words), ("mask", "mask", str), ("kernel", "kernel", str),
    ("softmax", "softmax", choose.placement_words), ("query_heads", "query heads", choose.integer),
    ("kv_heads", "kv heads", choose.integer), ("head_dim", "head_dim", choose.integer), ("dtype", "dtype", str),
    ("messages", "messages", choose.integer), ("message_bytes", "message", choose.size),
    ("time_s", "time", choose.seconds), ("time_s_interval", "interval of time", None),
    ("tokens_per_s", "tokens/s", choose.number), ("tokens_per_s_per_device", "tokens/s per device", choose.number),
    ("gflop_per_s", "GFLOP/s", choose.number), ("share_of_peak", "share of peak", choose.number),
    ("memory_peak_bytes", "memory per rank", choose.size), ("max_error", "largest error", choose.number),
    ("error_bound", "error bound", choose.number), ("compute_s", "compute", choose.seconds),
    ("exposed_communication_s", "exposed communication", choose.seconds), ("progress", "progress", str),
    ("hops", "hops", choose.integer), ("wall_s", "simulator's own time", choose.seconds), ("machine", "machine", str),
    ("ranks_per_core", "ranks per core", choose.number), ("samples_s", "samples", None), ("verdict", "verdict", str),
)
NUMERIC = {choose.integer, choose.number, choose.seconds, choose.size}


def _cell(row, key, show):
    if key not in row or row[key] is None:
        return ""
    if key == "time_s_interval":
        interval = row[key]
        reached = interval.get("confidence")
        if not reached:  # nothing is known about the spread, for instance of a machine that was never calibrated
            return ""
        words = f"{choose.seconds(interval['low'])} to {choose.seconds(interval['high'])}"
        return text(words + (f" ({100 * reached:.0f} %)" if isinstance(reached, (int, float)) else ""))
    if key == "samples_s":
        return text(len(row[key]))
    try:
        return text(show(row[key]))
    except (TypeError, ValueError):
        return text(row[key])


def rows_table(found):
    """A table of result rows with the columns that they have; what is the same in all rows is said once above."""
    columns, same = [], []
    for key, label, show in COLUMNS:
        cells = [_cell(row, key, show) for row in found]
        if not any(cells):
            continue
        if len(found) > 2 and len(set(cells)) == 1 and key not in ("ring_size", "time_s"):
            same.append(f"{text(label)} {cells[0]}")
        else:
            columns.append((key, label, show, cells))
    headers = [("kind", "")] + [(label, "number" if show in NUMERIC else "") for _, label, show, _ in columns]
    headers.append(("file", "place"))
    lines = [[kind_badge(row["kind"])] + [cells[index] for *_, cells in columns] + [text(row.source)]
             for index, row in enumerate(found)]
    said = f'<p class="note">The same in all of them: {", ".join(same)}.</p>' if same else ""
    return said + table(headers, lines, style="rowtable", tall=True)


def rows_sections(results):
    """Collapsed tables of all rows, by verb and kind."""
    parts = []
    for (verb, kind), found in sorted(choose.groups(results.rows, ("verb", "kind")), key=lambda item: str(item[0])):
        parts.append(f'<details class="rows"><summary>{text(verb or "other")}, {text(kind)}: {len(found)} '
                     f'row{"s" if len(found) != 1 else ""}</summary>{rows_table(found)}</details>')
    return "\n".join(parts)


def definitions_table(definitions):
    parts = []
    for section in dict.fromkeys(entry.section for entry in definitions):
        lines = [[text(entry.quantity), f"<code>{text(entry.formula)}</code>", text(entry.source)]
                 for entry in definitions if entry.section == section]
        parts.append(f"<h3>{text(section)}</h3>" + table([("quantity", ""), ("formula", "wide"), ("computed in", "place")],
                                                        lines, style="wide-place"))
    return "\n".join(parts)


def documents_table(results):
    """Every input with the start of its checksum; report.json has them whole."""
    lines = [[text(document.name), text(document.schema.removeprefix("ringscale.")),
              text(str(document.content.get("verb") or document.content.get("name") or "")),
              verdict_badge(document.content["verdict"], "") if isinstance(document.content.get("verdict"), str) else "",
              text(document.sha256[:16])] for document in results.documents]
    return table([("file", "place"), ("document", ""), ("verb or name", ""), ("verdict", ""), ("sha256", "place")], lines)


def _flat(provenance):
    """Name and value pairs; objects one level down get their own lines."""
    for key, item in provenance.items():
        if isinstance(item, dict):
            yield from ((f"{key} {inner}", part) for inner, part in item.items())
        else:
            yield key, item


def provenance_table(results):
    """What every run says about where it ran; equal statements of several documents stand once."""
    merged = {}
    for document in results.documents:
        provenance = document.content.get("provenance")
        if isinstance(provenance, dict):
            for key, item in _flat(provenance):
                merged.setdefault(key, {}).setdefault(value(item), []).append(document.name)
    lines = []
    for key, items in merged.items():
        if len(items) == 1:
            shown = next(iter(items))
        elif len(items) <= 6:
            shown = "<br>".join(f'{item} <span class="small">({text(", ".join(names))})</span>'
                                for item, names in items.items())
        else:
            shown = f"{len(items)} different values, one per document"
        lines.append([text(key.replace("_", " ")), shown])
    return table([("fact", ""), ("value", "")], lines, style="facts") if lines else "<p>No document carries its provenance.</p>"
