"""Figures show all of their data, each method in its own look, with named axes, intervals and yardsticks."""

import io
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator
from small import run_cells

from repro.book import plots
from repro.book.paper import METHOD_NAMES
from repro.book.tables import Row

LOOKS = plots.LOOKS


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """Two methods, three seeds, five evaluations; log p is -i - seed, the reward starts at -2,700."""
    index = pd.MultiIndex.from_product([("g", "q"), (0, 1, 2), range(5)], names=["method", "seed", "i"])
    table = index.to_frame(index=False).assign(c=0.5)
    return table.assign(steps=1000 * table["i"], log_p=-table["i"] - table["seed"], reward=900.0 * (table["i"] - 3))


def parts() -> pd.DataFrame:
    """Two methods, rules and seeds; -3 for seed 0 and -2 for seed 1."""
    index = pd.MultiIndex.from_product([("prior", "psi"), ("key", "repeated_motif"), (0, 1)])
    table = index.to_frame(index=False, name=["method", "metric", "seed"])
    return table.assign(value=-3.0 + table["seed"])


def of(table: pd.DataFrame, x: str = "steps", y: str = "log_p", **more: object) -> plots.Panel:
    return plots.Panel(table, x, y, "steps", "log p (nats)", **more)  # type: ignore[arg-type]


def coloured(ax: mpl.axes.Axes, method: str) -> list[mpl.lines.Line2D]:
    return [line for line in ax.lines if line.get_color() == LOOKS[method].colour]


def picture(panel: plots.Panel, start: tuple[float, float]) -> mpl.figure.Figure:
    """README's picture, drawn by cells of notebook 08."""
    space: dict[str, Any] = {"np": np, "panels": [panel], "starts": [start], "study": SimpleNamespace(results=None)}
    space |= {"book": SimpleNamespace(plots=plots, report=SimpleNamespace(write_figure=lambda *_: None))}
    space |= {each.__name__: each for each in (LineCollection, MaxNLocator, to_rgba)}
    return run_cells("08-07a", "08-07b", "08-07c", **space)["figure"]


def every_figure(runs: pd.DataFrame) -> dict[str, mpl.figure.Figure]:
    shown = {"key": Row("key"), "repeated_motif": Row("motif")}
    return {
        "curves": plots.curves([of(runs), of(runs, y="reward", bend=10)]),
        "dots": plots.dots([(parts(), shown, "nats")] * 2, 2, 2.0),
        "bars": plots.bars(of(parts(), "metric", "value")),
        "paths": picture(of(runs, "log_p", "reward"), (0.0, -2500.0)),
    }


def test_every_figure_is_readable_inside_its_page_and_the_same_bytes(runs: pd.DataFrame) -> None:
    """Protects readers (each axis is named, no text is below 10 points or cut off), the repository from figures that
    change without a reason, and the notebook's own settings.
    """
    of_paper = [LOOKS[name] for name in METHOD_NAMES]  # each in a colour, line, marker and hatch of its own
    assert all(len(set(ways)) == len(METHOD_NAMES) for ways in zip(*of_paper, strict=True))
    before, again = dict(mpl.rcParams), every_figure(runs)
    for name, figure in every_figure(runs).items():
        drawn = [io.BytesIO(), io.BytesIO()]
        for file, each in zip(drawn, (figure, again[name]), strict=True):
            each.savefig(file, format="png", dpi=40)
        assert drawn[0].getvalue() == drawn[1].getvalue(), name
        figure.draw_without_rendering()
        assert all(ax.get_xlabel() for ax in figure.axes), name
        page = figure.bbox.expanded(1.005, 1.005)
        for part in (*figure.axes, *figure.legends):
            box = part.get_tightbbox()
            assert box is not None and page.contains(*box.min) and page.contains(*box.max), (name, part)
        for text in figure.findobj(mpl.text.Text):
            assert text.get_fontsize() >= 10 or not text.get_text(), (name, text)
    assert dict(mpl.rcParams) == before and not plt.get_fignums()


