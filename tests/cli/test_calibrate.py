# SPDX-License-Identifier: Apache-2.0
"""A real calibration, in its quick form: it writes a machine file, and simulate takes it."""

import json
import unittest

from program import CommandLineTest, run


class Calibrate(CommandLineTest):
    def test_a_machine_is_measured_and_simulated(self):
        ended = run(["calibrate", "--quick", "--name", "here", "--output", str(self.folder)], ranks=2, timeout=500)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        machine = self.folder / "here.json"
        document = json.loads(machine.read_text(encoding="utf-8"))
        self.assertEqual(document["kind"], "measured")
        self.assertGreater(document["footprint"]["workspace_bytes"], 0)
        self.assertGreater(len(document["tiles"]["backward_samples"]), 8)
        for direction in ["forward", "backward"]:
            row = self.document(["simulate", "--machine", str(machine), "--ring-size", "64", "--chunk-tokens", "1024", "--pass",
                                 direction])["rows"][0]
            self.assertEqual((row["kind"], row["machine_kind"]), ("simulated", "measured"))
            self.assertGreater(row["time_s"], 0.0)
            self.assertEqual(row.get("time_source", "tiles"), "tiles")  # backward tiles are measured, not scaled


if __name__ == "__main__":
    unittest.main()
