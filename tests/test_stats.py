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
    single = [stats.mean_interval([7.0]), stats.bootstrap_interval([7.0]), stats.prediction_interval([7.0])]
    for mean, low, high in single:
        assert mean == 7 and np.isnan(low) and np.isnan(high)
    assert np.isnan(stats.probability_of_improvement([7.0], [5.0, 6.0])[1:]).all()


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_matches_newcombe(successes: int, n: int, low: float, high: float) -> None:
    """Protects the formula: Newcombe 1998, Table I, method 3."""
    assert stats.wilson_interval(successes, n) == pytest.approx((successes / n, low, high), abs=5e-5)


def test_interquartile_mean_ignores_the_outer_quarters() -> None:
    """Protects the cut: floor(n / 4) at each end, so 2 of 8 and 1 of 7."""
    assert stats.interquartile_mean([-1e6, -1e6, 1, 2, 3, 4, 1e6, 1e6]) == 2.5
    assert stats.interquartile_mean([-1e6, 1, 2, 3, 4, 5, 1e6]) == 3
    assert stats.interquartile_mean([[0, 1, 2, 9], [0, 2, 4, 9]], axis=1) == pytest.approx([1.5, 3])


def test_bootstrap_is_repeatable_and_near_the_t_interval() -> None:
    """Protects the seed, and that the resampling answers the same question as the t interval."""
    values = np.random.default_rng(1).normal(5, 2, 200)
    first = stats.bootstrap_interval(values, resamples=2000)
    assert first == stats.bootstrap_interval(values, resamples=2000)
    assert first != stats.bootstrap_interval(values, resamples=2000, seed=1)
    assert first == pytest.approx(stats.mean_interval(values), abs=0.05)


def test_bootstrap_takes_any_statistic_and_survives_equal_values() -> None:
    """Protects statistics without an axis, and the fallback where BCa divides by zero."""
    _, low, high = stats.bootstrap_interval(range(50), statistic=lambda sample: sorted(sample)[25], resamples=200)
    assert low < 25 < high
    assert stats.bootstrap_interval([3.0, 3.0, 3.0], resamples=100) == (3, 3, 3)


def test_probability_of_improvement_by_hand() -> None:
    """Protects the count of pairs: of 3 x 2 pairs 3 are won and 1 is a tie, so 3.5 / 6; swapping gives the rest."""
    ours, theirs = [1.0, 3.0, 5.0], [2.0, 3.0]
    assert stats.probability_of_improvement(ours, theirs, resamples=99)[0] == pytest.approx(3.5 / 6)
    assert stats.probability_of_improvement(theirs, ours, resamples=99)[0] == pytest.approx(2.5 / 6)
    assert stats.probability_of_improvement([3, 4], [1, 2], resamples=99) == (1, 1, 1)


def test_probability_of_improvement_is_mann_whitney_s_u() -> None:
    """Protects the link to the rank test, as rliable computes it: scipy's documented example has U = 17 of 5 x 4."""
    males, females = [19, 22, 16, 29, 24], [20, 11, 17, 12]
    estimate, low, high = stats.probability_of_improvement(males, females)
    assert estimate == pytest.approx(17 / 20)
    assert low < estimate < high <= 1
    assert (estimate, low, high) == stats.probability_of_improvement(males, females)


def test_probability_of_improvement_covers_as_its_exact_bootstrap() -> None:
    """Protects the interval: the 4^4 equally likely redraws of two runs against two, written out, by quantiles."""
    ours, theirs = np.array([1.0, 4.0]), np.array([2.0, 3.0])
    draws = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    exact = [(x[:, None] > y).mean() for x in ours[draws] for y in theirs[draws]]
    assert sorted(set(exact)) == [0, 0.5, 1]
    _, low, high = stats.probability_of_improvement(ours, theirs, level=0.4, resamples=4000)
    assert (low, high) == tuple(np.quantile(exact, [0.3, 0.7])) == (0.5, 0.5)
    assert stats.probability_of_improvement(ours, theirs, level=0.6, resamples=4000)[1:] == (0, 1)


