"""Tests of ranks against published and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from repro import rank_tests

BOTTLE_CAPS = {  # Kruskal and Wallis 1952: the day's output of three machines
    "standard": [340, 345, 330, 342, 338],
    "first": [339, 333, 344],
    "second": [347, 343, 349, 355],
}


def test_kruskal_wallis_of_its_authors_example() -> None:
    """Protects H: the ranks 5, 9, 1, 6, 3 and 4, 2, 8 and 10, 7, 11, 12 sum to 24, 14, 40, so that H = 5.656.

    12 / (12 x 13) (24^2 / 5 + 14^2 / 3 + 40^2 / 4) - 3 x 13 = 5.6564; chi-squared with 2 degrees: p = exp(-H / 2).
    """
    result = rank_tests.kruskal_wallis(BOTTLE_CAPS)
    assert result.h == pytest.approx(5.6564, abs=1e-4)
    assert result.freedom == 2
    assert result.p == pytest.approx(np.exp(-5.6564 / 2), abs=1e-5)


def test_kruskal_wallis_corrects_for_ties() -> None:
    """Protects the correction: scipy's documented example, H = 7, p = .0302."""
    result = rank_tests.kruskal_wallis({"x": [1, 1, 1], "y": [2, 2, 2], "z": [2, 2]})
    assert result == pytest.approx((7.0, 2, 0.0301973834), abs=1e-9)


def test_mann_whitney_of_a_documented_example() -> None:
    """Protects U, its share and the exact p: scipy's ages at diagnosis, U = 17 of 20, p = .1111."""
    table = rank_tests.pairwise({"males": [19, 22, 16, 29, 24], "females": [20, 11, 17, 12]})
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["first"], row["second"], row["u"], row["larger"]) == ("males", "females", 17, 0.85)
    assert row["p"] == row["p_holm"] == pytest.approx(0.1111, abs=1e-4)


def test_pairs_of_the_example_by_hand() -> None:
    """Protects the pairs and their correction, by counting arrangements.

    first against second: 1 of 12 pairs is won, and 2 of the 35 ways to arrange 3 and 4 values have at most that many,
    so p = 4 / 35. standard against second: 1 of 20 pairs, 2 of 126 ways, p = 4 / 126. standard against first: 8 of 15
    pairs, as near the half as can be, p = 1. Holm: 4 / 126 x 3, 4 / 35 x 2, 1.
    """
    table = rank_tests.pairwise(BOTTLE_CAPS)
    assert table["first"].tolist() == ["standard", "standard", "first"]
    assert table["second"].tolist() == ["first", "second", "second"]
    assert table["u"].tolist() == [8, 1, 1]
    assert table["larger"].to_numpy() == pytest.approx([8 / 15, 1 / 20, 1 / 12])
    assert table["p"].to_numpy() == pytest.approx([1, 4 / 126, 4 / 35])
    assert table["p_holm"].to_numpy() == pytest.approx([1, 12 / 126, 8 / 35])


def test_holm_by_hand() -> None:
    """Protects the steps: .005 x 4, .01 x 3, .03 x 2, and .04 x 1 raised to what came before it."""
    assert rank_tests.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert rank_tests.holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert rank_tests.holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    """Protects what the correction promises, and the order of the p-values."""
    given_p, corrected = np.array(p_values), rank_tests.holm(p_values)
    assert (corrected >= given_p).all()
    assert (corrected <= np.minimum(1, given_p * len(p_values))).all()
    assert (np.diff(corrected[np.argsort(given_p, kind="stable")]) >= 0).all()


def test_mistakes_are_named() -> None:
    """Protects the one clear sentence."""
    with pytest.raises(ValueError, match="1 groups: a comparison needs at least two"):
        rank_tests.kruskal_wallis({"a": [1.0]})
    for bad in ([], [1.0, np.nan]):
        for test in (rank_tests.kruskal_wallis, rank_tests.pairwise):
            with pytest.raises(ValueError, match="group 'b' is empty or holds a NaN"):
                test({"a": [1.0], "b": bad})
    with pytest.raises(ValueError, match="all values are the same"):
        rank_tests.kruskal_wallis({"a": [1.0, 1.0], "b": [1.0]})
    for wrong in ([1.2], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match="p-value is a number in"):
            rank_tests.holm(wrong)
