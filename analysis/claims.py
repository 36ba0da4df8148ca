# SPDX-License-Identifier: Apache-2.0
"""The claim-to-evidence table: what was claimed, the verdict, and everything that the verdict rests on."""
import summary
from html_parts import kind_badge, number_with_name, table, text, value, verdict_badge
from load import KINDS

# How much of the evidence is listed; series of hundreds of rows stand whole in verdicts.json.
MOST_EVIDENCE = 40


def _as_list(entry):
    return entry if isinstance(entry, list) else [entry] if entry else []


def _details(words, body):
    return f"<details><summary>{text(words)}</summary>{body}</details>" if body else ""


def _counted(entries, one, many):
    return f"{len(entries)} {one if len(entries) == 1 else many}"


def _evidence_line(entry):
    """One number with its interval, or the claim's own values, and where it stands."""
    if not isinstance(entry, dict):
        return f"<li>{value(entry)}</li>"
    badge = kind_badge(entry["kind"]) + " " if "kind" in entry else ""
    source = f' <span class="small">from <code>{value(entry["source"])}</code></span>' if "source" in entry else ""
    if "figure" in entry and "value" in entry:
        shown = f'{text(entry["figure"])} = <strong>{number_with_name(entry["figure"], entry["value"])}</strong>'
        interval = entry.get("interval")
        if isinstance(interval, dict) and interval.get("low") != interval.get("high"):
            low, high = (number_with_name(entry["figure"], interval.get(end)) for end in ("low", "high"))
            shown += f" ({low} to {high})"
    elif "values" in entry:
        shown = f'the statement: {value(entry["values"])}'
    else:
        shown = value({key: item for key, item in entry.items() if key not in ("kind", "source")})
    return f"<li>{badge}{shown}{source}</li>"


def _evidence(entries):
    lines = "".join(_evidence_line(entry) for entry in entries[:MOST_EVIDENCE])
    if len(entries) > MOST_EVIDENCE:
        lines += f"<li>and {len(entries) - MOST_EVIDENCE} more in verdicts.json</li>"
    return f'<ul class="evidence">{lines}</ul>' if lines else ""


FINDING_WORDS = {"agrees": "agrees", "contradicts": "contradicts", "undecided": "undecided"}


def _checks(checks):
    """The checks of a claim with what they found; those that only inform are said to."""
    lines = []
    for check in checks:
        if not isinstance(check, dict):
            continue
        role = "" if check.get("role", "required") == "required" else " (for information)"
        margin = check.get("margin")
        lines.append([text(FINDING_WORDS.get(check.get("finding"), check.get("finding", "-"))) + role,
                      text(str(check.get("kind", "")).replace("_", " ")), text(check.get("asks", "")),
                      text(check.get("reason", "")), "-" if margin is None else f"{margin:+.2f}"])
    return table([("finding", ""), ("check", ""), ("asks", "wide"), ("reason", "wide"), ("margin", "number")], lines) if lines else ""


def _hypotheses(fits):
    """Models that could have produced the series, best first."""
    lines = []
    for fit in fits:
        if not isinstance(fit, dict):
            continue
        residual = fit.get("relative_residual_rms", fit.get("residual"))
        notes = [words for key, words in (("physical", "not physical"), ("determined", "not determined")) if fit.get(key) is False]
        lines.append([value(fit.get("rank")), text(fit.get("model", "")), text(fit.get("explains", "")),
                      "-" if residual is None else f"{100 * residual:.2g} %", value(fit.get("fitted_constants") or None),
                      text(", ".join(notes))])
    headers = [("rank", ""), ("model", ""), ("what would have run", "wide"), ("residual", "number"), ("fitted", ""), ("", "")]
    return table(headers, lines) if lines else ""


def _margin(verdict):
    margin = verdict.get("margin")
    if margin is None:
        return "-"
    if verdict.get("margin_unit") == "decades":
        return f'<span title="{text(verdict.get("margin_meaning", ""))}">{margin:+.2f} decades</span>'
    return value(margin)


def _claim(verdict, published):
    """Two lines of the table: the claim with its verdict and the deciding reason; and the rest, folded."""
    evidence, hypotheses = _as_list(verdict.get("evidence")), _as_list(verdict.get("hypotheses"))
    checks, reasons = _as_list(verdict.get("checks")), _as_list(verdict.get("reasons"))
    kinds = {entry["kind"] for entry in evidence if isinstance(entry, dict) and "kind" in entry}
    badges = " ".join(kind_badge(kind) for kind in KINDS if kind in kinds)
    document = verdict.get("document") or published.get("document")
    origin = f'<br><span class="small">{text(document)}</span>' if document else ""
    statement = verdict.get("statement") or published.get("statement", "")
    first = f'<p class="reason">{text(reasons[0])}</p>' if reasons else ""
    folded = (_details(_counted(evidence, "piece of evidence", "pieces of evidence"), _evidence(evidence))
              + _details(_counted(checks, "check", "checks"), _checks(checks))
              + _details(_counted(hypotheses, "model tried", "models tried"), _hypotheses(hypotheses)))
    cells = (f'<td rowspan="2"><code>{text(verdict["id"])}</code>{origin}</td><td class="statement">{text(statement)}</td>'
             f'<td>{verdict_badge(verdict["verdict"])}</td>'
             f'<td class="margin"><span class="label">margin </span>{_margin(verdict)}</td><td>{badges}</td>')
    return (f'<tr class="claim" id="claim-{text(verdict["id"])}">{cells}</tr>\n'
            f'<tr class="folded"><td colspan="4">{first}{folded}</td></tr>\n')


def claims_table(results):
    """Every verdict of the results, in the order of the ledger, the verdicts counted above."""
    head = "".join(f"<th>{label}</th>" for label in ("claim", "statement", "verdict", "margin", "rests on"))
    body = "".join(_claim(verdict, results.published.get(verdict["id"], {})) for verdict in results.verdicts)
    counts = " ".join(f"<span>{verdict_badge(word, f': {count}')}</span>" for word, count in summary.verdict_counts(results))
    return (f'<p class="counts">{counts}</p><div class="scroll" tabindex="0"><table class="claims"><thead><tr>{head}</tr>'
            f"</thead><tbody>\n{body}</tbody></table></div>")
