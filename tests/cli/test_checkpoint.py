# SPDX-License-Identifier: Apache-2.0
"""A ring that was killed between two checkpoints and resumed has the bits of one that was never killed."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from program import CommandLineTest, command, environment, run
from test_dead_rank import ranks_below

RANKS = 3
SMALL = ["ring", "--tokens", "96", "--query-heads", "2", "--head-dim", "16", "--placement", "zigzag", "--mask", "causal"]
# Steps of seconds, so that a rank can be killed between two of them.
LONG = ["ring", "--tokens", "9000", "--query-heads", "4", "--head-dim", "64", "--placement", "zigzag", "--mask", "causal"]


class Checkpoints(CommandLineTest):
    def setUp(self):
        super().setUp()
        self.checkpoints = self.folder / "checkpoints"
        self.flags = ["--checkpoint", self.checkpoints, "--checkpoint-every", "1"]

    def row(self, arguments, ranks=RANKS):
        return self.document(arguments, ranks=ranks)["rows"][0]

    def steps_committed(self):
        mark = self.checkpoints / "committed"
        found = re.search(r"step (\d+)", mark.read_text()) if mark.exists() else None
        return int(found.group(1)) if found else 0

    def kill_after_a_checkpoint(self, arguments):
        """Kills one rank once the job has a checkpoint; the steps that it had done by then."""
        job = subprocess.Popen(command(arguments, RANKS), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(job.kill)
        deadline = time.monotonic() + 120
        while self.steps_committed() == 0 and job.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        ranks = ranks_below(job.pid)
        self.assertEqual(len(ranks), RANKS, "the job ended, or made no checkpoint, before a rank could be killed")
        os.kill(ranks[1], signal.SIGKILL)
        output, errors = job.communicate(timeout=60)
        self.assertNotEqual(job.returncode, 0, output + errors)
        self.assertNotIn("verdict", output)
        return self.steps_committed()

    def test_killed_and_resumed_gives_the_bits_of_an_undisturbed_run(self):
        steps = self.kill_after_a_checkpoint([*LONG, *self.flags])
        resumed = self.row([*LONG, *self.flags, "--resume"])
        self.assertEqual(resumed["checkpoint"]["resumed_from_step"], steps)
        self.assertEqual(resumed["verdict"], "valid")
        self.assertTrue(resumed["verified"])
        self.assertEqual(len(resumed["checkpoint"]["step_samples_s"]), RANKS + 1 - steps, "only the steps not done")
        undisturbed = self.row([*LONG, "--no-verify", "--no-messages-only", "--repetitions", "1", "--warmup", "0"])
        self.assertNotIn("checkpoint", undisturbed)
        self.assertEqual(resumed["output_checksum"], undisturbed["output_checksum"])

    def test_backward_pass_goes_on_too(self):
        whole = self.row([*SMALL, "--pass", "backward", "--repetitions", "1"])
        first = self.row([*SMALL, "--pass", "backward", *self.flags])
        again = self.row([*SMALL, "--pass", "backward", *self.flags, "--resume"])
        self.assertEqual(first["output_checksum"], whole["output_checksum"])
        self.assertEqual(again["output_checksum"], whole["output_checksum"])
        self.assertIsNone(first["checkpoint"]["resumed_from_step"])
        self.assertEqual(again["checkpoint"]["resumed_from_step"], RANKS)

    def test_intervals_come_from_what_was_measured(self):
        one = self.row([*SMALL, "--checkpoint", self.checkpoints, "--mtbf", "86400"])["checkpoint"]
        cost = one["write_samples_s"][0]
        self.assertEqual(one["written"], len(one["write_samples_s"]))
        self.assertEqual(one["written"], len(one["bytes"]))
        self.assertAlmostEqual(one["young_interval_s"], (2 * cost * 86400) ** 0.5)
        self.assertLess(abs(one["daly_interval_s"] / one["young_interval_s"] - 1), 0.1)
        self.assertEqual(one["mtbf_s"], 86400)

    def test_lines_for_people(self):
        result = run([*SMALL, *self.flags, "--resume"], ranks=RANKS)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"checkpoints in .*checkpoints, every 1 steps, going on from the last one")
        self.assertRegex(result.stdout, r"checkpoints: 3 checkpoints written, the last of \d")
        again = run([*SMALL, *self.flags, "--resume"], ranks=RANKS)
        self.assertRegex(again.stdout, r"checkpoints: went on from step 3; 0 checkpoints written")

    def test_dry_run_leaves_no_folder(self):
        self.assertEqual(run([*SMALL, *self.flags, "--dry-run"], ranks=RANKS).returncode, 0)
        self.assertFalse(self.checkpoints.exists())

    def test_flags_that_do_not_go_together(self):
        folder = ["--checkpoint", self.checkpoints]
        for name, arguments, fragments in [
                ("steps without a folder", ["--checkpoint-every", "2"], ["--checkpoint-every", "--checkpoint"]),
                ("failures without a folder", ["--mtbf", "100"], ["--mtbf", "--checkpoint"]),
                ("resume without a folder", ["--resume"], ["--resume", "--checkpoint"]),
                ("folder alone", folder, ["--checkpoint-every", "--mtbf"]),
                ("every 0 steps", [*folder, "--checkpoint-every", "0"], ["--checkpoint-every", "0"]),
                ("no time between failures", [*folder, "--mtbf", "0"], ["--mtbf", "0"]),
                ("failures at no number", [*folder, "--mtbf", "nan"], ["--mtbf", "nan"]),
                ("never a failure", [*folder, "--mtbf", "inf"], ["--mtbf", "inf"]),
                ("repetitions", [*self.flags, "--repetitions", "2"], ["--checkpoint", "--repetitions"]),
                ("warm-up", [*self.flags, "--warmup", "1"], ["--checkpoint", "--warmup"])]:
            with self.subTest(name):
                self.assert_refused([*SMALL, *arguments], fragments)

    def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(self):
        self.assertEqual(run([*SMALL, *self.flags], ranks=RANKS).returncode, 0)
        self.assert_refused([*SMALL, *self.flags], ["has a checkpoint", "--resume"], ranks=RANKS)
        self.assert_refused([*SMALL, *self.flags, "--resume", "--seed", "2"], ["other options"], ranks=RANKS)
        self.assert_refused([*SMALL, *self.flags, "--resume"], ["3 ranks", "2"], ranks=2)
        path = next(self.checkpoints.glob("rank-00001.*"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        self.assert_refused([*SMALL, *self.flags, "--resume"], ["rank-00001", "damaged"], ranks=RANKS)

    def test_folder_that_cannot_be_made(self):
        occupied = self.write("occupied", "not a folder")
        self.assert_refused([*SMALL, "--checkpoint", occupied / "below", "--checkpoint-every", "1"], ["occupied"],
                            ranks=RANKS)

    def test_documents_say_what_was_asked(self):
        document = self.document([*SMALL, *self.flags], ranks=RANKS)
        self.assertEqual(document["config"]["checkpoint_every_steps"], 1)
        self.assertFalse(document["config"]["resume"])
        self.assertEqual(document["config"]["repetitions"], 1)
        self.assertEqual(json.loads(json.dumps(document)), document)


if __name__ == "__main__":
    unittest.main()
