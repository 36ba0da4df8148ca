# SPDX-License-Identifier: Apache-2.0
"""A small reader and interpreter of GOAL schedules, made of the format's description and knowing nothing of ringscale.

Semantics: LogGP with o = g = 0 under rendezvous. An operation is ready when all operations that it requires are done. A
calc of n takes n nanoseconds. A send and the recv of the same tag between the same ranks are one message: it begins when
both are ready, takes L + size x G, and both are done at its end.
"""

import re

CALC = re.compile(r"^(\w+): calc (\d+)$")
SEND = re.compile(r"^(\w+): send (\d+)b to (\d+) tag (\d+)$")
RECV = re.compile(r"^(\w+): recv (\d+)b from (\d+) tag (\d+)$")
REQUIRES = re.compile(r"^(\w+) requires (\w+)$")


class Schedule:
    """Operations by (rank, label): what they are, and what they require."""

    def __init__(self, text):
        self.ranks = None
        self.operations = {}
        self.requires = {}
        rank = None
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("//")[0].strip()
            if not line:
                continue
            if match := re.fullmatch(r"num_ranks (\d+)", line):
                self.ranks = int(match[1])
            elif match := re.fullmatch(r"rank (\d+) \{", line):
                if rank is not None:
                    raise ValueError(f"line {number}: a rank within a rank")
                rank = int(match[1])
            elif line == "}":
                rank = None
            else:
                self.read_operation(rank, line, number)
        if rank is not None or self.ranks is None:
            raise ValueError("the schedule is cut off")

    def read_operation(self, rank, line, number):
        if match := CALC.match(line):
            operation = ("calc", int(match[2]))
        elif match := SEND.match(line):
            operation = ("message", int(match[2]), (rank, int(match[3]), int(match[4])))
        elif match := RECV.match(line):
            operation = ("message", int(match[2]), (int(match[3]), rank, int(match[4])))
        elif match := REQUIRES.match(line):
            for label in match.groups():
                if (rank, label) not in self.operations:
                    raise ValueError(f"line {number}: {label} is not defined above")
            self.requires[rank, match[1]].append((rank, match[2]))
            return
        else:
            raise ValueError(f"line {number}: {line!r} is no operation")
        if (rank, match[1]) in self.operations:
            raise ValueError(f"line {number}: {match[1]} is defined twice")
        self.operations[rank, match[1]] = operation
        self.requires[rank, match[1]] = []

    def time_ns(self, latency_ns, ns_per_byte):
        """When the last operation is done. Raises ValueError for messages with one side, or a deadlock."""
        sides = {}
        for name, operation in self.operations.items():
            if operation[0] == "message":
                sides.setdefault(operation[2], []).append(name)
        for key, names in sides.items():
            sizes = {self.operations[name][1] for name in names}
            if len(names) != 2 or names[0][0] == names[1][0] or len(sizes) != 1:
                raise ValueError(f"the message {key} has no two sides that agree")
        # What happens together is one node: a calc, or both sides of a message.
        node_of = {name: operation[2] if operation[0] == "message" else name for name, operation in self.operations.items()}
        members = {}
        for name, node in node_of.items():
            members.setdefault(node, []).append(name)
        missing = {node: sum(len(self.requires[name]) for name in names) for node, names in members.items()}
        followers = {}
        for name, before in self.requires.items():
            for other in before:
                followers.setdefault(node_of[other], []).append(node_of[name])
        ready_ns = dict.fromkeys(members, 0.0)
        waiting = [node for node, count in missing.items() if count == 0]
        done, last_ns = 0, 0.0
        while waiting:
            node = waiting.pop()
            operation = self.operations[members[node][0]]
            length_ns = operation[1] if operation[0] == "calc" else latency_ns + operation[1] * ns_per_byte
            end_ns = ready_ns[node] + length_ns
            done, last_ns = done + 1, max(last_ns, end_ns)
            for follower in followers.get(node, []):
                ready_ns[follower] = max(ready_ns[follower], end_ns)
                missing[follower] -= 1
                if missing[follower] == 0:
                    waiting.append(follower)
        if done != len(members):
            raise ValueError(f"deadlock: {len(members) - done} operations are never ready")
        return last_ns