def test_prediction_interval_of_a_published_sample() -> None:
    """Protects sqrt(1 + 1/n): Montgomery and Runger's 22 specimens have mean 13.71, and (6.16, 21.26) for the next."""
    loads = [19.8, 10.1, 14.9, 7.5, 15.4, 15.4, 15.4, 18.5, 7.9, 12.7, 11.9, 11.4, 11.4, 14.1, 17.6, 16.7, 15.8, 19.5,
             8.8, 13.6, 11.9, 11.4]  # fmt: skip
    assert stats.prediction_interval(loads) == pytest.approx((13.71, 6.16, 21.26), abs=0.01)


def test_prediction_interval_of_a_share_by_hand() -> None:
    """Protects the binomial part: shares .45, .5, .55 have a = s^2 (1 + 1/3) = .0033333, and so has b = .25 / 75.

    Without b the half width is t(.975, 2) sqrt(a) = 4.3027 x .057735 = .24841. With it f = 2 (1 + 1)^2 = 8, and the
    half width is t(.975, 8) sqrt(a + b) = 2.3060 x .081650 = .18829: more noise, but half of it known. Of equal shares
    only b is left: 1.9600 sqrt(.25 / 100) = .0980. A share has bounds: 0 and 1.
    """
    shares = [0.45, 0.5, 0.55]
    assert stats.prediction_interval(shares) == pytest.approx((0.5, 0.25159, 0.74841), abs=1e-4)
    assert stats.prediction_interval(shares, trials=75) == pytest.approx((0.5, 0.31171, 0.68829), abs=1e-4)
    assert stats.prediction_interval([0.5, 0.5], trials=100) == pytest.approx((0.5, 0.402, 0.598), abs=1e-4)
    assert stats.prediction_interval([0.1, 0.9], trials=100) == (0.5, 0, 1)


def test_prediction_interval_holds_the_next_run_as_often_as_it_says() -> None:
    """Protects the meaning: of 4,000 sets of five runs, the sixth, measured on 1,000 trials, lies inside 90 %."""
    generator = np.random.default_rng(0)
    runs = np.clip(generator.normal(0.3, 0.02, (4000, 6)), 0, 1)
    measured = generator.binomial(1000, runs[:, 5]) / 1000
    bounds = np.array([stats.prediction_interval(row, trials=1000, level=0.9) for row in runs[:, :5]])
    inside = ((bounds[:, 1] <= measured) & (measured <= bounds[:, 2])).mean()
    assert inside == pytest.approx(0.9, abs=0.03)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_intervals_hold_their_mean(values: list[float]) -> None:
    """Protects the order low <= mean <= high, whatever the values."""
    mean, low, high = stats.mean_interval(values)
    assert low <= mean <= high


def test_mistakes_are_named() -> None:
    """Protects the one clear sentence."""
    one_sample = (stats.mean_interval, stats.bootstrap_interval, stats.interquartile_mean, stats.prediction_interval)
    for estimate in one_sample:
        with pytest.raises(ValueError, match="no values"):
            estimate([])
        with pytest.raises(ValueError, match="NaN"):
            estimate([1.0, np.nan])
    with pytest.raises(ValueError, match="level 95"):
        stats.mean_interval([1, 2], level=95)
    with pytest.raises(ValueError, match="no values"):
        stats.probability_of_improvement([1.0, 2.0], [])
    with pytest.raises(ValueError, match="trials is 0"):
        stats.prediction_interval([0.1, 0.2], trials=0)
    with pytest.raises(ValueError, match="leave trials out"):
        stats.prediction_interval([0.1, 1.2], trials=10)
    with pytest.raises(ValueError, match="at least one trial"):
        stats.wilson_interval(0, 0)
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
