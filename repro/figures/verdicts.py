"""How far our numbers lie from the thresholds of the claims: a forest of intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repro.claims.tables import Row, short
from repro.claims.verdicts import NOT_REPRODUCED, PARTLY, REPRODUCED, Claim
from repro.figures.style import STYLE

LOOKS = {
    REPRODUCED: ("o", "black", "black"),
    PARTLY: ("s", "#9A9A9A", "#5C5C5C"),
    NOT_REPRODUCED: ("X", "white", "black"),
}
PANELS = {"%": "shares: percentage points\nbeyond the threshold", "": "other numbers: own units\nbeyond the threshold"}


def margins(rows: Iterable[Row], claims: Iterable[Claim]) -> pd.DataFrame:
    """How far each judged number lies inside its threshold; below zero it misses it.

    Returns:
        id, verdict, unit, margin, low, high (the 95 % interval; NaN for a single seed), in percentage points where the
        unit is "%".
    """
    by_id = {claim.id: claim for claim in claims}
    parts = []
    for row in rows:
        if short(row["verdict"]) not in LOOKS or row["ours"] is None or math.isnan(row["ours"]):
            continue
        claim, scale = by_id[row["id"]], 100 if row["unit"] == "%" else 1
        ends = [math.nan if row[key] is None else _inside(claim, row[key]) * scale for key in ("low", "high")]
        margin = _inside(claim, row["ours"]) * scale
        parts.append((row["id"], row["verdict"], row["unit"], margin, min(ends), max(ends)))
    return pd.DataFrame(parts, columns=["id", "verdict", "unit", "margin", "low", "high"])


def _inside(claim: Claim, value: float) -> float:
    return min(value - claim.at_least, claim.at_most - value)


@mpl.rc_context(STYLE)
def forest(frame: pd.DataFrame) -> Figure:
    """A line a claim, right of zero where it passes; shares on the left, all else on the right.

    Args:
        frame: what `margins` returns.
    """
    panels = [(title, frame[frame["unit"] == unit][::-1]) for unit, title in PANELS.items()]
    tallest = max([len(part) for _, part in panels] + [3])
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 1.6 + 0.27 * tallest), layout="constrained")
    for ax, (title, part) in zip(axes, panels, strict=True):
        _panel(ax, part, 1.0 if "shares" in title else 0.1)
        ax.set_xlabel(title)
    handles = [
        Line2D([], [], ls="", marker=marker, mfc=face, mec=edge, label=word)
        for word, (marker, face, edge) in LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    plt.close(figure)
    return figure


def _panel(ax: Axes, part: pd.DataFrame, linear: float) -> None:
    for place, row in enumerate(part.itertuples(index=False)):
        marker, face, edge = LOOKS[row.verdict]
        if not math.isnan(row.low):
            ax.plot([row.low, row.high], [place, place], color="black", lw=1.2)
        ax.plot(row.margin, place, marker=marker, mfc=face, mec=edge, ms=7)
    ax.axvline(0, color="black", lw=1, ls=(0, (2, 2)))
    ax.set_xscale("symlog", linthresh=linear)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right = ax.get_xlim()[1]
    ax.axvspan(0, right, color="#E8F1EC", zorder=0)
    ax.set_xlim(right=right)
    ax.set_yticks(range(len(part)), part["id"], fontsize=10.5)
    ax.set_ylim(-0.7, len(part) - 0.3)
    ax.grid(axis="x", alpha=0.25)
