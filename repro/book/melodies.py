"""Figures of melodies: the paper's Figure 2 and Table 1, ours beside its own, and piano rolls."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from repro.book.paper import TABLE_1, TABLE_1_NAMES, TABLE_1_WANTED
from repro.book.plots import Panel, curves, dots, new_figure, styled
from repro.book.tables import MUSIC_ROWS
from repro.music.events import C_MAJOR, FIRST_PITCH, HOLD, NUM_EVENTS, REST, STEPS_PER_QUARTER, TONIC, name, notes

UNIFORM = np.log(NUM_EVENTS)  # nats per event: the entropy of uniform play, and the loss of a uniform model
COLOURS = (("#E69F00", ""), ("#56B4E9", "///"), ("#F0E442", "xxx"))  # of the same palette, and no method has them
RULES: list[dict[str, Any]] = [{"fc": colour, "hatch": hatch, "ec": "black", "lw": 0.5} for colour, hatch in COLOURS]
NOTE, IN_KEY = "#555555", "#E8F0E0"
TRIAD = [event for event in range(FIRST_PITCH, NUM_EVENTS) if (event - FIRST_PITCH) % 12 in (0, 4, 7)]  # labelled


@styled()
def figure_2(frame: pd.DataFrame, uniform: float, paper: pd.DataFrame | None = None) -> Figure:
    """The paper's Figure 2: log p (both readings) and reward along training; `uniform` and `paper` are yardsticks."""
    panels = []
    for y, title in (("log_p", "mean over all notes"), ("log_p_last", "last note only")):
        points = {} if paper is None else {"paper (digitised)": paper.rename(columns={"log_p": y})}
        label, levels = "log p (nats per note)" if y == "log_p" else "log p (nats)", {"uniform play": uniform}
        panels.append(Panel(frame, "environment_steps", y, "environment steps", label, title, None, levels, points))
    for y, unit in (("task_reward", "per melody"), ("task_reward_last", "of the last note")):
        panels.append(Panel(frame, "environment_steps", y, "environment steps", f"task reward r_MT {unit}"))
    figure = curves(panels, sharex=True)
    # the rewards of the first fifth of training, far below the others, do not set the axes
    late = frame[frame["environment_steps"] >= 0.2 * frame["environment_steps"].max()]
    for ax, panel in zip(figure.axes[2:4], panels[2:], strict=True):
        low, high = late[panel.y].min(), late[panel.y].max()
        ax.set_ylim(low - 0.1 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    # Updates may start late: the ticks of gradient steps are looked up, not scaled.
    steps = frame.groupby("gradient_steps")["environment_steps"].max()
    ticks = [tick for tick in MaxNLocator(5).tick_values(0, steps.index.max()) if 0 <= tick <= steps.index.max()]
    for ax in figure.axes[:2]:
        top = ax.secondary_xaxis("top")
        top.set_xticks(np.interp(ticks, steps.index, steps), [EngFormatter(sep="")(tick) for tick in ticks])
        top.set_xlabel("gradient steps")
    return figure


def table_1(table: pd.DataFrame) -> Figure:
    """Table 1 as dots, ours beside the paper's: shares above, autocorrelations below."""
    rows = {metric: MUSIC_ROWS[metric]._replace(name=f"{name}\n({TABLE_1_WANTED[metric].replace('up', 'more')} wanted)")
            for metric, name in TABLE_1_NAMES.items()}  # fmt: skip
    shares, others = ({metric: row for metric, row in rows.items() if row.fraction == kind} for kind in (True, False))
    return dots([(table, shares, "share (%)"), (table, others, "autocorrelation (-1 to 1)")], paper=TABLE_1)


@styled()
def piano_rolls(melodies: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]) -> Figure:
    """Melodies as piano rolls: by title, the events (T,) and, by the name of a rule, which of the T events break it."""
    rows, columns = -(-len(melodies) // 2), min(2, len(melodies))
    figure, axes = new_figure(rows, columns, (10, 0.9 + 2.9 * rows), sharey=True)
    rules = dict.fromkeys(rule for _, broken in melodies.values() for rule in broken)
    looks = dict(zip(rules, itertools.cycle(RULES), strict=False))
    struck = np.concatenate([events[events >= FIRST_PITCH] for events, _ in melodies.values()])
    low, high = (struck.min(), struck.max()) if struck.size else (TONIC, TONIC + 12)
    lane, bottom = low - 2, low  # of the rests that break a rule: there only if one does
    for ax, (title, (events, broken)) in zip(axes.flat, melodies.items(), strict=False):
        bottom = min(bottom, *_roll(ax, events, [(flags, looks[rule]) for rule, flags in broken.items()], lane))
        ax.set(title=title, xlabel="sixteenth notes", xlim=(0, len(events)))
        for event in range(low, high + 1):
            if (event - FIRST_PITCH) % 12 in C_MAJOR:
                ax.axhspan(event - 0.5, event + 0.5, color=IN_KEY, lw=0, zorder=0)
        ax.set_xticks(range(0, len(events) + 1, STEPS_PER_QUARTER))
        ax.grid(axis="x", color="#CCCCCC", lw=0.5, zorder=1)
        for bar in range(4 * STEPS_PER_QUARTER, len(events), 4 * STEPS_PER_QUARTER):
            ax.axvline(bar, color="black", lw=1.2, zorder=2)
    labels = {event: name(event) for event in TRIAD if low <= event <= high}
    labels |= {lane: "rest"} if bottom == lane else {}
    axes[0, 0].set(ylim=(bottom - 0.9, high + 0.9), yticks=list(labels), yticklabels=list(labels.values()))
    plt.setp(axes[:, 0], ylabel="pitch")
    for ax in axes.flat[len(melodies) :]:
        ax.remove()
    handles = [Patch(color=NOTE, label="note"), Patch(fc=IN_KEY, ec="#BBBBBB", label="row in key")]
    handles += [Patch(label=rule, **look) for rule, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _roll(ax: Axes, events: np.ndarray, rules: list[tuple[np.ndarray, dict[str, Any]]], lane: int) -> list[int]:
    """Draws one melody; returns the rows that it drew into."""
    # what breaks a rule is coloured: a note for as long as it sounds, a hold for its own step, a rest in the lane below
    drawn = [NUM_EVENTS]  # above all rows, for a melody in which nothing is drawn
    sounding, begins, ends = lane, *notes(events)[:2]
    lengths = dict(zip(begins, ends - begins, strict=True))
    for step, event in enumerate(events):
        looks = [look for flags, look in rules if flags[step]]
        if event != HOLD:
            sounding = lane if event == REST else int(event)
        if event >= FIRST_PITCH or looks:
            drawn.append(sounding)
            height = 0.9 / max(1, len(looks))  # one band per rule; the gap at its end keeps repeated notes apart
            for band, look in enumerate(looks or [{"fc": NOTE}]):
                low = sounding - 0.45 + band * height
                ax.add_patch(Rectangle((step + 0.05, low), lengths.get(step, 1) - 0.1, height, zorder=3, **look))
    return drawn
