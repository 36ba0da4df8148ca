# SPDX-License-Identifier: Apache-2.0
"""A sweep that loses a rank: what its journal says, and what retry, stop, shrink and restart.sh make of it."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from program import MPIEXEC, PROGRAM, ROOT, CommandLineTest, command, environment, own_lines, run  # noqa: E402
from test_dead_rank import ranks_below  # noqa: E402

RANKS = 3
# Long enough to be hit, short enough to be run again.
EXPERIMENT = {"schema": "ringscale.experiment", "schema_version": 1, "name": "lost",
              "defaults": {"tokens": 512, "query_heads": 2, "head_dim": 16, "warmup": 0},
              "grids": [{"name": "long", "kind": "measured", "ring_size": 3, "repetitions": 2500},
                        {"name": "short", "kind": "measured", "ring_size": [1, 2], "repetitions": 1}]}


def journal_lines(folder):
    journal = folder / "journal.jsonl"
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").split("\n")[:-1]]


class OnFailure(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.file = self.write("experiment.json", EXPERIMENT)
        self.out = self.folder / "out"

    def kill_a_rank(self, process):
        """Kills the last rank once the long point runs."""
        deadline = time.monotonic() + 60
        while not any("started" in line for line in journal_lines(self.out)):
            self.assertIsNone(process.poll(), "ended before a rank could be killed")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        os.kill(ranks_below(process.pid)[-1], signal.SIGKILL)

    def lose_a_rank(self):
        process = subprocess.Popen(command(["sweep", self.file, "--output", self.out], RANKS), env=environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        self.kill_a_rank(process)
        self.assertNotEqual(process.wait(timeout=60), 0)
        lines = journal_lines(self.out)
        self.assertIn("started", lines[-1], "nothing finished after the rank was killed")
        self.assertEqual(lines[-1]["ring_size"], 3)

    def resume(self, policy, *more, ranks=RANKS, code=0):
        """Ranks outlive a killed launcher for a moment, and their lock with them."""
        deadline = time.monotonic() + 20
        while True:
            result = run(["sweep", self.file, "--output", self.out, "--resume", "--on-failure", policy, *more], ranks)
            if "in use by" not in result.stderr or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.assertEqual(result.returncode, code, result.stdout[-2000:] + result.stderr[-2000:])
        return result

    def rows(self):
        return {row["grid"] + str(row["ring_size"]): row
                for row in json.loads((self.out / "results.json").read_text(encoding="utf-8"))["rows"]}

    def test_retry_runs_the_point_again_and_the_journal_keeps_the_failure(self):
        self.lose_a_rank()
        result = self.resume("retry", "--last-exit-code", "124", "--last-words", "ringscale watchdog: rank 1, step 2")
        self.assertIn("failed before: long/", result.stdout)
        failed = [line for line in journal_lines(self.out) if "failed" in line]
        self.assertEqual([(line["ring_size"], line["exit_code"], line["reason"]) for line in failed],
                         [(3, 124, "ringscale watchdog: rank 1, step 2")])
        rows = self.rows()
        self.assertEqual(set(rows), {"long3", "short1", "short2"})
        self.assertFalse(any("shrunk_from_ring_size" in row for row in rows.values()))

    def test_stop_leaves_it_out_and_ends_incomplete(self):
        self.lose_a_rank()
        result = self.resume("stop", code=75)
        self.assertIn("left out: long/", result.stdout)
        self.assertIn("incomplete, stopped by 1 points that failed before after 2 of 3 points", result.stdout)
        self.assertFalse((self.out / "results.json").exists())
        self.assertEqual(sum("point" in line for line in journal_lines(self.out)), 2, "the others ran")
        self.resume("stop", code=75)
        self.assertEqual(sum("started" in line for line in journal_lines(self.out)), 3, "and are not run again")

    def test_shrink_runs_it_on_fewer_ranks_and_says_so(self):
        self.lose_a_rank()
        # The job comes back with one rank less; before, only a journal without a failure is too small a job's error.
        result = self.resume("shrink", ranks=2)
        self.assertIn("instead of 3", result.stdout)
        row = self.rows()["long2"]
        self.assertEqual((row["ring_size"], row["shrunk_from_ring_size"], row["tokens"]), (2, 3, 512))
        self.assertIn("_ring_3_", row["point"], "the point's id is the experiment's")
        self.assertEqual(row["verdict"], "valid")
        self.assertNotIn("shrunk_from_ring_size", self.rows()["short2"])
        claims = self.document(["check", "--claims", ROOT / "experiments" / "claims" / "headline.json", "--results", self.out])
        self.assertTrue(claims["verdicts"], "readers of results take the row")

    def test_nothing_shrinks_without_a_failure(self):
        needs_three = ["needs 3 ranks", "mpiexec -n 3"]
        self.assert_refused(["sweep", self.file, "--output", self.out, "--on-failure", "shrink"], needs_three, ranks=2)
        result = run(["sweep", self.file, "--output", self.out, "--time-budget", "1e-9"], RANKS)
        self.assertEqual(result.returncode, 75)
        self.assert_refused(["sweep", self.file, "--output", self.out, "--resume", "--on-failure", "shrink"], needs_three,
                            ranks=2)
        self.assertFalse(any("failed" in line or "started" in line for line in journal_lines(self.out)))

    def test_refusals(self):
        sweep = ["sweep", self.file, "--output", self.out]
        self.assert_refused([*sweep, "--on-failure", "ignore"], ["--on-failure", "retry, stop, shrink"], ranks=3)
        self.assert_refused([*sweep, "--last-words", "x"], ["--last-words", "--resume"], ranks=3)
        self.assert_refused([*sweep, "--last-exit-code", "256"], ["--last-exit-code"], ranks=3)
        self.assert_refused([*sweep, "--memory-limit", "1kB"], ["long/", "--memory-limit"], ranks=3)
        self.assert_refused([*sweep, "--communication-limit", "1kB"], ["a hop of", "--communication-limit"], ranks=3)
        self.assert_refused([*sweep, "--dry-run", "--memory-limit", "1kB"], ["long/", "--memory-limit"])
        self.assert_refused([*sweep, "--memory-limit", "much"], ["--memory-limit is 'much'", "512MiB"], ranks=3)

    def test_restart_script_brings_a_sweep_that_lost_a_rank_to_its_end(self):
        process = subprocess.Popen(["bash", str(ROOT / "experiments" / "batch" / "restart.sh"), "--threads", "1"],
                                   env=environment(RINGSCALE=PROGRAM, EXPERIMENT=str(self.file), OUTPUT=str(self.out),
                                                   RANKS=str(RANKS), LAUNCHER=MPIEXEC[0]),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.kill)
        self.kill_a_rank(process)
        output, _ = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("starting again with what is done", output)
        failed = [line for line in journal_lines(self.out) if "failed" in line]
        self.assertEqual([line["ring_size"] for line in failed], [3])
        self.assertIsNotNone(failed[0]["exit_code"])
        self.assertEqual(self.rows()["long2"]["shrunk_from_ring_size"], 3)


if __name__ == "__main__":
    unittest.main()
