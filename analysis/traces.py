#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins traces of ringscale into one file for Perfetto, and draws them as a Gantt chart.

    python3 analysis/traces.py join A.json B.json ... --output JOINED.json
    python3 analysis/traces.py gantt A.json [B.json ...] --output CHART.svg

Every rank of every trace keeps its name and its kind, measured or simulated; in the chart measured ranks are filled and
simulated ones hatched, and all begin at their own trace's beginning. The ending of the chart's name (svg, png, pdf) says
its form. A file that is there already is kept. Exit codes: 0 done, 2 bad input.
"""
import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

# Colours of activities (Okabe and Ito), the same in both kinds; waiting is pale.
COLOURS = {"compute": "#0072B2", "merge": "#56B4E9", "join": "#7A5195", "fixed": "#000000", "post": "#D55E00",
           "copy": "#CC79A7", "poll": "#E69F00", "exchange": "#009E73", "exposed": "#B22222", "wait": "#D9D9D9"}
KINDS = ("measured", "simulated")


class BadTrace(Exception):
    """One line for the user."""


class Trace:
    """A trace file: its events, and what it says of itself. Rows are ranks, (process, name)."""

    def __init__(self, path, document):
        self.path = Path(path)
        self.events = document["traceEvents"]
        self.other = document["otherData"]
        self.names = {event["pid"]: event["args"]["name"] for event in self.events if event["name"] == "process_name"}

        self.slices = defaultdict(list)
        for event in self.events:
            if event["ph"] == "X":
                self.slices[event["pid"]].append(event)

    def kind_of(self, process):
        """Measured or simulated: every slice says it, and all of one rank the same."""
        kinds = {event["args"]["kind"] for event in self.slices[process]}
        if len(kinds) > 1 or not kinds <= set(KINDS):
            raise BadTrace(f"{self.path}: process {process} has events of kinds {sorted(kinds)}; one of measured, simulated")
        return next(iter(kinds), "measured" if "(measured" in self.names[process] else "simulated")


def read(path):
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["otherData"]["schema"] != "ringscale.trace":
            raise KeyError
        return Trace(path, document)
    except OSError as problem:
        raise BadTrace(f"{path}: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BadTrace(f"{path}: is no trace of ringscale; write one with --trace") from None


def moved(event, first_process, tag):
    """The event as one of another process: ids of messages and names of ranks say which trace it came from."""
    result = {**event, "pid": event["pid"] + first_process, "tid": event["tid"] + first_process}
    if "id" in event:
        result["id"] = event["id"] + 10_000_000_000 * tag
    if event["name"] == "process_name":
        result["args"] = {"name": event["args"]["name"].removesuffix(")") + f", trace {tag})"}
    return result


def join(traces):
    """One document of several traces. Those whose process numbers are taken already get numbers of their own."""
    step = 10_000_000
    taken, events, members = set(), [], []
    for tag, trace in enumerate(traces, 1):
        if trace.other["kind"] == "joined":
            raise BadTrace(f"{trace.path}: is joined already; join the traces it was made of")
        processes = {event["pid"] for event in trace.events}
        shift = 0 if not processes & taken else step * tag
        taken |= {process + shift for process in processes}
        events += [moved(event, shift, tag) for event in trace.events] if shift else trace.events
        members.append({"file": trace.path.name, "first_process": shift, "other_data": trace.other})
    # Names first, then time; events of one moment keep their order, which decides what is nested in what.
    events.sort(key=lambda event: (event["ph"] != "M", event.get("ts", 0.0)))
    return {"traceEvents": events,
            "otherData": {"schema": "ringscale.trace", "schema_version": 1, "kind": "joined", "traces": members}}


def rows_of(traces):
    """(label, kind, {activity: [(begin_s, length_s)]}), rank after rank, so that both kinds of a rank stand together."""
    rows = []
    for number, trace in enumerate(traces):
        for process, name in trace.names.items():
            bars = defaultdict(list)
            for event in trace.slices[process]:
                bars[event["name"]].append((event["ts"] * 1e-6, event["dur"] * 1e-6))
            rank = int(name.split()[1])
            rows.append((rank, number, name, trace.kind_of(process), bars))
    rows.sort(key=lambda row: row[:2])
    return [row[2:] for row in rows]


def note_of(trace):
    """Where the times of a trace come from, for the line below the chart."""
    other = trace.other
    if other["kind"] == "simulated":
        simulated = other["simulated"]
        return (f"{trace.path.name}: simulated on machine {simulated['machine']} ({simulated['machine_kind']}), "
                f"{other['time_s']:.4g} s")
    if other["kind"] == "measured":
        uncertainty = max(rank["clock_uncertainty_s"] for rank in other["measured"]["ranks"])
        return (f"{trace.path.name}: measured, {other['time_s']:.4g} s, "
                f"clocks of ranks aligned to within {uncertainty:.2g} s")
    return f"{trace.path.name}: joined from " + ", ".join(member["file"] for member in other["traces"])


def draw(traces):
    """The chart as a matplotlib figure."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    plt.rcParams.update({"svg.hashsalt": "ringscale", "font.size": 9, "hatch.linewidth": 0.6})
    rows = rows_of(traces)
    figure, axes = plt.subplots(figsize=(11, 1.8 + 0.42 * len(rows)))
    used = set()
    for place, (_, kind, bars) in enumerate(rows):
        simulated = kind == "simulated"
        # Polls lie within compute slices and are drawn over them.
        for activity in sorted(bars, key=lambda name: name == "poll"):
            used.add(activity)
            collection = axes.broken_barh(bars[activity], (place - 0.38, 0.76),
                                          facecolors="white" if simulated else COLOURS[activity],
                                          edgecolors=COLOURS[activity], hatch="////" if simulated else None,
                                          linewidth=0.6 if simulated else 0.0)
            collection.set_gid(f"{kind}.{place}.{activity}")
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("seconds since each trace began")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(facecolor=COLOURS[name], label=name) for name in COLOURS if name in used]
    kinds = {row[1] for row in rows}
    handles += [Patch(facecolor="#777777", label="filled: measured")] * ("measured" in kinds)
    handles += [Patch(facecolor="white", edgecolor="#777777", hatch="////", label="hatched: simulated")] * ("simulated" in kinds)
    axes.legend(handles=handles, ncols=6, loc="lower left", bbox_to_anchor=(0.0, 1.01), frameon=False)
    figure.text(0.01, 0.005, "\n".join(note_of(trace) for trace in traces), fontsize=7.5, va="bottom")
    figure.tight_layout(rect=(0, 0.03 + 0.02 * len(traces), 1, 1))
    return figure


