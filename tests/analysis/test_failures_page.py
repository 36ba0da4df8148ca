# SPDX-License-Identifier: Apache-2.0
"""docs/failures.md: every rule names the file that follows it and tests that exist."""
from rule_pages import checks_of_page

TestFailuresPage = checks_of_page(
    "failures.md", least_rules=25,
    sections={"Runs that fail", "Where the time went", "Devices that differ", "Links that are shared"},
    broken_test=("Failures.TrialsAreSeeded", "Failures.TrialsGrow", "Failures.TrialsGrow"))
