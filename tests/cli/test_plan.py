# SPDX-License-Identifier: Apache-2.0
"""plan: its answers agree with simulate, its documents with the schema, and what it cannot answer is refused in one line."""

import copy
import json
import re
import unittest

try:
    import jsonschema
except ImportError:  # the schema is then checked by no test here; test_schemas.py says that it was skipped
    jsonschema = None

from program import ROOT, CommandLineTest, run

MACHINE = ROOT / "experiments" / "machines" / "a100_nvlink_hdr.json"
SCHEMA = json.loads((ROOT / "experiments" / "schema" / "sizing.schema.json").read_text(encoding="utf-8"))
SHAPE = ["--query-heads", "4", "--kv-heads", "2", "--head-dim", "64"]
PLAN = ["plan", "--machine", MACHINE, *SHAPE]
FULL = ["--reserve-bytes", "79999MB"]  # leaves a megabyte

REFUSED = [
    ("nothing asked", [], ["--devices", "--tokens", "--calculator"]),
    ("no devices", ["--devices", "0"], ["devices", "0", "2^40"]),
    ("negative devices", ["--devices", "-8"], ["devices", "-8"]),
    ("too many devices", ["--devices", "1099511627777"], ["devices", "2^40"]),
    ("no tokens", ["--tokens", "0"], ["tokens", "0"]),
    ("tokens beyond 2^50", ["--tokens", "1125899906842625"], ["tokens", "2^50"]),
    ("tokens beyond 64 bits", ["--tokens", "99999999999999999999"], ["tokens", "2^50"]),
    ("no hours", ["--tokens", "64", "--hours", "0"], ["--hours", "0"]),
    ("hours that are no number", ["--tokens", "64", "--hours", "nan"], ["--hours"]),
    ("hours for given devices", ["--tokens", "64", "--devices", "8", "--hours", "1"], ["--hours", "no effect"]),
    ("hours without tokens", ["--devices", "8", "--hours", "1"], ["--hours", "no effect"]),
    ("all memory reserved", ["--devices", "8", "--reserve-bytes", "80GB"], ["reserve_bytes", "nothing is left"]),
    ("a size that is none", ["--devices", "8", "--reserve-bytes", "most"], ["--reserve-bytes", "most"]),
    ("no batch", ["--devices", "8", "--batch", "0"], ["batch", "0"]),
    ("unknown pass", ["--devices", "8", "--pass", "sideways"], ["pass", "sideways", "both"]),
    ("unknown mask", ["--devices", "8", "--mask", "diagonal"], ["mask", "diagonal"]),
    ("unknown schedule", ["--devices", "8", "--schedule", "spiral"], ["schedule", "spiral"]),
    ("a schedule that is wrong", ["--devices", "8", "--schedule", "local_only"], ["local_only", "wrong"]),
    ("what does not go together", ["--devices", "8", "--placement", "replicated_queries", "--moving", "query"], ["query"]),
    ("a dtype the machine has not", ["--devices", "8", "--dtype", "float8_e4m3"], ["float8_e4m3"]),
    ("no rows", ["--devices", "8", "--top", "0"], ["--top"]),
    ("no steps", ["--devices", "8", "--most-steps", "0"], ["most_steps"]),
    ("more steps than can be", ["--devices", "8", "--most-steps", "1e12"], ["most_steps", "1e9"]),
    ("negative ranks on a node", ["--devices", "8", "--ranks-on-node", "-1"], ["ranks_on_node"]),
    ("diagnosis of nothing", ["--devices", "8", "--diagnose"], ["--diagnose", "--tokens"]),
    ("a kernel without a diagnosis", ["--devices", "8", "--kernel", "materialised"], ["--kernel", "no effect"]),
    ("unknown kernel", ["--devices", "8", "--tokens", "64", "--diagnose", "--kernel", "popcorn"], ["kernel", "popcorn"]),
    ("more devices than tokens", ["--devices", "8", "--tokens", "4", "--diagnose"], ["tokens", "4", "8"]),
    ("inner rings that do not fit", ["--devices", "9", "--tokens", "64", "--diagnose", "--schedule", "double_ring"],
     ["double_ring", "9"]),
    ("fewer tokens than any ring of rings", ["--devices", "16", "--tokens", "3", "--schedule", "double_ring"], ["tokens", "3", "16"]),
    ("more than any device could hold", ["--devices", "1", "--tokens", "1125899906842624", "--diagnose"], ["2^56"]),
    ("arguments without a calculator", ["--devices", "8", "--arguments", "seq_len=1"], ["--arguments", "no effect"]),
]

