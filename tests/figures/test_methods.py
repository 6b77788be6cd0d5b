"""Figures show all of their data, in the method's colour, with units on their axes."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repro.figures import melodies as melody_figures, methods as figures, style
from repro.methods import METHOD_NAMES
from repro.paper import PRIOR_VALIDATION, TABLE_1, figure_2a

KEY, REPETITION = "not in key", "excessive repetition"


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    """Two methods, three seeds, five evaluations; log p is -i - seed."""
    index = pd.MultiIndex.from_product([("g", "q"), (0, 1, 2), range(5)], names=["method", "seed", "i"])
    table = index.to_frame(index=False).assign(c=0.5)
    i = table.pop("i")
    return table.assign(
        environment_steps=1000 * i,
        gradient_steps=(10 * (i - 1)).clip(lower=0),
        log_p=-i - table["seed"],
        log_p_last=-2.0 * i,
        task_reward=900.0 * (i - 3),
        task_reward_last=1.0 * i,
    )


def long_table() -> pd.DataFrame:
    """The paper's own values; seed s lies s / 100 higher."""
    rows = [
        (method, np.nan if method == "prior" else 0.5, seed, metric, value + 0.01 * seed)
        for metric, row in TABLE_1.items()
        for method, value in row.items()
        for seed in range(1 if method == "prior" else 3)
    ]
    return pd.DataFrame(rows, columns=["method", "c", "seed", "metric", "value"])


def rewards() -> pd.DataFrame:
    """Two methods, rules and seeds; -3 for seed 0 and -2 for seed 1."""
    rows = [
        (m, rule, seed, -3.0 + seed) for m in ("prior", "psi") for rule in ("key", "repeated_motif") for seed in (0, 1)
    ]
    return pd.DataFrame(rows, columns=["method", "rule", "seed", "value"])


def shares() -> pd.DataFrame:
    """Event e has a share of (e + 1) / 741."""
    rows = [(source, event, (event + 1) / 741) for source in ("corpus", "prior samples") for event in range(38)]
    return pd.DataFrame(rows, columns=["source", "event", "share"])


def training() -> pd.DataFrame:
    """Three steps, the middle one not validated."""
    return pd.DataFrame(
        {"step": [0, 100, 200], "train_nll": [3.0, 1.0, 0.5], "validation_nll": [3.0, np.nan, 0.6],
         "validation_accuracy": [0.03, np.nan, 0.8]}
    )  # fmt: skip


def melody() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """C4 held for three steps, C#4 out of key, a rest, a hold of the silence that repeats too often."""
    flags = {KEY: np.array([0, 0, 0, 1, 0, 0], bool), REPETITION: np.array([0, 0, 1, 1, 0, 1], bool)}
    return np.array([14, 1, 1, 15, 0, 1]), flags


def every_figure(curves: pd.DataFrame) -> dict[str, Figure]:
    """Each figure once."""
    return {
        "curves": figures.learning_curves(curves, figure_2a()),
        "rewards": figures.rule_rewards(rewards()),
        "training": figures.training_curve(training(), PRIOR_VALIDATION),
        "comparison": figures.comparison(long_table()),
        "heat": melody_figures.heat_maps({"prior": np.full((38, 32), 1 / 38), "g": np.full((38, 32), 1 / 38)}),
        "rolls": melody_figures.piano_rolls({"one": melody(), "two": melody(), "three": melody()}),
        "shares": melody_figures.event_shares(shares()),
    }


def has_numbers(labels: list[mpl.text.Text]) -> bool:
    """Ticks that are words (rest, hold, the rows of a table) need no axis label; numbers do."""
    return any(re.match(r"[\d.\u2212$-]", label.get_text()) for label in labels)


def test_every_figure_names_its_axes_with_readable_text_inside_the_page(curves: pd.DataFrame) -> None:
    """Protects what a reader needs: each axis with numbers is named, no text is below 10 points or cut off."""
    for name, figure in every_figure(curves).items():
        figure.draw_without_rendering()
        for ax in figure.axes:
            across, up = ax.get_shared_x_axes().get_siblings(ax), ax.get_shared_y_axes().get_siblings(ax)
            assert any(other.get_xlabel() for other in across) or not has_numbers(ax.get_xticklabels()), name
            assert any(other.get_ylabel() for other in up) or not has_numbers(ax.get_yticklabels()), name
        page = figure.bbox.expanded(1.005, 1.005)
        for part in (*figure.axes, *figure.legends):
            box = part.get_tightbbox()
            assert page.contains(*box.min) and page.contains(*box.max), (name, part)
        for text in figure.findobj(mpl.text.Text):
            assert text.get_fontsize() >= 10 or not text.get_text(), (name, text)


def test_figures_leave_no_trace_in_matplotlib(curves: pd.DataFrame) -> None:
    """Protects the notebook: its own settings stay, and no figure stays open in pyplot, where it would show twice."""
    before = dict(mpl.rcParams)
    every_figure(curves)
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()