def test_curves_draw_each_seed_the_mean_and_its_interval(runs: pd.DataFrame) -> None:
    """Protects the data (a thin line per seed, the bold mean, the interval, in the method's colour) and the yardsticks:
    values for all and per method, hollow points of the methods drawn, all in the legend.
    """
    (ax,) = plots.curves([of(runs)], columns=1).axes
    for method in ("q", "g"):
        assert len(coloured(ax, method)) == 4
        (bold,) = [line for line in coloured(ax, method) if line.get_linewidth() > 2]
        assert list(bold.get_ydata()) == [-1, -2, -3, -4, -5] and bold.get_linestyle() == LOOKS[method].line
    bands = [mpl.colors.to_hex(band.get_facecolor()[0]).upper() for band in ax.collections]
    assert bands == [LOOKS["q"].colour, LOOKS["g"].colour]
    # Seeds 0, 1, 2 lie at -i - seed: their mean at -i - 1, and t(.975, 2) / sqrt(3) = 2.484 on either side.
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((-5 - 2.484, -1 + 2.484), abs=1e-3)
    points = pd.DataFrame({"method": ["q", "q", "psi"], "steps": [0, 10, 10], "log_p": [-1, -2, -3]})
    figure = plots.curves([of(runs, levels={"uniform": -3.6, "limit": {"q": -4}}, points={"paper": points})], 1)
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [(line.get_color(), list(line.get_ydata())) for line in hollow] == [(LOOKS["q"].colour, [-1, -2])]
    flat = {(line.get_color(), line.get_ydata()[0]) for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1}
    assert {("black", -3.6), (LOOKS["q"].colour, -4)} <= flat
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Q", "G", "uniform", "limit", "paper"]


def test_only_large_numbers_get_a_logarithmic_axis_and_several_settings_are_refused(runs: pd.DataFrame) -> None:
    """Protects both: -2,700 would flatten the end of training, small numbers need no bent axis; the label says. Against
    a mean over temperatures, and whoever adds a method: it has a look, and comes last.
    """
    positive = runs.assign(log_p=1.0 + runs["i"])
    axes = plots.curves([of(runs, y="reward", bend=10), of(runs, bend=10), of(positive, bend=0)], 3).axes
    assert [ax.get_yscale() for ax in axes] == ["symlog", "linear", "log"]
    assert "logarithmic beyond \u00b110" in axes[0].get_ylabel() and "logarithmic" not in axes[1].get_ylabel()
    with pytest.raises(ValueError, match="several c would be averaged"):
        plots.curves([of(pd.concat([runs, runs.assign(c=1.0)]))])
    figure = plots.curves([of(runs.replace({"method": {"q": "sarsa"}}))], columns=1)
    assert figure.legends[0].get_texts()[-1].get_text() == "sarsa"
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.curves([])


