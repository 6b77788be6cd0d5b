"""The figures of the authors' experiments show every run, ours and the paper's, with named axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from repro.figures import authors as authors_figures
from repro.figures.style import METHOD_COLOURS
from repro.paper import figure_2a

METRICS = ("log_p", "log_p_last", "task_reward")
VARIANTS = ("q", "psi", "g", "rl_only", "g, prior trained")


def drawn() -> Figure:
    """Five variants, each at -i / 10 after i evaluations of 100,000 steps; ours all end at -2."""
    rows = [
        (variant, 100, 100_000 * i, metric, -i / 10) for variant in VARIANTS for i in range(11) for metric in METRICS
    ]
    curves = pd.DataFrame(rows, columns=["variant", "seed", "environment_steps", "metric", "value"])
    ours = [
        (method, seed, m, -2.0 + seed) for method in ("q", "psi", "g", "rl_only") for seed in (-1, 1) for m in METRICS
    ]
    return authors_figures.schedule(
        curves, pd.DataFrame(ours, columns=["method", "seed", "metric", "value"]), figure_2a()
    )


def test_the_schedule_shows_every_run_with_ours_and_the_paper_s() -> None:
    """Protects the comparison: five lines a panel, the mean of ours at the right edge, the paper's log p hollow."""
    figure = drawn()
    for ax, label in zip(figure.axes, ("mean over all notes", "last note", "task reward"), strict=True):
        assert label in ax.get_ylabel() and ax.get_xlabel() == "environment steps"
        curves = [line for line in ax.lines if len(line.get_xdata()) == 11 and line.get_linestyle() != "None"]
        assert len(curves) == 5 and {line.get_ydata()[-1] for line in curves} == {-1.0}
        ends = [line for line in ax.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 1]
        assert [line.get_ydata()[0] for line in ends] == [-2.0] * 4
        assert [line.get_color() for line in ends] == [METHOD_COLOURS[m] for m in ("q", "psi", "g", "rl_only")]
        hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata()) > 1]
        assert len(hollow) == (0 if "reward" in label else 4)
        for line in hollow:
            assert np.max(line.get_xdata()) <= 1_000_000


def test_every_variant_is_named() -> None:
    """Protects the legend: methods by the names that all figures use, what is special behind a comma."""
    labels = [text.get_text() for text in drawn().legends[0].get_texts()]
    assert labels[:5] == ["Q", "Psi", "G", "RL only", "G, prior trained"]
