# SPDX-License-Identifier: Apache-2.0
"""scripts/measure-kernels and scripts/compare-torch: what they write is valid, and bad input gets one line."""

import json
import subprocess
import sys
import unittest

import jsonschema
from program import PROGRAM, ROOT, CommandLineTest, environment

# A stand-in for torch, so that the script's own arithmetic is tested without 5 GB of it: attention that takes a fixed time.
TORCH = """
import contextlib, time
__version__ = "stand-in"
float32, bfloat16 = "float32", "bfloat16"
class Tensor:
    def to(self, dtype): return self
    def requires_grad_(self, wanted): return self
def randn(shape): return Tensor()
def manual_seed(seed): pass
def set_num_threads(count): assert count == 1
no_grad = contextlib.nullcontext
def attention(query, key, value, is_causal):
    end = time.process_time() + 0.004
    while time.process_time() < end: pass
    return Tensor()
class autograd:
    @staticmethod
    def grad(output, inputs, gradient, retain_graph): attention(*inputs, is_causal=False)
class nn:
    class attention:
        class SDPBackend: FLASH_ATTENTION, MATH = 1, 2
        sdpa_kernel = staticmethod(lambda backend: contextlib.nullcontext())
    class functional:
        scaled_dot_product_attention = staticmethod(attention)
"""


class KernelScripts(CommandLineTest):
    def script(self, name, *arguments, **extra):
        return subprocess.run([sys.executable, ROOT / "scripts" / name, "--program", PROGRAM, *map(str, arguments)],
                              capture_output=True, text=True, timeout=200, cwd=self.folder, env=environment(**extra))

    def schema(self, name):
        return json.loads((ROOT / "experiments" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))

    def test_measure_kernels_writes_a_valid_document(self):
        result = self.script("measure-kernels", "--only", "dilated", "--tokens", 256, "--repetitions", 2, "--head-dim", 64,
                             "--output", "k.json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads((self.folder / "k.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(self.schema("results")).validate(document)
        self.assertEqual(len(document["rows"]), 3)
        self.assertEqual({row["tokens"] for row in document["rows"]}, {256})
        self.assertEqual(result.stdout.count("| dilated"), 3)

    def test_measure_kernels_refuses(self):
        for arguments, fragment in [(["--only", "spiral"], "spiral"), (["--output", "there"], "exists")]:
            (self.folder / "there").touch()
            result = self.script("measure-kernels", *arguments)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (2, 1), result.stderr)
            self.assertIn(fragment, result.stderr)

    def compare(self, *arguments):
        (self.folder / "torch.py").write_text(TORCH, encoding="utf-8")
        return self.script("compare-torch", "--tokens", 256, "--head-dim", 64, "--repetitions", 5, *arguments,
                           PYTHONPATH=str(self.folder))

    def test_compare_torch_on_a_stand_in(self):
        result = self.compare("--backend", "flash", "--output", "peers.json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads((self.folder / "peers.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(self.schema("peers")).validate(document)
        self.assertEqual(len(document["rows"]), 8)  # two passes, dtypes and masks
        for row in document["rows"]:
            # The stand-in takes 4 ms of processor time; the ratio is that over ours.
            self.assertGreater(row["torch"]["cpu_time_s"], 0.0039)
            self.assertAlmostEqual(row["speed_ratio_in_cpu_time"], row["torch"]["cpu_time_s"] / row["ringscale"]["cpu_time_s"])
            pairs = 256 * 257 // 2 if row["mask"] == "causal" else 256 * 256
            self.assertEqual(row["flop"], (4 if row["pass"] == "forward" else 10) * pairs * 2 * 64)
            self.assertLessEqual(row["torch"]["time_s_interval"]["low"], row["torch"]["time_s"])

    def test_compare_torch_without_torch(self):
        (self.folder / "torch.py").write_text("raise ImportError('none here')", encoding="utf-8")
        result = self.script("compare-torch", PYTHONPATH=str(self.folder))
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (2, 1), result.stderr)
        self.assertIn("torch", result.stderr)


if __name__ == "__main__":
    unittest.main()