def test_dots_set_ours_beside_the_paper_s() -> None:
    """Protects the claim of the figure: percent, signs, intervals cut where a row ends, the paper's hollow, lanes."""
    rows = {"valid": Row("percent valid", fraction=True), "sa": Row("minus the SA score", sign=-1, low=1, high=2.1)}
    index = pd.MultiIndex.from_product([("prior", "psi"), range(3), rows], names=["method", "seed", "metric"])
    table = index.to_frame(index=False)
    table["value"] = table["metric"].map({"valid": 0.5, "sa": 2.0}) + table["seed"] / 10
    theirs = {"valid": {"prior": 0.3, "tutor": 0.4}, "sa": {"prior": 2.5, "tutor": 1.5}}
    figure = plots.dots([(table, rows, "both")], paper=theirs, names={"prior": "SMILES RNN"}, published="recalled")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["percent valid", "minus the SA score"]
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none" and np.isfinite(line.get_xdata()).any()]
    assert [list(line.get_xdata()) for line in hollow] == [[30, -2.5], [40, -1.5]]
    assert hollow[0].get_ydata() == pytest.approx([-0.8 / 3, 1 - 0.8 / 3])
    ours = [line.get_xydata() for line in coloured(ax, "psi") if line.get_marker() == "s"]
    assert ours[0] == pytest.approx(np.array([[60, 0], [-2.1, 1]]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SMILES RNN", "Psi", "hollow: recalled"]
    # seeds .1 apart: +- .2484; of a share logit .6 -+ .2484 / (.6 .4); cut where the SA score here ends, at 2.1
    for metric, ends in (("valid", (34.76, 80.85)), ("sa", (-2.1, -2.1 + 0.2484))):
        (ax,) = plots.dots([(table, {metric: rows[metric]}, metric)]).axes
        spans = [line.get_xdata() for line in coloured(ax, "psi") if len(line.get_xdata()) > 2]
        assert (np.nanmin(spans[0]), np.nanmax(spans[0])) == pytest.approx(ends, abs=0.01)


def test_bars_have_a_height_an_interval_and_a_hatch_each() -> None:
    """Protects the heights and the intervals (seeds -3 and -2: mean -2.5, t half width 6.35), upright and lying."""
    (ax,) = plots.bars(of(parts(), "metric", "value", bend=1)).axes
    assert [patch.get_height() for patch in ax.patches] == [-2.5] * 4 and ax.get_yscale() == "linear"
    assert {patch.get_hatch() for patch in ax.patches} == {"", ".."}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["key", "repeated\nmotif"]
    heights = np.concatenate([line.get_ydata() for line in ax.lines])
    assert (np.nanmin(heights), np.nanmax(heights)) == pytest.approx((-2.5 - 6.353, -2.5 + 6.353), abs=1e-3)
    (lying,) = plots.bars(of(parts(), "value", "metric")).axes
    assert [patch.get_width() for patch in lying.patches] == [-2.5] * 4


def paths(far: float = 1.0, **more: object) -> mpl.axes.Axes:
    """Three methods, two seeds; all but G start at (0, -2); RL only goes away, `far` times as far."""
    rows = [(m, seed, far * i * (m == "rl_only") + seed * i / 4, -2.0 + 3 * i if (m, i) != ("g", 0) else -900.0)
            for m in ("psi", "g", "rl_only") for seed in (0, 1) for i in range(4)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["method", "seed", "kl", "reward"])
    return picture(of(table, "kl", "reward", **more), (0.0, -2.5)).axes[0]


def test_each_path_runs_from_its_first_to_its_last_evaluation() -> None:
    """Protects the picture of the README: a path per seed, its mark where training ended, the prior where it began;
    where RL only goes far away the others are drawn once more, and levels do not press them into a corner.
    """
    ax = paths()
    drawn = [c for c in ax.collections if isinstance(c, mpl.collections.LineCollection)]
    assert len(drawn) == 6 and all(len(path.get_segments()) == 3 for path in drawn)
    marks = {(line.get_color(), *line.get_xydata()[0]) for line in ax.lines}
    ends = {"rl_only": (3.0, 7.0), "psi": (0.0, 7.0), "prior": (0.0, -2.5)}
    assert {(LOOKS[method].colour, *end) for method, end in ends.items()} < marks
    # G's first step, far below the others, does not set the axis; all other points lie inside
    assert -10 < ax.get_ylim()[0] < -2 and ax.get_ylim()[1] > 7 and ax.get_xlim()[1] > 3.75 and not ax.child_axes
    (inset,) = paths(far=40).child_axes
    assert np.ptp(inset.get_xlim()) < 1.2 and inset.get_xlim()[0] < 0 and inset.get_xlim()[1] > 0.75
    for level in (4, 9):
        lines = paths(levels={"uniform play": level}).lines
        assert any(np.allclose(line.get_xdata(), level) for line in lines) == (level == 4)
