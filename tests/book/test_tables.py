"""Intervals against hand-worked and published numbers; Tables 1 and 2 as readers see them."""

from itertools import product

import numpy as np
import pytest
from small import long_table

from repro.book import paper, tables


def test_intervals_of_hand_worked_and_published_samples() -> None:
    """Protects the t quantile and n - 1: 1..5 has s = 1.5811, t(.975, 4) = 2.7764, half width 1.9632; and the factor
    sqrt(1 + 1/n): Montgomery and Runger's 22 specimens have mean 13.71, and (6.16, 21.26) for the next.
    """
    assert tables.mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 1.0368, 4.9632), abs=1e-4)
    single = [7.0]
    intervals = tables.mean_interval(single), tables.mean_interval(single, (0, 7)), tables.prediction_interval(single)
    for mean, low, high in intervals:
        assert mean == 7 and np.isnan(low) and np.isnan(high)  # one value has no interval: zero would look certain
    loads = [19.8, 10.1, 14.9, 7.5, 15.4, 15.4, 15.4, 18.5, 7.9, 12.7, 11.9, 11.4, 11.4, 14.1, 17.6, 16.7, 15.8, 19.5,
             8.8, 13.6, 11.9, 11.4]  # fmt: skip
    assert tables.prediction_interval(loads) == pytest.approx((13.71, 6.16, 21.26), abs=0.01)


def test_prediction_interval_of_a_share_by_hand() -> None:
    """Protects the binomial part: shares .45, .5, .55 have a = s^2 (1 + 1/3) = .0033333, and so has b = .25 / 75.

    Without b the half width is t(.975, 2) sqrt(a) = 4.3027 x .057735 = .24841. With it f = 2 (1 + 1)^2 = 8, and the
    half width is t(.975, 8) sqrt(a + b) = 2.3060 x .081650 = .18829: more noise, but half of it known. Of equal shares
    only b is left: 1.9600 sqrt(.25 / 100) = .0980. A share has bounds: 0 and 1.
    """
    shares = [0.45, 0.5, 0.55]
    assert tables.prediction_interval(shares) == pytest.approx((0.5, 0.25159, 0.74841), abs=1e-4)
    assert tables.prediction_interval(shares, trials=75) == pytest.approx((0.5, 0.31171, 0.68829), abs=1e-4)
    assert tables.prediction_interval([0.5, 0.5], trials=100) == pytest.approx((0.5, 0.402, 0.598), abs=1e-4)
    assert tables.prediction_interval([0.1, 0.9], trials=100) == (0.5, 0, 1)


def test_mistakes_are_named() -> None:
    """Protects the one clear sentence, also where averages over experiments or temperatures would mean nothing."""
    for column, seeds in product(("experiment", "c"), ((0, 0), (0, 200))):
        rows = [("a", "q", 0.5, seed, "repeated", 0.1) for seed in seeds]
        with pytest.raises(ValueError, match="rows of several experiments or c, or of a seed twice"):
            tables.table_1(long_table(rows).assign(**{column: [0.1, 0.5]}))
    for interval in (tables.mean_interval, tables.prediction_interval):
        for values, sentence in (([], "no values"), ([1.0, np.nan], "NaN")):
            with pytest.raises(ValueError, match=sentence):
                interval(values)
    for values, trials in (([0.1, 0.2], 0), ([0.1, 1.2], 10), ([-0.1, 0.2], 10)):
        with pytest.raises(ValueError, match=f"{trials} trials: .* shares, which lie in"):
            tables.prediction_interval(values, trials=trials)


