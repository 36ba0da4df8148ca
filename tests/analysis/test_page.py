# SPDX-License-Identifier: Apache-2.0
"""The page: self-contained, complete, escaped; its numbers are those of the rows; its index lists what it used."""
import hashlib
import html.parser
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import synthetic_results
from conftest import loaded, run_report

import html_parts
import load
import rows
import summary
import tables

FIGURES = {"throughput", "memory", "scaling", "equality", "merging", "communication", "calibration", "published"}


class Page(html.parser.HTMLParser):
    """Collects tags, ids, links and whether every element is closed."""
    VOID = {"meta", "br", "link", "img", "input", "hr"}

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.attributes, self.references = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            self.attributes.append((tag, key, value or ""))
            if key == "id":
                self.ids.append(value)
            if key in ("href", "xlink:href"):
                self.references.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1] if self.open else None}>"
        self.open.pop()


@pytest.fixture(scope="module")
def page(report):
    return (report / "report.html").read_text(encoding="utf-8")


def test_page_needs_nothing_from_outside(page):
    parsed = Page(page)
    assert parsed.open == []
    for tag, key, value in parsed.attributes:
        assert key not in ("src", "srcset", "data", "action", "poster"), (tag, key)
        if not key.startswith("xmlns"):
            assert "://" not in value, (tag, key, value)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script" not in page and "<link" not in page and "<iframe" not in page
    assert all(reference.startswith("#") for reference in parsed.references)


