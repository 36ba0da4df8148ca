# SPDX-License-Identifier: Apache-2.0
"""`ringscale attention --list`: every header, test, negative control and benchmark that it names exists, as often as it says."""

import os
import subprocess
import unittest
from pathlib import Path

from program import ROOT, CommandLineTest, environment, run

BUILD = Path(os.environ["RINGSCALE_BUILD"])


def selected(selection):
    """How many tests the filter of a selection has in its program."""
    listed = subprocess.run([BUILD / "tests" / "kernels" / selection["program"], "--gtest_list_tests",
                             f"--gtest_filter={selection['filter']}"], capture_output=True, text=True, check=True, timeout=60,
                            env=environment()).stdout
    return sum(line.startswith("  ") for line in listed.splitlines())


def benchmarks():
    return subprocess.run([BUILD / "benchmark_kernels", "--smoke", "--benchmark_list_tests"], capture_output=True, text=True,
                          check=True, timeout=60, env=environment()).stdout.splitlines()


class KernelList(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.kernels = self.document(["attention", "--list"])["kernels"]

    def test_headers_declare_what_is_listed(self):
        for kernel in self.kernels:
            with self.subTest(kernel["name"]):
                self.assertTrue((ROOT / kernel["header"]).is_file())

    def test_counts(self):
        wrong = []
        for kernel in self.kernels:
            for what in ["tests", "negative_controls"]:
                found = selected(kernel[what])
                self.assertGreater(found, 0, f"{kernel['name']}: {kernel[what]}")
                if found != kernel[what]["count"]:
                    wrong.append(f"{kernel['name']} {what}: listed {kernel[what]['count']}, there are {found}")
        self.assertEqual(wrong, [])

    def test_benchmarks(self):
        names = benchmarks()
        for kernel in self.kernels:
            with self.subTest(kernel["name"]):
                self.assertTrue(any(name.startswith(kernel["benchmark"]) for name in names), kernel["benchmark"])

    def test_flags_are_flags_of_the_verb(self):
        known = run(["attention", "--help"]).stdout
        for kernel in self.kernels:
            for word in kernel["flags"].split():
                if word.startswith("--"):
                    self.assertIn(word, known, kernel["name"])

    def test_lines_for_people_name_every_kernel(self):
        text = run(["attention", "--list"]).stdout
        for kernel in self.kernels:
            self.assertIn(f"{kernel['name']}: ", text)


if __name__ == "__main__":
    unittest.main()
