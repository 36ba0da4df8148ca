# SPDX-License-Identifier: Apache-2.0
"""Small pieces of HTML: escaped text, badges, tables that scroll inside themselves, inlined SVG."""
import re
from html import escape

import rows as choose
from summary import VERDICT_WORDS


def text(value):
    return escape(str(value), quote=True)


def kind_badge(kind):
    return f'<span class="kind {text(kind)}">{text(kind)}</span>'


def verdict_badge(verdict, suffix=""):
    style = verdict if verdict in VERDICT_WORDS else "other"
    return f'<span class="verdict {style}">{text(VERDICT_WORDS.get(verdict, verdict))}{text(suffix)}</span>'


def value(entry, depth=0):
    """Any JSON value as readable HTML: numbers shortened, objects as name and value, long lists summed up."""
    if entry is None:
        return "-"
    if isinstance(entry, (bool, int, float)):
        return text(choose.number(entry))
    if isinstance(entry, str):
        return text(entry)
    if isinstance(entry, list):
        if len(entry) > 12 and all(isinstance(item, (int, float)) for item in entry):
            return text(f"{len(entry)} numbers from {choose.number(min(entry))} to {choose.number(max(entry))}")
        return ("; " if depth == 0 else ", ").join(value(item, depth + 1) for item in entry)
    return ", ".join(f"{text(key)} {value(item, depth + 1)}" for key, item in entry.items())


def number_with_name(name, entry):
    """A number in the unit that its name ends in: seconds and bytes are shown as people say them."""
    if isinstance(entry, (int, float)) and not isinstance(entry, bool):
        if name.endswith("_per_s"):
            return text(choose.number(entry))
        if name.endswith("_s"):
            return text(choose.seconds(entry))
        if name.endswith("_bytes"):
            return text(choose.size(entry))
    return value(entry)


def table(headers, lines, style="", tall=False):
    """headers: (label, cell class) pairs; lines: lists of HTML cells. The table scrolls inside its own frame."""
    head = "".join(f'<th class="{css}">{text(label)}</th>' if css else f"<th>{text(label)}</th>"
                   for label, css in headers)
    body = "".join("<tr>" + "".join(f'<td class="{css}">{cell}</td>' if css else f"<td>{cell}</td>"
                                    for cell, (_, css) in zip(line, headers)) + "</tr>\n" for line in lines)
    frame = "scroll tall" if tall else "scroll"
    return (f'<div class="{frame}" tabindex="0"><table class="{style}"><thead><tr>{head}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>")


def inline_svg(svg, name, label):
    """An SVG document as an element of the page: no prologue, ids of its own, a label for readers of the page aloud.

    Every figure numbers its ids from 1, so each gets the figure's name in front; references inside follow.
    """
    body = svg[svg.index("<svg"):]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    # Points are millions of screens apart from pixels of a page: the view box alone decides the shape.
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    return body.replace("<svg", f'<svg role="img" aria-label="{text(label)}"', 1).strip()
