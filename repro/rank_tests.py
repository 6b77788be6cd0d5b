"""Whether groups of ratings or runs differ, by their ranks: the tests of the paper's listening study.

First Kruskal-Wallis asks whether any group differs; then Mann-Whitney compares each pair, and Holm's correction keeps
the chance of one false difference among all pairs below the level. scipy does the work; Holm's correction is ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

Groups = Mapping[str, Sequence[float]]  # name -> one value a rating or run


class KruskalWallis(NamedTuple):
    """H with its degrees of freedom, as in H(3) = 109.480, and p by the chi-squared approximation."""

    h: float
    freedom: int
    p: float


def kruskal_wallis(groups: Groups) -> KruskalWallis:
    """Tests whether values of all groups come from one distribution; H is corrected for ties.

    Raises:
        ValueError: fewer than two groups, an empty one, a NaN, or values that are all the same.
    """
    samples = _checked(groups)
    if len(np.unique(np.concatenate(list(samples.values())))) == 1:
        raise ValueError("all values are the same: their ranks say nothing")
    result = stats.kruskal(*samples.values())
    return KruskalWallis(float(result.statistic), len(samples) - 1, float(result.pvalue))


def pairwise(groups: Groups) -> pd.DataFrame:
    """Compares each pair of groups by a two-sided Mann-Whitney test.

    Returns:
        One row a pair, in the order of the groups: first, second, u (of the first), larger (the share of pairs of
        values in which the first is larger, ties count half), p (exact where one of the two has at most eight
        values and there are no ties, else the normal approximation), p_holm (corrected over the rows).

    Raises:
        ValueError: fewer than two groups, an empty one, or a NaN.
    """
    rows = []
    for (first, ours), (second, theirs) in itertools.combinations(_checked(groups).items(), 2):
        result = stats.mannwhitneyu(ours, theirs, alternative="two-sided")
        u = float(result.statistic)
        rows.append((first, second, u, u / (ours.size * theirs.size), float(result.pvalue)))
    table = pd.DataFrame(rows, columns=["first", "second", "u", "larger", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): the smallest of m p-values times m, the next times m - 1, and so on.

    Args:
        p_values: (m,) in [0, 1], in any order.

    Returns:
        (m,) corrected, in the same order, none above 1 and none below that of a smaller p.

    Raises:
        ValueError: a value that is no probability.
    """
    given = np.asarray(p_values, dtype=float)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("a p-value is a number in [0, 1]")
    order = np.argsort(given, kind="stable")
    raised = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(raised, 1)
    return corrected


def _checked(groups: Groups) -> dict[str, np.ndarray]:
    samples = {name: np.asarray(values, dtype=float) for name, values in groups.items()}
    if len(samples) < 2:
        raise ValueError(f"{len(samples)} groups: a comparison needs at least two")
    for name, sample in samples.items():
        if sample.size == 0 or np.isnan(sample).any():
            raise ValueError(f"group {name!r} is empty or holds a NaN")
    return samples
