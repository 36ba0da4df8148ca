# SPDX-License-Identifier: Apache-2.0
"""A rank that dies or stands still ends the job promptly; nothing half-written stays, and what was finished is kept."""

import json
import os
import re
import signal
import subprocess
import time
import unittest
from pathlib import Path

from program import PROGRAM, CommandLineTest, command, environment, own_lines, run

RANKS = 3
ENDLESS = ["--tokens", "3000", "--query-heads", "4", "--head-dim", "64", "--repetitions", "1000000"]


def descendants(process):
    """The process ids below `process`, parents first."""
    found, queue = [], [process]
    while queue:
        parent = queue.pop(0)
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            children = [int(word) for word in path.read_text().split()]
            found += children
            queue += children
    return found


def ranks_below(process):
    """The ranks of a launched job, by process id."""
    found = []
    for child in descendants(process):
        try:
            if Path(f"/proc/{child}/exe").resolve() == Path(PROGRAM).resolve():
                found.append(child)
        except OSError:
            continue
    return found


class DeadRank(CommandLineTest):
    def start(self, arguments):
        job = subprocess.Popen(command(arguments, RANKS),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment())
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 60
        while len(ranks_below(job.pid)) < RANKS and job.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        ranks = ranks_below(job.pid)
        self.assertEqual(len(ranks), RANKS, "the ranks did not start")
        time.sleep(1.0)
        self.assertIsNone(job.poll(), "the job ended before a rank could be killed")
        return job, ranks

    def finish(self, job):
        try:
            output, errors = job.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.fail("the job still runs a minute after a rank died")
        self.assertNotEqual(job.returncode, 0, output + errors)
        self.assertEqual(output.count("{"), 0, "half a document on standard output")
        return output, errors

    def assert_watchdog_spoke(self, errors):
        """Each rank that still lives may say its one line: what it did, who it is, what is outstanding."""
        lines = own_lines(errors)
        self.assertIn(len(lines), range(1, RANKS), errors)
        for line in lines:
            self.assertRegex(line, r"^ringscale watchdog: nothing within 3 s: .*rank \d+.*outstanding: ", errors)

    def test_killed_rank_ends_the_job(self):
        job, ranks = self.start(["ring", *ENDLESS, "--json", "--output", self.folder / "out"])
        os.kill(ranks[1], signal.SIGKILL)
        output, errors = self.finish(job)
        self.assertRegex(output + errors, r"(?i)terminat", "the launcher says that a rank ended")
        self.assertEqual([path for path in (self.folder / "out").rglob("*") if path.is_file()], [])
        self.assertEqual(ranks_below(os.getpid()), [])

    def test_stopped_rank_is_found_by_the_deadline(self):
        job, ranks = self.start(["ring", *ENDLESS, "--deadline", "3"])
        os.kill(ranks[1], signal.SIGSTOP)
        try:
            _, errors = self.finish(job)
        finally:
            for rank in ranks:
                try:
                    os.kill(rank, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.assertEqual(job.returncode, 124, errors)
        self.assert_watchdog_spoke(errors)

    def test_sweep_goes_on_after_a_killed_rank(self):
        experiment = self.write("experiment.json", {
            "schema": "ringscale.experiment", "schema_version": 1, "name": "killed",
            "grids": [{"name": "ring", "kind": "measured", "tokens": [512, 513, 514, 515, 516, 517, 518, 519],
                       "query_heads": [2], "head_dim": [16], "ring_size": [1, 2, 3], "repetitions": 40}]})
        out = self.folder / "out"
        arguments = ["sweep", experiment, "--output", out]
        job = subprocess.Popen(command(arguments, RANKS), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment())
        self.addCleanup(job.kill)
        journal = None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and job.poll() is None:
            journals = list(out.glob("*.jsonl")) if out.is_dir() else []
            if journals and journals[0].read_text(errors="replace").count("\n") >= 5:
                journal = journals[0]
                break
            time.sleep(0.02)
        self.assertIsNotNone(journal, "no point was finished")
        ranks = ranks_below(job.pid)
        if ranks:
            os.kill(ranks[-1], signal.SIGKILL)
        job.wait(timeout=60)
        self.assertFalse((out / "results.json").exists() and job.returncode != 0)
        finished = journal.read_text(errors="replace").splitlines()
        result = run([*arguments, "--resume"], ranks=RANKS, timeout=200)
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = json.loads((out / "results.json").read_text())["rows"]
        points = [row["point"] for row in rows]
        self.assertEqual(len(points), 24)
        self.assertEqual(len(set(points)), 24)
        # What was finished before the kill was not measured again.
        kept = journal.read_text().splitlines()
        self.assertEqual(kept[:len(finished) - 1], finished[:-1])
        self.assertTrue(re.search(r"resuming", result.stdout + result.stderr))


if __name__ == "__main__":
    unittest.main()
