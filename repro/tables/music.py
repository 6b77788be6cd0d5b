"""Table 1, ours beside the paper's: data frame in, data frame of strings out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from repro.methods import method_name, methods_in
from repro.paper import TABLE_1, TABLE_1_NAMES
from repro.stats import over_seeds
from repro.tables.cells import MISSING, estimate, number

EXTRA_NAMES = {
    "log_p": "log p, mean over all notes (nats per note)",
    "log_p_last": "log p of the last note (nats)",
    "task_reward": "task reward r_MT per melody",
    "kl": "KL from the prior (nats per note)",
    "entropy": "entropy (nats per note)",
    "unique": "distinct among 10,000 samples",
    "edit_distance": "edit distance between samples",
}


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
        names: names of methods that differ from those of repro.figures.methods.

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


def _is_fraction(metric: str) -> bool:
    return metric in TABLE_1 and not metric.startswith("autocorrelation")
