# SPDX-License-Identifier: Apache-2.0
"""Help and version against golden transcripts. After a deliberate change: python3 tests/cli/test_help.py --update"""

import sys
import unittest
from pathlib import Path

from program import VERBS, run

GOLDEN = Path(__file__).resolve().parent / "golden"
TRANSCRIPTS = {"help.txt": ["--help"], **{f"help_{verb}.txt": [verb, "--help"] for verb in VERBS}}


def transcript(arguments):
    result = run(arguments)
    if result.returncode != 0 or result.stderr:
        raise AssertionError(f"{arguments}: exit code {result.returncode}, {result.stderr}")
    return result.stdout


class Help(unittest.TestCase):
    maxDiff = None

    def test_transcripts(self):
        for name, arguments in TRANSCRIPTS.items():
            with self.subTest(name):
                self.assertEqual(transcript(arguments), (GOLDEN / name).read_text(encoding="utf-8"))

    def test_no_transcript_is_left_over(self):
        self.assertEqual({path.name for path in GOLDEN.iterdir()}, set(TRANSCRIPTS))

    def test_version(self):
        self.assertRegex(transcript(["--version"]), r"^ringscale \d+\.\d+\.\d+ \([^\n]*Kokkos \d+\.\d+[^\n]*\)\n$")

    def test_under_mpiexec_help_is_printed_once(self):
        self.assertEqual(run(["--help"], ranks=3).stdout, transcript(["--help"]))


if __name__ == "__main__":
    if "--update" in sys.argv[1:]:
        for name, arguments in TRANSCRIPTS.items():
            (GOLDEN / name).write_text(transcript(arguments), encoding="utf-8")
    else:
        unittest.main()
