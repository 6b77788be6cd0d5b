"""Figures of molecules: what is drawn is what the frames say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from repro.figures import gallery, molecules as molecule_figures


def curves() -> pd.DataFrame:
    rows = [
        {"method": m, "seed": seed, "sequences": n, "valid": 0.5 + 0.1 * step, "logp": np.nan if step == 0 else 2.0,
         "qed": 0.5, "sa": 2.0, "kl": 1.0 * step, "objective": -100.0 if m == "rl_only" else 5.0}
        for m in ("psi", "rl_only") for seed in (0, 1) for step, n in enumerate((128, 640, 1280))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_curves_have_a_line_a_seed_and_their_mean() -> None:
    """Protects the reading: two methods of two seeds are six lines a panel, validity in percent, J on a log axis."""
    axes = molecule_figures.molecule_curves(curves()).axes
    assert [ax.get_ylabel().splitlines()[0] for ax in axes] == list(molecule_figures.CURVES.values())
    assert all(len(ax.lines) == 6 for ax in axes)
    assert max(axes[0].lines[0].get_ydata()) == pytest.approx(70)
    assert axes[5].get_yscale() == "symlog" and axes[4].get_yscale() == "linear"


def test_both_forms_share_their_axes() -> None:
    """Protects the comparison of forms: the same scale left and right."""
    figure = molecule_figures.collapse(curves(), curves())
    assert figure.axes[2].get_ylim() == figure.axes[3].get_ylim()
    assert [ax.get_title() for ax in figure.axes[:2]] == ["dueling form", "the paper's form"]


def test_distributions_leave_out_what_is_not_valid() -> None:
    """Protects the densities: data as an area, one line a method, and none where all molecules are the same."""
    data = gallery.of_strings("data", ["CCO", "c1ccccc1", "CCN", "CC("])
    same = gallery.of_strings("psi", ["CCO", "CCO", "(("])
    figure = molecule_figures.score_distributions(pd.concat([data, same]))
    assert all(len(ax.collections) == 1 and np.isnan(ax.lines[0].get_ydata()).all() for ax in figure.axes)


def test_a_grid_has_a_caption_under_each_molecule() -> None:
    """Protects galleries: as many pictures as molecules, in rows, captions in place."""
    figure = molecule_figures.grid(["C", "CC", "CCC"], ["one", "two", "three"], columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", "three", ""]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 0]


def test_refusals_and_comparison_draw() -> None:
    """Protects bars and dots: one bar a method and reason; the paper's hollow marks only where it has a number."""
    frame = gallery.refusals(gallery.of_strings("prior", ["CC(", "C1CC", "CCO"]))
    assert len(molecule_figures.refused(frame).axes[0].patches) == 2
    metrics = molecule_figures.COMPARED
    table = pd.DataFrame([("psi", seed, metric, 0.5 + 0.1 * seed) for metric in metrics for seed in range(3)],
                         columns=["method", "seed", "metric", "value"])  # fmt: skip
    axes = molecule_figures.comparison_2(table).axes
    hollow = [sum(line.get_markerfacecolor() == "none" for line in ax.lines) for ax in axes]
    assert hollow == [2, 2, 2, 2, 2, 0, 0, 0]
