# SPDX-License-Identifier: Apache-2.0
"""scripts/measure-simulator: what it writes is valid and adds up, and bad input gets one line."""

import json
import statistics
import subprocess
import sys
import unittest
from pathlib import Path

import jsonschema
from program import PROGRAM, ROOT, CommandLineTest, environment


class SimulatorSpeed(CommandLineTest):
    def script(self, *arguments):
        return subprocess.run([sys.executable, ROOT / "scripts" / "measure-simulator", "--build", Path(PROGRAM).parent,
                               "--min-time", "0.001", "--repetitions", "3", *map(str, arguments)],
                              capture_output=True, text=True, timeout=200, cwd=self.folder, env=environment())

    def test_writes_a_valid_document(self):
        result = self.script("--only", "folded/262144", "--output", "speed.json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads((self.folder / "speed.json").read_text(encoding="utf-8"))
        schema = json.loads((ROOT / "experiments" / "schema" / "simulator_speed.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(document)
        rows = {(row["case"], row["ring_size"]): row for row in document["rows"]}
        self.assertEqual(set(rows), {("step_by_step", 4096), ("step_by_step", 262144), ("folded", 262144), ("plan/folded", 262144)})
        baseline = rows["step_by_step", 262144]["hops_per_cpu_s"]
        for row in rows.values():
            self.assertEqual(len(row["hops_per_cpu_s_samples"]), 3)
            self.assertEqual(row["hops_per_cpu_s"], statistics.median(row["hops_per_cpu_s_samples"]))
            self.assertAlmostEqual(row["ratio_to_step_by_step"] * baseline / row["hops_per_cpu_s"], 1.0)
        # Every hop in the processor time said: 262144 devices, as many steps.
        folded = rows["plan/folded", 262144]
        for rate, seconds in zip(folded["hops_per_cpu_s_samples"], folded["cpu_s_samples"]):
            self.assertAlmostEqual(rate * seconds / (262144.0 * 262143.0), 1.0, delta=0.02)

    def test_refuses(self):
        (self.folder / "there").touch()
        for arguments, fragment in [(["--output", "there"], "exists"), (["--build", "nowhere"], "nowhere")]:
            result = self.script(*arguments)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (2, 1), result.stderr)
            self.assertIn(fragment, result.stderr)


if __name__ == "__main__":
    unittest.main()
