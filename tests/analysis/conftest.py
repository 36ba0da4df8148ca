# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures: the program's modules on the path, made-up results, and one report made from them."""
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = ROOT / "analysis" / "report.py"
for folder in (str(ROOT / "analysis"), str(HERE)):
    if folder not in sys.path:
        sys.path.insert(0, folder)

import synthetic_results  # noqa: E402


def run_report(*arguments):
    """Runs the program as a user does."""
    return subprocess.run([sys.executable, "-B", str(PROGRAM), *map(str, arguments)], capture_output=True, text=True,
                          timeout=110, check=False)


@pytest.fixture
def results(tmp_path):
    """(results folder, ledger file) with every kind of document."""
    return synthetic_results.write(tmp_path / "results")


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The folder of one report made from all synthetic documents."""
    base = tmp_path_factory.mktemp("report")
    directory, ledger = synthetic_results.write(base / "results")
    run = run_report(directory, "--output", base / "out", "--claims", ledger)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    assert run.stdout.strip() == str(base / "out" / "report.html")
    return base / "out"


def loaded(directory, ledger=None):
    """The Results of a folder, as the program reads them."""
    import load
    found = load.load_results(directory)
    if ledger is not None:
        found.published = load.load_published(ledger)
    return found
