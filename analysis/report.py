#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the report of a results directory: one HTML page that stands alone, and its figures as SVG and PNG.

    python3 analysis/report.py RESULTS_DIR --output DIR [--claims LEDGER] [--force]

Writes DIR/report.html, DIR/report.json (what was drawn from what) and DIR/figures/*.svg and *.png. Each file appears
whole or not at all. A report that is already there is kept unless --force is given; no other file is ever touched.
Exit codes: 0 done, 2 bad input.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

# Imported only to see that they are there (F401); the modules below need both, so they come after the check (E402).
try:
    import matplotlib  # noqa: F401
    import numpy  # noqa: F401
except ImportError as absent:
    print(f"report: this Python ({sys.executable}) has no {absent.name}; install numpy and matplotlib "
          "(Debian: apt install python3-numpy python3-matplotlib) or use a Python that has them", file=sys.stderr)
    sys.exit(2)

import definitions  # noqa: E402
import intervals  # noqa: E402
import load  # noqa: E402
import page  # noqa: E402
import style  # noqa: E402
from figures import calibration, communication, equality, memory, merging, published, scaling, throughput  # noqa: E402
from index import index_document  # noqa: E402

# The order of the page; the first one opens it.
FIGURES = (throughput, memory, scaling, equality, merging, communication, calibration, published)
LEDGER = Path(__file__).resolve().parent.parent / "experiments" / "claims" / "headline.json"


def write_whole(path, data):
    """Bytes to `path` by a temporary file beside it and a rename, so that nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def draw_figures(results):
    """[(module, Drawn, svg text, png bytes)] in the order of the page."""
    made = []
    for module in FIGURES:
        drawn = module.draw(results)
        made.append((module, drawn, style.svg_text(drawn.figure), style.png_bytes(drawn.figure)))
        style.close(drawn.figure)
    return made


def make_report(results_directory, output, claims=None, force=False):
    """Reads, draws, writes; returns the path of the page. Raises load.BadInput for a user's mistake."""
    output = Path(output)
    target = output / "report.html"
    if output.exists() and not output.is_dir():
        raise load.BadInput(f"{output}: is a file; --output takes a folder")
    if target.exists() and not force:
        raise load.BadInput(f"{target}: a report is already there; --force replaces it, or give another --output")
    results = load.load_results(results_directory)
    if claims is not None or LEDGER.is_file():
        results.published = load.load_published(claims or LEDGER)
    made = draw_figures(results)
    warnings = intervals.disagreements(results.rows)
    html = page.build(results, [(module.NAME, module.TITLE, drawn, svg) for module, drawn, svg, _ in made],
                      definitions.read(), warnings)
    try:
        for module, _, svg, png in made:
            write_whole(output / "figures" / f"{module.NAME}.svg", svg.encode("utf-8"))
            write_whole(output / "figures" / f"{module.NAME}.png", png)
        write_whole(output / "report.json", index_document(results, made, warnings).encode("utf-8"))
        write_whole(target, html.encode("utf-8"))
    except OSError as error:
        raise load.BadInput(f"{error.filename or output}: cannot be written: {error.strerror}") from error
    return target


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="report.py", description="Makes the report of a results directory.")
    parser.add_argument("results", metavar="RESULTS_DIR", help="folder of ringscale's JSON documents, read recursively")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for report.html, report.json and figures/")
    parser.add_argument("--claims", metavar="FILE", help="claim ledger with the published series to draw "
                                                         "(default: experiments/claims/headline.json)")
    parser.add_argument("--force", action="store_true", help="replace a report that is already in DIR")
    options = parser.parse_args(arguments)
    try:
        target = make_report(options.results, options.output, options.claims, options.force)
    except load.BadInput as mistake:
        print(f"report: {mistake}", file=sys.stderr)
        return 2
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
