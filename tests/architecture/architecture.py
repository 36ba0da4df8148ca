# SPDX-License-Identifier: Apache-2.0
"""Reads the tables of docs/architecture.md and the includes of a source tree, and lists what breaks the rules."""

import re
from pathlib import Path

MAXIMUM_LINES = 500
SPDX_LINE = "SPDX-License-Identifier: Apache-2.0"
SOURCE_SUFFIXES = {".hpp", ".cpp", ".h", ".c", ".cu", ".cuh"}
# Files that carry a licence line beside the rooms' own sources.
LICENSED_PATTERNS = ["**/CMakeLists.txt", "cmake/*.cmake", "scripts/*", "analysis/**/*.py", "tests/**/*.py",
                     "tests/**/*.cpp", "tests/**/*.hpp", "experiments/batch/*", "spack_repo/**/*.py"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def table_rows(markdown, first_header):
    """The cells of each row of the Markdown table whose first header cell is `first_header`."""
    rows, inside = [], False
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            inside = False
        elif cells[0] == first_header:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rows.append(cells)
    return rows


def words(cell):
    return [word.strip() for word in cell.split(",") if word.strip()]


class Architecture:
    """The rooms with their folders and arrows, and the libraries with the rooms that may include them."""

    def __init__(self, markdown):
        rooms = table_rows(markdown, "Room")
        self.folder = {cells[0]: cells[1] for cells in rooms}
        self.arrows = {cells[0]: set(words(cells[2])) for cells in rooms}
        self.libraries = [(cells[0], words(cells[1]), set(words(cells[2]))) for cells in table_rows(markdown, "Library")]
        if not rooms or not self.libraries:
            raise ValueError("the tables of rooms and libraries are missing")
        for room, targets in self.arrows.items():
            unknown = targets - set(self.folder)
            if unknown:
                raise ValueError(f"room {room} points at unknown rooms {sorted(unknown)}")

    def room_of_include(self, path):
        """The room that an include path such as "ring/communicator.hpp" names, or None."""
        first = path.split("/", 1)[0]
        return first if "/" in path and first in self.folder else None

    def broken_includes(self, room, text):
        """Yields one message per include of `text` that room may not have."""
        for match in INCLUDE.finditer(text):
            quote, path = match.groups()
            target = self.room_of_include(path)
            if target is not None and target != room and target not in self.arrows[room]:
                yield f'includes "{path}": no arrow {room} -> {target}'
            if quote == '"' and target is None and "/" in path:
                yield f'includes "{path}", which belongs to no room'
            for library, prefixes, allowed in self.libraries:
                if any(path.startswith(prefix) for prefix in prefixes) and room not in allowed:
                    yield f"includes <{path}>: {library} belongs to {', '.join(sorted(allowed))}"

    def has_cycle(self):
        """True when the arrows lead from a room back to itself."""
        done, path = set(), set()

        def visit(room):
            if room in path:
                return True
            if room in done:
                return False
            path.add(room)
            found = any(visit(target) for target in self.arrows[room])
            path.discard(room)
            done.add(room)
            return found

        return any(visit(room) for room in self.arrows)


def room_sources(architecture, root):
    """Yields (room, path) for every source file of every room."""
    for room, folder in architecture.folder.items():
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES:
                yield room, path


def broken_rules(architecture, root):
    """One message, with its file, for each include, length and licence line of `root` that breaks a rule."""
    root = Path(root)
    messages = []
    for folder in sorted(path for path in (root / "src").glob("*") if path.is_dir() and any(path.iterdir())):
        if f"src/{folder.name}" not in architecture.folder.values():
            messages.append(f"src/{folder.name}: not a room of docs/architecture.md")
    for path in sorted((root / "src").glob("*.*")):
        messages.append(f"src/{path.name}: lies in no room")
    for room, path in room_sources(architecture, root):
        text = path.read_text(encoding="utf-8")
        messages += [f"{path.relative_to(root)}: {message}" for message in architecture.broken_includes(room, text)]
    licensed = {path for _, path in room_sources(architecture, root)}
    for pattern in LICENSED_PATTERNS:
        licensed |= {path for path in root.glob(pattern) if path.is_file() and not in_ignored_folder(root, path)}
    for path in sorted(licensed):
        lines = path.read_text(encoding="utf-8").splitlines()
        if not any(SPDX_LINE in line for line in lines[:2]):
            messages.append(f"{path.relative_to(root)}: no SPDX line at its top")
        if len(lines) > MAXIMUM_LINES:
            messages.append(f"{path.relative_to(root)}: {len(lines)} lines, more than {MAXIMUM_LINES}")
    return messages


def in_ignored_folder(root, path):
    return path.relative_to(root).parts[0] in {"build", "results"} or any(
        part.startswith(".") for part in path.relative_to(root).parts)
