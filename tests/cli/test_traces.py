# SPDX-License-Identifier: Apache-2.0
"""Traces of simulated and measured rings, as files: loadable, in order, nested, and telling the same times as the rows."""

import collections
import json
import math
import subprocess
import sys
import unittest

from program import ROOT, CommandLineTest, run

MACHINE = ROOT / "experiments" / "machines" / "h100_ndr.json"
SIMULATE = ["simulate", "--machine", MACHINE, "--chunk-tokens", "4096", "--query-heads", "8", "--head-dim", "128"]
RING = ["ring", "--tokens", "403", "--query-heads", "4", "--kv-heads", "2", "--head-dim", "16", "--repetitions", "3"]
CATEGORIES = {"copy": "communication", "post": "communication", "fixed": "overhead", "compute": "compute", "merge": "compute",
              "poll": "communication", "wait": "waiting", "exposed": "communication", "join": "compute",
              "exchange": "communication"}


def nanoseconds(microseconds):
    return round(microseconds * 1000)


def slices_of(trace):
    """{process: [(begin, end, event)]} in nanoseconds, in the file's order."""
    slices = collections.defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            begin = nanoseconds(event["ts"])
            slices[event["pid"]].append((begin, begin + nanoseconds(event["dur"]), event))
    return slices


def faults(trace):
    """What is wrong with the order of a trace's events: times that go back or are negative, slices that overlap without
    one lying within the other, messages without an end, arrows that start or end outside of slices."""
    found, last = [], 0.0
    for event in trace["traceEvents"]:
        if event["ph"] == "M":
            continue
        if not (event["ts"] >= last and math.isfinite(event["ts"]) and event.get("dur", 0.0) >= 0.0):
            found.append(f"time goes back or is none: {event}")
        last = max(last, event["ts"])
    if found:
        return found
    slices = slices_of(trace)
    for process, listed in slices.items():
        open_ends = []
        for begin, end, event in listed:
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            if open_ends and end > open_ends[-1]:
                found.append(f"slices overlap in process {process}: {event}")
            open_ends.append(end)
    spans = collections.defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] in "besf":
            spans[event["id"]].append(event)
        if event["ph"] in "sf":
            at = nanoseconds(event["ts"])
            if not any(begin <= at <= end for begin, end, _ in slices[event["pid"]]):
                found.append(f"an arrow without a slice: {event}")
    for name, events in spans.items():
        phases = "".join(event["ph"] for event in events)
        if sorted(phases) not in (sorted("be"), sorted("besf")) or phases.index("b") > phases.index("e"):
            found.append(f"message {name} has events {phases}")
    return found


