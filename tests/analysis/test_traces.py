# SPDX-License-Identifier: Apache-2.0
"""Joining and drawing traces that are written here by hand."""
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import traces


def trace_of(kind, first_process, ranks=2, time_s=4e-6):
    events = []
    for rank in range(ranks):
        process = first_process + rank
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": process,
                       "args": {"name": f"rank {rank} ({kind})"}})
        for begin, name in enumerate(["fixed", "compute", "wait"]):
            events.append({"ph": "X", "name": name, "cat": "compute", "pid": process, "tid": process,
                           "args": {"kind": kind, "step": 0}, "ts": float(begin), "dur": 1.0})
    for phase, time in [("b", 0.5), ("e", 1.5)]:
        events.append({"ph": phase, "name": "block", "cat": "message", "pid": first_process, "tid": first_process,
                       "id": first_process, "ts": time, "args": {}})
    events.sort(key=lambda event: event.get("ts", -1.0))
    other = {"schema": "ringscale.trace", "schema_version": 1, "kind": kind, "time_s": time_s}
    if kind == "simulated":
        other["simulated"] = {"machine": "here", "machine_kind": "measured"}
    else:
        other["measured"] = {"ranks": [{"clock_uncertainty_s": 2e-6}, {"clock_uncertainty_s": 5e-6}]}
    return {"traceEvents": events, "otherData": other}


@pytest.fixture
def both(tmp_path):
    """Files of a measured and a simulated trace."""
    files = []
    for kind, first in [("measured", 1), ("simulated", 1_000_001)]:
        files.append(tmp_path / f"{kind}.json")
        files[-1].write_text(json.dumps(trace_of(kind, first)), encoding="utf-8")
    return files


def run(*arguments):
    return subprocess.run([sys.executable, "-B", str(ROOT / "analysis" / "traces.py"), *map(str, arguments)],
                          capture_output=True, text=True, timeout=100, check=False)


def test_join_keeps_every_event_in_the_order_of_time(both, tmp_path):
    assert run("join", *both, "--output", tmp_path / "out.json").returncode == 0
    joined = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert len(joined["traceEvents"]) == 20
    times = [event.get("ts", -1.0) for event in joined["traceEvents"]]
    assert times == sorted(times)
    assert [member["first_process"] for member in joined["otherData"]["traces"]] == [0, 0]
    assert joined["otherData"]["traces"][0]["other_data"]["kind"] == "measured"


def test_join_renumbers_a_second_trace_of_one_kind(both, tmp_path):
    assert run("join", both[1], both[1], "--output", tmp_path / "out.json").returncode == 0
    joined = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    names = {event["pid"]: event["args"]["name"] for event in joined["traceEvents"] if event["ph"] == "M"}
    assert sorted(names.values()) == ["rank 0 (simulated)", "rank 0 (simulated, trace 2)", "rank 1 (simulated)",
                                      "rank 1 (simulated, trace 2)"]
    assert len({event["id"] for event in joined["traceEvents"] if event["ph"] == "b"}) == 2


def test_chart_tells_measured_from_simulated(both, tmp_path):
    chart = tmp_path / "chart.svg"
    assert run("gantt", *both, "--output", chart).returncode == 0
    svg = chart.read_text(encoding="utf-8")
    drawn = set(re.findall(r'id="((?:measured|simulated)\.\d\.\w+)"', svg))
    assert drawn == {f"{kind}.{place}.{name}" for place, kind in enumerate(["measured", "simulated"] * 2)
                     for name in ["fixed", "compute", "wait"]}
    # Hatches are patterns in an SVG; the measured trace alone has none.
    assert "<pattern" in svg
    assert run("gantt", both[0], "--output", tmp_path / "one.svg").returncode == 0
    assert "<pattern" not in (tmp_path / "one.svg").read_text(encoding="utf-8")


def test_rows_and_notes_say_kind_machine_and_clocks(both):
    read = [traces.read(file) for file in both]
    assert [(label, kind) for label, kind, _ in traces.rows_of(read)] == [
        ("rank 0 (measured)", "measured"), ("rank 0 (simulated)", "simulated"), ("rank 1 (measured)", "measured"),
        ("rank 1 (simulated)", "simulated")]
    assert traces.rows_of(read)[0][2]["compute"] == [(1e-6, 1e-6)]
    assert "to within 5e-06 s" in traces.note_of(read[0])
    assert "simulated on machine here (measured)" in traces.note_of(read[1])


def test_a_trace_of_two_kinds_is_refused(both, tmp_path):
    document = trace_of("measured", 1)
    next(event for event in document["traceEvents"] if event["ph"] == "X")["args"]["kind"] = "simulated"
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(document), encoding="utf-8")
    result = run("gantt", mixed, "--output", tmp_path / "chart.svg")
    assert result.returncode == 2
    assert "one of measured, simulated" in result.stderr
    assert not (tmp_path / "chart.svg").exists()


def test_bad_input_is_one_line_and_nothing_is_written(both, tmp_path):
    (tmp_path / "text.json").write_text("{}", encoding="utf-8")
    (tmp_path / "old.json").write_text("kept", encoding="utf-8")
    for arguments, words in [(["join", both[0], "--output", tmp_path / "out.json"], "two traces"),
                             (["join", *both, "--output", tmp_path / "old.json"], "exists already"),
                             (["join", both[0], tmp_path / "text.json", "--output", tmp_path / "out.json"], "no trace"),
                             (["join", both[0], tmp_path / "absent.json", "--output", tmp_path / "out.json"], "absent.json"),
                             (["join", *both, "--output", tmp_path / "no" / "out.json"], "does not exist"),
                             (["gantt", *both, "--output", tmp_path / "chart.gif"], ".svg, .png or .pdf")]:
        before = sorted(path.name for path in tmp_path.iterdir())
        result = run(*arguments)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1 and words in result.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "old.json").read_text(encoding="utf-8") == "kept"
