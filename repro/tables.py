"""Table 1, ours beside the paper's: data frame in, data frame of strings out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pandas.io.formats.style import Styler

from repro.figures import method_name, methods_in
from repro.paper import TABLE_1, TABLE_1_NAMES
from repro.stats import over_seeds

EXTRA_NAMES = {
    "log_p": "log p, mean over all notes (nats per note)",
    "log_p_last": "log p of the last note (nats)",
    "task_reward": "task reward r_MT per melody",
    "kl": "KL from the prior (nats per note)",
    "entropy": "entropy (nats per note)",
    "unique": "distinct among 10,000 samples",
    "edit_distance": "edit distance between samples",
}
MISSING = ""


def table_1(
    ours: pd.DataFrame,
    paper: Mapping[str, Mapping[str, float]] = TABLE_1,
    names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Table 1 of the paper with our means over seeds and their 95 % intervals.

    Args:
        ours: columns method, seed, metric, value (the long tables of results/); c and experiment may stand beside
            them, one a method.
        paper: by metric and method, the published value; its metrics are the first rows, in its order.
        names: names of methods that differ from those of repro.figures.

    Returns:
        Strings. Rows: the paper's metrics by the paper's names, then what else `ours` holds. Columns: (method, "ours")
        as "mean [low, high]", without brackets for a single seed, and (method, "paper") where the paper has numbers
        for that method. Fractions are percentages, their intervals cut to 0..100 %.
    """
    table = over_seeds(ours, ["method", "metric"]).set_index(["method", "metric"])
    held = list(dict.fromkeys(ours["metric"]))
    metrics = list(dict.fromkeys([*paper, *(metric for metric in EXTRA_NAMES if metric in held), *held]))
    columns = {}
    for method in methods_in(ours["method"]):
        name = method_name(method, names)
        columns[name, "ours"] = [
            estimate(**table.loc[(method, metric), ["mean", "low", "high"]], fraction=_is_fraction(metric))
            if (method, metric) in table.index
            else MISSING
            for metric in metrics
        ]
        if any(method in row for row in paper.values()):
            theirs = {metric: paper.get(metric, {}).get(method) for metric in metrics}
            columns[name, "paper"] = [
                MISSING if value is None else number(value, _is_fraction(metric)) for metric, value in theirs.items()
            ]
    rows = [TABLE_1_NAMES.get(metric) or EXTRA_NAMES.get(metric, metric) for metric in metrics]
    return pd.DataFrame(columns, index=pd.Index(rows, name="metric"))


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


def _is_fraction(metric: str) -> bool:
    return metric in TABLE_1 and not metric.startswith("autocorrelation")