def test_methods_differ_in_colour_line_marker_and_in_greyscale_hatch() -> None:
    """Protects readers who see no colours: each method has a look of its own in each of the four ways."""
    for looks in (style.METHOD_COLOURS, style.METHOD_LINES, style.METHOD_MARKERS, style.METHOD_HATCHES):
        assert list(looks) == list(METHOD_NAMES)
        assert len(set(looks.values())) == len(looks)


def test_learning_curves_draw_each_seed_the_mean_and_its_interval(curves: pd.DataFrame) -> None:
    """Protects the data: a thin line a seed, the bold mean at the seeds' mean, an interval, in the method's colour."""
    figure = figures.learning_curves(curves)
    for ax, value in zip(figure.axes, ("log_p", "log_p_last", "task_reward", "task_reward_last"), strict=False):
        for method in ("q", "g"):
            lines = [line for line in ax.get_lines() if line.get_color() == style.METHOD_COLOURS[method]]
            assert len(lines) == 4
            (bold,) = [line for line in lines if line.get_linewidth() > 2]
            expected = curves[curves["method"] == method].groupby("environment_steps")[value].mean()
            assert bold.get_ydata() == pytest.approx(expected.to_numpy())
        assert [to_hex(band.get_facecolor()).upper() for band in ax.collections] == [
            style.METHOD_COLOURS[method] for method in ("q", "g")
        ]
    # Seeds 0, 1, 2 lie at -i - seed: their mean at -i - 1, and t(.975, 2) / sqrt(3) = 2.484 on either side.
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((-5 - 2.484, -1 + 2.484), abs=1e-3)


def test_only_large_rewards_get_a_logarithmic_axis(curves: pd.DataFrame) -> None:
    """Protects both: -2,700 would flatten the end of training, and small rewards need no bent axis; the label says."""
    axes = figures.learning_curves(curves).axes
    assert axes[2].get_yscale() == "symlog" and "logarithmic beyond" in axes[2].get_ylabel()
    assert axes[3].get_yscale() == "linear" and "logarithmic" not in axes[3].get_ylabel()


def test_learning_curves_compare_with_the_paper_and_with_chance(curves: pd.DataFrame) -> None:
    """Protects both yardsticks in both log p panels: the paper's points of the methods drawn, and ln(1/38)."""
    points = figure_2a()
    figure = figures.learning_curves(curves, points)
    for ax in figure.axes[:2]:
        theirs = [line for line in ax.get_lines() if line.get_markerfacecolor() == "none"]
        assert [line.get_color() for line in theirs] == [style.METHOD_COLOURS[m] for m in ("q", "g")]
        assert sum(len(line.get_xdata()) for line in theirs) == points["method"].isin(["q", "g"]).sum()
        assert any(np.allclose(line.get_ydata(), np.log(1 / 38)) for line in ax.get_lines())
    assert "paper (digitised)" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_gradient_steps_stand_where_they_happened(curves: pd.DataFrame) -> None:
    """Protects the upper axis when updates start late: gradient step 0 ends at 1,000 environment steps, 30 at 4,000."""
    (top,) = figures.learning_curves(curves).axes[0].child_axes
    ticks = dict(zip([label.get_text() for label in top.get_xticklabels()], top.get_xticks(), strict=True))
    assert ticks["0"] == 1000 and ticks["30"] == 4000


def test_several_temperatures_in_one_curve_are_refused(curves: pd.DataFrame) -> None:
    """Protects against a mean over temperatures."""
    with pytest.raises(ValueError, match="several c"):
        figures.learning_curves(pd.concat([curves, curves.assign(c=1.0, seed=curves["seed"] + 10)]))


def test_unknown_methods_are_named() -> None:
    """Protects the one colour a method: a new one has to be given a colour, and the message lists the known."""
    with pytest.raises(ValueError, match="'sarsa'.*prior, q, psi, g, rl_only"):
        figures.rule_rewards(rewards().replace({"method": {"psi": "sarsa"}}))


def test_the_priors_name_can_be_overridden() -> None:
    """Protects the molecules, whose prior is no Note RNN."""
    legend = figures.rule_rewards(rewards(), names={"prior": "SMILES RNN"}).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["SMILES RNN", "Psi"]


def test_rule_rewards_have_a_bar_and_an_interval_each() -> None:
    """Protects the heights, the colours and the intervals (seeds -3 and -2: mean -2.5, t half width 6.35)."""
    (ax,) = figures.rule_rewards(rewards()).axes
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    assert [to_hex(bar[0].get_facecolor(), keep_alpha=False).upper() for bar in bars] == [
        style.METHOD_COLOURS[m] for m in ("prior", "psi")
    ]
    assert [patch.get_height() for bar in bars for patch in bar] == [-2.5] * 4
    (segment, _) = bars[0].errorbar.lines[2][0].get_segments()
    assert segment[:, 1] == pytest.approx([-2.5 - 6.353, -2.5 + 6.353], abs=1e-3)


