"""Table 1 of the authors' schedule beside ours and the paper's, and the spread of G over seeds."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

from repro.methods import method_name
from repro.paper import TABLE_1
from repro.tables.music import EXTRA_NAMES, table_1


def beside(theirs: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Table 1 three times: policies of the authors' schedule, ours, and the paper's column.

    Args:
        theirs: `repro.experiments.authors.Schedule.table`.
        ours: method, c, seed, metric, value of policies tuned in lockstep from the same Note RNN; means are shown.

    Returns:
        Strings. Rows as in `repro.tables.music.table_1`. Columns: (method, "their schedule"), (method, "ours"),
        (method, "paper").
    """
    metrics = [*TABLE_1, *EXTRA_NAMES]
    means = ours.groupby(["method", "metric"], as_index=False)["value"].mean().assign(seed=0)
    lockstep = table_1(means[means["metric"].isin(metrics)])
    columns = {}
    for variant, rows in theirs[theirs["metric"].isin(metrics)].groupby("variant", sort=False):
        method, comma, remark = str(variant).partition(",")
        name = method_name(method)
        columns[name + comma + remark, "their schedule"] = table_1(rows.assign(method=method))[name, "ours"]
        if not remark:
            there = [column for column in ("ours", "paper") if (name, column) in lockstep]
            columns |= {(name, column): lockstep[name, column] for column in there}
    return pd.DataFrame(columns)


def shown(ranges: pd.DataFrame) -> Styler:
    """What `Variants.ranges` returns as a notebook shows it."""
    percent = dict.fromkeys(("low", "median", "high"), "{:.1%}")
    return ranges.style.format(percent | {"seeds": "{:.0f}"}, na_rep="").hide(axis="index")
