"""Table 2: signs, shares, intervals, and whose column is whose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro.tables.molecules import ROWS, moses_table, table_2


def frame(values: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    rows = [(m, seed, metric, v) for (m, metric), vs in values.items() for seed, v in enumerate(vs)]
    return pd.DataFrame(rows, columns=["method", "seed", "metric", "value"])


OURS = frame({
    ("prior", "valid"): [0.9], ("psi", "valid"): [0.97, 0.98, 0.99], ("prior", "sa"): [2.5], ("psi", "sa"): [1.8, 1.9],
    ("prior", "diversity"): [0.856], ("prior", "novel"): [0.95], ("prior", "unique_10k"): [1.0],
})  # fmt: skip


def test_sa_is_printed_as_the_paper_prints_it() -> None:
    """Protects the sign: minus the SA score, with the interval turned round as well."""
    cell = table_2(OURS).loc["mean SA (minus the SA score)"]
    assert cell["SMILES RNN", "ours"] == "-2.50" and cell["SMILES RNN", "paper, unverified"] == "-2.77"
    mean, low, high = cell["Psi", "ours"].replace("[", "").replace("]", "").replace(",", "").split()
    assert float(low) < float(mean) == -1.85 < float(high)


def test_shares_are_percentages_with_intervals_over_seeds() -> None:
    """Protects the reading: a mean and an interval that contains it; none for the one prior."""
    row = table_2(OURS).loc["percent valid"]
    assert row["SMILES RNN", "ours"] == "90.0 %"
    assert row["Psi", "ours"].startswith("98.0 % [") and row["Psi", "ours"].endswith("100.0]")
    assert row["Sequence Tutor", "paper, unverified"] == "35.8 %"


def test_the_benchmark_stands_beside_the_prior() -> None:
    """Protects the comparison with MOSES: its CharRNN's four published numbers and ours."""
    table = moses_table(OURS)
    assert list(table["CharRNN", "MOSES"]) == ["97.5 %", "99.9 %", "84.2 %", "0.856"]
    assert list(table["SMILES RNN", "ours"]) == ["90.0 %", "100.0 %", "95.0 %", "0.856"]


def test_an_interval_is_cut_and_turned_as_its_row_is() -> None:
    """Protects figure and table from different intervals, and from diversities below 0."""
    assert ROWS["diversity"].shown(-0.2, 0.4) == (0.0, 0.4)
    assert ROWS["unique_10k"].shown(0.9, 1.1) == (0.9, 1.0)
    assert ROWS["sa"].shown(0.5, 3.0) == (-3.0, -1.0)
    assert np.isnan(ROWS["entropy"].shown(np.nan, np.nan)).all()
