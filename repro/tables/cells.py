"""How a table writes a number, and how a notebook shows what is not ours: the one hand that all tables share."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

MISSING = ""


def shown(table: pd.DataFrame, caption: str) -> Styler:
    """A table of ours beside others' as a notebook shows it: what is not ours in grey, the caption above."""
    theirs = [column for column in table.columns if column[1] != "ours"]
    return (
        table.style.set_caption(caption)
        .set_properties(**{"text-align": "right", "min-width": "5em"})
        .set_properties(subset=theirs, color="#6E6E6E", **{"font-style": "italic"})
        .set_table_styles([{"selector": "th.row_heading", "props": "text-align: left; white-space: nowrap"}])
    )


def estimate(mean: float, low: float, high: float, fraction: bool = False, decimals: int = 2) -> str:
    """A mean and its interval as "mean [low, high]"; the mean alone where a single seed leaves no interval.

    Args:
        mean: NaN is "undefined": a share of nothing, as leaps resolved where no seed leaps.
        low: lower bound; NaN for a single seed.
        high: upper bound.
        fraction: show percent, the interval cut to 0..100 %.
        decimals: of what is no fraction.
    """
    if pd.isna(mean):
        return "undefined"
    if pd.isna(low):
        return number(mean, fraction, decimals)
    if fraction:
        low, high = 100 * max(low, 0.0), 100 * min(high, 1.0)
        decimals = _percent_decimals(mean)
    return f"{number(mean, fraction, decimals)} [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def number(value: float, fraction: bool = False, decimals: int = 2) -> str:
    """One value, a fraction as percent with the decimals that it needs."""
    return f"{_fixed(100 * value, _percent_decimals(value))} %" if fraction else _fixed(value, decimals)


def _fixed(value: float, decimals: int) -> str:
    return f"{value:z,.{decimals}f}"  # z: no minus sign before a zero


def _percent_decimals(value: float) -> int:
    """One decimal of a percent, more below one percent, as the paper prints them."""
    percent = abs(100 * value)
    return 1 if percent == 0 or percent >= 1 else 2 if percent >= 0.01 else 3