def test_table_1_is_the_papers_with_units_and_intervals() -> None:
    """Protects the order by which readers compare, extras last, and each format: percent with its digits, above 0; two
    decimals for correlations; nothing invented; J beside the reward, 100 / .5 - 32 * .5, of the prior at the same c.
    """
    rows = [("prior", np.nan, 0, "repeated", 0.6), ("prior", np.nan, 0, "kl", 0.0), ("prior", np.nan, 0, "new", 1)]
    rows += [("q", 0.5, seed, "repeated", value) for seed, value in enumerate([0.0001, 0.0002, 0.0006])]
    rows += [("q", 0.5, seed, "autocorrelation_1", value) for seed, value in enumerate([-0.3, -0.2, -0.1])]
    rows += [("rl_only", 0.5, seed, "leaps_resolved", np.nan) for seed in range(2)]
    table = tables.table_1(long_table(rows, "method c seed metric value"))
    assert list(table.index) == [*paper.TABLE_1_NAMES.values(), "KL from the prior (nats per note)", "new"]
    assert list(table.columns) == [(m, w) for m in ("Note RNN", "Q") for w in ("ours", "paper")] + [("RL only", "ours")]
    repeated, correlation, kl = table.iloc[0], table.iloc[1], table.iloc[-2]
    assert repeated["Note RNN", "ours"] == "60.0 %" and repeated["Note RNN", "paper"] == "63.3 %"
    assert repeated["Q", "ours"] == "0.03 % [0.00, 0.27]" and repeated["Q", "paper"] == "0.0 %"
    assert correlation["Q", "ours"] == "-0.20 [-0.45, 0.05]" and correlation["Q", "paper"] == "-0.11"
    assert kl["Note RNN", "ours"] == "0.00" and kl["Note RNN", "paper"] == "" and kl["Q", "ours"] == ""
    assert table.loc["leaps resolved", ("RL only", "ours")] == "undefined"
    assert table.loc["notes in repeated motif", ("Note RNN", "paper")] == "0.007 %"
    rows = [("q", 0.5, 0, "task_reward", 100.0), ("q", 0.5, 0, "kl", 0.5)]
    rows += [("prior", np.nan, 0, "task_reward", -2.0), ("prior", np.nan, 0, "kl", 0.0)]
    j = tables.table_1(long_table(rows, "method c seed metric value")).loc["J = E[r/c] - KL (nats per melody)"]
    assert (j["Note RNN", "ours"], j["Q", "ours"]) == ("-4.00", "184.00")
    html = tables.captioned(table, "three seeds").to_html()
    assert "three seeds" in html and "-0.20 [-0.45, 0.05]" in html


MOLECULES = {
    ("prior", "valid"): [0.9], ("psi", "valid"): [0.97, 0.98, 0.99], ("prior", "sa"): [2.5], ("psi", "sa"): [1.8, 1.9],
    ("prior", "diversity"): [0.856], ("prior", "novel"): [0.95], ("prior", "unique_10k"): [1.0],
}  # fmt: skip


def test_table_2_is_printed_as_the_paper_prints_it() -> None:
    """Protects signs and shares: minus the SA score, its interval turned round and cut as in the figure; others' models
    last, also MOSES'.
    """
    rows = [(*key, seed, value) for key, values in MOLECULES.items() for seed, value in enumerate(values)]
    molecules = long_table(rows, "method metric seed value")
    table = tables.table_2(molecules)
    sa, valid = table.loc["mean SA (minus the SA score)"], table.loc["percent valid"]
    assert sa["SMILES RNN", "ours"] == "-2.50" and sa["SMILES RNN", "paper, unverified"] == "-2.77"
    assert sa["Psi", "ours"] == "-1.85 [-2.73, -1.39]" and valid["Psi", "ours"] == "98.0 % [93.2, 99.4]"
    assert valid["SMILES RNN", "ours"] == "90.0 %" and table.columns[-1] == ("Sequence Tutor", "paper, unverified")
    theirs = {("CharRNN", "MOSES"): paper.MOSES_CHAR_RNN}
    ours, rows = molecules[molecules["method"] == "prior"], tables.MOLECULE_ROWS
    moses = tables.text_table(ours, paper.MOSES_CHAR_RNN, theirs, rows, paper.MOLECULE_NAMES)
    assert list(moses["CharRNN", "MOSES"]) == ["97.5 %", "99.9 %", "84.2 %", "0.856"]
    assert list(moses["SMILES RNN", "ours"]) == ["90.0 %", "100.0 %", "95.0 %", "0.856"]
    assert rows["diversity"].bounds(-0.2, 0.4) == (0.0, 0.4) and rows["unique_10k"].bounds(0.9, 1.1) == (0.9, 1.0)
    assert rows["sa"].bounds(0.5, 3.0) == (-3.0, -1.0) and np.isnan(rows["entropy"].bounds(np.nan, np.nan)).all()
