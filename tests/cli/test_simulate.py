# SPDX-License-Identifier: Apache-2.0
"""`ringscale simulate`: where the time went, failures, several types of devices, what-ifs, and what is refused."""

import copy
import json
import math
import resource
import signal
import unittest
from decimal import Decimal

from program import ROOT, CommandLineTest, own_lines, run

MACHINES = ROOT / "experiments" / "machines"
H100 = MACHINES / "h100_ndr.json"
A100 = MACHINES / "a100_nvlink_hdr.json"
SHAPE = ["--chunk-tokens", "4096", "--query-heads", "8", "--head-dim", "64"]
FAILURES = ["--device-mtbf", "1e7", "--failure-detection", "30", "--restart-time", "120"]
RUN = [*FAILURES, "--passes", "20000"]


class Simulate(CommandLineTest):
    def row(self, *arguments):
        return self.document(["simulate", *arguments])["rows"][0]

    def shown_parts(self, *arguments):
        """Times and percentages of --explain as written, the total last."""
        result = run(["simulate", *arguments, "--explain"])
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        first = next(place for place, line in enumerate(lines) if line.startswith("slowest device"))
        parts = []
        for line in lines[first + 1:]:
            if not line.startswith("  "):
                break
            fields = line.split(" s ")
            parts.append((Decimal(fields[0].split()[-1]), Decimal(fields[1].split()[0])))
        return parts

    def test_the_parts_add_up_to_the_last_digit_shown(self):
        for arguments in [[], ["--mask", "causal"], ["--mask", "causal", "--placement", "zigzag", "--pass", "backward"],
                          ["--schedule", "bidirectional_ring", "--jitter", "0.03"],
                          ["--schedule", "all_gather", "--pass", "backward"],
                          ["--speed-spread", "0.1", "--jitter", "0.05", "--seed", "7"],
                          ["--stragglers", "0.1:1.7"], [*RUN], [*RUN, "--stragglers", "0.1:1.7"],
                          [*RUN, "--checkpoint-interval", "daly", "--checkpoint-time", "0.7"]]:
            for ring_size in ["1", "24", "1300"]:
                with self.subTest(arguments=arguments, ring_size=ring_size):
                    parts = self.shown_parts("--machine", H100, "--ring-size", ring_size, *SHAPE, *arguments)
                    self.assertEqual(len(parts), 10 if "--passes" in arguments else 6)
                    for column in [0, 1]:
                        shown = [part[column] for part in parts]
                        self.assertEqual(sum(shown[:-1]), shown[-1])
                        self.assertTrue(all(part >= 0 for part in shown))
                    self.assertEqual(parts[-1][1], Decimal("100"))

    def test_expected_times_by_another_hand(self):
        row = self.row("--machine", H100, "--ring-size", "4096", *SHAPE, *RUN, "--checkpoint-interval", "500",
                       "--checkpoint-time", "9")
        mtbf, restart, detection = 1e7 / 4096, 120.0, 30.0
        work = 20000 * row["time_s"]
        whole = math.ceil(work / 500 - 1e-9) - 1
        segment = lambda length: (mtbf + detection) * math.exp(restart / mtbf) * math.expm1(length / mtbf)  # noqa: E731
        expected = whole * segment(509.0) + segment(work - whole * 500)
        self.assertAlmostEqual(row["time_with_failures_s"] / expected, 1.0, places=9)
        parts = sum(row[name] for name in ["checkpoint_s", "lost_work_s", "detection_s", "restart_s"])
        self.assertAlmostEqual((work + parts) / expected, 1.0, places=9)
        # The mean of the runs that were played lies within the Monte Carlo interval, and the percentiles around it.
        self.assertEqual(row["failure_trials"], 1000)
        self.assertLessEqual(abs(row["time_with_failures_s_mean"] - expected), 4.5 * row["time_with_failures_s_standard_error"])
        percentiles = row["time_with_failures_s_percentiles"]
        self.assertLess(percentiles["p5"], percentiles["p50"])
        self.assertLess(percentiles["p50"], percentiles["p95"])
        self.assertEqual({row["field_kinds"][name] for name in ["failures_expected", "time_with_failures_s", "lost_work_s",
                                                                "memory_peak_bytes"]}, {"analytic"})
        self.assertNotIn("time_with_failures_s_percentiles", row["field_kinds"])
        self.assertNotIn("time_s", row["field_kinds"])
        self.assertEqual(row["kind"], "simulated")

    def test_without_checkpoints_a_run_starts_from_scratch(self):
        arguments = ["--machine", H100, "--ring-size", "4096", *SHAPE, *RUN]
        without = self.row(*arguments)
        self.assertEqual((without["checkpoint_rule"], without["checkpoint_interval_s"], without["checkpoint_s"]), ("none", None, 0))
        daly = self.row(*arguments, "--checkpoint-interval", "daly", "--checkpoint-time", "9")
        self.assertLess(daly["time_with_failures_s"], without["time_with_failures_s"])
        # A run that no clock would see the end of: null, and nothing was played.
        never = self.row("--machine", H100, "--ring-size", "262144", *SHAPE, *FAILURES, "--passes", "100000000")
        self.assertIsNone(never["time_with_failures_s"])
        self.assertEqual(never["failure_trials"], 0)
        self.assertNotIn("time_with_failures_s_percentiles", never)
        # Too many failures to play, but an end: percentiles in closed form, which say so.
        often = self.row("--machine", H100, "--ring-size", "262144", *SHAPE, "--device-mtbf", "157788000", "--passes", "183")
        percentiles = often["time_with_failures_s_percentiles"]
        self.assertEqual((often["failure_trials"], often["field_kinds"]["time_with_failures_s_percentiles"]), (0, "analytic"))
        self.assertAlmostEqual(percentiles["p50"] / (math.log(2) * often["time_with_failures_s"]), 1.0, places=3)
        self.assertNotIn("time_with_failures_s_mean", often)

    def test_a_ring_without_failures_says_nothing_about_them(self):
        row = self.row("--machine", H100, "--ring-size", "64", *SHAPE)
        self.assertNotIn("time_with_failures_s", row)
        self.assertNotIn("device_types", row)
        self.assertNotIn("tile_speedup", row)

    def test_types_of_devices(self):
        mixed = self.row("--machine", f"{H100}:48,{A100}:16", *SHAPE)
        self.assertEqual((mixed["ring_size"], mixed["machine"]), (64, "h100_ndr:48+a100_nvlink_hdr:16"))
        self.assertEqual([(entry["machine"], entry["devices"]) for entry in mixed["device_types"]],
                         [("h100_ndr", 48), ("a100_nvlink_hdr", 16)])
        times = {name: self.row("--machine", path, "--ring-size", "64", *SHAPE)["time_s"]
                 for name, path in [("h100", H100), ("a100", A100)]}
        self.assertGreaterEqual(mixed["time_s"], times["h100"])
        long = ["--chunk-tokens", "65536", "--query-heads", "8", "--head-dim", "64", "--machine", f"{H100}:48,{A100}:16"]
        self.assertLess(self.row(*long, "--balance-chunks")["time_s"], 0.7 * self.row(*long)["time_s"])

    def test_what_ifs_say_so(self):
        arguments = ["--machine", H100, "--ring-size", "64", "--chunk-tokens", "65536", "--query-heads", "8", "--head-dim", "64"]
        faster = self.row(*arguments, "--tile-speedup", "1.5")
        self.assertEqual((faster["tile_speedup"], faster["field_kinds"]["tile_speedup"]), (1.5, "analytic"))
        self.assertTrue(faster["extrapolated"])
        self.assertIn("what-if", faster["time_source"])
        plain = self.row(*arguments)
        self.assertLess(faster["time_s"], plain["time_s"])
        self.assertGreater(faster["time_s"], plain["time_s"] / 1.5)
        slow = self.row(*arguments, "--stragglers", "0.5:2")
        self.assertEqual((slow["straggler_share"], slow["straggler_factor"]), (0.5, 2))
        self.assertGreater(slow["time_s"], 1.9 * plain["time_s"])

    def test_what_ifs_are_named_in_files_and_tables(self):
        machine = json.loads(H100.read_text(encoding="utf-8"))
        machine["jitter"]["relative_quantiles"] = [0.95, 1.0, 1.2]
        one = ["simulate", "--machine", self.write("jitter.json", machine), "--ring-size", "8", *SHAPE]
        plain = {"measured_jitter": False, "straggler_share": 0, "straggler_factor": 1, "tile_speedup": 1}
        for number, (flags, fields, words) in enumerate([
                ([], {}, []),
                (["--jitter", "measured"], {"measured_jitter": True}, ["jitter measured"]),
                (["--stragglers", "0.3:2.5"], {"straggler_share": 0.3, "straggler_factor": 2.5},
                 ["stragglers 0.3 of the devices, 2.5 times slower"]),
                (["--tile-speedup", "1.5", "--jitter", "0.1"], {"tile_speedup": 1.5},
                 ["what-if: tiles 1.5 times faster", "jitter 0.1"])]):
            with self.subTest(flags=flags):
                trace, goal = self.folder / f"{number}.json", self.folder / f"{number}.goal"
                result = run([*one, *flags, "--trace", trace, "--emit-goal", goal])
                self.assertEqual(result.returncode, 0, result.stderr)
                simulated = json.loads(trace.read_text(encoding="utf-8"))["otherData"]["simulated"]
                self.assertEqual({name: simulated[name] for name in plain}, {**plain, **fields})
                comments = " ".join(line for line in goal.read_text(encoding="utf-8").splitlines() if line.startswith("//"))
                table = next((line for line in result.stdout.splitlines() if line.startswith("with   ")), "")
                for text in (comments, table):
                    for word in words:
                        self.assertIn(word, text)
                    if not words:
                        self.assertNotRegex(text, "jitter|straggl|what-if")

    def test_optional_fields_of_a_machine_file(self):
        machine = json.loads(H100.read_text(encoding="utf-8"))
        some = lambda value: {"value": value, "kind": "analytic", "source": "chosen for a test"}  # noqa: E731
        machine["name"] = "changed"
        machine["failures"] = {"device_mtbf_s": some(1e8), "detection_s": some(30), "restart_s": some(120),
                               "checkpoint_bandwidth_bytes_per_s": some(1e9)}
        arguments = ["--ring-size", "64", *SHAPE]
        plain = self.row("--machine", self.write("plain.json", machine), *arguments)
        self.assertEqual(plain["failure_restart_s"], 120)
        self.assertEqual(self.row("--machine", self.folder / "plain.json", *arguments, "--restart-time", "7")["failure_restart_s"], 7)
        for number, fields in enumerate([{"devices_per_card": 8, "duplex": "half"}, {"oversubscription": some(32)},
                                         {"rendezvous": {"threshold_bytes": 8192, "handshake_s": some(1e-3)}},
                                         {"receive_buffer_bytes": 65536}]):
            with self.subTest(fields=fields):
                changed = copy.deepcopy(machine)
                changed["links"][-1].update(fields)
                row = self.row("--machine", self.write(f"machine{number}.json", changed), *arguments)
                self.assertGreater(row["time_s"], 1.01 * plain["time_s"])

    def test_measured_jitter_is_refused_where_nothing_was_measured(self):
        machine = json.loads(H100.read_text(encoding="utf-8"))
        arguments = ["--ring-size", "64", *SHAPE, "--jitter", "measured"]
        result = run(["simulate", "--machine", H100, *arguments])
        self.assertEqual(result.returncode, 2)
        self.assertIn("relative_quantiles", result.stderr)
        machine["jitter"]["relative_quantiles"] = [0.95, 1.0, 1.2]
        row = self.row("--machine", self.write("jitter.json", machine), *arguments)
        self.assertEqual((row["measured_jitter"], row["engine"]), (True, "plain"))

    def test_refusals(self):
        one = ["simulate", *SHAPE, "--ring-size", "8", "--machine"]
        for arguments, words in [
                ([*one[:-3], "--machine", H100], ["--ring-size"]),
                ([*one, f"{H100}:4"], ["4 devices", "--ring-size 8"]),
                ([*one, f"{H100}:4,{A100}"], ["FILE:COUNT"]),
                ([*one, f"{H100}:0"], ["at least 1"]),
                ([*one, H100, "--stragglers", "half"], ["--stragglers", "half", "SHARE:FACTOR"]),
                ([*one, H100, "--stragglers", "0.1:0.5"], ["straggler factor", "0.5"]),
                ([*one, H100, "--stragglers", "1.5:2"], ["straggler share", "1.5"]),
                ([*one, H100, "--tile-speedup", "nan"], ["tile_speedup", "nan"]),
                ([*one, H100, "--jitter", "some"], ["--jitter", "some", "measured"]),
                ([*one, H100, "--device-mtbf", "0"], ["device_mtbf_s"]),
                ([*one, H100, "--device-mtbf", "1e8", "--checkpoint-interval", "often"], ["--checkpoint-interval", "often"]),
                ([*one, H100, "--device-mtbf", "1e8", "--checkpoint-interval", "young"], ["--checkpoint-time"]),
                ([*one, H100, "--device-mtbf", "1e8", "--checkpoint-time", "3"], ["no effect", "--checkpoint-interval"]),
                ([*one, H100, "--restart-time", "3"], ["--restart-time", "--device-mtbf"]),
                ([*one, H100, "--balance-chunks", "--chunk-weights", "1,1,1,1,1,1,1,1"], ["--balance-chunks", "exclude"])]:
            with self.subTest(arguments=arguments[-3:]):
                result = run(arguments)
                self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_a_full_disk_leaves_no_part_of_a_trace(self):
        def short_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal ends the program before it sees the error
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        folder = self.folder / "smpi"
        result = run(["simulate", *SHAPE, "--ring-size", "64", "--machine", H100, "--emit-trace", folder],
                     preexec_fn=short_files)
        self.assertEqual(result.returncode, 2)
        self.assertIn("disk", result.stderr)
        self.assertEqual(len(own_lines(result.stderr)), 1)
        self.assertFalse(folder.exists())

    def test_outputs_are_checked_before_any_work(self):
        one = ["simulate", *SHAPE, "--ring-size", "8", "--machine", H100]
        new, taken = self.folder / "new", self.write("taken.txt", "earlier")
        below = taken / "below"
        results = self.folder / "results"
        self.assertEqual(run([*one, "--output", results]).returncode, 0)
        for arguments, words in [
                (["--output", results, "--trace", self.folder / "t.json"], ["simulate-h100_ndr-8.json", "exists already"]),
                (["--output", new, "--trace", taken], ["taken.txt", "exists already"]),
                (["--output", new, "--emit-goal", taken], ["taken.txt", "exists already"]),
                (["--trace", self.folder / "t.json", "--emit-goal", taken], ["taken.txt", "exists already"]),
                (["--emit-goal", new, "--emit-trace", results], ["results", "exists already"]),
                (["--emit-goal", new, "--emit-trace", f"{results}/"], ["results", "exists already"]),
                (["--trace", new, "--emit-goal", new], ["--trace and --emit-goal", "new"]),
                (["--trace", new, "--emit-goal", self.folder / "." / "x" / ".." / "new"], ["--trace and --emit-goal", "new"]),
                (["--emit-goal", new, "--emit-trace", f"{new}/"], ["--emit-goal and --emit-trace", "new"]),
                (["--output", new, "--trace", new], ["--trace and --output", "new"]),
                (["--output", new / "deep", "--emit-trace", new], ["--emit-trace and --output", "new"]),
                (["--output", new, "--emit-goal", new / "simulate-h100_ndr-8.json"], ["--emit-goal and --output", "8.json"]),
                (["--emit-goal", new, "--trace", below], ["below", "directory"]),
                (["--emit-goal", new, "--output", below], ["taken.txt"]),
                (["--emit-goal", new, "--trace", self.folder / "none" / "t.json"], ["t.json", "No such file"]),
                (["--trace", ""], ["--trace", "empty"]), (["--emit-goal", ""], ["--emit-goal", "empty"]),
                (["--emit-trace", ""], ["--emit-trace", "empty"]), (["--output", ""], ["--output", "empty"]),
                # Refused while it is computed: then too nothing of the run is written.
                (["--ring-size", "5000", "--emit-goal", new, "--emit-trace", self.folder / "smpi"], ["4096"]),
                (["--ring-size", "600", "--output", new, "--trace", self.folder / "t.json"], ["2875050 events"])]:
            with self.subTest(arguments=arguments):
                base = ["simulate", *SHAPE, "--machine", H100] if "--ring-size" in arguments else one
                self.assert_refused([*base, *arguments], words)
                self.assertFalse(new.exists())
                self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["results", "taken.txt"])
        # All of them in one new folder, made along.
        self.assertEqual(run([*one, "--output", new, "--trace", new / "t.json", "--emit-goal", new / "g.goal", "--emit-trace",
                              new / "smpi"]).returncode, 0)
        self.assertEqual(sorted(path.name for path in new.iterdir()), ["g.goal", "simulate-h100_ndr-8.json", "smpi", "t.json"])


if __name__ == "__main__":
    unittest.main()
