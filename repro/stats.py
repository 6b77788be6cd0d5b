"""Means over seeds and their Student t intervals; scipy does the work.

One value has no spread: its bounds are NaN, which figures leave undrawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

# What names a result besides its seed; averaging over several of these at once is always a mistake.
IDENTIFIERS = ("experiment", "method", "c", "metric")


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """The mean of independent values (one a seed) and its Student t interval.

    Args:
        values: at least one number, none of them NaN.
        level: the coverage, strictly between 0 and 1.

    Returns:
        (mean, low, high); low and high are NaN for a single value.

    Raises:
        ValueError: no values, a NaN among them, or a level outside (0, 1).
    """
    sample = _checked(values, level)
    spread = sample.std(ddof=1) if sample.size > 1 else np.nan
    half = _half_width(spread, sample.size, level)
    return float(sample.mean()), float(sample.mean() - half), float(sample.mean() + half)


def over_seeds(frame: pd.DataFrame, by: Sequence[str], value: str = "value", level: float = 0.95) -> pd.DataFrame:
    """Averages a long table over its seeds.

    Args:
        frame: one row a value, with the columns `by`, `value` and seed.
        by: what stays apart, for instance ["method", "c", "metric"]; an empty c (the prior) is a group like any other.
        value: the column that is averaged. NaN (a share of nothing, as leaps resolved without leaps) is left out.
        level: the coverage of the t interval, strictly between 0 and 1.

    Returns:
        One row a group, in the order of first appearance: `by`, mean, low, high, seeds (how many have a value).

    Raises:
        ValueError: no rows, a seed that occurs twice in a group, or a group that mixes several experiments, methods,
            temperatures or metrics.
    """
    by = list(by)
    if frame.empty:
        raise ValueError("no values to average: the table has no rows")
    _check_level(level)
    groups = frame.groupby(by, sort=False, dropna=False, observed=True)
    for column in IDENTIFIERS:
        if column in frame.columns and column not in by and groups[column].nunique(dropna=False).max() > 1:
            raise ValueError(f"rows of several {column} would be averaged: select one, or add {column!r} to by")
    if frame.duplicated([*by, "seed"]).any():
        raise ValueError(f"a seed occurs twice among rows of the same {', '.join(by)}: add what tells them apart to by")
    table = groups[value].agg(["mean", "std", "count"]).reset_index().rename(columns={"count": "seeds"})
    half = _half_width(table["std"].to_numpy(), table["seeds"].to_numpy(), level)
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)[[*by, "mean", "low", "high", "seeds"]]


def _half_width(spread: np.ndarray | float, n: np.ndarray | int, level: float) -> np.ndarray:
    """Half of a t interval: t * s / sqrt(n), and NaN where n < 2."""
    n = np.asarray(n, dtype=float)
    freedom = np.where(n > 1, n - 1, np.nan)
    return stats.t.ppf((1 + level) / 2, freedom) * spread / np.sqrt(freedom + 1)


def _checked(values: Sequence[float], level: float = 0.95) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if sample.size == 0:
        raise ValueError("no values: an estimate needs at least one")
    if np.isnan(sample).any():
        raise ValueError("a value is NaN: leave it out, or find out why it is missing")
    _check_level(level)
    return sample


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level {level} is no coverage: it lies between 0 and 1, for instance .95")