def test_comparison_sets_ours_beside_the_papers_value() -> None:
    """Protects the claim of the figure: same line, same scale, ours with its interval, the paper's hollow."""
    fractions, correlations = figures.comparison(long_table()).axes
    for ax, scale, metrics in ((fractions, 100, 8), (correlations, 1, 3)):
        hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "none"]
        bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
        ours = [container[0] for container in bars]
        for (low, _), (high, _) in bars[1].lines[2][0].get_segments():  # seeds .01 apart: t(.975, 2) / sqrt(3) is 2.484
            assert high - low == pytest.approx(scale * 2 * 0.02484, abs=scale * 1e-4)
        assert len(hollow) == len(ours) == 4
        assert all(len(line.get_xdata()) == metrics for line in hollow)
        for theirs, mine in zip(hollow, ours, strict=True):
            assert list(theirs.get_ydata()) == list(mine.get_ydata()) and theirs.get_color() == mine.get_color()
            prior = theirs.get_color() == style.METHOD_COLOURS["prior"]
            shift = 0 if prior else 0.01
            assert mine.get_xdata() - theirs.get_xdata() == pytest.approx(scale * shift)


def test_training_curve_skips_what_was_not_measured() -> None:
    """Protects the validation line against gaps, and the percent."""
    left, right = figures.training_curve(training(), PRIOR_VALIDATION).axes
    assert list(left.get_lines()[1].get_ydata()) == [3.0, 0.6]
    assert list(right.get_lines()[0].get_ydata()) == [3.0, 80.0]
    assert right.get_lines()[1].get_ydata()[0] == 92


def test_a_colour_means_one_method_only() -> None:
    """Protects readers who have learned the methods' colours: no rule and no corpus wears one of them."""
    others = {*melody_figures.RULE_COLOURS, *melody_figures.SOURCE_COLOURS, melody_figures.NOTE_COLOUR}
    assert not others & set(figures.METHOD_COLOURS.values())


def test_heat_maps_share_one_scale_that_shows_small_masses() -> None:
    """Protects the comparison between panels, and that 1 in 1,000 does not look like nothing."""
    array = np.full((38, 32), 0.001)
    figure = melody_figures.heat_maps({"prior": array, "psi": array * 1e-6})
    images = [image for ax in figure.axes for image in ax.get_images()]
    assert len(images) == 2 and len({image.norm for image in images}) == 1
    assert images[0].norm(0.001) - images[0].norm(0) >= 0.2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:3] == ["rest", "hold", "C3"]


def test_piano_roll_draws_held_notes_and_every_broken_rule() -> None:
    """Protects durations, the colour of each broken rule, two rules on one note, and rules broken in silence."""
    figure = melody_figures.piano_rolls({"one": melody()})
    ax = figure.axes[0]
    key, repetition = (to_rgb(colour) for colour in melody_figures.RULE_COLOURS[:2])
    drawn = {
        (
            round(p.get_x() - 0.05),
            round(p.get_width() + 0.1),
            round(p.get_y() + p.get_height() / 2),
            p.get_facecolor()[:3],
        )
        for p in ax.patches
        if type(p) is Rectangle and p.get_zorder() == 3
    }
    held = (0, 3, 14, to_rgb(melody_figures.NOTE_COLOUR))
    assert drawn == {held, (2, 1, 14, repetition), (3, 1, 15, key), (3, 1, 15, repetition), (5, 1, 12, repetition)}
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"note", "row in key", KEY, REPETITION}
    assert "rest" in [label.get_text() for label in ax.get_yticklabels()]
    assert ax.get_ylim()[0] < 12 - 0.5  # the rests' lane is inside


def test_event_shares_show_all_38_events_in_percent() -> None:
    """Protects the two axes together: no event is lost between them."""
    rests, notes = melody_figures.event_shares(shares()).axes
    heights = [patch.get_height() for ax in (rests, notes) for patch in ax.containers[0]]
    assert heights == pytest.approx([100 * (event + 1) / 741 for event in range(38)])


def test_nothing_to_draw_is_said() -> None:
    """Protects the one clear sentence."""
    for draw in (melody_figures.heat_maps, melody_figures.piano_rolls):
        with pytest.raises(ValueError, match="nothing to draw"):
            draw({})


def test_log_p_along_the_melody_shows_every_seed_and_the_paper() -> None:
    """Protects the comparison by position: a thin line a seed, their mean in bold, the paper's value dotted."""
    index = pd.MultiIndex.from_product([("q", "psi"), (1, 2), (1, 2, 3)], names=["method", "seed", "step"])
    steps = index.to_frame(index=False).assign(c=0.5)
    steps["value"] = -1.0 * steps["step"] - steps["seed"]
    ax = figures.along_the_melody(steps, {"q": -2.5}).axes[0]
    lines = [(to_hex(line.get_color()).upper(), line.get_ydata()) for line in ax.lines]
    q = [data for colour, data in lines if colour == style.METHOD_COLOURS["q"]]
    assert [list(data) for data in q] == [[-2, -3, -4], [-3, -4, -5], [-2.5, -3.5, -4.5], [-2.5, -2.5]]
    assert "nats" in ax.get_ylabel() and "sixteenth" in ax.get_xlabel()
