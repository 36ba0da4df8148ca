# SPDX-License-Identifier: Apache-2.0
"""Sources are formatted as .clang-format says. Pinned to clang-format 14; other versions differ, so they skip."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["kernels", "src", "drivers", "tests"]


def clang_format():
    """The path of clang-format 14, or None."""
    for name in ["clang-format-14", "clang-format"]:
        path = shutil.which(name)
        if path and re.search(r"version 14\.", subprocess.run([path, "--version"], capture_output=True, text=True).stdout):
            return path
    return None


def unformatted(tool, paths):
    """The lines of clang-format's complaints about `paths`, one file each."""
    run = subprocess.run([tool, "--dry-run", "--Werror", f"--style=file:{ROOT / '.clang-format'}", *map(str, paths)],
                         capture_output=True, text=True)
    return sorted({line.split(":", 1)[0] for line in run.stderr.splitlines() if "clang-format-violations" in line})


class Formatting(unittest.TestCase):
    def test_every_source(self):
        paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]pp"))]
        self.assertGreater(len(paths), 0)
        self.assertEqual(unformatted(TOOL, paths), [], "run scripts/lint --fix")

    def test_an_unformatted_file_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "crooked.cpp"
            path.write_text("int   main( ){return 0 ;}\n")
            self.assertEqual(unformatted(TOOL, [path]), [str(path)])


if __name__ == "__main__":
    TOOL = clang_format()
    if TOOL is None:
        print("skipped: no clang-format 14 on PATH")
        sys.exit(77)
    unittest.main()
