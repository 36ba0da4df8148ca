# SPDX-License-Identifier: Apache-2.0
"""docs/recovery.md: every rule names the file that follows it and tests that exist."""
from rule_pages import checks_of_page

TestRecoveryPage = checks_of_page(
    "recovery.md", least_rules=30,
    sections={"Limits", "The pool of buffers", "When memory is not enough", "Checkpoints", "A ring that is gone on with",
              "A rank that dies", "Threads"},
    broken_test=("ParseBytes.Refuses", "ParseBytes.Accepts", "ParseBytes.AcceptsWhatIsNoSize"))
