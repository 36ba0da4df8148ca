# SPDX-License-Identifier: Apache-2.0
"""The report's figures, one module each: NAME, TITLE and draw(results) -> Drawn."""
from dataclasses import dataclass, field


@dataclass
class Drawn:
    """A finished figure and what stands in it."""
    figure: object
    caption: str
    kinds: list  # kinds drawn, in the order of style.KIND_STYLE
    sources: list  # where the drawn rows stand, sorted
    missing: list = field(default_factory=list)  # (what, command)


def drawn(figure, caption, rows, missing):
    """Sums up the rows that a figure used."""
    kinds = sorted({row["kind"] for row in rows}, key=("measured", "simulated", "analytic", "published").index)
    return Drawn(figure, caption, kinds, sorted({row.source for row in rows}), missing)


# How the rows of each figure are made, said in the panel that lacks them.
SWEEP = "mpiexec -n 4 ringscale sweep experiments/quick.json --output DIR"
CALIBRATE = "mpiexec -n 2 ringscale calibrate --output DIR"
SIMULATE = "ringscale simulate --machine FILE --ring-size 262144 --chunk-tokens 4096 --output DIR"
