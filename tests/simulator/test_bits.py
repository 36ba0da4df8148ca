# SPDX-License-Identifier: Apache-2.0
"""The simulator answers with the same bits optimised and not, and under any locale."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

OPTIMISED, UNOPTIMISED = sys.argv[1:3]


def bits(program, *arguments, **environment):
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=100,
                            env={**os.environ, **environment})
    return result.returncode, result.stdout


class Bits(unittest.TestCase):
    def setUp(self):
        code, self.expected = bits(OPTIMISED)
        self.assertEqual(code, 0)
        self.assertGreater(len(self.expected.splitlines()), 100)

    def assert_same(self, answer):
        code, lines = answer
        self.assertEqual(code, 0, lines)
        for line, expected in zip(lines.splitlines(), self.expected.splitlines()):
            self.assertEqual(line, expected)
        self.assertEqual(lines, self.expected)

    def test_optimisation(self):
        self.assert_same(bits(UNOPTIMISED))

    def test_a_comma_in_streams(self):
        self.assert_same(bits(OPTIMISED, "C"))
        self.assert_same(bits(UNOPTIMISED, "C"))

    def test_a_comma_in_the_c_library(self):
        if shutil.which("localedef") is None:
            self.skipTest("no localedef to make a locale with")
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(Path(folder) / "de_DE.UTF-8")],
                                  capture_output=True, text=True, timeout=100)
            if not (Path(folder) / "de_DE.UTF-8").is_dir():
                self.skipTest(f"this system has no sources of locales: {made.stderr[:200]}")
            self.assert_same(bits(OPTIMISED, "de_DE.UTF-8", LOCPATH=folder))

    def test_a_locale_that_is_not_there_is_said(self):
        self.assertEqual(bits(OPTIMISED, "nowhere")[0], 3)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
