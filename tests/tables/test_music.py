"""Table 1 as readers see it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from repro.paper import TABLE_1, TABLE_1_NAMES
from repro.tables import cells, music as tables


@pytest.fixture
def ours() -> pd.DataFrame:
    """A prior, three seeds of Q, and RL only without a leap."""
    rows = [("prior", np.nan, 0, "repeated", 0.6), ("prior", np.nan, 0, "kl", 0.0)]
    rows += [("q", 0.5, seed, "repeated", value) for seed, value in enumerate([0.0001, 0.0002, 0.0006])]
    rows += [("q", 0.5, seed, "autocorrelation_1", value) for seed, value in enumerate([-0.3, -0.2, -0.1])]
    rows += [("rl_only", 0.5, seed, "leaps_resolved", np.nan) for seed in range(2)]
    return pd.DataFrame(rows, columns=["method", "c", "seed", "metric", "value"])


def test_rows_follow_the_paper_and_extras_come_last(ours: pd.DataFrame) -> None:
    """Protects the order by which readers compare the table with the paper's."""
    table = tables.table_1(ours, TABLE_1)
    assert list(table.index) == [*TABLE_1_NAMES.values(), "KL from the prior (nats per note)"]
    assert list(table.columns) == [(m, w) for m in ("Note RNN", "Q") for w in ("ours", "paper")] + [("RL only", "ours")]


def test_cells_carry_unit_interval_and_the_papers_value(ours: pd.DataFrame) -> None:
    """Protects each format: percent with its digits, cut at 0; two decimals for correlations; nothing invented."""
    table = tables.table_1(ours)
    repeated, correlation, kl = table.iloc[0], table.iloc[1], table.iloc[-1]
    assert repeated["Note RNN", "ours"] == "60.0 %" and repeated["Note RNN", "paper"] == "63.3 %"
    assert repeated["Q", "ours"] == "0.03 % [0.00, 0.10]" and repeated["Q", "paper"] == "0.0 %"
    assert correlation["Q", "ours"] == "-0.20 [-0.45, 0.05]" and correlation["Q", "paper"] == "-0.11"
    assert kl["Note RNN", "ours"] == "0.00" and kl["Note RNN", "paper"] == "" and kl["Q", "ours"] == ""
    assert table.loc["leaps resolved", ("RL only", "ours")] == "undefined"
    assert table.loc["notes in repeated motif", ("Note RNN", "paper")] == "0.007 %"


def test_names_can_differ_and_the_style_keeps_the_text(ours: pd.DataFrame) -> None:
    """Protects the override of the prior's name, and that styling changes no digit."""
    table = tables.table_1(ours, names={"prior": "SMILES RNN"})
    assert ("SMILES RNN", "ours") in table.columns
    html = cells.shown(table, "three seeds").to_html()
    assert "three seeds" in html and "-0.20 [-0.45, 0.05]" in html


def test_several_temperatures_are_refused(ours: pd.DataFrame) -> None:
    """Protects against a table that silently averages over c."""
    with pytest.raises(ValueError, match="several c"):
        tables.table_1(pd.concat([ours, ours.assign(c=1.0, seed=ours["seed"] + 10)]))
