# SPDX-License-Identifier: Apache-2.0
"""validate --measured on this host: what it says, that a wrong machine shows, and how it refuses. No time is judged."""

import copy
import json
import math
import statistics
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

from program import ROOT, CommandLineTest, run

QUICK = ["validate", "--measured", "--quick", "--rounds", "1"]


class ValidateMeasured(CommandLineTest):
    def test_rings_are_predicted_by_a_machine_that_has_not_seen_them(self):
        out = self.folder / "out"
        document = self.document([*QUICK, "--output", out], ranks=2)
        self.assertEqual((document["verdict"], document["reasons"]), ("valid", []))
        self.assertEqual(json.loads((out / "validate-measured.json").read_text()), document)
        share = document["config"]["others_processor_share"]
        self.assertTrue(share is None or 0.0 <= share <= 1.0, share)
        rows = document["rows"]
        self.check_rows(rows)
        self.check_schemas(document, json.loads((out / "validate-machine.json").read_text()))
        self.check_summary(document["config"]["summary"], rows)
        machine = json.loads((out / "validate-machine.json").read_text())
        names = ("ring_size", "tokens", "mask", "placement", "pass")
        fitted = {tuple(point[name] for name in names) for point in machine["hold_out"]["points"]}
        self.assertEqual({place[-1] for place in fitted}, {"forward", "backward"})
        self.assertEqual(document["config"]["fitted_rings"], len(machine["hold_out"]["points"]))
        for row in rows:
            plain = (row["schedule"], row["moving"], row["hops_travelled"]) == ("ring", "key_value", "all")
            self.assertFalse(plain and tuple(row[name] for name in names) in fitted, row["point"])
        self.wrong_machine(machine, rows)
        run_again = run([*QUICK, "--output", out], ranks=2)
        self.assertEqual(run_again.returncode, 2)
        self.assertIn("validate-measured.json", run_again.stderr)

    def check_rows(self, rows):
        self.assertGreater(len(rows), 30)
        self.assertEqual({row["pass"] for row in rows}, {"forward", "backward"})
        self.assertEqual({row["schedule"] for row in rows}, {"ring", "all_gather"})  # two ranks have no more
        self.assertEqual({row["placement"] for row in rows}, {"contiguous", "zigzag", "striped"})
        for row in rows:
            measured, predicted = row["measured"], row["predicted"]
            self.assertEqual((row["kind"], measured["kind"], predicted["kind"]), ("simulated", "measured", "simulated"))
            self.assertEqual(predicted["time_source"], "tiles")  # of backward passes too
            self.assertEqual(measured["time_s"], statistics.median(measured["samples_s"]))
            self.assertTrue(math.isclose(row["relative_error"], predicted["time_s"] / measured["time_s"] - 1, rel_tol=1e-9))
            interval = predicted["time_s_interval"]
            self.assertLess(interval["low"], interval["high"])
            self.assertEqual(row["covered"], interval["low"] <= measured["time_s"] <= interval["high"])

    def check_schemas(self, results, machine):
        if jsonschema is None:
            return
        for name, document in [("results", results), ("machine", machine)]:
            schema = json.loads((ROOT / "experiments" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(schema).validate(document)
        for change in [lambda row: row["predicted"].update(kind="measured"), lambda row: row["measured"].update(samples_s=[]),
                       lambda row: row.pop("covered"), lambda row: row.update(kind="measured")]:
            bad = copy.deepcopy(results)
            change(bad["rows"][0])
            schema = json.loads((ROOT / "experiments" / "schema" / "results.schema.json").read_text(encoding="utf-8"))
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.Draft202012Validator(schema).validate(bad)

    def check_summary(self, summary, rows):
        for kind, shares in [("own_cores", False), ("shared_cores", True)]:
            errors = sorted(abs(row["relative_error"]) for row in rows if row["shares_cores"] == shares)
            self.assertEqual(summary[kind]["rings"], len(errors))
            if errors:
                self.assertTrue(math.isclose(summary[kind]["median_error"], statistics.median(errors)))
                self.assertGreaterEqual(summary[kind]["percentile_90_error"], summary[kind]["median_error"])
                covered = [row["covered"] for row in rows if row["shares_cores"] == shares]
                self.assertTrue(math.isclose(summary[kind]["covered_share"], sum(covered) / len(covered), abs_tol=1e-12))
        goals = summary["goals"]
        own = summary["own_cores"]["median_error"]
        self.assertEqual(goals["median_met"], own is not None and own <= goals["median_error"])

    def wrong_machine(self, machine, rows):
        """Negative control: with tiles three times as slow every prediction is longer. Other terms keep the ratio below three;
        the merge that a written block lacks, at most half of its tile, can bring it up to six."""
        slow = copy.deepcopy(machine)
        for table in ["samples", "backward_samples"]:
            for tile in slow["tiles"][table]:
                tile["time_s"] *= 3
        path = self.write("slow.json", slow)
        again = self.document([*QUICK, "--machine", path], ranks=2)["rows"]
        self.assertEqual([row["point"] for row in again], [row["point"] for row in rows])
        ratios = [new["predicted"]["time_s"] / old["predicted"]["time_s"] for new, old in zip(again, rows)]
        self.assertGreater(min(ratios), 1.0)
        self.assertGreater(statistics.median(ratios), 1.2)
        self.assertLess(max(ratios), 6.0 + 1e-6)

    def test_refusals(self):
        published = ROOT / "experiments" / "machines" / "gtx1080.json"
        for arguments, fragments in [([*QUICK, "--machine", self.folder / "none.json"], ["none.json"]),
                                     ([*QUICK, "--machine", published], ["gtx1080.json", "published", "calibrate"]),
                                     (["validate", "--quick"], ["--measured"]),
                                     ([*QUICK[:-1], "0"], ["--rounds", "0"]),
                                     (["validate"], ["--published", "--measured"])]:
            with self.subTest(arguments):
                self.assert_refused(arguments, fragments)

    def test_a_dry_run_measures_nothing(self):
        ended = run([*QUICK, "--dry-run", "--output", self.folder / "out"], ranks=2)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("held out", ended.stdout)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
