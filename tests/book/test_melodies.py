"""Figures of melodies: Figure 2 and Table 1 compare with the paper's, piano rolls show each note and broken rule."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from repro.book import melodies, plots
from repro.book.paper import FIGURE_2A

KEY, REPETITION = "not in key", "excessive repetition"


def test_figure_2_has_both_readings_the_paper_s_points_and_gradient_steps() -> None:
    """Protects the comparison: log p beside the digitised points and uniform play; the end of rewards; upper axis."""
    index = pd.MultiIndex.from_product([("q", "g"), (0, 1), range(5)], names=["method", "seed", "i"])
    frame = index.to_frame(index=False).assign(c=0.5)
    i = frame.pop("i")
    frame = frame.assign(environment_steps=1000 * i, gradient_steps=(10 * (i - 1)).clip(lower=0), log_p=-1.0 * i,
                         log_p_last=-2.0 * i, task_reward=900.0 * (i - 3), task_reward_last=1.0 * i)  # fmt: skip
    figure = melodies.figure_2(frame, -5.84, FIGURE_2A)
    assert [ax.get_yscale() for ax in figure.axes] == ["linear"] * 4
    for ax in figure.axes[:2]:
        theirs = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert sum(len(line.get_xdata()) for line in theirs) == FIGURE_2A["method"].isin(["q", "g"]).sum()
        assert any(np.allclose(line.get_ydata(), -5.84) for line in ax.lines)
    assert figure.axes[2].get_ylim() == pytest.approx((-2070, 1170))  # -1800 to 900, without the first at -2700
    (top,) = figure.axes[0].child_axes
    ticks = dict(zip([label.get_text() for label in top.get_xticklabels()], top.get_xticks(), strict=True))
    assert ticks["0"] == 1000 and ticks["30"] == 4000  # gradient step 0 ends at 1,000 environment steps
    assert not any(ax.get_xlabel() for ax in figure.axes[:2]) and all(ax.get_xlabel() for ax in figure.axes[2:])


def test_piano_rolls_show_each_note_and_what_breaks_a_rule() -> None:
    """Protects the roll: C4 held for three steps, C#4 out of key, a rest, a silent hold that repeats too often."""
    flags = {KEY: np.array([0, 0, 0, 1, 0, 0], bool), REPETITION: np.array([0, 0, 1, 1, 0, 1], bool)}
    events = np.array([14, 1, 1, 15, 0, 1], np.uint8)
    figure = melodies.piano_rolls(dict.fromkeys(("one", "two", "three"), (events, flags)))
    assert len(figure.axes) == 3
    blocks = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_zorder() == 3]
    shown = [(block.get_x(), block.get_width(), to_rgb(block.get_facecolor())) for block in blocks]
    note, key, repetition = (to_rgb(colour) for colour in (melodies.NOTE, *[rule["fc"] for rule in melodies.RULES[:2]]))
    assert [colour for *_, colour in shown] == [note, repetition, key, repetition, repetition]
    assert [x for x, *_ in shown] == [0.05, 2.05, 3.05, 3.05, 5.05] and shown[0][1] == pytest.approx(2.9)
    assert blocks[-1].get_y() < 14 - 2 < blocks[0].get_y()  # the silence in its lane below
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["C4", "rest"]
    assert not {note, key, repetition} & {to_rgb(look.colour) for look in plots.LOOKS.values()}
    assert melodies.piano_rolls({"silence": (np.zeros(8, np.uint8), {})}).axes
    with pytest.raises(ValueError, match="nothing to draw"):
        melodies.piano_rolls({})