def test_every_id_is_unique_and_every_reference_has_a_target(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {reference[1:] for reference in parsed.references} <= set(parsed.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(parsed.ids)
    assert len(parsed.references) > 100


def test_all_figures_are_on_the_page_and_beside_it(page, report):
    assert set(re.findall(r'<figure id="(\w+)">', page)) == FIGURES
    assert page.count("<svg role=") == len(FIGURES)
    for name in FIGURES:
        ElementTree.parse(report / "figures" / f"{name}.svg")
        assert (report / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in report.iterdir()} == {"report.html", "report.json", "figures"}
    assert len(list((report / "figures").iterdir())) == 2 * len(FIGURES)


def test_every_claim_stands_with_verdict_margin_and_evidence(page):
    for claim, word, margin in synthetic_results.VERDICTS:
        part = page[page.index(f'id="claim-{claim}"'):]
        part = part[:part.index('<tr class="folded">')]
        assert f'class="verdict {word}"' in part
        assert summary.VERDICT_WORDS[word] in part  # in words, not by colour alone
        if margin is not None:
            assert f"{margin:+.2f} decades" in part
    assert page.count("3 pieces of evidence") == len(synthetic_results.VERDICTS)
    assert "2 models tried" in page and "serial_loop_over_chunks" in page
    assert "17,000 to 19,800" in page


def test_every_row_of_every_document_is_in_a_table(page):
    count = sum(len(document.get("rows", [])) for document in synthetic_results.documents().values())
    assert sum(int(found) for found in re.findall(r"(\d+) rows?</summary>", page)) == count
    for kind in ("measured", "simulated", "analytic", "published"):
        assert f'<span class="kind {kind}">{kind}</span>' in page


def test_definitions_and_provenance_are_on_the_page(page):
    assert "synthetic-host" in page and "synthetic MPI" in page
    assert "4 pairs query_heads head_dim batch" in page


def test_summary_numbers_are_those_of_the_rows(results):
    found = loaded(*results)
    right = [row for row in found.rows if row.get("verb") == "ring" and row["verdict"] == "valid"]
    kind, text = summary.equality_sentence(found)
    worst = max(row["max_error"] / row["error_bound"] for row in right)
    assert kind == "measured" and f"in {len(right)} of {len(right)} runs" in text
    assert f"{rows.number(100 * worst, 2)} % of its bound" in text and "2 of 2 deliberately wrong" in text
    kind, text = summary.largest_ring_sentence(found)
    assert kind == "simulated" and "262,144 devices" in text
    rings = [row for row in found.rows if row["kind"] == "simulated" and "ring_size" in row]
    largest = max(rings, key=lambda row: (row["ring_size"], row["tokens"]))
    assert rows.number(largest["tokens_per_s"]) in text
    assert np.isclose(largest["tokens_per_s"], largest["tokens"] / largest["time_s"])
    assert summary.hold_out_sentence(found)[1].count("3.4 %") == 1
    assert sum(count for _, count in summary.verdict_counts(found)) == len(synthetic_results.VERDICTS)


def test_summary_counts_failures_too(results):
    found = loaded(*results)
    ring = [row for row in found.rows if row.get("verb") == "ring" and row["verdict"] == "valid"]
    ring[0]["max_error"] = 10 * ring[0]["error_bound"]
    ring[1]["memory_closed_form_bytes"] += 1
    measured = [row for row in found.rows if "memory_closed_form_bytes" in row]
    assert f"in {len(ring) - 1} of {len(ring)} runs" in summary.equality_sentence(found)[1]
    assert f"in {len(measured) - 1} of {len(measured)} runs" in summary.memory_sentence(found)[1]


def test_a_row_that_disagrees_with_its_samples_is_warned_about(tmp_path):
    directory, _ = synthetic_results.write(tmp_path / "results")
    path = directory / "attention.json"
    document = json.loads(path.read_text())
    document["rows"][0]["time_s"] = 0.1
    path.write_text(json.dumps(document))
    assert run_report(directory, "--output", tmp_path / "out").returncode == 0
    text = (tmp_path / "out" / "report.html").read_text()
    assert "attention.json rows[0]: time_s is 0.1, the median of its samples is 0.2" in text


def test_text_from_documents_is_escaped(tmp_path):
    directory, _ = synthetic_results.write(tmp_path / "results")
    path = directory / "verdicts.json"
    document = json.loads(path.read_text())
    document["verdicts"][0]["statement"] = '<script>alert("x")</script>'
    document["verdicts"][0]["verdict"] = '"><b>'
    path.write_text(json.dumps(document))
    assert run_report(directory, "--output", tmp_path / "out").returncode == 0
    text = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and '"><b>' not in text


def test_index_lists_inputs_with_their_checksums(report):
    index = json.loads((report / "report.json").read_text())
    assert (index["schema"], index["schema_version"]) == ("ringscale.report", 1)
    directory = report.parent / "results"
    assert {entry["path"] for entry in index["inputs"]} == set(synthetic_results.documents())
    for entry in index["inputs"]:
        assert entry["sha256"] == hashlib.sha256((directory / entry["path"]).read_bytes()).hexdigest()
    assert {figure["name"] for figure in index["figures"]} == FIGURES
    for figure in index["figures"]:
        for file in figure["files"]:
            assert file["sha256"] == hashlib.sha256((report / file["path"]).read_bytes()).hexdigest()
        assert figure["sources"] and figure["missing"] == []


def test_two_reports_of_the_same_results_are_equal(report, tmp_path):
    run = run_report(report.parent / "results", "--output", tmp_path / "again", "--claims", report.parent / "ledger.json")
    assert run.returncode == 0
    for path in sorted(report.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(report)).read_bytes(), path.name


def test_a_report_inside_its_results_is_not_read_again(tmp_path):
    directory, _ = synthetic_results.write(tmp_path / "results")
    assert run_report(directory, "--output", directory / "report").returncode == 0
    assert run_report(directory, "--output", directory / "report", "--force").returncode == 0


@pytest.mark.parametrize("value,shown", [(0.000042, "42 µs"), (0.25, "250 ms"), (12.0, "12 s"), (1200.0, "20 minutes"),
                                         (58064.0, "16.1 hours"), (7.62e6, "88.2 days"), (2.65e8, "8.4 years")])
def test_durations_are_shown_in_a_human_unit(value, shown):
    assert rows.seconds(value) == shown


@pytest.mark.parametrize("value,shown", [(0, "0"), (12, "12"), (1048576, "1,048,576"), (0.5, "0.5"), (131161.0, "131,161"),
                                         (8.784e-7, "8.78e-7"), (1.41e14, "1.41e14"), (None, "-"), (True, "yes")])
def test_numbers_are_shown_short(value, shown):
    assert rows.number(value) == shown


@pytest.mark.parametrize("value,shown", [(64, "64 bytes"), (2048, "2 KiB"), (2096.1 * 2**20, "2.047 GiB"), (3 * 2**50, "3072 TiB")])
def test_sizes_are_shown_in_binary_units(value, shown):
    assert rows.size(value) == shown


def test_long_lists_are_summed_up_and_objects_named():
    assert html_parts.value(list(range(100))) == "100 numbers from 0 to 99"
    assert html_parts.value({"a": 1, "b": [1.5, "x"]}) == "a 1, b 1.5, x"


def test_what_is_the_same_in_all_rows_is_said_once():

    found = [load.Row({"kind": "measured", "ring_size": size, "mask": "causal", "time_s": 1.0}, f"f rows[{size}]")
             for size in (1, 2, 4)]
    shown = tables.rows_table(found)
    assert "The same in all of them: mask causal." in shown and shown.count("causal") == 1