class Traces(CommandLineTest):
    def trace(self, arguments, ranks=None, name="trace.json"):
        """(the trace, the document of --json)"""
        file = self.folder / name
        document = self.document([*arguments, "--trace", file], ranks=ranks)
        return json.loads(file.read_text(encoding="utf-8")), document

    def assert_in_order(self, trace, kind):
        self.assertEqual(faults(trace), [])
        names = {event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "process_name"}
        self.assertEqual(names, {f"rank {rank} ({kind})" for rank in trace["otherData"]["ranks"]})
        for event in trace["traceEvents"]:
            if event["ph"] in "Xb":
                self.assertEqual(event["args"]["kind"], kind)
            if event["ph"] == "X":
                self.assertEqual(event["cat"], CATEGORIES[event["name"]])

    def test_simulated(self):
        for flags in [["--ring-size", "1"], ["--ring-size", "5", "--mask", "causal"], ["--ring-size", "8", "--jitter", "0.1"],
                      ["--ring-size", "6", "--schedule", "bidirectional_ring", "--pass", "backward"],
                      ["--ring-size", "6", "--schedule", "double_ring", "--inner-ring-size", "3", "--message-layout", "copied"],
                      ["--ring-size", "4", "--schedule", "all_gather", "--moving", "query"]]:
            with self.subTest(flags):
                trace, document = self.trace([*SIMULATE, *flags], name="-".join(flags) + ".json")
                self.assert_in_order(trace, "simulated")
                row = document["rows"][0]
                self.assertEqual(trace["otherData"]["time_s"], row["time_s"])
                ends = []
                for listed in slices_of(trace).values():
                    # End to end from 0, so that the sum of slices is the time at which the rank ends.
                    self.assertEqual(listed[0][0], 0)
                    for (_, before, _), (begin, _, _) in zip(listed, listed[1:]):
                        self.assertEqual(begin, before)
                    ends.append(sum(end - begin for begin, end, _ in listed))
                self.assertEqual(max(ends), round(row["time_s"] * 1e9))
                begins = [event for event in trace["traceEvents"] if event["ph"] == "b"]
                ranks = row["ring_size"]
                self.assertEqual(sum(event["name"] == "block" for event in begins), ranks * row["hops"])
                self.assertEqual(sum(event["name"] == "result" for event in begins), ranks * row["result_hops"])

    def test_chosen_ranks_and_steps(self):
        trace, _ = self.trace([*SIMULATE, "--ring-size", "64", "--trace-ranks", "0-2,17", "--trace-steps", "3-4"])
        self.assertEqual(trace["otherData"]["ranks"], [0, 1, 2, 17])
        self.assertEqual({event["args"]["step"] for event in trace["traceEvents"] if event["ph"] == "X"}, {3, 4})
        ends = {(event["args"]["from"], event["args"]["to"]) for event in trace["traceEvents"] if event["ph"] == "b"}
        self.assertEqual(ends, {(63, 0), (0, 1), (1, 2), (2, 3), (16, 17), (17, 18)})
        # Where results come home, they do so in one step more.
        home, _ = self.trace([*SIMULATE, "--ring-size", "8", "--pass", "backward", "--trace-steps", "8"], name="home.json")
        self.assertEqual({event["args"]["step"] for event in home["traceEvents"] if event["ph"] == "X"}, {8})

    def test_measured(self):
        for ranks, flags in [(None, []), (3, ["--mask", "causal", "--placement", "zigzag"]),
                             (4, ["--schedule", "bidirectional_ring", "--pass", "backward"]), (2, ["--schedule", "ulysses"])]:
            with self.subTest(ranks=ranks, flags=flags):
                trace, document = self.trace([*RING, *flags], ranks, f"{ranks}.json")
                self.assert_in_order(trace, "measured")
                other = trace["otherData"]
                self.assertEqual(other["ranks"], list(range(ranks or 1)))
                self.assertEqual(len(other["measured"]["untraced_samples_s"]), 3)
                self.assertEqual(document["rows"][0]["samples_s"], other["measured"]["untraced_samples_s"])
                slices = slices_of(trace)
                for rank in other["measured"]["ranks"]:
                    listed = slices[1 + rank["rank"]]
                    spent = sum(end - begin for begin, end, event in listed if event["name"] != "poll")
                    self.assertLessEqual(spent, (rank["end_s"] - rank["begin_s"]) * 1e9 + 2 * len(listed))
                    self.assertGreaterEqual(rank["clock_uncertainty_s"], 0.0)

    def test_both_kinds_open_together(self):
        simulated, _ = self.trace([*SIMULATE, "--ring-size", "3"], name="simulated.json")
        measured, _ = self.trace(RING, 3, "measured.json")
        processes = [{event["pid"] for event in trace["traceEvents"]} for trace in (simulated, measured)]
        self.assertEqual(processes[0] & processes[1], set())
        joined = self.folder / "joined.json"
        result = subprocess.run([sys.executable, "-B", ROOT / "analysis" / "traces.py", "join", self.folder / "simulated.json",
                                 self.folder / "measured.json", "--output", joined], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        both = json.loads(joined.read_text(encoding="utf-8"))
        self.assertEqual(faults(both), [])
        self.assertEqual(len(both["traceEvents"]), len(simulated["traceEvents"]) + len(measured["traceEvents"]))

    def test_damaged_traces_are_seen(self):
        trace, _ = self.trace([*SIMULATE, "--ring-size", "4"])
        self.assertEqual(faults(trace), [])
        places = {phase: next(place for place, event in enumerate(trace["traceEvents"]) if event["ph"] == phase)
                  for phase in "Xbesf"}
        first = trace["traceEvents"][places["X"]]
        for phase, change in [("X", {"dur": first["dur"] + 0.5}), ("X", {"ts": -1.0}), ("X", {"ts": math.nan}), ("f", {"ts": 1e12}),
                              ("s", {"pid": 5}), ("e", {"id": 999})]:
            with self.subTest(phase=phase, change=change):
                events = [dict(event) for event in trace["traceEvents"]]
                events[places[phase]].update(change)
                self.assertNotEqual(faults({"traceEvents": events}), [])

    def test_refusals(self):
        file = self.folder / "trace.json"
        simulate = [*SIMULATE, "--ring-size", "8"]
        self.assert_refused([*simulate, "--trace", self.folder / "none" / "t.json"], ["t.json"])
        for flags, words in [(["--trace-ranks", "0-9"], ["--trace-ranks", "0-9", "0 to 7"]),
                             (["--trace-steps", "8"], ["--trace-steps", "'8'", "0 to 7"]),
                             (["--trace-steps", "5-8"], ["--trace-steps", "'5-8'", "0 to 7"]),
                             (["--trace-steps", "9", "--pass", "backward"], ["--trace-steps", "0 to 8"]),
                             (["--trace-steps", "1,3"], ["leaves steps out"])]:
            self.assert_refused([*simulate, "--trace", file, *flags], words)
        self.assert_refused([*simulate, "--trace-ranks", "1"], ["no effect without --trace"])
        large = [*SIMULATE, "--ring-size", "600", "--trace", file]
        self.assert_refused(large, ["would have 2875050 events and may have 1000000; choose fewer ranks or steps"])
        self.assertEqual(run([*large, "--trace-ranks", "0-1", "--trace-steps", "0-20"]).returncode, 0)
        self.assert_refused([*simulate, "--trace", file], ["trace.json", "exists"])
        file.unlink()
        self.assert_refused([*SIMULATE, "--ring-size", "262144", "--trace", file, "--trace-ranks", "0"], ["too large to trace"])
        self.assert_refused([*RING, "--trace", file, "--trace-ranks", "3"], ["--trace-ranks", "'3'"], ranks=2)
        self.assert_refused([*RING, "--trace", file, "--layer", "multihead"], ["--layer multihead"])
        self.assert_refused([*RING, "--trace", file, "--checkpoint", self.folder / "c"], ["--checkpoint"])


if __name__ == "__main__":
    unittest.main()
