"""Intervals and robust means over seeds, compositions or counts; scipy does the work.

Every function answers (estimate, low, high). One value has no spread: its bounds are NaN, which figures leave undrawn.
Tests between groups of ranks stand in `repro.rank_tests`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

# What names a result besides its seed; averaging over several of these at once is always a mistake.
IDENTIFIERS = ("experiment", "method", "c", "metric")
BOOTSTRAP_CELLS = 2_000_000  # resampled values held in memory at once


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


def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[..., float] = np.mean,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 9999,
) -> tuple[float, float, float]:
    """A statistic of values and its bias-corrected, accelerated (BCa) bootstrap interval.

    Meant for tens to thousands of values: BCa leaves out each value once, which takes time quadratic in their number.

    Args:
        values: at least one number, none of them NaN.
        statistic: a function of a 1-d sample; much faster when it takes `axis`, as numpy's do.
        level: the coverage, strictly between 0 and 1.
        seed: of the resampling; the same seed gives the same bounds.
        resamples: how many samples are drawn with replacement.

    Returns:
        (statistic, low, high). NaN bounds for a single value; the percentile interval where BCa does not exist
        (all values equal, for instance).

    Raises:
        ValueError: no values, a NaN among them, or a level outside (0, 1).
    """
    sample = _checked(values, level)
    estimate = float(statistic(sample))
    if sample.size == 1:
        return estimate, np.nan, np.nan
    batch = max(1, BOOTSTRAP_CELLS // sample.size)
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(category=stats.DegenerateDataWarning, action="ignore"), np.errstate(all="ignore"):
            interval = stats.bootstrap(
                (sample,), statistic, confidence_level=level, n_resamples=resamples, batch=batch, method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval  # fmt: skip
        if np.isfinite(interval).all():
            break
    return estimate, float(interval.low), float(interval.high)


def interquartile_mean(values: Sequence[float], axis: int | None = None) -> np.floating | np.ndarray:
    """The mean of the middle half: floor(n / 4) values are cut off at each end (Agarwal et al. 2021, rliable).

    values may have any shape; axis None averages over all of them. No values, or a NaN among them, is a ValueError.
    """
    return stats.trim_mean(_checked(values), 0.25, axis=axis)


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float, float]:
    """The share of successes in n independent trials and its Wilson score interval, without continuity correction.

    Returns:
        (share, low, high), all in [0, 1].

    Raises:
        ValueError: no trials, successes outside 0..n, or a level outside (0, 1).
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials: a share needs at least one trial and 0..n successes")
    _check_level(level)
    interval = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return successes / n, float(interval.low), float(interval.high)


def probability_of_improvement(
    ours: Sequence[float],
    theirs: Sequence[float],
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 9999,
) -> tuple[float, float, float]:
    """P(X > Y): how often a run of one method beats a run of another, over all pairs (Agarwal et al. 2021, rliable).

    Args:
        ours: X, one value a run, larger is better.
        theirs: Y, one value a run; the two lists may differ in length, and runs are not paired.
        level: the coverage, strictly between 0 and 1.
        seed: of the resampling; the same seed gives the same bounds.
        resamples: how many times both lists are drawn anew with replacement.

    Returns:
        (probability, low, high). A tie counts half. The percentile bootstrap draws runs, each list on its own. Where
        every run of one beats every run of the other both bounds equal the estimate: the bootstrap knows no other runs
        than these. NaN bounds where a list has a single value.

    Raises:
        ValueError: no values, a NaN among them, or a level outside (0, 1).
    """
    first, second = _checked(ours, level), _checked(theirs, level)
    estimate = float(_wins(first, second))
    if min(first.size, second.size) == 1:
        return estimate, np.nan, np.nan
    interval = stats.bootstrap(
        (first, second), _wins, vectorized=True, paired=False, confidence_level=level, n_resamples=resamples,
        batch=max(1, BOOTSTRAP_CELLS // (first.size * second.size)), method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return estimate, float(interval.low), float(interval.high)


def prediction_interval(
    values: Sequence[float], trials: int | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """Where one further run would lie: the question when a single published number stands beside our seeds.

    With n runs of mean m and standard deviation s, the half width is t(f) sqrt(a + b). a = s^2 (1 + 1/n) is that of the
    classical interval for a new observation: the spread of runs, and what we do not know of their mean.
    b = m (1 - m) / N is the noise of measuring that run's share on N trials, 0 where no N is given. b is known and only
    s is estimated, so the degrees of freedom are f = (n - 1) (1 + b / a)^2 (Satterthwaite). It supposes normal runs and
    independent trials, and that our own shares were measured on many more trials than N.

    Args:
        values: one number a run, none of them NaN; shares in [0, 1] where `trials` is given.
        trials: N, on how many independent samples the further run is measured.
        level: the coverage, strictly between 0 and 1.

    Returns:
        (mean, low, high); shares stay in [0, 1]. NaN bounds for a single run.

    Raises:
        ValueError: no values, a NaN among them, no trials, a share outside [0, 1], or a level outside (0, 1).
    """
    sample = _checked(values, level)
    mean = float(sample.mean())
    noise = 0.0
    if trials is not None:
        if trials < 1:
            raise ValueError(f"trials is {trials}: a share is measured on at least one")
        if sample.min() < 0 or sample.max() > 1:
            raise ValueError("trials are of shares, which lie in [0, 1]: leave trials out for other numbers")
        noise = mean * (1 - mean) / trials
    if sample.size == 1:
        return mean, np.nan, np.nan
    spread = sample.var(ddof=1) * (1 + 1 / sample.size)
    freedom = (sample.size - 1) * (1 + noise / spread) ** 2 if spread > 0 else np.inf
    half = float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(spread + noise))
    if trials is None:
        return mean, mean - half, mean + half
    return mean, max(0.0, mean - half), min(1.0, mean + half)


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


def _wins(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """The share of pairs (..., n) x (..., m) in which the first is larger; ties count half."""
    apart = np.moveaxis(first, axis, -1)[..., :, None] - np.moveaxis(second, axis, -1)[..., None, :]
    return (np.sign(apart).mean(axis=(-2, -1)) + 1) / 2


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
