"""Means over seeds with their intervals, and ours beside the paper's: Tables 1 and 2."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from scipy import special, stats

from repro.book import paper
from repro.music.events import HORIZON

LEVEL = 0.95  # the coverage of every interval
FREE = (-math.inf, math.inf)


def mean_interval(values: Sequence[float], limits: tuple[float, float] = FREE) -> tuple[float, float, float]:
    """The mean of independent values (one per seed) and its Student t interval: NaN bounds for a single value."""
    # limits: between which values can lie, as a share between 0 and 1; the interval, on the logit scale, stays there
    sample, mean, n = _checked(values)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * sample.std(ddof=1) / np.sqrt(n)) if n > 1 else math.nan
    if not np.isfinite(limits).all() or not half > 0:  # equal values, or a single one, whose bounds are NaN
        return mean, mean - half, mean + half
    if not limits[0] < mean < limits[1]:
        raise ValueError(f"the mean is {mean:g}: if values differ, it lies between {limits[0]:g} and {limits[1]:g}")
    width = limits[1] - limits[0]
    share = (mean - limits[0]) / width
    step = half / width / (share * (1 - share))  # the slope of the logit carries the half width over
    low, high = limits[0] + width * special.expit(special.logit(share) + np.array([-step, step]))
    return mean, float(low), float(high)


def prediction_interval(values: Sequence[float], trials: int | None = None) -> tuple[float, float, float]:
    """The mean of runs and where a further one would lie; shares are measured on `trials` each. NaN for one run."""
    sample, mean, n = _checked(values)
    if trials is not None and (trials < 1 or sample.min() < 0 or sample.max() > 1):
        raise ValueError(f"{trials} trials: give at least one, and values that are shares, which lie in [0, 1]")
    noise = 0.0 if trials is None else mean * (1 - mean) / trials  # b, of measuring: known, only runs are estimated
    spread = sample.var(ddof=1) * (1 + 1 / n) if n > 1 else np.nan  # a, of a new observation
    # Satterthwaite's degrees of freedom of a + b. Supposed: normal runs; our own shares were measured much better.
    freedom = (n - 1) * (1 + noise / spread) ** 2 if spread > 0 else np.inf
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(spread + noise))
    low, high = np.clip([mean - half, mean + half], *((-np.inf, np.inf) if trials is None else (0, 1)))
    return mean, float(low), float(high)


def _checked(values: Sequence[float]) -> tuple[np.ndarray, float, int]:
    sample = np.asarray(values, dtype=float)
    if sample.size == 0:
        raise ValueError("no values: an estimate needs at least one")
    if np.isnan(sample).any():
        raise ValueError("a value is NaN: leave it out, or find out why it is missing")
    return sample, float(sample.mean()), sample.size


class Row(NamedTuple):
    """How a metric is printed; an interval is cut to where the metric can lie."""

    name: str
    fraction: bool = False  # printed as percent
    decimals: int = 2  # of what is no fraction
    sign: int = 1
    low: float = -math.inf
    high: float = math.inf

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values the metric lies."""
        return (0, 1) if self.fraction else (self.low, self.high)

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """The bounds of an interval, cut and with the sign of the row; NaN, of a single seed, stays NaN."""
        low, high = np.sort(self.sign * np.clip([low, high], *self.limits)).tolist()
        return low, high

    def text(self, mean: float, low: float = math.nan, high: float = math.nan) -> str:
        """A value as "mean [low, high]", without brackets where NaN leaves no interval; "undefined" for a NaN mean."""
        if math.isnan(mean):
            return "undefined"  # a share of nothing, as leaps resolved where no seed leaps
        percent, scale = abs(100 * mean), 100 if self.fraction else 1
        few = 1 if percent == 0 or percent >= 1 else 2 if percent >= 0.01 else 3  # as the paper prints them
        decimals = few if self.fraction else self.decimals
        value, *ends = (f"{scale * x:z,.{decimals}f}" for x in (self.sign * mean, *self.bounds(low, high)))
        return value + " %" * self.fraction + ("" if math.isnan(low) else f" [{', '.join(ends)}]")


def number(value: float, unit: str = "") -> str:
    """One value as text: percent or points with the decimals that it needs, or three significant digits."""
    if not unit:
        # "#" keeps trailing zeros, which are digits too: 1.80; from 100 on it would leave a point behind the last
        whole = float(value).is_integer()
        return f"{value:g}" if whole else f"{value:.3g}" if abs(value) >= 100 else f"{value:#.3g}"
    percent = abs(100 * value)
    decimals = 1 if percent == 0 or percent >= 1 else 2 if percent >= 0.01 else 4
    return f"{100 * value:.{decimals}f} {unit}"


