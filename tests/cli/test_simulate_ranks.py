# SPDX-License-Identifier: Apache-2.0
"""ringscale simulate on several ranks: they divide a large ring, and its times have the same bits."""

import re
import unittest

from program import ROOT, CommandLineTest, run

MACHINE = ROOT / "experiments" / "machines" / "h100_ndr.json"
# What depends on how fast this machine is, not on the ring.
OF_THIS_RUN = {"wall_s", "hops_per_s"}


class SimulateOnRanks(CommandLineTest):
    def row(self, ring_size, ranks, *more):
        document = self.document(["simulate", "--machine", MACHINE, "--ring-size", ring_size, "--chunk-tokens", 4096,
                                  "--threads", 1, *more], ranks=ranks)
        self.assertEqual(len(document["rows"]), 1)
        return {name: value for name, value in document["rows"][0].items() if name not in OF_THIS_RUN}

    def test_one_two_and_three_ranks_give_the_same_bits(self):
        noise = ["--speed-spread", 0.05, "--jitter", 0.02, "--mask", "causal"]
        alone = self.row(4096, None, *noise)
        self.assertEqual(alone["engine"], "blocked")
        for ranks in [1, 2, 3]:
            self.assertEqual(self.row(4096, ranks, *noise), alone, f"{ranks} ranks")
        self.assertNotEqual(self.row(4096, 2, *noise, "--seed", 2), alone)

    def test_rings_that_need_no_help_are_left_to_rank_0(self):
        for more in [[], ["--schedule", "bidirectional_ring"], ["--engine", "plain"]]:
            self.assertEqual(self.row(300, 2, *more), self.row(300, None, *more))

    def test_a_failure_is_said_once(self):
        result = run(["simulate", "--machine", self.folder / "none.json", "--ring-size", 4096, "--chunk-tokens", 16],
                     ranks=2)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(re.findall("does not exist", result.stderr)), 1, result.stderr)


if __name__ == "__main__":
    unittest.main()
