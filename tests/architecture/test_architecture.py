# SPDX-License-Identifier: Apache-2.0
"""The source tree keeps to docs/architecture.md; every rule is shown to fail on a tree that breaks it."""

import tempfile
import unittest
from pathlib import Path

from architecture import MAXIMUM_LINES, SPDX_LINE, Architecture, broken_rules, room_sources

ROOT = Path(__file__).resolve().parents[2]
LICENCE = f"// {SPDX_LINE}\n"


def documented():
    return Architecture((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


class ThisTree(unittest.TestCase):
    def test_keeps_to_the_table(self):
        broken = broken_rules(documented(), ROOT)
        self.assertEqual(broken, [], "\n" + "\n".join(broken))

    def test_has_sources_in_every_room(self):
        seen = {room for room, _ in room_sources(documented(), ROOT)}
        self.assertEqual(seen, set(documented().folder))

    def test_arrows_point_one_way(self):
        self.assertFalse(documented().has_cycle())


class BrokenTrees(unittest.TestCase):
    """Negative controls: one file that breaks one rule each."""

    def messages(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            return broken_rules(documented(), Path(folder))

    def assert_one(self, name, text, expected):
        messages = self.messages(name, text)
        self.assertEqual(len(messages), 1, messages)
        self.assertIn(expected, messages[0])

    def test_a_good_file_is_accepted(self):
        self.assertEqual(self.messages("src/ring/x.cpp", LICENCE + '#include "schedule/x.hpp"\n#include <mpi.h>\n'), [])

    def test_arrow_that_is_not_in_the_table(self):
        self.assert_one("src/schedule/x.hpp", LICENCE + '#include "ring/x.hpp"\n', "no arrow schedule -> ring")
        self.assert_one("kernels/x.hpp", LICENCE + '# include <problem/x.hpp>\n', "no arrow kernels -> problem")

    def test_library_outside_its_rooms(self):
        self.assert_one("src/claims/x.cpp", LICENCE + "#include <nlohmann/json.hpp>\n", "nlohmann/json belongs to report")
        self.assert_one("src/simulator/x.cpp", LICENCE + "#include <mpi.h>\n", "MPI belongs to ring")
        self.assert_one("src/problem/x.hpp", LICENCE + "#include <Kokkos_Core.hpp>\n", "Kokkos belongs to")

    def test_include_of_no_room(self):
        self.assert_one("src/ring/x.cpp", LICENCE + '#include "../ring/y.hpp"\n', "belongs to no room")

    def test_long_file(self):
        self.assert_one("src/ring/x.cpp", LICENCE + "\n" * MAXIMUM_LINES, f"more than {MAXIMUM_LINES}")

    def test_licence_line(self):
        self.assert_one("drivers/x.cpp", "int main() {}\n", "no SPDX line")

    def test_folder_that_is_no_room(self):
        self.assert_one("src/utilities/x.cpp", LICENCE, "not a room")
        self.assert_one("src/x.cpp", LICENCE, "lies in no room")

    def test_cycle(self):
        table = ("| Room | Folder | May include |\n|---|---|---|\n| a | src/a | b |\n| b | src/b | a |\n\n"
                 "| Library | Headers | Rooms |\n|---|---|---|\n| L | l/ | a |\n")
        self.assertTrue(Architecture(table).has_cycle())

    def test_arrow_to_an_unknown_room(self):
        with self.assertRaises(ValueError):
            Architecture("| Room | Folder | May include |\n|---|---|---|\n| a | src/a | z |\n\n"
                         "| Library | Headers | Rooms |\n|---|---|---|\n| L | l/ | a |\n")


if __name__ == "__main__":
    unittest.main()
