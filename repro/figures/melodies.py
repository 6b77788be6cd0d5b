"""Figures of melodies and their 38 events: data in, matplotlib figure out.

Colours and names of methods come from `repro.figures.methods`; a rule has a colour and a hatch, for greyscale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from repro.figures.style import new_figure, styled
from repro.methods import method_name
from repro.music.events import (
    C_MAJOR,
    FIRST_PITCH,
    HOLD,
    NUM_EVENTS,
    REST,
    STEPS_PER_QUARTER,
    TONIC,
    name as event_name,
)

RULE_COLOURS = ("#E69F00", "#56B4E9", "#F0E442")  # of the same palette, the three that no method has
RULE_HATCHES = ("", "///", "xxx")
NOTE_COLOUR = "#555555"
KEY_COLOUR = "#E8F0E0"
SOURCE_COLOURS = ("#444444", *RULE_COLOURS)
TRIAD = (0, 4, 7)  # C, E and G carry the labels of a pitch axis
BAR = 16  # sixteenth notes


@styled
def heat_maps(probabilities: Mapping[str, np.ndarray], names: Mapping[str, str] | None = None) -> Figure:
    """The mean probability of every event at every step, one panel a model.

    Args:
        probabilities: by method, an array (38, T): events by steps, each column summing to 1.
        names: names of methods that differ from METHOD_NAMES.
    """
    figure, axes = new_figure(1, len(probabilities), (2.1 + 1.7 * len(probabilities), 6.0), sharey=True)
    # Logarithmic, because a key broken once in a hundred notes would be invisible beside a hold of 70 %.
    norm = LogNorm(1e-4, 1, clip=True)
    for ax, (method, array) in zip(axes.flat, probabilities.items(), strict=True):
        image = ax.imshow(array, origin="lower", aspect="auto", cmap="cividis", norm=norm, interpolation="nearest")
        ax.set(title=method_name(method, names), xlabel="sixteenth note", xticks=range(0, array.shape[1], 8))
    ticks = [REST, HOLD, *range(FIRST_PITCH, NUM_EVENTS, 12), *range(FIRST_PITCH + 7, NUM_EVENTS, 12)]
    axes.flat[0].set_yticks(ticks, [event_name(event) for event in ticks])
    axes.flat[0].set_ylabel("event")
    figure.colorbar(image, ax=axes, label="mean probability", extend="min", pad=0.02)
    return figure


@styled
def piano_rolls(melodies: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]) -> Figure:
    """Melodies as piano rolls, what breaks a rule in the rule's colour and hatch.

    A struck note that breaks a rule is coloured for as long as it sounds, a hold for its own step; a rest that breaks
    one is drawn in a lane at the bottom, which is there only then. What breaks several rules shares their colours.

    Args:
        melodies: by title, the events (T,) and, by the name of a rule, which of the T events break it.
    """
    rows, columns = -(-len(melodies) // 2), min(2, len(melodies))
    figure, axes = new_figure(rows, columns, (10, 0.9 + 2.9 * rows), sharey=True)
    rules = list(dict.fromkeys(rule for _, broken in melodies.values() for rule in broken))
    struck = np.concatenate([np.asarray(events) for events, _ in melodies.values()])
    struck = struck[struck >= FIRST_PITCH]
    low, high = (struck.min(), struck.max()) if struck.size else (TONIC, TONIC + 12)
    lane = low - 2  # of the rests that break a rule
    drawn = [_roll(ax, *melody, rules, lane) for ax, melody in zip(axes.flat, melodies.values(), strict=False)]
    bottom = lane if any(lane in rows for rows in drawn) else low
    labels = {event: event_name(event) for event in range(low, high + 1) if (event - FIRST_PITCH) % 12 in TRIAD}
    if bottom == lane:
        labels = {lane: "rest", **labels}
    for ax, (title, (events, _)) in zip(axes.flat, melodies.items(), strict=False):
        _paper(ax, len(events), low, high)
        ax.set(title=title, xlabel="sixteenth notes", xlim=(0, len(events)), ylim=(bottom - 0.9, high + 0.9))
        ax.set_yticks(list(labels), list(labels.values()))
    for ax in axes[:, 0]:
        ax.set_ylabel("pitch")
    for ax in axes.flat[len(melodies) :]:
        ax.remove()
    handles = [Patch(color=NOTE_COLOUR, label="note"), Patch(fc=KEY_COLOUR, ec="#BBBBBB", label="row in key")]
    handles += [Patch(label=rule, **_rule_look(index)) for index, rule in enumerate(rules)]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


@styled
def event_shares(frame: pd.DataFrame) -> Figure:
    """How often each of the 38 events occurs, by source; rests and holds on an axis of their own.

    Args:
        frame: columns source ("corpus" and "prior samples", for instance), event (0..37), share (in [0, 1]).
    """
    figure, axes = new_figure(1, 2, (10, 4), width_ratios=(2, 13))
    sources = list(dict.fromkeys(frame["source"]))
    width = 0.8 / len(sources)
    for ax, events in zip(axes[0], (range(FIRST_PITCH), range(FIRST_PITCH, NUM_EVENTS)), strict=True):
        for index, source in enumerate(sources):
            shares = frame[frame["source"] == source].set_index("event")["share"].reindex(events, fill_value=0)
            ax.bar(np.array(events) + (index - (len(sources) - 1) / 2) * width, 100 * shares, width, label=source,
                   color=SOURCE_COLOURS[index % len(SOURCE_COLOURS)])  # fmt: skip
        ax.set_ylabel("share of all events (%)")
        ax.grid(axis="y", alpha=0.25)
    axes[0, 0].set_xticks([REST, HOLD], ["rest", "hold"])
    ticks = [event for event in range(FIRST_PITCH, NUM_EVENTS) if (event - FIRST_PITCH) % 12 in TRIAD]
    axes[0, 1].set_xticks(ticks, [event_name(event) for event in ticks])
    axes[0, 1].set_xlabel("note struck")
    axes[0, 1].set_xlim(FIRST_PITCH - 1, NUM_EVENTS)
    axes[0, 1].legend()
    return figure


def _roll(ax: Axes, events: np.ndarray, broken: Mapping[str, np.ndarray], rules: list[str], lane: int) -> list[int]:
    """Draws one melody; returns the rows that it drew into."""
    drawn, sounding = [], None
    for step, event in enumerate(events):
        flags = [index for index, rule in enumerate(rules) if rule in broken and broken[rule][step]]
        length = 1
        if event >= FIRST_PITCH:
            sounding = int(event)
            length += next((i for i, later in enumerate(events[step + 1 :]) if later != HOLD), len(events) - step - 1)
        elif event == REST:
            sounding = None
        if event >= FIRST_PITCH or flags:
            drawn.append(lane if sounding is None else sounding)
            _block(ax, step, length, drawn[-1], flags)
    return drawn


def _block(ax: Axes, start: int, length: int, row: int, flags: list[int]) -> None:
    """A note from start on, one band a rule that it breaks; the gap at its end keeps repeated notes apart."""
    looks = [_rule_look(index) for index in flags] or [{"fc": NOTE_COLOUR}]
    height = 0.9 / len(looks)
    for band, look in enumerate(looks):
        ax.add_patch(Rectangle((start + 0.05, row - 0.45 + band * height), length - 0.1, height, zorder=3, **look))


def _rule_look(index: int) -> dict[str, Any]:
    index %= len(RULE_COLOURS)
    return {"fc": RULE_COLOURS[index], "hatch": RULE_HATCHES[index], "ec": "black", "lw": 0.5}


def _paper(ax: Axes, steps: int, low: int, high: int) -> None:
    """What a melody is written on: rows in key shaded, a thin line a quarter note, a thick one a bar."""
    for event in range(low, high + 1):
        if (event - FIRST_PITCH) % 12 in C_MAJOR:
            ax.axhspan(event - 0.5, event + 0.5, color=KEY_COLOUR, lw=0, zorder=0)
    ax.set_xticks(range(0, steps + 1, STEPS_PER_QUARTER))
    ax.grid(axis="x", color="#CCCCCC", lw=0.5, zorder=1)
    for bar in range(BAR, steps, BAR):
        ax.axvline(bar, color="black", lw=1.2, zorder=2)
