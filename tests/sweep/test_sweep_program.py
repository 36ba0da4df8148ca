# SPDX-License-Identifier: Apache-2.0
"""The sweep verb as users run it: killed, stopped, resumed, refused, on one rank and on several."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from program import ROOT, CommandLineTest, command, environment, files_below, own_lines, run  # noqa: E402

SHAPE = {"query_heads": 4, "kv_heads": 2, "head_dim": 16, "warmup": 0, "repetitions": 2}
# What the clock, the machine's load and the operating system decide; all else must repeat.
VARYING = {"measured": {"time_s", "time_s_interval", "samples_s", "tokens_per_s", "tokens_per_s_per_device", "compute_s",
                        "exposed_communication_s", "merge_s", "messages_only_s", "messages_only_samples_s",
                        "hidden_fraction", "peak_rss_bytes"},
           "simulated": {"wall_s", "hops_per_s"}, "analytic": set()}
MACHINE = ROOT / "experiments" / "machines" / "gtx1080.json"


def experiment(grids, **defaults):
    return {"schema": "ringscale.experiment", "schema_version": 1, "name": "test", "defaults": {**SHAPE, **defaults},
            "grids": grids}


def mixed(ring_sizes):
    return experiment([
        {"name": "rings", "kind": "measured", "mask": ["none", "causal"], "placement": ["contiguous", "zigzag"],
         "tokens": 259, "ring_size": ring_sizes},
        {"name": "virtual", "kind": "simulated", "machine": str(MACHINE), "jitter": 0.02, "speed_spread": 0.05,
         "chunk_tokens": 4096, "ring_size": [1, 16, 64]},
        {"name": "designs", "kind": "analytic", "tokens": 8192, "model": ["ring_sharded", "serial_chunk_loop"],
         "ring_size": {"powers_of_two": [1, 16]}}])


def results(folder):
    return json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))


def lasting(row):
    return {key: value for key, value in row.items() if key not in VARYING[row["kind"]]}


def finished_points(folder):
    journal = Path(folder) / "journal.jsonl"
    if not journal.exists():
        return []
    lines = journal.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last newline is torn
    return [entry["point"] for entry in map(json.loads, lines) if "point" in entry]


class Sweep(CommandLineTest):
    def start(self, arguments, ranks=None):
        """A sweep in a process group of its own."""
        process = subprocess.Popen(command(arguments, ranks), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment(), start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_for_points(self, process, folder, number):
        deadline = time.monotonic() + 60
        while len(finished_points(folder)) < number:
            self.assertIsNone(process.poll(), "ended before it could be interrupted")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def resume_once_free(self, arguments, ranks):
        """Ranks outlive a killed launcher for a moment, and their lock with them."""
        deadline = time.monotonic() + 20
        while True:
            result = run(arguments, ranks)
            if "in use by" not in result.stderr or time.monotonic() > deadline:
                return result
            time.sleep(0.1)

    def assert_same_rows(self, folder, reference):
        rows, expected = results(folder)["rows"], results(reference)["rows"]
        self.assertEqual([lasting(row) for row in rows], [lasting(row) for row in expected])
        points = finished_points(folder)
        self.assertEqual(len(points), len(set(points)), "a point was run twice")
        self.assertEqual(len(points), len(rows))

    def test_killed_sweep_resumes_to_the_same_rows(self):
        for ranks, sizes in [(None, [1]), (3, [1, 3])]:
            with self.subTest(ranks=ranks):
                # Thirteen points are not measured and come first; repetitions keep the measured ones busy for the kill.
                file = self.write(f"experiment{ranks}.json", {**mixed(sizes), "defaults": {**SHAPE, "repetitions": 200}})
                whole, killed = self.folder / f"whole{ranks}", self.folder / f"killed{ranks}"
                self.assertEqual(run(["sweep", file, "--output", whole], ranks).returncode, 0)
                process = self.start(["sweep", file, "--output", killed], ranks)
                self.wait_for_points(process, killed, 14)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.assertFalse((killed / "results.json").exists())
                result = self.resume_once_free(["sweep", file, "--output", killed, "--resume"], ranks)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assert_same_rows(killed, whole)
                self.assertEqual(len(results(killed)["runs"]), 2)

    def test_signals_stop_between_points(self):
        slow = experiment([{"name": "rings", "kind": "measured", "tokens": {"range": [64, 4000, 16]}, "ring_size": 1}],
                          repetitions=20)
        file = self.write("slow.json", slow)
        for number, code in enumerate([signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]):
            with self.subTest(code):
                out = self.folder / f"out{number}"
                process = self.start(["sweep", file, "--output", out])
                self.wait_for_points(process, out, 1)
                process.send_signal(code)
                self.assertEqual(process.wait(60), 75)
                self.assertFalse((out / "results.json").exists())
                self.assertNotIn(".lock", files_below(out))

    def test_time_budget_is_resumable(self):
        file = self.write("experiment.json", mixed([1]))
        out, whole = self.folder / "out", self.folder / "whole"
        document = self.document(["sweep", file, "--output", out, "--time-budget", "1e-9"], code=75)
        self.assertEqual((document["schema"], document["finished_points"]), ("ringscale.progress", 0))
        self.assertEqual(run(["sweep", file, "--output", out, "--resume"]).returncode, 0)
        self.assertEqual(run(["sweep", file, "--output", whole]).returncode, 0)
        self.assert_same_rows(out, whole)
        again = self.document(["sweep", file, "--output", out, "--resume"])
        self.assertEqual(again["rows"], results(out)["rows"], "a finished sweep only tells how it ended")

    def test_refusals(self):
        file = self.write("experiment.json", mixed([1, 4]))
        self.assert_refused(["sweep", file, "--output", self.folder / "out"], ["needs 4 ranks", "mpiexec -n 4"])
        self.assert_refused(["sweep", file, "--output", self.folder / "out"], ["this job has 2", "mpiexec -n 4"], ranks=2)
        self.assert_refused(["sweep", file], ["--output DIR is missing"])
        self.assert_refused(["sweep", self.folder / "absent.json", "--output", self.folder], ["absent.json does not exist"])
        broken = self.write("machine.json", '{"schema": "ringscale.machine", "schema_version": 1}')
        grid = {"name": "v", "kind": "simulated", "tokens": 64, "ring_size": 2}
        for ranks in [None, 3]:
            self.assert_refused(["sweep", self.write("virtual.json", experiment([grid])), "--machine", broken, "--output",
                                 self.folder / "out"], ["machine.json"], ranks=ranks)
        no_machine = self.write("no_machine.json", experiment([grid]))
        self.assert_refused(["sweep", no_machine, "--output", self.folder / "out"], ["--machine FILE"])
        misspelt = self.write("misspelt.json", experiment([{"name": "v", "kind": "analytic", "tokens": 64, "ringsize": 2}]))
        self.assert_refused(["sweep", misspelt, "--output", self.folder / "out"], ["$.grids[0]", "ring"])
        good = self.write("good.json", experiment([{"name": "v", "kind": "analytic", "tokens": 64, "ring_size": 2}]))
        self.assert_refused(["sweep", good, "--output", "/proc/out"], ["/proc/out"])

    def test_another_experiment_in_the_same_folder_is_refused(self):
        grid = {"name": "designs", "kind": "analytic", "tokens": 64, "ring_size": 2}
        first = self.write("first.json", experiment([grid]))
        second = self.write("second.json", experiment([{**grid, "tokens": 65}]))
        out = self.folder / "out"
        self.assertEqual(run(["sweep", first, "--output", out]).returncode, 0)
        self.assert_refused(["sweep", second, "--output", out, "--resume"], ["another experiment file"])
        self.assert_refused(["sweep", first, "--output", out], ["results.json exists already"])
        (out / "results.json").unlink()
        self.assert_refused(["sweep", first, "--output", out], ["journal.jsonl exists already", "--resume"])

    def test_a_second_driver_is_refused(self):
        slow = experiment([{"name": "rings", "kind": "measured", "tokens": {"range": [64, 4000, 16]}, "ring_size": 1}],
                          repetitions=20)
        file = self.write("slow.json", slow)
        out = self.folder / "out"
        process = self.start(["sweep", file, "--output", out])
        self.wait_for_points(process, out, 1)
        result = run(["sweep", file, "--output", out, "--resume"])
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"in use by process {process.pid}", own_lines(result.stderr)[0])
        self.assertIsNone(process.poll(), "the first driver goes on")

    def test_wrong_rings_make_the_sweep_invalid(self):
        file = self.write("control.json", experiment([
            {"name": "control", "kind": "measured", "schedule": ["ring", "local_only"], "tokens": 67, "ring_size": 2}]))
        out = self.folder / "out"
        document = self.document(["sweep", file, "--output", out], code=1, ranks=2)
        self.assertEqual([row["verdict"] for row in document["rows"]], ["valid", "invalid"])
        self.assertEqual(document["verdict"], "invalid")
        self.assertEqual(len(document["reasons"]), 1)
        self.assertIn("local_only", document["reasons"][0])

    def test_a_point_is_what_simulate_says(self):
        """The same row from a setting as from the flag, but for what each run of the program writes by itself."""
        machine = json.loads((ROOT / "experiments" / "machines" / "h100_ndr.json").read_text(encoding="utf-8"))
        machine["jitter"]["relative_quantiles"] = [0.95, 1.0, 1.01, 1.3]
        first = self.write("first.json", machine)
        other = self.write("other.json", {**machine, "name": "other", "jitter": {**machine["jitter"], "relative_quantiles":
                                                                                 [0.9, 1.0, 1.1]}})
        two = f"{first}:10,{other}:14"
        listed = ",".join(["1", "0.5"] * 12)
        failing = {"device_mtbf_s": 1e6, "restart_time_s": 9, "failure_detection_s": 2, "passes": 50}
        cases = [{}, {"jitter": "measured"}, {"jitter": 0.03, "speed_spread": 0.1}, {"stragglers": "0.2:1.5"},
                 {"machine": two, "jitter": "measured"}, {"machine": two, "balance_chunks": True}, {"tile_speedup": 1.5},
                 {"device_speeds": listed}, {"chunk_weights": listed}, {"engine": "plan", "tick_bits": 30},
                 {**failing, "checkpoint_interval": "daly", "checkpoint_time_s": 0.5},
                 {**failing, "checkpoint_interval": 60, "checkpoint_bytes": "4GB", "checkpoint_bandwidth": "2GB",
                  "failure_trials": 10}]
        shape = {"chunk_tokens": 512, "query_heads": 8, "head_dim": 64}
        flag_names = {"device_mtbf_s": "--device-mtbf", "restart_time_s": "--restart-time",
                      "failure_detection_s": "--failure-detection", "checkpoint_time_s": "--checkpoint-time"}
        grids = [{"name": f"case{number}", "kind": "simulated", "machine": str(first), "ring_size": 24, **shape, **case}
                 for number, case in enumerate(cases)]
        document = {"schema": "ringscale.experiment", "schema_version": 1, "name": "test", "grids": grids}
        rows = self.document(["sweep", self.write("points.json", document), "--output", self.folder / "out"])["rows"]
        seen = []
        for case, row in zip(cases, rows):
            with self.subTest(case):
                flags = ["--machine", case.get("machine", first), "--ring-size", 24]
                for key, value in {**shape, **case}.items():
                    name = flag_names.get(key, "--" + key.replace("_", "-"))
                    flags += [] if key == "machine" else [name] if value is True else [name, value]
                (expected,) = self.document(["simulate", *flags])["rows"]
                own = VARYING["simulated"] | {"point", "grid"}
                strip = lambda one: {key: value for key, value in one.items() if key not in own}  # noqa: E731
                self.assertEqual(strip(row), strip(expected))
                seen.append(json.dumps(strip(row)))
        self.assertEqual(len(set(seen)), len(cases), "every setting changes the row")

    def test_any_number_of_ranks_gives_the_same_simulated_rows(self):
        """Points shared out, and rings that all ranks divide (20,000 devices that differ), in the order of the plan."""
        shape = {"chunk_tokens": 64, "query_heads": 8, "head_dim": 64}
        h100, gtx = (ROOT / "experiments" / "machines" / f"{name}.json" for name in ["h100_ndr", "gtx1080"])
        file = self.write("points.json", {
            "schema": "ringscale.experiment", "schema_version": 1, "name": "test", "defaults": shape, "grids": [
                {"name": "small", "kind": "simulated", "machine": [str(h100), str(gtx)], "jitter": [0, 0.02],
                 "mask": ["none", "causal"], "ring_size": [1, 30, 200, 1100]},
                {"name": "large", "kind": "simulated", "machine": str(gtx), "stragglers": "0.01:1.5",
                 "ring_size": [20000, 3]},
                {"name": "mixed", "kind": "simulated", "machine": f"{h100}:7,{gtx}:5", "dtype": "float16",
                 "ring_size": 12, "seed": [1, 2]}]})
        answers = []
        for ranks in [None, 2, 3]:
            out = self.folder / f"out{ranks}"
            result = run(["sweep", file, "--output", out], ranks)
            self.assertEqual(result.returncode, 0, result.stderr)
            rows = results(out)["rows"]
            self.assertEqual(finished_points(out), [row["point"] for row in rows])
            answers.append(json.dumps([lasting(row) for row in rows]))
        self.assertEqual(answers[1], answers[0])
        self.assertEqual(answers[2], answers[0])

    def test_a_refused_point_ends_the_sweep_on_any_number_of_ranks(self):
        grid = {"name": "v", "kind": "simulated", "machine": str(MACHINE), "chunk_tokens": 64, "ring_size": [2, 3, 4, 5, 6],
                "jitter": [0, "measured"], "seed": 1}
        file = self.write("points.json", {"schema": "ringscale.experiment", "schema_version": 1, "name": "t",
                                          "grids": [grid]})
        for ranks in [None, 3]:
            with self.subTest(ranks=ranks):
                out = self.folder / f"out{ranks}"
                result = run(["sweep", file, "--output", out], ranks)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(len(own_lines(result.stderr)), 1, result.stderr)
                self.assertIn("relative_quantiles", result.stderr)
                self.assertIn("point v/ring_contiguous_mask_none_tokens_128_ring_2", result.stderr)
                self.assertEqual(len(finished_points(out)), 5, "points before it are kept")

    def test_settings_are_the_flags_of_simulate(self):
        """Every flag of `simulate` is a setting of a point and in the schema, but for what makes outputs."""
        schema = json.loads((ROOT / "experiments" / "schema" / "experiment.schema.json").read_text(encoding="utf-8"))
        grids = schema["properties"]["grids"]["items"]["oneOf"]
        (settings,) = [grid["properties"] for grid in grids if grid["properties"]["kind"] == {"const": "simulated"}]
        flags = set(re.findall(r"^  (?:-\w,)?\s*--([a-z-]+)", run(["simulate", "--help"]).stdout, re.MULTILINE))
        outputs = {"help", "json", "dry-run", "output", "threads", "explain", "emit-trace", "emit-goal", "trace",
                   "trace-ranks", "trace-steps", "trace-limit"}
        others = {"hops": "hops_travelled", "block-sparse": "block_sparse"}
        self.assertGreater(len(flags), 40)
        for flag in flags - outputs:
            key = others.get(flag, flag.replace("-", "_"))
            self.assertTrue(key in settings or key + "_s" in settings, flag)

    def test_shipped_experiments_expand(self):
        for name, points in [("quick", 150), ("full", 500)]:
            with self.subTest(name):
                plan = self.document(["sweep", ROOT / "experiments" / f"{name}.json", "--dry-run"])
                self.assertGreater(len(plan["points"]), points)
                self.assertEqual(plan["ranks_needed"], 4 if name == "quick" else 8)
                self.assertEqual(files_below(self.folder), [])


if __name__ == "__main__":
    unittest.main()
