"""What all figures share: one colour, line style, marker and hatch a method, so that they survive grey printing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.music.events import NUM_EVENTS

# Okabe and Ito's colour-blind safe palette.
METHOD_COLOURS = {"prior": "#6E6E6E", "q": "#0072B2", "psi": "#D55E00", "g": "#009E73", "rl_only": "#CC79A7"}
METHOD_LINES = {"prior": ":", "q": "-", "psi": "--", "g": "-.", "rl_only": (0, (5, 1, 1, 1, 1, 1))}
METHOD_MARKERS = {"prior": "P", "q": "o", "psi": "s", "g": "^", "rl_only": "D"}
METHOD_HATCHES = {"prior": "", "q": "//", "psi": "..", "g": "xx", "rl_only": "--"}

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
}
UNIFORM = -np.log(NUM_EVENTS)  # log p of an event drawn uniformly, nats


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in STYLE and leaves matplotlib's own settings as they were."""
    return mpl.rc_context(STYLE)(draw)


def new_figure(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (rows, columns). Closed for pyplot at once: a notebook then shows it only once."""
    if rows * columns < 1:
        raise ValueError("nothing to draw: no model or melody was given")
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **grid)
    plt.close(figure)
    return figure, axes
