"""Music beside molecules: each figure shows all runs of both, or leaves out what was not measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from repro.figures import priors as prior_figures
from repro.figures.priors import MOLECULES, MUSIC
from repro.figures.style import METHOD_COLOURS

METHODS = ("psi", "g", "rl_only")


def curves(steps: str, nll: bool = True) -> pd.DataFrame:
    """Three methods, two seeds, four evaluations; all but G start at (-1, -2)."""
    rows = [
        {"method": m, "seed": seed, "c": 0.5, steps: 100 * i, "log_p": -1.0 - i * (m == "rl_only") - seed * i / 4,
         "task_reward": -2.0 + 3 * i if (m, i) != ("g", 0) else -900.0, "held_out_nll": 1.0 + i}
        for m in METHODS for seed in (0, 1) for i in range(4)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame if nll else frame.drop(columns="held_out_nll")


def table(panel: prior_figures.Panel) -> pd.DataFrame:
    """Every metric of a panel; seed s lies s / 10 higher."""
    rows = [
        (m, seed, metric, 0.5 + seed / 10)
        for m in ("prior", *METHODS) for metric in panel.diversity for seed in ((0,) if m == "prior" else (0, 1))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "seed", "metric", "value"])


def labelled(figure: Figure) -> None:
    for ax in figure.axes:
        assert ax.get_ylabel() and (ax.get_xlabel() or not ax.get_xticklabels()[0].get_text()[:1].isdigit())


STARTS = {"melodies": (-1.0, -2.5), "molecules": (-1.1, -2.0)}


def test_each_path_runs_from_its_first_to_its_last_evaluation() -> None:
    """Protects the picture of the README: a path a seed, in the method's colour, its mark where training ended."""
    sides = [(MUSIC, curves("environment_steps")), (MOLECULES, curves("sequences"))]
    figure = prior_figures.reward_against_log_p(sides, STARTS)
    labelled(figure)
    for ax in figure.axes:
        paths = [c for c in ax.collections if isinstance(c, LineCollection)]
        assert len(paths) == 6 and all(len(path.get_segments()) == 3 for path in paths)
        marks = {
            (to_hex(line.get_color()).upper(), *np.round(line.get_xydata()[0], 6))
            for line in ax.lines if len(line.get_xdata()) == 1
        }  # fmt: skip
        assert (METHOD_COLOURS["rl_only"], -4.0, 7.0) in marks and (METHOD_COLOURS["psi"], -1.0, 7.0) in marks
        assert (METHOD_COLOURS["prior"], *STARTS[ax.get_title()]) in marks
        # G's first step, far below the others, does not set the axis; all other points lie inside
        assert -10 < ax.get_ylim()[0] < -2 and ax.get_ylim()[1] > 7 and ax.get_xlim()[0] < -4.3
        assert not ax.child_axes


def test_runs_pressed_into_a_corner_are_enlarged() -> None:
    """Where RL only goes far away, the runs with the prior are drawn once more at a scale that shows them."""
    frame = curves("sequences")
    far = frame.assign(log_p=frame["log_p"].where(frame["method"] != "rl_only", 40 * frame["log_p"]))
    (inset,) = prior_figures.reward_against_log_p([(MOLECULES, far)], STARTS).axes[0].child_axes
    kept = far[far["method"] != "rl_only"]
    assert np.ptp(inset.get_xlim()) < 1.5 * np.ptp([*kept["log_p"], -1.1]) < 1.5
    assert inset.get_xlim()[0] < kept["log_p"].min() and inset.get_xlim()[1] > kept["log_p"].max()


def test_uniform_play_is_drawn_only_where_somebody_comes_near() -> None:
    """Protects the scale: the line of uniform play must not press all paths into a corner."""
    frame = curves("environment_steps")
    near = prior_figures.reward_against_log_p([(MUSIC, frame)], STARTS).axes[0]
    far = prior_figures.reward_against_log_p([(MUSIC, frame[frame["method"] != "rl_only"])], STARTS).axes[0]
    assert any(np.allclose(line.get_xdata(), MUSIC.uniform) for line in near.lines)
    assert not any(np.allclose(line.get_xdata(), MUSIC.uniform) for line in far.lines)


def test_a_domain_without_held_out_losses_is_left_out() -> None:
    """Older runs lack the column: the other domain is drawn all the same, and nothing at all is one clear sentence."""
    sides = [(MUSIC, curves("environment_steps")), (MOLECULES, curves("sequences", nll=False))]
    figure = prior_figures.held_out_loss(sides, {"melodies": 0.9})
    (ax,) = figure.axes
    labelled(figure)
    assert ax.get_title() == "melodies" and any(np.allclose(line.get_ydata(), 0.9) for line in ax.lines)
    means = [line.get_ydata() for line in ax.lines if line.get_linewidth() > 2]
    assert len(means) == 3 and all(np.allclose(mean, [1, 2, 3, 4]) for mean in means)
    with pytest.raises(ValueError, match="held_out_nll"):
        prior_figures.held_out_loss(sides[1:], {})


def test_diversity_shows_every_metric_with_its_interval() -> None:
    """Protects the comparison: means over seeds at the right height, in percent where the label says so."""
    figure = prior_figures.diversity([(MUSIC, table(MUSIC)), (MOLECULES, table(MOLECULES))])
    labelled(figure)
    assert len(figure.axes) == 6
    for ax, (_, scale) in zip(figure.axes, [*MUSIC.diversity.values(), *MOLECULES.diversity.values()], strict=True):
        heights = [container.lines[0].get_ydata()[0] for container in ax.containers]
        assert heights == pytest.approx([0.5 * scale, *[0.55 * scale] * 3])


def test_rewards_are_drawn_part_by_part() -> None:
    """Protects the bars: one a part and method at the mean, intervals over seeds, no negative log axis surprises."""
    rows = [
        (m, rule, seed, value + seed)
        for m in ("prior", "psi")
        for rule, value in (("key", -30.0), ("leaps", 4.0))
        for seed in (0, 1)
    ]
    music = pd.DataFrame(rows, columns=["method", "rule", "seed", "value"])
    molecules = pd.DataFrame([("prior", "sa", 0, -2.0), ("psi", "sa", 0, -1.0)], columns=music.columns)
    figure = prior_figures.earned([(MUSIC, music), (MOLECULES, molecules)])
    first, second = figure.axes
    assert first.get_yscale() == "symlog" and second.get_yscale() == "linear"
    assert sorted(patch.get_height() for patch in first.patches) == pytest.approx([-29.5, -29.5, 4.5, 4.5])
    assert [patch.get_height() for patch in second.patches] == [-2.0, -1.0]
    labelled(figure)
