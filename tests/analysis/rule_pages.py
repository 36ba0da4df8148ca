# SPDX-License-Identifier: Apache-2.0
"""What pages of rules have in common: every rule names the file that follows it and tests that exist."""
import re

import pytest
from conftest import ROOT
from test_definitions import existing_tests

import definitions


def rule_name(entry):
    return re.sub(r"\W+", "-", entry.section + " " + entry.quantity)


def checks_of_page(name, least_rules, sections, broken_test):
    """A class of tests of docs/`name`. `broken_test` is (name of a test on the page, what it is changed to, the name that must
    then be missed): the control that a rule without a test is noticed."""
    file = ROOT / "docs" / name
    page = definitions.read(file)

    class TestPage:
        def test_the_page_has_its_rules(self):
            assert len(page) >= least_rules
            assert {entry.section for entry in page} == sections

        @pytest.mark.parametrize("entry", page, ids=rule_name)
        def test_every_rule_names_a_file_and_tests_that_exist(self, entry):
            assert (ROOT / entry.source).is_file(), entry.source
            assert entry.tests, f"{entry.quantity} names no test"
            missing = set(entry.tests) - existing_tests()
            assert not missing, f"{entry.quantity}: no such test: {', '.join(sorted(missing))}"

        def test_a_rule_without_a_test_is_noticed(self, tmp_path):
            right, wrong, missed = broken_test
            changed = tmp_path / "page.md"
            changed.write_text(file.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
            named = {test for entry in definitions.read(changed) for test in entry.tests}
            assert named - existing_tests() == {missed}

    return TestPage
