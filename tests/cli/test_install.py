# SPDX-License-Identifier: Apache-2.0
"""cmake --install puts a program and its data into a prefix, and the program runs there from any folder."""

import json
import os
import re
import subprocess
import unittest

from program import ROOT, CommandLineTest, environment


class Install(CommandLineTest):
    def test_installed_program_describes_itself(self):
        prefix = self.folder / "prefix"
        subprocess.run([os.environ["RINGSCALE_CMAKE"], "--install", os.environ["RINGSCALE_BUILD"], "--prefix", str(prefix)],
                       check=True, capture_output=True)
        recipe = (ROOT / "spack_repo" / "ringscale" / "packages" / "ringscale" / "package.py").read_text()
        expected = re.findall(r"join_path\(([^)]*)\)", recipe[recipe.index("sanity_check_is_file"):])
        self.assertGreaterEqual(len(expected), 2)
        for parts in expected:
            path = prefix.joinpath(*re.findall(r'"([^"]+)"', parts))
            self.assertTrue(path.is_file(), path)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        result = subprocess.run([str(prefix / "bin" / "ringscale"), "info", "--json"], capture_output=True, text=True,
                                cwd=elsewhere, env=environment())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["schema"], "ringscale.info")
        self.assertEqual(list(elsewhere.iterdir()), [])
        self.assertEqual([path for path in prefix.rglob("*") if path.name == "__pycache__"], [])


if __name__ == "__main__":
    unittest.main()
