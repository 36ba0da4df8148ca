# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing but itself."""
from pathlib import Path

import claims
import summary
import tables
from html_parts import inline_svg, kind_badge, text, verdict_badge

STYLE_SHEET = Path(__file__).resolve().parent / "page.css"

KIND_MEANING = (
    ("measured", "real ranks ran it here; the raw samples stand in the row, the figure is their median, the interval covers "
                 "the median with 95 % probability (or as much as the number of samples allows)"),
    ("simulated", "the same schedule ran step by step on virtual devices, with costs from a machine file: calibrated on "
                  "real ranks, with an interval from its hold-out errors, or written from published numbers, which then is named"),
    ("analytic", "an exact count or closed form; nothing ran"),
    ("published", "the number that the judged document prints; it is drawn, never used"),
)
VERDICT_MEANING = (
    ("supported", "the evidence agrees with the statement"), ("refuted", "the evidence excludes it"),
    ("inconsistent", "the document contradicts itself or arithmetic"),
    ("not_testable_here", "it would need hardware that is not here; the evidence says which"),
    ("out_of_scope", "not about ring attention's performance or correctness"),
)


def _summary(results):
    lines = "".join(f"<li>{kind_badge(kind)} {text(sentence)}</li>" for kind, sentence in summary.sentences(results))
    counts = summary.verdict_counts(results)
    if counts:
        badges = " ".join(f"<span>{verdict_badge(word, f': {count}')}</span>" for word, count in counts)
        total = sum(count for _, count in counts)
        lines += f'<li>{total} published claims judged: <span class="counts">{badges}</span></li>'
    return f'<div class="summary"><ul>{lines or "<li>These results hold no rows yet.</li>"}</ul></div>'


def _figure(name, title, drawn, svg):
    missing = "".join(f'<p class="note">Missing: {text(what)}. Make them with <code>{text(command)}</code></p>'
                      for what, command in drawn.missing)
    badges = " ".join(kind_badge(kind) for kind in drawn.kinds)
    return (f'<figure id="{name}"><h3>{text(title)}</h3><div class="drawing" tabindex="0">'
            f"{inline_svg(svg, name, title)}</div><figcaption>{badges} {text(drawn.caption)}</figcaption>{missing}</figure>")


def _meanings():
    kinds = "".join(f"<li>{kind_badge(kind)} {text(meaning)}.</li>" for kind, meaning in KIND_MEANING)
    verdicts = "".join(f"<li>{verdict_badge(word)} {text(meaning)}.</li>" for word, meaning in VERDICT_MEANING)
    return (f'<h2 id="reading">How to read it</h2><ul class="plain">{kinds}</ul>'
            f'<ul class="plain">{verdicts}</ul><p>A margin says in decades (powers of ten) how far the deciding '
            "number lies from the end of what the claim allows; it is negative against the claim. GB is 1e9 bytes, GiB is 2^30.</p>")


def _warnings(lines):
    if not lines:
        return ""
    shown = "".join(f"<li>{text(line)}</li>" for line in lines[:20])
    more = f"<li>and {len(lines) - 20} more</li>" if len(lines) > 20 else ""
    return (f'<div class="warn"><strong>These rows disagree with their own samples:</strong><ul>{shown}{more}</ul></div>')


def _origin(results):
    """Where and when, in one line, from the document that says most about it."""
    best = []
    for document in results.documents:
        provenance = document.content.get("provenance")
        if isinstance(provenance, dict) and isinstance(provenance.get("host"), dict):
            host, build = provenance["host"], provenance.get("build") or {}
            runtime = provenance.get("runtime") or {}
            parts = [host.get("name") or host.get("hostname"), host.get("cpu_model") or host.get("cpu"),
                     runtime.get("mpi_library"), runtime.get("kokkos_version") and f"Kokkos {runtime['kokkos_version']}",
                     build.get("commit") and f"commit {build['commit'][:12]}", provenance.get("ended_utc")]
            parts = [" ".join(str(part).split())[:60] for part in parts if part]
            best = max(best, parts, key=len)
    return " · ".join(best)


def build(results, figures, definitions, warnings):
    """The whole page. figures: (name, title, Drawn, SVG text), the best one first."""
    judged = (claims.claims_table(results) if results.verdicts else
              "<p>No verdicts in these results. Make them with <code>ringscale check --claims "
              "experiments/claims/headline.json --results DIR</code></p>")
    links = [("claims", "claims"), ("figures", "figures"), ("reading", "how to read it"), ("rows", "rows"),
             ("definitions", "definitions"), ("provenance", "provenance")]
    skipped = "".join(f"<li><code>{text(name)}</code> ({text(schema)})</li>" for name, schema in results.skipped)
    first, rest = figures[:1], figures[1:]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ringscale: is the scaling claim true?</title>
<style>{STYLE_SHEET.read_text(encoding="utf-8")}</style></head><body><main>
<h1>Published scaling claims about ring attention, judged</h1>
<p class="byline">{text(_origin(results))}</p>
<p>ringscale ran the real algorithm on MPI ranks, calibrated a simulator on those runs, extrapolated to large rings
and judged published claims. Every number below says what kind of number it is.</p>
<nav>{" ".join(f'<a href="#{anchor}">{label}</a>' for anchor, label in links)}</nav>
{_summary(results)}
{_warnings(warnings)}
{"".join(_figure(*entry) for entry in first)}
<h2 id="claims">Claims and their evidence</h2>
{judged}
<h2 id="figures">Figures</h2>
{"".join(_figure(*entry) for entry in rest)}
{_meanings()}
<h2 id="rows">Rows</h2>
{tables.rows_sections(results) or "<p>No rows.</p>"}
<h2 id="definitions">Definitions</h2>
{tables.definitions_table(definitions) or "<p>docs/definitions.md is not beside this program.</p>"}
<h2 id="provenance">Provenance</h2>
{tables.provenance_table(results)}
<h3>Documents read</h3>
{tables.documents_table(results)}
{f'<p class="note">Not used by any figure:</p><ul class="plain">{skipped}</ul>' if skipped else ""}
</main></body></html>
"""