def write_new(path, write):
    """Whole or not at all, and never over a file that is there."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    try:
        write(temporary)
        os.link(temporary, path)
    except FileExistsError:
        raise BadTrace(f"{path}: exists already; choose another name") from None
    finally:
        os.unlink(temporary)


def write_json(path, document):
    events = ",\n".join(json.dumps(event, separators=(",", ":"), allow_nan=False) for event in document["traceEvents"])
    other = json.dumps(document["otherData"], separators=(",", ":"), allow_nan=False)
    Path(path).write_text(f'{{"traceEvents":[\n{events}\n],"otherData":{other}}}\n', encoding="utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, words in [("join", "several traces as one file"), ("gantt", "a chart of one or more traces")]:
        one = verbs.add_parser(verb, help=words)
        one.add_argument("traces", nargs="+")
        one.add_argument("--output", required=True)
    options = parser.parse_args(arguments)
    try:
        if not Path(options.output).resolve().parent.is_dir():
            raise BadTrace(f"{options.output}: its folder does not exist")
        traces = [read(path) for path in options.traces]
        if options.verb == "join":
            if len(traces) < 2:
                raise BadTrace("join: give two traces or more")
            document = join(traces)
            write_new(options.output, lambda path: write_json(path, document))
        else:
            if Path(options.output).suffix not in {".svg", ".png", ".pdf"}:
                raise BadTrace(f"{options.output}: the name must end in .svg, .png or .pdf")
            figure = draw(traces)
            metadata = {"Date": None} if options.output.endswith(".svg") else None
            write_new(options.output, lambda path: figure.savefig(path, dpi=150, metadata=metadata))
    except BadTrace as problem:
        print(f"traces: {problem}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
