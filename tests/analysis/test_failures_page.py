# SPDX-License-Identifier: Apache-2.0
"""docs/failures.md: every rule names the file that follows it and tests that exist."""
import re

import pytest
from conftest import ROOT
from test_definitions import existing_tests

import definitions

FILE = ROOT / "docs" / "failures.md"
PAGE = definitions.read(FILE)


def test_the_page_has_its_rules():
    assert len(PAGE) >= 25
    assert {entry.section for entry in PAGE} == {"Runs that fail", "Where the time went", "Devices that differ",
                                                 "Links that are shared"}


@pytest.mark.parametrize("entry", PAGE, ids=lambda entry: re.sub(r"\W+", "-", entry.section + " " + entry.quantity))
def test_every_rule_names_a_file_and_tests_that_exist(entry):
    assert (ROOT / entry.source).is_file(), entry.source
    assert entry.tests, f"{entry.quantity} names no test"
    missing = set(entry.tests) - existing_tests()
    assert not missing, f"{entry.quantity}: no such test: {', '.join(sorted(missing))}"


def test_a_rule_without_a_test_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(FILE.read_text(encoding="utf-8").replace("Failures.TrialsAreSeeded", "Failures.TrialsGrow"), encoding="utf-8")
    named = {test for entry in definitions.read(page) for test in entry.tests}
    assert named - existing_tests() == {"Failures.TrialsGrow"}
