# SPDX-License-Identifier: Apache-2.0
"""simulate --emit-goal against an interpreter of the format that knows nothing of the simulator."""

import json
import random
import re
import unittest

from goal_interpreter import Schedule
from program import ROOT, CommandLineTest, run

MACHINE = ROOT / "experiments" / "machines" / "gtx1080.json"
BOUND = 1e-6
LATENCY_S, OVERHEAD_S = 3e-3, 1e-3


class Goal(CommandLineTest):
    def machine(self, bandwidth, hidden):
        """A shipped machine with one link whose times a nanosecond is little against."""
        machine = json.loads(MACHINE.read_text(encoding="utf-8"))
        link = machine["links"][-1]
        for key, value in {"latency_s": LATENCY_S, "per_message_overhead_s": OVERHEAD_S, "bandwidth_bytes_per_s": bandwidth,
                           "sharing": 0.0}.items():
            link[key]["value"] = value
        link["level"], link["group_devices"] = "fabric", 0
        machine["links"] = [link]
        machine["overlap"]["hidden_fraction"]["value"] = hidden
        machine["step_fixed_s"]["value"] = 1e-3
        return machine

    def both(self, machine, flags, name="ring"):
        """(schedule text, latency and time a byte in nanoseconds, simulated seconds)"""
        path = self.write(f"{name}-machine.json", machine)
        file = self.folder / f"{name}.goal"
        document = self.document(["simulate", "--machine", path, *flags, "--emit-goal", file])
        gap = 1e9 / machine["links"][0]["bandwidth_bytes_per_s"]["value"]
        return file.read_text(encoding="utf-8"), 1e9 * (LATENCY_S + OVERHEAD_S), gap, document["rows"][0]["time_s"]

    def drawn(self, draw):
        """Flags of a random ring."""
        ring_size = draw.randint(1, 9)
        flags = ["--query-heads", "8", "--head-dim", "64", "--chunk-tokens", draw.randint(1000, 6000),
                 "--mask", draw.choice(["none", "causal"]), "--jitter", draw.choice(["0", "0.1"]),
                 "--speed-spread", draw.choice(["0", "0.2"]), "--seed", draw.randint(1, 1000)]
        schedule = draw.choice(["ring", "bidirectional_ring", "all_gather", "double_ring"])
        if schedule == "double_ring":
            ring_size = draw.choice([4, 6, 8, 9])
            flags += ["--inner-ring-size", {4: 2, 6: 3, 8: 4, 9: 3}[ring_size]]
        flags += ["--ring-size", ring_size, "--schedule", schedule]
        if draw.random() < 0.4:
            flags += ["--pass", "backward"]
        elif draw.random() < 0.3:
            return [*flags, "--moving", "query"]
        if draw.random() < 0.3:
            flags += ["--hops", "needed"]
        return [*flags, "--message-layout", draw.choice(["stored_packed", "separate", "copied"])]

    def test_random_rings_take_the_simulated_time(self):
        draw = random.Random(20)
        worst = 0.0
        for case in range(40):
            machine = self.machine(draw.uniform(1e8, 1e10), draw.choice([1.0, draw.uniform(0.0, 1.0)]))
            flags = self.drawn(draw)
            with self.subTest(case=case, flags=" ".join(map(str, flags))):
                text, latency, gap, time_s = self.both(machine, flags, str(case))
                error = abs(Schedule(text).time_ns(latency, gap) * 1e-9 / time_s - 1.0)
                worst = max(worst, error)
                self.assertTrue(error <= BOUND, f"relative error {error}")
        print(f"largest relative error of 40 rings: {worst:.2e}")

    def test_a_lost_dependency_is_seen(self):
        # One by one: of every kind of dependency there is one without which the ring would be faster.
        seen = set()
        for bandwidth, hidden, seed in [(1e10, 0.5, 17), (3e8, 1.0, 33)]:
            flags = ["--query-heads", 8, "--head-dim", 64, "--chunk-tokens", 3000, "--ring-size", 3, "--speed-spread", "0.3",
                     "--mask", "causal", "--pass", "backward", "--message-layout", "copied", "--seed", seed]
            text, latency, gap, time_s = self.both(self.machine(bandwidth, hidden), flags, f"{bandwidth:g}")
            lines = text.splitlines()
            operations, rank = {}, None
            for number, line in enumerate(lines):
                rank = line if line.startswith("rank") else rank
                if match := re.match(r"(l\d+): (\w+)", line):
                    operations[rank, match[1]] = match[2]
                if match := re.match(r"(l\d+) requires (l\d+)", line):
                    shorter_s = Schedule("\n".join(lines[:number] + lines[number + 1:])).time_ns(latency, gap) * 1e-9
                    self.assertLess(shorter_s, time_s * (1.0 + BOUND))
                    if shorter_s < time_s * (1.0 - 1e-4):
                        seen.add((operations[rank, match[1]], operations[rank, match[2]]))
        self.assertEqual(seen, {("calc", "calc"), ("calc", "recv"), ("calc", "send"), ("send", "calc"), ("recv", "calc")})

    def test_the_interpreter_refuses_what_is_no_schedule(self):
        good = "num_ranks 2\nrank 0 {\nl1: send 8b to 1 tag 1\n}\nrank 1 {\nl1: recv 8b from 0 tag 1\n}\n"
        self.assertEqual(Schedule(good).time_ns(5.0, 2.0), 21.0)
        for bad in [good.replace("recv 8b", "recv 9b"), good.replace("from 0 tag 1", "from 0 tag 2"), good[:-3],
                    good.replace("l1: recv", "l1: get"), good.replace("}\nrank 1", "l1 requires l2\n}\nrank 1")]:
            with self.assertRaises(ValueError):
                Schedule(bad).time_ns(5.0, 2.0)
        crossed = ("num_ranks 1\nrank 0 {\nl1: calc 1\nl2: calc 1\nl1 requires l2\nl2 requires l1\n}\n")
        with self.assertRaises(ValueError):
            Schedule(crossed).time_ns(0.0, 0.0)

    def test_files_say_that_they_are_simulated_and_are_never_overwritten(self):
        flags = ["simulate", "--machine", MACHINE, "--ring-size", "4", "--chunk-tokens", "512", "--query-heads", "8",
                 "--head-dim", "64", "--emit-goal", self.folder / "a.goal"]
        self.assertEqual(run(flags).returncode, 0)
        text = (self.folder / "a.goal").read_text(encoding="utf-8")
        self.assertIn("a simulated schedule", text.splitlines()[0])
        self.assert_refused(flags, ["a.goal", "exists"])
        flags[4] = "100000"
        flags[-1] = self.folder / "large.goal"
        self.assert_refused(flags, ["too large to write as GOAL", "1000000"])


if __name__ == "__main__":
    unittest.main()
