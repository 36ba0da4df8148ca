# SPDX-License-Identifier: Apache-2.0
"""Reads the tables of docs/definitions.md: the page shows them, and a test checks that each names real tests."""
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "definitions.md"


@dataclass
class Definition:
    section: str
    quantity: str
    formula: str
    source: str  # file that computes it
    tests: list  # names of the tests that check it


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _plain(cell):
    """A cell without its code marks."""
    return cell.replace("`", "")


def read(path=PAGE):
    """Every line of every table of the page; an empty list where the page is not installed."""
    if not path.is_file():
        return []
    found, section, header = [], "", None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section, header = line[3:].strip(), None
        elif line.startswith("|"):
            cells = _cells(line)
            if header is None:
                header = cells
            elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                if len(cells) != 4:
                    raise ValueError(f"{path.name}: a definition needs four columns: {line}")
                found.append(Definition(section, _plain(cells[0]), _plain(cells[1]), _plain(cells[2]),
                                        re.findall(r"`([^`]+)`", cells[3])))
        else:
            header = None
    return found
