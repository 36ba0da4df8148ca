# SPDX-License-Identifier: Apache-2.0
"""docs/definitions.md: every formula names the file that computes it and tests that exist."""
import re
from pathlib import Path

import pytest
from conftest import ROOT

import definitions

PAGE = definitions.read()
DEFINED = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST)\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
PYTHON = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)


def existing_tests():
    """Names of all tests below tests/: Suite.Name of GoogleTest, test_name of Python."""
    names = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix == ".cpp":
            names |= {f"{suite}.{name}" for suite, name in DEFINED.findall(path.read_text(encoding="utf-8"))}
        elif path.suffix == ".py":
            names |= set(PYTHON.findall(path.read_text(encoding="utf-8")))
    return names


def test_the_page_defines_what_the_rows_say():
    assert len(PAGE) >= 30
    text = definitions.PAGE.read_text(encoding="utf-8")
    for word in ("tokens_per_s", "tokens_per_s_per_device", "share_of_peak", "max_error", "error_bound", "memory_peak_bytes",
                 "exposed_communication_s", "hops", "margin"):
        assert word in text, word


@pytest.mark.parametrize("entry", PAGE, ids=lambda entry: re.sub(r"\W+", "-", entry.quantity))
def test_every_formula_names_tests_that_exist(entry):
    assert entry.tests, f"{entry.quantity} names no test"
    missing = set(entry.tests) - existing_tests()
    assert not missing, f"{entry.quantity}: no such test: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("entry", PAGE, ids=lambda entry: re.sub(r"\W+", "-", entry.quantity))
def test_every_formula_names_files_that_exist(entry):
    for name in entry.source.split(", "):
        assert (ROOT / name).is_file(), f"{entry.quantity}: {name}"


def test_a_test_that_does_not_exist_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("## A\n\n| q | f | s | t |\n|---|---|---|---|\n| `x` | `y` | `README.md` | `Nothing.Exists`, `test_nothing` |\n")
    (entry,) = definitions.read(Path(page))
    assert (entry.section, entry.quantity, entry.formula) == ("A", "x", "y")
    assert set(entry.tests).isdisjoint(existing_tests())


def test_a_line_without_four_columns_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("## A\n\n| q | f | s | t |\n|---|---|---|---|\n| x | y |\n")
    with pytest.raises(ValueError):
        definitions.read(page)