_ROWS = paper.data("rows")
MUSIC_ROWS = {m: Row(name, not m.startswith("autocorrelation")) for m, name in paper.TABLE_1_NAMES.items()}
MUSIC_ROWS |= {metric: Row(**fields) for metric, fields in _ROWS["music"].items()}
MOLECULE_ROWS = {metric: Row(**fields) for metric, fields in _ROWS["molecules"].items()}
Columns = Mapping[tuple[str, str], Mapping[str, float]]  # published values: by (model, whose), by metric


def table_1(ours: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as texts, per method "ours" (mean and interval over seeds) and "paper"; extras, as J, stand below."""
    wide = ours.pivot_table(index=["method", "seed"], columns="metric", values="value")
    wide, c = wide.reindex(columns=["task_reward", "kl"]), ours["c"].max() if "c" in ours else math.nan
    # J(pi) = E_pi[r / c] - KL(pi || p), nats per melody, of the prior at the policies' c; the KL is one per event
    objective = wide.assign(metric="objective", value=wide["task_reward"] / c - HORIZON * wide["kl"])
    ours = pd.concat([ours, objective[["metric", "value"]].dropna().reset_index()])
    columns = pd.DataFrame(paper.TABLE_1).T.to_dict()
    theirs = {(paper.METHOD_NAMES[m], "paper"): column for m, column in columns.items() if m in set(ours["method"])}
    return text_table(ours, [*paper.TABLE_1, *ours["metric"]], theirs, MUSIC_ROWS, paper.METHOD_NAMES)


def table_2(ours: pd.DataFrame) -> pd.DataFrame:
    """Table 2 as texts, as `table_1`; the paper's Sequence Tutor comes last, for it does not say which method it is."""
    columns, names = pd.DataFrame(paper.TABLE_2).T.to_dict(), (paper.MOLECULE_NAMES["prior"], "Sequence Tutor")
    theirs = {(name, "paper, unverified"): column for name, column in zip(names, columns.values(), strict=True)}
    return text_table(ours, [*paper.TABLE_2, *ours["metric"]], theirs, MOLECULE_ROWS, paper.MOLECULE_NAMES)


def text_table(
    ours: pd.DataFrame, metrics: Iterable[str], theirs: Columns, known: dict[str, Row], names: dict[str, str]
) -> pd.DataFrame:
    """Metrics as texts: ours, means with intervals over seeds, beside what others published."""
    wanted = dict.fromkeys(metrics)  # each once
    rows = {metric: row for metric, row in known.items() if metric in wanted}  # in the order of `known`, others last
    rows |= {metric: Row(metric) for metric in wanted if metric not in known}
    mixed = [name for name in ("experiment", "c") if ours.get(name, pd.Series(0)).nunique() > 1]
    if mixed or ours.duplicated(["method", "metric", "seed"]).any():  # the mean would look plausible and mean nothing
        raise ValueError("rows of several experiments or c, or of a seed twice, would be averaged: select one of each")
    cells = {}
    for (method, metric), values in ours[ours["metric"].isin(rows)].groupby(["method", "metric"])["value"]:
        measured = values.dropna()  # a share of nothing is no number
        row = rows[metric]
        cells[method, metric] = row.text(*(mean_interval(measured, row.limits) if len(measured) else [math.nan]))
    methods = paper.methods_in(ours["method"])
    columns = {(paper.method_name(m, names), "ours"): [cells.get((m, metric), "") for metric in rows] for m in methods}
    for column, published in theirs.items():
        columns[column] = [rows[metric].text(published[metric]) if metric in published else "" for metric in rows]
    places = {name: place for place, name in enumerate(names.values())}
    order = sorted(columns, key=lambda column: places.get(column[0], len(places)))  # models of others come last
    return pd.DataFrame(columns, pd.Index([row.name for row in rows.values()], name="metric"))[order]


def captioned(table: pd.DataFrame, caption: str) -> Styler:
    """A table of ours beside others' as a notebook shows it: what is not ours in grey, the caption above."""
    theirs = [column for column in table.columns if column[1] != "ours"]
    style = table.style.set_caption(caption).set_properties(**{"text-align": "right", "min-width": "5em"})
    style = style.set_properties(subset=theirs, color="#6E6E6E", **{"font-style": "italic"})
    return style.set_table_styles([{"selector": "th.row_heading", "props": "text-align: left; white-space: nowrap"}])
