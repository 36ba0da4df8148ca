# SPDX-License-Identifier: Apache-2.0
"""validate --published: rows for every published figure, tables as data, one line for what is corrupt."""

import copy
import json
import re
import unittest

from program import ROOT, CommandLineTest, run

TABLES = ROOT / "experiments" / "published" / "tables.json"
FURTHER = ROOT / "experiments" / "published" / "further.json"
PAGE = ROOT / "docs" / "published-tables.md"
# Names, order and device that no shipped table has; the figures are invented.
UNSEEN = {
    "schema": "ringscale.published-tables", "schema_version": 1, "tables": [{
        "id": "X1", "title": "Rings of an unknown work", "source": {"work": "nobody"}, "trust": "low",
        "setup": {"accelerator": "H200", "causal": True, "element_bytes": 2, "note": None},
        "columns": [
            {"name": "balance", "unit": "-", "meaning": "placement", "origin": "published"},
            {"name": "calls_per_second", "unit": "1/s", "meaning": "speed", "origin": "published"},
            {"name": "of_ideal", "unit": "%", "meaning": "100 * calls_per_second / ideal", "origin": "derived"},
            {"name": "ideal", "unit": "1/s", "meaning": "perfect speed", "origin": "published"},
            {"name": "cards", "unit": "devices", "meaning": "devices", "origin": "published"},
            {"name": "context", "unit": "1e3 tokens", "meaning": "length", "origin": "published"},
            {"name": "attention_heads", "unit": "heads", "meaning": "heads", "origin": "published"},
            {"name": "head_size", "unit": "elements", "meaning": "width of a head", "origin": "published"}],
        "rows": [{"balance": balance, "calls_per_second": speed, "of_ideal": 100 * speed / 100, "ideal": 100, "cards": 8,
                  "context": context, "attention_heads": 32, "head_size": 128}
                 for context, balance, speed in [(64, "zigzag", 90), (64, "ring", 55), (128, "zigzag", 24), (128, "ring", 14),
                                                 (256, "zigzag", None), (256, "ring", 3.6)] if speed],
        "notes": [], "reference_formula": None}]}


def percents(line):
    return [float(number) for number in re.findall(r"(\d+\.\d+) %", line)]


