"""Figures of any domain, from data frames: curves, dots, bars. One look per method, 95 % t intervals."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, SymmetricalLogLocator

from repro.book.paper import data, method_name, methods_in
from repro.book.tables import FREE, Row, mean_interval


class Look(NamedTuple):
    """What a method looks like in every figure, also in grey print."""

    colour: str
    line: Any = "-"
    marker: str = "o"
    hatch: str = ""


LOOKS = {method: Look(colour, line if isinstance(line, str) else (0, tuple(line)), *others)
         for method, (colour, line, *others) in data("looks").items()}  # fmt: skip
STYLE: dict[Any, Any] = {"font.size": 11, "axes.titlesize": 11, "legend.fontsize": 10.5, "legend.frameon": False,
                         "axes.spines.top": False, "axes.spines.right": False, "hatch.linewidth": 0.6}  # fmt: skip
styled = partial(mpl.rc_context, STYLE)  # a decorator, or for `with`: matplotlib's own settings are left alone


def look_of(method: str, looks: Mapping[str, Look] = LOOKS) -> Look:
    """The look of a method; one without its own is grey."""
    return looks.get(method, Look("#444444", (0, (1, 1)), "o", ".."))


def new_figure(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (rows, columns). Closed for pyplot at once: a notebook then shows it only once."""
    if rows * columns < 1:
        raise ValueError("nothing to draw: no model, molecule or melody was given")
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **grid)
    plt.close(figure)
    return figure, axes


def present(frames: Sequence[pd.DataFrame], looks: Mapping[str, Look] = LOOKS) -> list[str]:
    """The methods in the frames, in the order of `looks`, others last. ValueError: several settings of one method."""
    for frame, column in itertools.product(frames, ("experiment", "c")):
        if column in frame and frame.groupby("method")[column].nunique().max() > 1:
            raise ValueError(f"rows of several {column} would be averaged: select one per method")
    return methods_in(itertools.chain(*(frame["method"] for frame in frames)), looks)


