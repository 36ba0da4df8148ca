# SPDX-License-Identifier: Apache-2.0
"""Runs the program as a user does, alone or under mpiexec, and states what a user may rely on."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["RINGSCALE_PROGRAM"]
MPIEXEC = os.environ.get("RINGSCALE_MPIEXEC", "mpiexec").split()
VERBS = ["attention", "ring", "calibrate", "simulate", "sweep", "check", "validate", "info"]


def command(arguments, ranks=None):
    launcher = [] if ranks is None else [*MPIEXEC, "-n", str(ranks)]
    return [*launcher, PROGRAM, *map(str, arguments)]


def environment(**extra):
    """One thread for each rank: these tests share the cores with others."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_PROC_BIND": "false", **extra}


def run(arguments, ranks=None, timeout=100, **keywords):
    return subprocess.run(command(arguments, ranks), capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=environment(), **keywords)


def own_lines(text):
    """The program's own lines of an error output: the launcher adds a banner when a rank ends with a code that is not 0."""
    return [line for line in text.splitlines() if line.startswith("ringscale")]


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir())


class CommandLineTest(unittest.TestCase):
    """A test with a temporary folder of its own."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def write(self, name, content):
        """The path of a file with this text, or with this value as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def document(self, arguments, code=0, ranks=None):
        """The one JSON document of a --json run that must end with `code`."""
        result = run([*arguments, "--json"], ranks)
        self.assertEqual(result.returncode, code, result.stdout[-2000:] + result.stderr[-2000:])

        def refuse(word):
            raise ValueError(f"{word} is not JSON")

        document = json.loads(result.stdout, parse_constant=refuse)  # fails on anything before or after it
        self.assertIsInstance(document, dict)
        self.assertRegex(document["schema"], r"^ringscale\.[a-z_]+$")
        self.assertIsInstance(document["schema_version"], int)
        return document

    def assert_refused(self, arguments, fragments, code=2, ranks=None):
        """One line that names what is wrong, the documented exit code, no result on standard output, no file made."""
        before = files_below(self.folder)
        result = run(arguments, ranks, timeout=60)
        what = f"{' '.join(map(str, arguments))}\nstdout: {result.stdout}\nstderr: {result.stderr}"
        self.assertEqual(result.returncode, code, what)
        lines = own_lines(result.stderr)
        self.assertEqual(len(lines), 1, what)
        if ranks is None:
            self.assertEqual(result.stderr.splitlines(), lines, what)
        # The plan may have been printed already; rows, a verdict or the beginning of a document may not.
        self.assertNotIn("verdict", result.stdout, what)
        self.assertNotIn("{", result.stdout, what)
        for fragment in fragments:
            self.assertIn(fragment, lines[0], what)
        self.assertEqual(files_below(self.folder), before, what)