class ValidatePublished(CommandLineTest):
    def rows(self, document, **match):
        return [row for row in document["rows"] if all(row[key] == value for key, value in match.items())]

    def test_every_row_says_what_was_published_and_predicted(self):
        document = self.document(["validate", "--published", TABLES])
        self.assertEqual((document["verb"], document["verdict"]), ("validate", "valid"))
        published = json.loads(TABLES.read_text(encoding="utf-8"))["tables"]
        self.assertEqual([table["table"] for table in document["tables"]], [table["id"] for table in published])
        for row in document["rows"]:
            for key in ["table", "cell", "unit", "published", "predicted", "relative_error", "role"]:
                self.assertIn(key, row)
            self.assertIn(row["role"], ["predicted", "fitted", "not_predicted"])
            if row["role"] == "not_predicted":
                self.assertIsNone(row["predicted"])
                self.assertTrue(row["reason"])
            else:
                self.assertAlmostEqual(row["predicted"] / row["published"] - 1, row["relative_error"], places=9)
                self.assertIn(row["kind"], ["simulated", "analytic"])
        for table in published:
            columns = {column["name"]: column for column in table["columns"]}
            for row in self.rows(document, table=table["id"]):
                self.assertEqual(row["unit"], columns[row["column"]]["unit"])
                if "published_formula" not in row:
                    self.assertEqual(row["published"], table["rows"][row["row"]][row["column"]])
        fitted = {row["cell"] for row in self.rows(document, role="fitted")}
        self.assertTrue(fitted >= {cell for fit in document["fits"] for cell in fit["cells"]})
        for fit in document["fits"]:
            self.assertTrue({"table", "name", "value", "unit", "cells"} <= set(fit))

    def test_repeats_itself_and_needs_no_file_for_the_shipped_tables(self):
        first = self.document(["validate", "--published", TABLES])
        second = self.document(["validate", "--published"])
        self.assertEqual(first["rows"], second["rows"])

    def test_an_unseen_table_needs_no_code(self):
        document = self.document(["validate", "--published", self.write("unseen.json", UNSEEN)])
        speeds = self.rows(document, column="calls_per_second")
        self.assertEqual(len(speeds), 5)
        self.assertEqual({row["method"] for row in speeds}, {"ring simulated on h200_ndr"})
        self.assertEqual({row["kind"] for row in speeds}, {"simulated"})
        predicted = {row["row"]: row["predicted"] for row in speeds}
        self.assertGreater(predicted[0] / predicted[1], 1.3, "zigzag beats a contiguous causal ring")
        self.assertGreater(predicted[0] / predicted[2], 3, "four times the work")
        for row in self.rows(document, column="of_ideal"):
            self.assertTrue(row["by_formula"])
            self.assertAlmostEqual(row["relative_error"], 0.0, places=9)
        for row in self.rows(document, column="ideal"):
            self.assertEqual(row["role"], "not_predicted")
            self.assertIn("ideal", row["reason"])
        self.assertEqual(document["tables"][0]["settings"], ["balance", "cards", "context", "attention_heads", "head_size"])

    def test_a_prediction_does_not_read_its_cell(self):
        before = self.document(["validate", "--published", self.write("before.json", UNSEEN)])
        row = next(row for row in self.rows(before, column="calls_per_second") if row["role"] == "predicted")
        changed = copy.deepcopy(UNSEEN)
        changed["tables"][0]["rows"][row["row"]]["calls_per_second"] *= 10
        after = self.document(["validate", "--published", self.write("after.json", changed)])
        same = self.rows(after, cell=row["cell"])[0]
        self.assertEqual(same["predicted"], row["predicted"])
        self.assertNotEqual(same["relative_error"], row["relative_error"])
        # The control: a figure that constants are fitted on moves the predictions.
        fitted = next(row for row in self.rows(before, column="calls_per_second") if row["role"] == "fitted")
        changed = copy.deepcopy(UNSEEN)
        changed["tables"][0]["rows"][fitted["row"]]["calls_per_second"] *= 3
        moved = self.document(["validate", "--published", self.write("moved.json", changed)])
        self.assertNotEqual(self.rows(moved, cell=row["cell"])[0]["predicted"], row["predicted"])

    def test_corrupt_tables_are_refused_in_one_line(self):
        faults = [
            ("missing value", lambda table: table["rows"][2].pop("cards"), ["$.tables[0].rows[2].cards", "null"]),
            ("text for a number", lambda table: table["rows"][0].update(context="long"), ["$.tables[0].rows[0].context", "number"]),
            ("wrong type", lambda table: table.update(rows="none"), ["$.tables[0].rows"]),
            ("unknown key", lambda table: table.update(colums=[]), ["colums", "columns"]),
        ]
        for name, corrupt, fragments in faults:
            with self.subTest(name):
                document = copy.deepcopy(UNSEEN)
                corrupt(document["tables"][0])
                path = self.write("corrupt.json", document)
                self.assert_refused(["validate", "--published", path, "--json"], ["corrupt.json", *fragments])
        twice = copy.deepcopy(UNSEEN)
        twice["tables"].append(twice["tables"][0])
        self.assert_refused(["validate", "--published", self.write("twice.json", twice)], ["$.tables[1].id", "X1"])
        path = self.write("one.json", UNSEEN)
        self.assert_refused(["validate", "--published", path, path], ["id", "X1", "another file"])
        self.assert_refused(["validate", "--published", self.write("cut.json", '{"schema": ')], ["cut.json", "line 1"])
        self.assert_refused(["validate", "--published", self.folder / "nothing.json"], ["nothing.json"])
        self.assert_refused(["validate", "--published", path, "--machines", self.folder / "nowhere"], ["nowhere"])
        self.assert_refused(["validate"], ["--published", "--measured"])

    def test_settings_that_are_not_understood_are_said_in_one_line(self):
        faults = [
            ("parts of a GPU", lambda table: table["setup"].update(gpus=7.5), ["$.tables[0].setup.gpus", "7.5", "whole number"]),
            ("parts of a card", lambda table: table["rows"][1].update(cards=7.5), ["$.tables[0].rows[1].cards", "whole number"]),
            ("mask", lambda table: table["setup"].update(mask="casual"), ["$.tables[0].setup.mask", "casual", "causal, non-causal"]),
            ("pass", lambda table: table["setup"].update({"pass": "fwdd"}), ["$.tables[0].setup.pass", "fwdd", "fwd, forward"]),
            ("dtype", lambda table: table["setup"].update(dtype="fp12"), ["$.tables[0].setup.dtype", "fp12", "bf16"]),
            ("text", lambda table: table["setup"].update(head_dim="abc"), ["$.tables[0].setup.head_dim", "abc", "number"]),
            ("huge", lambda table: table["setup"].update(seq_len=1e300), ["$.tables[0].setup.seq_len", "1e60"]),
            ("beyond 2^50", lambda table: table["setup"].update(seq_len=2 ** 50 + 1), ["$.tables[0].setup.seq_len", "2^50"]),
            ("formula", lambda table: table.update(reference_formula={"ideal": "(cards * 2"}),
             ["$.tables[0].reference_formula.ideal", "(cards * 2"]),
            ("unit", lambda table: table["columns"][1].update(unit="1/fortnight"), ["$.tables[0].columns", "fortnight"]),
            ("line break", lambda table: table.update(id="X1\nverdict: valid"), ["$.tables[0].id", "control character"]),
        ]
        for name, corrupt, fragments in faults:
            with self.subTest(name):
                document = copy.deepcopy(UNSEEN)
                corrupt(document["tables"][0])
                path = self.write("wrong.json", document)
                if name in ["huge", "line break"]:
                    self.assert_refused(["validate", "--published", path, "--json"], ["wrong.json", *fragments])
                    continue
                answer = self.document(["validate", "--published", path])
                remarks = answer["tables"][0]["remarks"]
                self.assertEqual(len(remarks), 1, remarks)
                for fragment in ["wrong.json", *fragments]:
                    self.assertIn(fragment, remarks[0])
                if name not in ["formula", "unit"]:
                    self.assertFalse([row for row in answer["rows"] if row["role"] != "not_predicted" and not row["by_formula"]])
        # The control: right ones are accepted.
        right = copy.deepcopy(UNSEEN)
        right["tables"][0]["setup"].update({"gpus": 8, "mask": "causal", "pass": "fwd only", "dtype": "bf16"})
        self.document(["validate", "--published", self.write("right.json", right)])

    def test_a_formula_that_divides_by_zero_is_listed_and_no_model_stands_in(self):
        document = copy.deepcopy(UNSEEN)
        document["tables"][0]["reference_formula"] = {"calls_per_second": "ideal / (cards - 8)", "tolerance": "some %"}
        answer = self.document(["validate", "--published", self.write("zero.json", document)])
        speeds = self.rows(answer, column="calls_per_second")
        self.assertEqual({row["role"] for row in speeds}, {"not_predicted"})
        for row in speeds:
            self.assertIn("divides by zero", row["reason"])

    def test_texts_in_place_of_figures_are_rows(self):
        document = copy.deepcopy(UNSEEN)
        table = document["tables"][0]
        table["rows"][0]["calls_per_second"] = "OOM"
        table["rows"][1]["calls_per_second"] = "-"
        table["rows"][2]["calls_per_second"] = f"~{table['rows'][2]['calls_per_second']}*"
        answer = self.document(["validate", "--published", self.write("texts.json", document)])
        rows = {row["row"]: row for row in self.rows(answer, column="calls_per_second")}
        self.assertEqual(len(rows), len(table["rows"]))
        self.assertEqual((rows[0]["published_text"], rows[0]["published"], rows[0]["predicted"]), ("OOM", None, None))
        self.assertIs(rows[0]["fits"], True)
        self.assertLess(rows[0]["needed_bytes"], rows[0]["device_bytes"])
        self.assertEqual((rows[1]["published_text"], rows[1]["role"]), ("-", "not_predicted"))
        self.assertNotIn("fits", rows[1])
        self.assertEqual(rows[2]["published"], UNSEEN["tables"][0]["rows"][2]["calls_per_second"])
        self.assertEqual(answer["tables"][0]["memory_fits"], 1)
        for row in answer["rows"]:
            self.assertEqual("read_as" in row, row["role"] != "not_predicted" and not row["by_formula"])

    def test_a_file_beyond_the_limits_is_refused_in_one_line(self):
        document = copy.deepcopy(UNSEEN)
        document["tables"][0]["rows"] *= 300
        self.assert_refused(["validate", "--published", self.write("many.json", document)], ["many.json", "10000 cells"])

    def test_output_is_the_document_and_is_never_overwritten(self):
        path = self.write("unseen.json", UNSEEN)
        out = self.folder / "out"
        document = self.document(["validate", "--published", path, "--output", out])
        written = json.loads((out / "published.json").read_text(encoding="utf-8"))
        self.assertEqual(written["rows"], document["rows"])
        self.assert_refused(["validate", "--published", path, "--output", out], ["published.json"])

    def test_dry_run_predicts_nothing(self):
        result = run(["validate", "--published", TABLES, "--dry-run"])
        self.assertEqual((result.returncode, len(result.stdout.splitlines())), (0, 1), result.stdout)

    def test_the_page_states_the_errors_that_the_command_prints(self):
        """To three tenths of a point and a tenth of the figure: compilers round differently."""
        result = run(["validate", "--published", TABLES, FURTHER])
        self.assertEqual(result.returncode, 0, result.stderr)
        printed = {line.split()[0]: line for line in result.stdout.splitlines() if "|" in line}
        identifiers = [table["id"] for file in (TABLES, FURTHER)
                       for table in json.loads(file.read_text(encoding="utf-8"))["tables"]]
        stated = {line.split()[0]: line for line in PAGE.read_text(encoding="utf-8").splitlines()
                  if line.startswith("    ") and "|" in line and line.split()[0] in identifiers}
        self.assertEqual(sorted(stated), sorted(identifiers))
        for identifier in identifiers:
            there, here = percents(stated[identifier]), percents(printed[identifier])
            self.assertEqual(len(there), len(here), identifier)
            for said, found in zip(there, here):
                self.assertLessEqual(abs(said - found), 0.3 + 0.1 * found, identifier)


if __name__ == "__main__":
    unittest.main()