REFUSED_CALCULATIONS = [
    ("unknown calculator", ["--calculator", "guess"], ["guess", "calculate_ring_config", "all"]),
    ("a machine beside it", ["--calculator", "all", "--machine", "x.json"], ["--machine", "no effect"]),
    ("arguments of all", ["--calculator", "all", "--arguments", "seq_len=1"], ["--arguments", "no effect"]),
    ("an argument missing", ["--calculator", "ring_gpus_needed"], ["seq_len", "missing"]),
    ("an unknown argument", ["--calculator", "ring_gpus_needed", "--arguments", "tokens=1"], ["tokens=1", "seq_len"]),
    ("a word for a number", ["--calculator", "ring_gpus_needed", "--arguments", "seq_len=many"], ["seq_len", "many"]),
    ("no machine", ["--devices", "8"], ["--machine"]),
    ("heads that do not divide", ["--machine", MACHINE, "--devices", "8", "--kv-heads", "3"], ["query_heads", "kv_heads"]),
    ("negative kv heads", ["--machine", MACHINE, "--devices", "8", "--kv-heads", "-1"], ["--kv-heads", "at least 1", "-1"]),
    ("a machine that is not there", ["--devices", "8", "--machine", "none.json"], ["none.json"]),
]


def as_printed(calculation):
    outcome = calculation["as_printed"]
    return outcome["error"] or list(outcome["values"].values())


