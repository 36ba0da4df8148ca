# SPDX-License-Identifier: Apache-2.0
"""--json prints exactly one document on standard output, with the fields that users script against."""

import json
import math
import unittest

from program import ROOT, CommandLineTest, run

RING = ["ring", "--tokens", "259", "--query-heads", "4", "--kv-heads", "2", "--head-dim", "16"]
HEADLINE = ROOT / "experiments" / "claims" / "headline.json"
PURPOSES = {"query", "key_value", "output", "partial", "gradient", "scores", "communication", "workspace"}


def machine():
    return sorted((ROOT / "experiments" / "machines").glob("*.json"))[0]


class Documents(CommandLineTest):
    def assert_numbers(self, row, names):
        for name in names:
            self.assertIsInstance(row[name], (int, float), name)
            self.assertTrue(math.isfinite(row[name]), name)

    def test_info(self):
        document = self.document(["info"])
        self.assertEqual(document["schema"], "ringscale.info")
        choices = document["choices"]
        simulate = ["simulate", "--machine", machine(), "--ring-size", "8", "--chunk-tokens", "64"]
        for flag, listed in [("schedule", "schedules"), ("placement", "placements"), ("moving", "movings"), ("pass", "passes"),
                             ("hops", "hops"), ("message-layout", "message_layouts"), ("mask", "masks")]:
            with self.subTest(flag):
                refused = run([*simulate, f"--{flag}", "spiral"]).stderr
                self.assertEqual(choices[listed], refused.split("one of: ")[1].strip().split(", "))

    def test_ring(self):
        for ranks in [None, 1, 3]:
            with self.subTest(ranks=ranks):
                document = self.document([*RING, "--mask", "causal", "--placement", "zigzag"], ranks=ranks)
                row = document["rows"][0]
                self.assertEqual((document["verdict"], row["kind"]), ("valid", "measured"))
                self.assertEqual((row["ring_size"], row["hops"]), (ranks or 1, (ranks or 1) - 1))
                self.assertLessEqual(row["max_error"], row["error_bound"])
                self.assert_numbers(row, ["time_s", "tokens_per_s", "memory_peak_bytes", "max_error", "error_bound"])
                self.assertEqual(set(row["memory_bytes"]), PURPOSES)
                self.assertEqual(row["memory_peak_bytes"], row["memory_closed_form_bytes"])

    def test_multihead_layer(self):
        for ranks in [None, 3]:
            with self.subTest(ranks=ranks):
                document = self.document([*RING, "--layer", "multihead", "--embed-dim", "40", "--gradient-bucket", "4KiB",
                                          "--placement", "zigzag", "--mask", "causal", "--repetitions", "2"], ranks=ranks)
                row = document["rows"][0]
                self.assertEqual((document["verdict"], row["layer"], row["embed_dim"]), ("valid", "multihead", 40))
                self.assertEqual(document["config"]["gradient_bucket_bytes"], 4096)
                self.assertGreater(row["gradient_buckets"], 1)
                self.assert_numbers(row, ["forward_s", "backward_s", "reduction_s", "backward_with_reduction_s",
                                          "reduction_hidden_fraction"])
                self.assertEqual(len(row["errors"]), 13)
                for name, error in row["errors"].items():
                    self.assertLessEqual(error["largest_share_of_bound"], 1.0, name)

    def test_a_multihead_layer_on_a_ring_that_never_rotates_is_invalid(self):
        document = self.document([*RING, "--layer", "multihead", "--schedule", "local_only"], code=1, ranks=2)
        self.assertEqual(document["verdict"], "invalid")
        self.assertGreater(document["rows"][0]["errors"]["output"]["largest_share_of_bound"], 1.0)

    def test_ring_negative_controls_are_invalid(self):
        for control in [["--schedule", "local_only"], ["--softmax", "per_chunk"]]:
            with self.subTest(control):
                document = self.document([*RING, *control], code=1, ranks=2)
                self.assertEqual(document["verdict"], "invalid")
                self.assertTrue(document["reasons"])

    def test_a_ring_in_bfloat16_says_so(self):
        exact = self.document(RING, ranks=2)["rows"][0]
        row = self.document([*RING, "--dtype", "bfloat16"], ranks=2)["rows"][0]
        self.assertEqual((row["dtype"], row["verdict"]), ("bfloat16", "valid"))
        self.assertEqual(row["hop_bytes"] - 64, (exact["hop_bytes"] - 64) // 2)
        self.assertTrue(exact["error_bound"] < row["max_error"] <= row["error_bound"], row["max_error"])
        self.assertLessEqual(row["max_stored_error"], row["stored_error_bound"])
        self.assertLess(row["stored_error_bound"], row["error_bound"])
        self.assertNotIn("max_stored_error", exact)

    def test_precision_is_lowered_where_allowed_and_never_silently(self):
        ring = ["ring", "--tokens", "2048", "--query-heads", "4", "--head-dim", "64"]
        exact = self.document(ring, ranks=2)["rows"][0]
        limit = ["--memory-limit", str(int(exact["memory_peak_bytes"] * 0.7))]
        document = self.document([*ring, *limit, "--allow-lower-precision"], ranks=2)
        row = document["rows"][0]
        self.assertEqual((document["config"]["dtype"], row["dtype"], row["verdict"]), ("float32", "bfloat16", "valid"))
        (step,) = row["recovery"]
        self.assertEqual((step["action"], step["dtype"]), ("lower_precision", "bfloat16"))
        self.assertEqual((step["bytes_before"], step["bytes_after"]), (exact["memory_peak_bytes"], row["memory_peak_bytes"]))
        self.assertAlmostEqual(exact["error_bound"] + step["error_cost"], row["error_bound"])
        refused = run([*ring, *limit], ranks=2)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("lower_precision was not allowed", refused.stderr)

    def test_the_row_has_what_ran_and_the_configuration_what_was_asked_for(self):
        stored = ["ring", "--tokens", "2048", "--query-heads", "4", "--head-dim", "64", "--kernel", "materialised"]
        document = self.document([*stored, "--memory-limit", "8MiB"], ranks=2)
        self.assertEqual((document["config"]["kernel"], document["rows"][0]["kernel"]), ("materialised", "streamed"))
        self.assertEqual([step["action"] for step in document["rows"][0]["recovery"]], ["recompute_instead_of_store"])

    def test_attention(self):
        document = self.document(["attention", "--tokens", "257", "--query-heads", "2", "--head-dim", "64", "--benchmark"])
        row = document["rows"][0]
        self.assertEqual(document["verdict"], "valid")
        self.assert_numbers(row, ["gflop_per_s", "fma_peak_gflop_per_s", "share_of_peak"])

    def test_simulate(self):
        document = self.document(["simulate", "--machine", machine(), "--ring-size", "1000", "--chunk-tokens", "4096",
                                  "--query-heads", "8", "--head-dim", "64", "--speed-spread", "0.05", "--jitter", "0.02"])
        row = document["rows"][0]
        self.assertEqual((row["kind"], row["ring_size"], row["hops"]), ("simulated", 1000, 999))
        self.assert_numbers(row, ["time_s", "tokens_per_s", "tokens_per_s_per_device", "memory_peak_bytes", "wall_s"])

    def test_simulate_repeats_itself(self):
        arguments = ["simulate", "--machine", machine(), "--ring-size", "100", "--chunk-tokens", "512", "--query-heads", "8",
                     "--head-dim", "64", "--speed-spread", "0.1", "--jitter", "0.1"]
        times = [self.document([*arguments, "--seed", seed])["rows"][0]["time_s"] for seed in ["1", "1", "2"]]
        self.assertEqual(times[0], times[1])
        self.assertNotEqual(times[0], times[2])

    def test_sweep_and_check(self):
        experiment = self.write("experiment.json", {
            "schema": "ringscale.experiment", "schema_version": 1, "name": "small",
            "grids": [{"name": "memory", "kind": "analytic", "tokens": [8192], "ring_size": [1, 2, 4]}]})
        plan = self.document(["sweep", experiment, "--dry-run"])
        out = self.folder / "out"
        document = self.document(["sweep", experiment, "--output", out])
        self.assertEqual((document["verdict"], len(document["rows"])), ("valid", 3))
        self.assertEqual(json.loads((out / "results.json").read_text())["rows"], document["rows"])
        self.assertNotEqual(plan["schema"], document["schema"])
        verdicts = self.document(["check", "--claims", HEADLINE, "--results", out])["verdicts"]
        claims = json.loads(HEADLINE.read_text())["claims"]
        self.assertEqual([verdict["id"] for verdict in verdicts], [claim["id"] for claim in claims])
        self.assertGreaterEqual(len(verdicts), 15)
        for verdict in verdicts:
            self.assertTrue({"id", "verdict", "margin", "evidence"} <= set(verdict), verdict)
            for evidence in verdict["evidence"]:
                self.assertTrue({"kind", "source"} <= set(evidence), evidence)

    def test_without_json_the_verdict_is_one_line(self):
        result = run(RING)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sum(line.startswith("verdict") for line in result.stdout.splitlines()), 1, result.stdout)


if __name__ == "__main__":
    unittest.main()
