"""Figures of molecules: what is scored, picked and drawn is what the strings say."""

import numpy as np
import pandas as pd
import pytest

from repro.book import molecules

STRINGS = ["CCO", "c1ccccc1", "CC(", "CCO", "CCCCCCCC", "C1CC"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return molecules.scored("psi", STRINGS)


def test_picks(frame: pd.DataFrame) -> None:
    """Protects the galleries: every string keeps its model and scores, NaN and a reason where invalid; of the valid
    ones the best come first, each once.
    """
    assert frame["smiles"].tolist() == STRINGS and set(frame["method"]) == {"psi"}
    assert frame["valid"].tolist() == [True, True, False, True, True, False]
    assert frame.loc[~frame["valid"], "qed"].isna().all() and (frame.loc[~frame["valid"], "reason"] != "").all()
    assert molecules.picked(frame, "logp", 2)["smiles"].tolist() == ["CCCCCCCC", "c1ccccc1"]
    assert molecules.picked(frame, "worst", 1)["smiles"].tolist() == ["CCO"]
    assert sorted(molecules.picked(frame, "random", 9)["smiles"]) == ["CCCCCCCC", "CCO", "c1ccccc1"]
    assert molecules.picked(frame, "qed", 1)["caption"][0].startswith("QED 0.")
    with pytest.raises(ValueError, match="cannot pick by 'beauty'"):
        molecules.picked(frame, "beauty", 1)
    # as many pictures as molecules, in rows, captions in place
    drawn = molecules.grid(pd.DataFrame({"smiles": ["C", "CC", "CCC"], "caption": ["one", "two", "three"]}), columns=2)
    assert [(ax.get_title(), len(ax.images)) for ax in drawn.axes] == [("one", 1), ("two", 1), ("three", 1), ("", 0)]


def test_densities_leave_out_what_is_not_valid() -> None:
    """Protects the densities: data as an area, one line per method, none where all molecules are the same."""
    models = {"data": ["CCO", "c1ccccc1", "CCN", "CC("], "psi": ["CCO", "CCO", "(("], "q": ["CCO", "CCCCl", "CCN"]}
    data, same, other = (molecules.scored(*model) for model in models.items())
    for drawn, lines in (([data, same], 0), ([data, same, other], 1)):
        axes = molecules.densities(pd.concat(drawn)).axes
        assert all((len(ax.collections), len(ax.lines)) == (1, lines) for ax in axes[:2])
        assert all(ax.get_xlabel() and np.isfinite(ax.get_ylim()).all() for ax in axes)
