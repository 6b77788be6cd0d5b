"""The forest of margins: how far numbers lie from their thresholds."""

from __future__ import annotations

import math
from typing import Any

from repro.claims.verdicts import Claim
from repro.figures.verdicts import forest, margins


def row(id_: str, ours: float | None, low: float | None, high: float | None, unit: str = "", **more: Any) -> dict:
    return {"id": id_, "ours": ours, "low": low, "high": high, "unit": unit, "verdict": "reproduced"} | more


def test_margins_point_to_where_a_claim_passes() -> None:
    """Protects the figure: right of zero passes, for thresholds from below, from above and from both sides."""
    claims = [Claim(id_, "s", "t", "P", "-", **bounds) for id_, bounds in {
        "up": {"at_least": 0.1}, "down": {"at_most": 0.0}, "both": {"at_least": -3.85, "at_most": -3.45},
    }.items()]  # fmt: skip
    rows = [
        row("up", 0.5, 0.4, 0.6, "%"),
        row("down", -2.0, -3.0, -1.0),
        row("both", -3.44, None, None, verdict="not reproduced"),
        row("up", None, None, None, verdict="not tested here: nothing was run"),
    ]
    frame = margins(rows, claims).round(6)
    assert frame["id"].tolist() == ["up", "down", "both"]
    assert frame.loc[0, ["margin", "low", "high"]].tolist() == [40.0, 30.0, 50.0]
    assert frame.loc[1, ["margin", "low", "high"]].tolist() == [2.0, 1.0, 3.0]
    assert frame.loc[2, "margin"] == -0.01 and math.isnan(frame.loc[2, "low"])


def test_the_forest_draws_every_row_in_its_panel() -> None:
    """Protects readers: shares left, other numbers right, one mark a row, also where one panel is empty."""
    claims = [Claim("up", "s", "t", "P", "-", at_least=0.1)]
    figure = forest(margins([row("up", 0.5, 0.4, 0.6, "%")], claims))
    labels = [[label.get_text() for label in ax.get_yticklabels()] for ax in figure.axes]
    assert labels == [["up"], []] and all(ax.get_xlabel() for ax in figure.axes)
    assert forest(margins([], claims)).axes
