"""Intervals against hand-worked and published numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from repro import stats


def test_mean_interval_of_a_hand_worked_sample() -> None:
    """Protects the t quantile and the n - 1: 1..5 has s = 1.5811, t(.975, 4) = 2.7764, half width 1.9632."""
    assert stats.mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 1.0368, 4.9632), abs=1e-4)
    assert stats.mean_interval([1, 2, 3, 4, 5], level=0.9) == pytest.approx((3, 1.4926, 4.5074), abs=1e-4)


def test_one_value_has_no_interval() -> None:
    """Protects against a zero-width interval that would look like certainty."""
    mean, low, high = stats.mean_interval([7.0])
    assert mean == 7 and np.isnan(low) and np.isnan(high)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_intervals_hold_their_mean(values: list[float]) -> None:
    """Protects the order low <= mean <= high, whatever the values."""
    mean, low, high = stats.mean_interval(values)
    assert low <= mean <= high


def test_mistakes_are_named() -> None:
    """Protects the one clear sentence."""
    with pytest.raises(ValueError, match="no values"):
        stats.mean_interval([])
    with pytest.raises(ValueError, match="NaN"):
        stats.mean_interval([1.0, np.nan])
    with pytest.raises(ValueError, match="level 95"):
        stats.mean_interval([1, 2], level=95)
    with pytest.raises(ValueError, match="no values"):
        stats.over_seeds(long_table([]), ["method"])


def long_table(rows: list[tuple]) -> pd.DataFrame:
    """Rows in the layout of the result files."""
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


def test_over_seeds_averages_each_group_and_keeps_the_prior() -> None:
    """Protects the prior's rows, whose empty c pandas would drop, and the agreement with mean_interval."""
    frame = long_table(
        [("as_notated", "prior", np.nan, 0, "log_p", -0.3)]
        + [("as_notated", "q", 0.5, 100 + i, "log_p", value) for i, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0])]
    )
    table = stats.over_seeds(frame, ["method", "c", "metric"])
    assert list(table.columns) == ["method", "c", "metric", "mean", "low", "high", "seeds"]
    assert list(table["method"]) == ["prior", "q"] and list(table["seeds"]) == [1, 5]
    assert np.isnan(table.loc[0, "low"]) and table.loc[0, "mean"] == -0.3
    assert tuple(table.loc[1, ["mean", "low", "high"]]) == pytest.approx(stats.mean_interval([1, 2, 3, 4, 5]))


def test_over_seeds_leaves_out_missing_values() -> None:
    """Protects shares of nothing: a seed without a value is neither zero nor counted; none at all is NaN."""
    rows = [("e", "q", 0.5, seed, "leaps_resolved", value) for seed, value in enumerate([0.5, np.nan, 0.7])]
    rows += [("e", "g", 0.5, 0, "leaps_resolved", np.nan)]
    table = stats.over_seeds(long_table(rows), ["method"]).set_index("method")
    assert table.loc["q", "mean"] == pytest.approx(0.6) and table.loc["q", "seeds"] == 2
    assert np.isnan(table.loc["g", "mean"]) and table.loc["g", "seeds"] == 0


@pytest.mark.parametrize("column", ["experiment", "c", "metric"])
def test_over_seeds_refuses_to_mix_results(column: str) -> None:
    """Protects against averages over experiments, temperatures or metrics, which look plausible and mean nothing."""
    frame = long_table([("a", "q", 0.5, 0, "kl", 1.0), ("a", "q", 0.5, 1, "kl", 2.0)])
    frame[column] = [0.1, 0.5] if column == "c" else ["one", "two"]
    with pytest.raises(ValueError, match=f"several {column}"):
        stats.over_seeds(frame, ["method"])


def test_over_seeds_refuses_a_seed_twice() -> None:
    """Protects the interval's n: evaluations of one run are no independent seeds."""
    frame = pd.DataFrame({"method": "q", "step": [1, 2], "seed": 0, "value": [1.0, 2.0]})
    with pytest.raises(ValueError, match="seed occurs twice"):
        stats.over_seeds(frame, ["method"])
    assert len(stats.over_seeds(frame, ["method", "step"])) == 2