class Plan(CommandLineTest):
    def plan(self, arguments, code=0):
        document = self.document([*PLAN, *arguments], code=code)
        self.assert_valid(document)
        return document

    def errors(self, document):
        return [error.message[:300] for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]

    def assert_valid(self, document):
        if jsonschema is not None:
            self.assertEqual(self.errors(document), [])

    def simulated(self, row, tokens):
        """What simulate says of a row's ring."""
        inner = ["--inner-ring-size", row["inner_ring_size"]] if row["schedule"] == "double_ring" else []
        return self.document(["simulate", "--machine", MACHINE, *SHAPE, "--ring-size", row["ring_size"], "--tokens", tokens,
                              "--schedule", row["schedule"], *inner, "--placement", row["placement"], "--moving",
                              row["moving"]])["rows"][0]

    def test_largest_context_is_what_simulate_says_fits_and_one_token_more_does_not(self):
        document = self.plan(["--devices", "16", *FULL])
        tokens = document["answer"]["tokens"]
        budget = document["machine"]["budget_bytes"]
        self.assertEqual(budget, 1_000_000)
        self.assertGreater(document["answer"]["next_token_memory_bytes"], budget)
        best = document["ranked"][0]
        row = self.simulated(best, tokens)
        self.assertEqual((row["memory_peak_bytes"], row["time_s"]), (best["memory_peak_bytes"], best["time_s"]))
        self.assertLessEqual(row["memory_peak_bytes"], budget)
        self.assertGreater(self.simulated(best, tokens + 1)["memory_peak_bytes"], budget)
        self.assertEqual((document["answer"]["kind"], best["kind"], best["memory_kind"]), ("analytic", "simulated", "analytic"))

    def test_fewest_devices_hold_it_and_one_less_does_not(self):
        document = self.plan(["--tokens", "20000", *FULL, "--schedule", "ring"])
        devices = document["answer"]["devices"]
        self.assertEqual(document["answer"]["limited_by"], "memory")
        self.assertGreater(devices, 2)
        self.assertEqual(document["ranked"][0]["devices"], devices)
        # Both questions meet: with these devices that context fits, with one less it is beyond the largest.
        for given, fits in [(devices, True), (devices - 1, False)]:
            largest = self.plan(["--devices", given, *FULL, "--schedule", "ring"])["answer"]["tokens"]
            self.assertEqual(largest >= 20000, fits)

    def test_fewest_devices_in_time_are_fast_enough_and_one_less_is_not(self):
        document = self.plan(["--tokens", "100000", "--hours", "1e-6"])
        answer = document["answer"]
        self.assertEqual((answer["limited_by"], answer["kind"]), ("time", "simulated"))
        self.assertTrue(answer["all_smaller_numbers_excluded"])
        for row in document["ranked"]:
            self.assertLessEqual(row["time_s"], 3.6e-3)
        fewer = self.plan(["--tokens", "100000", "--devices", answer["devices"] - 1, "--top", "1000"])
        for row in fewer["ranked"]:
            self.assertGreater(row["time_s"], 3.6e-3)

    def test_the_largest_numbers_are_answered(self):
        answer = self.plan(["--tokens", str(2 ** 50), "--most-devices", str(2 ** 40)])["answer"]
        self.assertGreater(answer["devices"], 2 ** 20)
        self.assertFalse(self.plan(["--tokens", str(2 ** 50)], code=1)["answered"])
        self.assertGreater(self.plan(["--tokens", str(2 ** 50), "--devices", str(2 ** 40)])["answer"]["simulated"], 0)

    def test_a_time_that_no_number_reaches(self):
        answer = self.plan(["--tokens", "5000", "--hours", "1e-12", "--most-devices", "16"], code=1)["answer"]
        self.assertEqual((answer["devices"], answer["limited_by"]), (0, "nothing is as fast"))
        self.assertGreater(answer["fastest_simulated_s"], 3.6e-9)

    def test_best_configuration_ranks_what_simulate_says(self):
        document = self.plan(["--tokens", "4096", "--devices", "16", "--top", "1000"])
        rows = document["ranked"]
        self.assertEqual(len(rows), document["answer"]["configurations"])
        self.assertEqual({row["schedule"] for row in rows}, {"ring", "bidirectional_ring", "double_ring", "all_gather"})
        self.assertEqual({row["ring_size"] for row in rows}, {1, 2, 4, 8, 16})
        times = [row["time_s"] for row in rows if row["kind"] == "simulated"]
        self.assertEqual(times, sorted(times))
        for row in [rows[0], rows[len(rows) // 2], rows[-1]]:
            self.assertEqual(self.simulated(row, 4096)["time_s"], row["time_s"])
        curve = {row["ring_size"]: row["time_s"] for row in document["by_ring_size"]}
        self.assertEqual(list(curve), sorted(curve))
        for ring_size, time_s in curve.items():
            self.assertEqual(time_s, min(row["time_s"] for row in rows if row["ring_size"] == ring_size))

    def test_both_passes_add_up(self):
        arguments = ["--tokens", "2048", "--devices", "4", "--schedule", "ring", "--placement", "zigzag", "--moving", "key_value"]
        parts = [self.plan([*arguments, "--pass", name])["ranked"][0] for name in ["forward", "backward"]]
        both = self.plan([*arguments, "--pass", "both"])["ranked"][0]
        self.assertAlmostEqual(both["time_s"], sum(part["time_s"] for part in parts), delta=1e-12)
        self.assertEqual(both["memory_peak_bytes"], max(part["memory_peak_bytes"] for part in parts))
        self.assertEqual([part["pass"] for part in both["passes"]], ["forward", "backward"])

    def test_what_does_not_fit_is_diagnosed(self):
        document = self.plan(["--tokens", "20000", "--devices", "2", *FULL, "--schedule", "all_gather"], code=1)
        diagnosis = document["diagnosis"]
        self.assertFalse(document["answered"] or diagnosis["fits_memory"])
        self.assertEqual(diagnosis["memory_peak_bytes"], document["ranked"][0]["memory_peak_bytes"])
        saved = [saving["saved_bytes"] for saving in diagnosis["savings"]]
        self.assertEqual(saved, sorted(saved, reverse=True))
        for saving in diagnosis["savings"]:
            self.assertEqual(saving["memory_peak_bytes"] + saving["saved_bytes"], diagnosis["memory_peak_bytes"])

    def test_diagnosis_of_a_wasteful_setting(self):
        document = self.plan(["--tokens", "20000", "--devices", "8", *FULL, "--diagnose", "--schedule", "all_gather", "--placement",
                              "replicated_queries", "--kernel", "materialised", "--message-layout", "copied", "--dtype", "float32"],
                             code=1)
        settings = [saving["setting"] for saving in document["diagnosis"]["savings"]]
        self.assertEqual(settings[0], "kernel")
        self.assertTrue({"placement", "schedule", "message_layout", "ring_size", "dtype"} <= set(settings), settings)
        # Only element types that the machine has arithmetic for are offered.
        self.assertEqual({saving["to"] for saving in document["diagnosis"]["savings"] if saving["setting"] == "dtype"}, {"bfloat16"})

    def test_documented_calls_of_the_calculators(self):
        document = self.document(["plan", "--calculator", "all"])
        self.assert_valid(document)
        calls = {(one["calculator"], *one["arguments"].values()): one for one in document["calculations"]}
        self.assertEqual(as_printed(calls["calculate_ring_config", 10 ** 9, 4000, 8.0]), [250000, 4000, 4000, "2.00GB", "12.0s"])
        self.assertRegex(as_printed(calls["calculate_ring_config", 1000, 4000, 8.0]), "^ZeroDivisionError")
        self.assertEqual(as_printed(calls["calculate_optimal_ring_size", 10 ** 7, 32, 40.0]), [1])
        self.assertEqual(as_printed(calls["optimize_segment_lengths", 10 ** 6, 8, 3]), [[2048, 4096, 8192]])
        self.assertEqual(as_printed(calls["get_batch_size", 65536, 32768, 32]), [0])
        one = self.document(["plan", "--calculator", "optimize_block_size", "--arguments", "ring_size=8,seq_len=256,model_size=large"])
        self.assertEqual(one["calculations"][0]["as_printed"]["values"], {"block_size": 256})
        self.assertEqual(one["calculations"][0]["corrected"]["values"], {"block_size": 32})

    def test_output_is_written_once(self):
        arguments = [*PLAN, "--devices", "8", *FULL, "--output", self.folder]
        document = self.document(arguments)
        files = list(self.folder.iterdir())
        self.assertEqual([path.name for path in files], ["plan-largest_context-a100_nvlink_hdr-8-devices.json"])
        self.assertEqual(json.loads(files[0].read_text(encoding="utf-8"))["answer"], document["answer"])
        self.assert_refused(arguments, ["plan-largest_context"])

    def test_dry_run_answers_nothing(self):
        result = run([*PLAN, "--devices", "8", "--dry-run"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertIn("largest_context", result.stdout)

    def test_for_people_simulated_and_analytic_figures_are_called_so(self):
        out = run([*PLAN, "--tokens", "4096", "--devices", "8"]).stdout
        self.assertIn("error             unknown", out)
        self.assertRegex(out, r"time +[0-9.e-]+ s simulated")
        self.assertRegex(out, r"\(simulated\) +\(simulated\) +\(analytic\)")
        self.assertTrue(re.search(r"^bound +(compute|bandwidth|latency|waiting)", out, re.MULTILINE), out)

    def test_bad_input(self):
        for name, arguments, fragments in REFUSED:
            with self.subTest(name):
                self.assert_refused([*PLAN, *arguments], fragments)
        for name, arguments, fragments in REFUSED_CALCULATIONS:
            with self.subTest(name):
                self.assert_refused(["plan", *arguments], fragments)

    @unittest.skipIf(jsonschema is None, "the Python module jsonschema is missing")
    def test_the_schema_refuses_what_is_wrong(self):
        good = self.plan(["--tokens", "4096", "--devices", "4"])
        for change in [lambda d: d["ranked"][0].update(kind="measured"), lambda d: d["ranked"][0].update(time_s=None),
                       lambda d: d["ranked"][0].pop("time_s_interval"), lambda d: d["ranked"][0].update(schedule="local_only"),
                       lambda d: d["ranked"][0].update(memory_kind="simulated"), lambda d: d["machine"].pop("kind"),
                       lambda d: d.pop("by_ring_size"), lambda d: d["answer"].update(time_ms=1.0),
                       lambda d: d.update(question="largest_context"), lambda d: d.pop("provenance")]:
            bad = copy.deepcopy(good)
            change(bad)
            self.assertNotEqual(self.errors(bad), [])


if __name__ == "__main__":
    unittest.main()
