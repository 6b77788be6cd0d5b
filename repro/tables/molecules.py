"""Table 2, ours beside the paper's: data frame in, data frame of strings out; `repro.tables.music.shown` shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from repro.methods import method_name, methods_in
from repro.molecule_paper import MOSES_CHAR_RNN, SEQUENCE_TUTOR, TABLE_2, UNVERIFIED
from repro.stats import over_seeds
from repro.tables.cells import MISSING, estimate, number

NAMES = {"prior": "SMILES RNN"}


class Row(NamedTuple):
    """How a metric is shown; an interval is cut to where the metric can lie."""

    name: str
    fraction: bool = False
    decimals: int = 2
    sign: int = 1
    low: float = -math.inf
    high: float = math.inf

    def shown(self, low: float, high: float) -> tuple[float, float]:
        """The bounds of an interval, cut and with the sign of the row; NaN, of a single seed, stays NaN."""
        least, most = (0, 1) if self.fraction else (self.low, self.high)
        first, last = np.sort(self.sign * np.clip([low, high], least, most))
        return float(first), float(last)


ROWS = {
    "valid": Row("percent valid", fraction=True),
    "logp": Row("mean logP"),
    "qed": Row("mean QED", decimals=3, low=0, high=1),
    "sa": Row("mean SA (minus the SA score)", sign=-1, low=1, high=10),
    "ring_penalty": Row("mean ring penalty", decimals=3, high=0),
    "share_without_large_rings": Row("no ring above six, of all strings", fraction=True),
    "share_without_large_rings_of_valid": Row("no ring above six, of valid molecules", fraction=True),
    "unique_1k": Row("unique of 1,000", fraction=True),
    "unique_10k": Row("unique of 10,000", fraction=True),
    "novel": Row("novel", fraction=True),
    "diversity": Row("internal diversity (0 to 1)", decimals=3, low=0, high=1),
    "ended": Row("ended before the horizon", fraction=True),
    "length": Row("length (tokens)", decimals=1, low=0),
    "log_p": Row("log p under the prior (nats a molecule)", high=0),
    "kl": Row("KL(pi || p) (nats a molecule)", low=0),
    "entropy": Row("entropy of the policy (nats a molecule)", low=0),
    "objective": Row("J = E[r/c] - KL (nats a molecule)"),
    "task_reward": Row("task reward r a molecule"),
    "held_out_nll": Row("loss on held-out molecules (nats a token)", decimals=3, low=0),
}


def table_2(ours: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Table 2 of the paper with our means over seeds and their 95 % intervals.

    Args:
        ours: columns method, seed, metric, value (`Tuning.table()`); c and experiment may stand beside them, one a
            method.
        names: names of methods that differ from NAMES and those of repro.figures.methods.

    Returns:
        Strings. Rows: those of ROWS that the paper or `ours` has, then what else `ours` holds. Columns: (method,
        "ours") as "mean [low, high]", without brackets for a single seed; beside the prior the paper's, and the
        paper's Sequence Tutor in a last column, for it does not say which method that is. Shares are percentages.
    """
    metrics = _in_order([*TABLE_2, *ours["metric"]])
    columns = _our_columns(ours, metrics, names)
    prior = method_name("prior", NAMES | dict(names or {}))
    first = {column: cells for column, cells in columns.items() if column[0] == prior}
    theirs = {
        (name, UNVERIFIED): _their_cells({metric: row[model] for metric, row in TABLE_2.items()}, metrics)
        for model, name in (("prior", prior), ("sequence_tutor", SEQUENCE_TUTOR))
    }
    last = theirs.popitem()
    return _table(first | theirs | columns | dict([last]), metrics)


def moses_table(ours: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The prior in `ours` (as for `table_2`) beside the published CharRNN of the MOSES benchmark."""
    metrics = _in_order(MOSES_CHAR_RNN)
    columns = _our_columns(ours[ours["method"] == "prior"], metrics, names)
    return _table({**columns, ("CharRNN", "MOSES"): _their_cells(MOSES_CHAR_RNN, metrics)}, metrics)


def _in_order(metrics: Iterable[str]) -> list[str]:
    held = dict.fromkeys(metrics)
    return [*(metric for metric in ROWS if metric in held), *(metric for metric in held if metric not in ROWS)]


def _row(metric: str) -> Row:
    return ROWS.get(metric, Row(metric))


def _our_columns(
    ours: pd.DataFrame, metrics: list[str], names: Mapping[str, str] | None
) -> dict[tuple[str, str], list[str]]:
    table = over_seeds(ours, ["method", "metric"]).set_index(["method", "metric"])[["mean", "low", "high"]]
    cells = {key: _our_cell(_row(key[1]), *values) for key, *values in table.itertuples()}
    return {
        (method_name(method, NAMES | dict(names or {})), "ours"): [cells.get((method, m), MISSING) for m in metrics]
        for method in methods_in(ours["method"])
    }


def _our_cell(row: Row, mean: float, low: float, high: float) -> str:
    low, high = row.shown(low, high)
    return estimate(row.sign * mean, low, high, row.fraction, row.decimals)


def _their_cells(values: Mapping[str, float], metrics: list[str]) -> list[str]:
    rows = {metric: _row(metric) for metric in metrics}
    return [
        number(row.sign * values[metric], row.fraction, row.decimals) if metric in values else MISSING
        for metric, row in rows.items()
    ]


def _table(columns: Mapping[tuple[str, str], list[str]], metrics: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index([_row(metric).name for metric in metrics], name="metric"))
