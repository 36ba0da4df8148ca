# SPDX-License-Identifier: Apache-2.0
"""The curve over ring sizes: simulated looks simulated, every row is drawn where it belongs, wrong documents are refused."""
import copy
import json
import subprocess
import sys

import pytest
from conftest import ROOT

import load
import ring_sizes
import style

PROGRAM = ROOT / "analysis" / "ring_sizes.py"


def row(ring_size, time_s, memory):
    fields = {"kind": "analytic" if time_s is None else "simulated", "tokens": 4096, "ring_size": ring_size, "time_s": time_s,
              "memory_peak_bytes": memory}
    if time_s is not None:
        fields["time_s_interval"] = {"low": 0.8 * time_s, "high": 1.3 * time_s, "confidence": 0.8}
    return fields


DOCUMENT = {"schema": "ringscale.sizing", "schema_version": 1, "question": "best_configuration",
            "machine": {"name": "made-up", "budget_bytes": 1 << 20},
            "by_ring_size": [row(1, None, 1 << 22), row(2, 8.0, 1 << 20), row(4, 5.0, 1 << 19), row(8, 6.0, 1 << 18)]}


def lines_of(axes, kind):
    return [line for line in axes.get_lines() if (line.get_gid() or "").startswith(kind + ".")]


def test_times_are_those_of_simulated_rows_only():
    assert ring_sizes.times(DOCUMENT["by_ring_size"]) == ([2, 4, 8], [8.0, 5.0, 6.0], [6.4, 4.0, 0.8 * 6.0],
                                                          [10.4, 6.5, 1.3 * 6.0])


def test_time_is_drawn_as_simulated_and_memory_as_analytic():
    figure = ring_sizes.draw(DOCUMENT, DOCUMENT["by_ring_size"])
    time_axes, memory_axes = figure.axes[:2]
    points = [line for line in lines_of(time_axes, "simulated") if line.get_gid().endswith(".points")]
    assert [list(line.get_ydata()) for line in points] == [[8.0, 5.0, 6.0]]
    assert points[0].get_fillstyle() == "none", "open marks: not measured"
    assert not lines_of(time_axes, "measured") and not lines_of(memory_axes, "measured")
    assert not lines_of(memory_axes, "simulated")
    drawn = [line for line in lines_of(memory_axes, "analytic") if line.get_gid().endswith("memory.line")]
    assert list(drawn[0].get_ydata()) == [1 << 22, 1 << 20, 1 << 19, 1 << 18]
    words = " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())
    assert "simulated from a machine file" in words and "analytic" in words and "measured" not in words
    style.close(figure)


def test_a_curve_without_times_says_so():
    rows = [row(1, None, 1 << 22), row(2, None, None)]
    figure = ring_sizes.draw({**DOCUMENT, "by_ring_size": rows}, rows)
    assert any((text.get_gid() or "").startswith("missing.") for text in figure.axes[0].texts)
    style.close(figure)


def test_the_program_writes_once_and_refuses_other_documents(tmp_path):
    source = tmp_path / "curve.json"
    source.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    target = tmp_path / "curve.svg"
    command = [sys.executable, "-B", str(PROGRAM), str(source), str(target)]
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0
    assert target.read_bytes().startswith(b"<?xml")
    again = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "is there already" in again.stderr


@pytest.mark.parametrize("change, word", [({"schema": "ringscale.results", "schema_version": 1}, "ringscale.results"),
                                          ({"schema_version": 2}, "version 1"), ({"question": "diagnosis"}, "diagnosis")])
def test_what_is_no_curve_is_refused(tmp_path, change, word):
    source = tmp_path / "other.json"
    source.write_text(json.dumps({**copy.deepcopy(DOCUMENT), **change}), encoding="utf-8")
    with pytest.raises(load.BadInput, match=word):
        ring_sizes.make_figure(source, tmp_path / "figure.svg")
    assert list(tmp_path.iterdir()) == [source]


def test_a_figure_of_another_form_is_refused(tmp_path):
    with pytest.raises(load.BadInput, match=".svg or .png"):
        ring_sizes.make_figure(tmp_path / "curve.json", tmp_path / "figure.jpeg")