def legend(figure: Figure, methods: Iterable[str], kind: str = "line", extra: Iterable[Any] = (),
           looks: Mapping[str, Look] = LOOKS, names: dict[str, str] | None = None,
           where: Any = "outside upper center", **more: Any) -> None:  # fmt: skip
    """A legend outside the panels: the methods as line, marker or bar, then the handles in `extra`."""
    handles: list[Any] = []
    for method in methods:
        look, label = look_of(method, looks), method_name(method, names)
        drawn: Any = {"ls": look.line, "lw": 2.2} if kind == "line" else {"ls": "", "marker": look.marker, "ms": 9}
        bar = Patch(fc=look.colour, hatch=look.hatch, ec="white", label=label)
        handles.append(bar if kind == "bar" else Line2D([], [], color=look.colour, label=label, **drawn))
    handles += extra
    columns = -(-len(handles) // (1 if len(handles) < 7 else 2))
    figure.legend(handles=handles, loc=where, ncols=columns, handlelength=2.6, **more)


class Panel(NamedTuple):
    """A panel of `curves`, or all of `bars`: runs, and what they are compared with."""

    frame: pd.DataFrame  # columns method, seed, x and y; one temperature c per method
    x: str
    y: str
    xlabel: str
    ylabel: str
    title: str = ""
    bend: float | None = None  # where values go past three times that, y is logarithmic beyond it; 0: everywhere
    levels: Mapping[str, Any] = {}  # by label: a value, or one per method in its colour
    points: Mapping[str, pd.DataFrame] = {}  # method, x, y: the first hollow, others filled


@styled()
def curves(panels: Sequence[Panel], columns: int = 2, looks: Mapping[str, Look] = LOOKS, mean: bool = True,
           band: bool = True, height: float = 3.1, **grid: Any) -> Figure:  # fmt: skip
    """A thin line per seed, their mean in bold, its interval as a band; `height` of a row; `grid`: sharex, sharey."""
    rows, extra = -(-len(panels) // columns), dict[str, Line2D]()
    figure, axes = new_figure(rows, columns, (10.5, 1 + height * rows), **grid)
    methods = present([panel.frame for panel in panels], looks)
    for ax, panel in zip(axes.flat, panels, strict=True):
        for method in present([panel.frame], looks):
            own, look = panel.frame[panel.frame["method"] == method], look_of(method, looks)
            draw = partial(sns.lineplot, own, x=panel.x, y=panel.y, color=look.colour, ax=ax)
            draw(units="seed", estimator=None, **({"lw": 0.7, "alpha": 0.4} if mean else {"lw": 1.2, "ls": look.line}))
            if mean:
                draw(errorbar=interval if band else None, err_kws={"alpha": 0.2, "lw": 0}, lw=2.2, ls=look.line)
        extra |= _yardsticks(ax, panel, methods, looks)
        if panel.frame[panel.x].max() > 2_000:
            places = MaxNLocator(max(5, 12 // columns), steps=[1, 2, 5])
            ax.xaxis.set(major_formatter=EngFormatter(sep=""), major_locator=places)
        _dress(ax, panel, "both")
    if grid.get("sharex"):  # only the lowest row says what x is, only the first column what y is
        plt.setp(axes[:-1].flat, xlabel="")
    if grid.get("sharey"):
        plt.setp(axes[:, 1:].flat, ylabel="")
    legend(figure, methods, "line", extra.values(), looks, where="outside lower center", columnspacing=1.2)
    return figure


def _yardsticks(ax: Axes, panel: Panel, methods: Sequence[str], looks: Mapping[str, Look]) -> dict[str, Line2D]:
    """Draws a panel's levels and points; returns a handle for the legend by label."""
    handles = {}
    for label, level in panel.levels.items():
        several = isinstance(level, Mapping)
        style: dict[str, Any] = {"color": "black", "lw": 1, "ls": (0, (1, 2))}
        style |= {"color": "#444444", "lw": 1.4, "ls": ":"} if several else {}
        for method, value in level.items() if several else [("", level)]:
            ax.axhline(value, **{**style, **({"color": looks[method].colour} if method in looks else {})})
        handles[label] = Line2D([], [], label=label, **style)
    for index, (label, points) in enumerate(panel.points.items()):
        style = {"ls": "", "clip_on": False}
        style |= {} if index else {"mfc": "none", "ms": 4.5, "alpha": 0.75}
        for method in methods:
            own, look = points[points["method"] == method], look_of(method, looks)
            if len(own):
                ax.plot(own[panel.x], own[panel.y], look.marker, color=look.colour, **style)
        handles[label] = Line2D([], [], marker="o", color="#444444", label=label, **style)
    return handles


def interval(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """The interval as seaborn's `errorbar` wants it, where the quantity can lie."""
    return np.clip(mean_interval(values, (low, high) if low < np.mean(values) < high else FREE)[1:], low, high)


def _dress(ax: Axes, panel: Panel, grid: Any) -> None:
    ax.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
    ax.grid(alpha=0.25, axis=grid)
    threshold, values = panel.bend, panel.frame[panel.y]
    if threshold is None or (threshold and np.nanmax(np.abs(values)) <= 3 * threshold):
        return
    symmetric = SymmetricalLogLocator(base=10, linthresh=threshold or 1, subs=(1, 3))
    ax.set_yscale("symlog" if threshold else "log", **({"linthresh": threshold} if threshold else {}))
    ax.yaxis.set(major_locator=symmetric if threshold else LogLocator(subs=(1, 3)), major_formatter="{x:,g}")
    ax.set_ylabel(f"{panel.ylabel}\n(logarithmic{f' beyond ±{threshold:g}' if threshold else ''})")


@styled()
def dots(panels: Sequence[tuple[pd.DataFrame, Mapping[str, Row], str]], columns: int = 1, height: float = 0.65,
         paper: Mapping[str, Mapping[str, float]] = {}, names: dict[str, str] | None = None,
         published: str = "paper") -> Figure:  # fmt: skip
    """Ours as dots with intervals, the paper's (by metric and model) hollow; a model that only it has comes last."""
    # each panel: a table (columns method, seed, metric, value), its metrics with their rows, and its x label
    sizes = [max(len(rows) for _, rows, _ in panels[at : at + columns]) for at in range(0, len(panels), columns)]
    size = (10.5, 0.6 + sum(height * size + 0.6 for size in sizes))
    figure, axes = new_figure(len(sizes), columns, size, height_ratios=sizes)
    tables = [table[table["metric"].isin(list(rows))] for table, rows, _ in panels]
    methods = present(tables)
    lanes = list(dict.fromkeys([*methods, *(name for row in paper.values() for name in row if name not in LOOKS)]))
    looks = [look_of(lane) for lane in lanes]
    for ax, table, (_, rows, label) in zip(axes.flat, tables, panels, strict=True):
        scales = {metric: row.sign * (100 if row.fraction else 1) for metric, row in rows.items()}
        # rows that share an axis share their limits too; `bounds` has the sign of the row already
        metric, row = next(iter(rows.items()))
        low, high = abs(scales[metric]) * np.array(row.bounds(-math.inf, math.inf))
        scaled = table.assign(value=table["value"] * table["metric"].map(scales))
        sns.pointplot(scaled, x="value", y="metric", order=list(rows), hue="method", hue_order=lanes, ax=ax, ms=6,
                      palette=[look.colour for look in looks], markers=[look.marker for look in looks], ls="",
                      legend=False, dodge=0.8 - 0.8 / len(lanes), capsize=0.1, err_kws={"lw": 1.5},
                      errorbar=partial(interval, low=low, high=high))  # fmt: skip
        for lane, (name, look) in enumerate(zip(lanes, looks, strict=True)):
            theirs = [scales[metric] * paper.get(metric, {}).get(name, math.nan) for metric in rows]
            places = np.arange(len(rows)) + 0.8 * ((lane + 0.5) / len(lanes) - 0.5)
            ax.plot(theirs, places, look.marker, ms=9, mfc="none", mew=1.5, color=look.colour)
        for edge in range(len(rows) - 1):
            ax.axhline(edge + 0.5, color="#DDDDDD", lw=0.8)
        if ax.get_xlim()[0] < 0 < ax.get_xlim()[1]:
            ax.axvline(0, color="black", lw=0.8)
        ticks = [row.name for row in rows.values()] if len(rows) > 1 else []  # one row is named by the x label
        ax.set_yticks(range(len(ticks)), ticks)
        ax.set(xlabel=label, ylabel="", ylim=(len(rows) - 0.5, -0.5))
        ax.locator_params(axis="x", nbins=4 if columns > 1 else 8)
        ax.grid(axis="x", alpha=0.25)
    hollow = Line2D([], [], ls="", marker="o", ms=9, mfc="none", mew=1.5, color="#444444", label=f"hollow: {published}")
    legend(figure, methods, "marker", [hollow] if paper else [], names=names)
    return figure


@styled()
def bars(panel: Panel, names: dict[str, str] | None = None, height: float = 4.0) -> Figure:
    """Bars with intervals, one group per word in the column x (upright) or y (lying)."""
    figure, axes = new_figure(1, 1, (10.5, 0.6 + height))
    methods, upright = present([panel.frame]), not pd.api.types.is_numeric_dtype(panel.frame[panel.x])
    words = panel.x if upright else panel.y
    named = panel.frame.assign(**{words: panel.frame[words].str.replace("_", "\n")})
    ax = sns.barplot(named, x=panel.x, y=panel.y, hue="method", hue_order=methods, width=0.84, saturation=1, ec="white",
                     palette=[look_of(name).colour for name in methods], errorbar=interval, capsize=0.3,
                     err_kws={"lw": 1, "color": "black"}, legend=False, ax=axes[0, 0])  # fmt: skip
    for group, method in zip(ax.containers, methods, strict=True):
        plt.setp(group, hatch=look_of(method).hatch)
    ax.axhline(0, color="black", lw=0.8 * upright)
    _dress(ax, panel, "y" if upright else "x")
    legend(figure, methods, "bar", names=names)
    return figure
