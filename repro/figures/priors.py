"""Reinforcement learning with and without the prior, music beside molecules: data frames in, one figure out.

Every figure has a panel a domain. A domain that was not run, or whose runs were not asked for the quantity (older runs
do not know how well they predict held-out data), is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from repro.figures.style import (
    METHOD_COLOURS,
    METHOD_HATCHES,
    METHOD_LINES,
    METHOD_MARKERS,
    UNIFORM,
    new_figure,
    styled,
)
from repro.methods import method_name, methods_in
from repro.stats import over_seeds


@dataclass(frozen=True)
class Panel:
    """The words and columns of a domain."""

    title: str
    steps: str  # the column that counts training
    steps_label: str
    log_p_label: str
    reward_label: str
    nll_label: str
    nll_unit: str
    uniform: float | None  # log p of uniform play, where it is drawn
    diversity: Mapping[str, tuple[str, float]]  # by metric, its name and the factor that it is shown with


MUSIC = Panel(
    "melodies", "environment_steps", "events played", "under the Note RNN (nats per note)",
    "reward r_MT per melody", "loss on held-out tunes", "nats per event", float(UNIFORM),
    {"unique": ("distinct of 10,000 (%)", 100), "edit_distance": ("edit distance (events)", 1),
     "entropy": ("entropy (nats per note)", 1)},
)  # fmt: skip
MOLECULES = Panel(
    "molecules", "sequences", "molecules sampled", "under the SMILES RNN (nats per molecule)",
    "reward r per molecule", "loss on held-out molecules", "nats per token", None,
    {"unique_10k": ("distinct of 10,000 (%)", 100), "diversity": ("internal diversity (0 to 1)", 1),
     "entropy": ("entropy (nats per molecule)", 1)},
)  # fmt: skip
PARTS = {"qed": "2 QED", "logp": "logP", "sa": "-SA score", "ring_penalty": "ring penalty", "invalid": "invalid"}
SMALL = 0.1  # of a panel's width: runs that fill less are drawn once more, enlarged
Sides = Sequence[tuple[Panel, pd.DataFrame]]


@styled
def reward_against_log_p(sides: Sides, starts: Mapping[str, tuple[float, float]]) -> Figure:
    """Where training goes: reward against log p under the prior, one path a seed, from the prior to the final policy.

    Args:
        sides: by domain, curves with the columns method, seed, log_p, task_reward and the domain's steps, in the order
            of time; one temperature c a method.
        starts: by the title of a domain, log p and task reward of its prior.
    """
    figure, axes = new_figure(1, len(sides), (5.7 * len(sides), 5.9))
    for ax, (panel, curves) in zip(axes.flat, sides, strict=True):
        _paths(ax, curves, starts[panel.title])
        # G may start as the square of the prior, in music far below all others: its first step comes from outside
        inside = curves[(curves["method"] != "g") | (curves[panel.steps] > curves[panel.steps].min())]
        _limits(ax, inside, starts[panel.title], 0.07)
        if panel.uniform is not None and curves["log_p"].min() < 0.8 * panel.uniform:
            ax.axvline(panel.uniform, color="black", lw=1, ls=(0, (1, 2)))
            ax.annotate("uniform play", (panel.uniform, 0.03), xycoords=("data", "axes fraction"), xytext=(4, 0),
                        textcoords="offset points", rotation=90, va="bottom", fontsize=12)  # fmt: skip
        _enlarged(ax, curves, starts[panel.title])
        ax.set_title(panel.title, fontsize=17)
        ax.set_xlabel(f"log p {panel.log_p_label}\n\u2190 unlike the data          like the data \u2192", fontsize=14)
        ax.set_ylabel(panel.reward_label, fontsize=14)
        ax.tick_params(labelsize=13)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.2)
    methods = methods_in(method for _, curves in sides for method in curves["method"])
    handles = [_mark("prior", "start: the prior")] + [_mark(method, method_name(method)) for method in methods]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, fontsize=14, handletextpad=0.2, columnspacing=1.4
    )
    return figure


def _paths(ax: Axes, curves: pd.DataFrame, start: tuple[float, float]) -> None:
    """All runs of a domain, in the order of their rows, and the prior where they begin."""
    for method in methods_in(curves["method"]):
        for _, run in curves[curves["method"] == method].groupby("seed"):
            _path(ax, run, method)
    ax.plot(*start, METHOD_MARKERS["prior"], ms=19, mec="white", mew=1.5, color=METHOD_COLOURS["prior"], zorder=6)


def _limits(ax: Axes, curves: pd.DataFrame, start: tuple[float, float], margin: float) -> None:
    points = np.vstack([curves[["log_p", "task_reward"]].to_numpy(), start])
    low, high = points.min(axis=0), points.max(axis=0)
    (left, bottom), (right, top) = low - margin * (high - low), high + margin * (high - low)
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _enlarged(ax: Axes, curves: pd.DataFrame, start: tuple[float, float]) -> None:
    """The corner of the runs with the prior once more, where those without it leave no room to see them."""
    kept = curves[curves["method"] != "rl_only"]
    if kept.empty or np.ptp(kept["log_p"]) > SMALL * np.ptp(curves["log_p"]):
        return
    inset = ax.inset_axes((0.09, 0.09, 0.42, 0.4))
    _paths(inset, curves, start)
    _limits(inset, kept, start, 0.12)
    inset.tick_params(labelsize=11)
    inset.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    inset.grid(alpha=0.2)
    inset.set_title("with the prior, enlarged", fontsize=12)
    ax.indicate_inset_zoom(inset, edgecolor="#444444")


def _path(ax: Axes, run: pd.DataFrame, method: str) -> None:
    """One run, faint where it begins and strong where it ends, with the method's mark at its end."""
    points = run[["log_p", "task_reward"]].to_numpy()
    segments = np.stack([points[:-1], points[1:]], axis=1)
    colours = [to_rgba(METHOD_COLOURS[method], alpha) for alpha in np.linspace(0.3, 1.0, len(segments))]
    ax.add_collection(LineCollection(list(segments), colors=colours, linewidths=2.2, zorder=3))
    ax.plot(*points[-1], METHOD_MARKERS[method], ms=12, mec="white", mew=1.2, color=METHOD_COLOURS[method], zorder=5)
    ax.update_datalim(points)
    ax.autoscale_view()


@styled
def held_out_loss(sides: Sides, priors: Mapping[str, float]) -> Figure:
    """Forgetting: how well the policies predict real sequences that no model has learned from, along training.

    Args:
        sides: by domain, curves with the columns method, seed, held_out_nll (nats a token) and the domain's steps.
        priors: by the title of a domain, the prior's own loss, drawn as a line.

    Raises:
        ValueError: no domain has the column held_out_nll.
    """
    known = [(panel, curves) for panel, curves in sides if "held_out_nll" in curves]
    if not known:
        raise ValueError("nothing to draw: no run was asked for its loss on held-out sequences (held_out_nll)")
    figure, axes = new_figure(1, len(known), (5.7 * len(known), 4.7))
    for ax, (panel, curves) in zip(axes.flat, known, strict=True):
        for method in methods_in(curves["method"]):
            _along(ax, curves[curves["method"] == method], method, panel.steps, "held_out_nll")
        if panel.title in priors:
            ax.axhline(priors[panel.title], color=METHOD_COLOURS["prior"], lw=1.6, ls=METHOD_LINES["prior"])
        if panel.uniform is not None:
            ax.axhline(-panel.uniform, color="black", lw=1, ls=(0, (1, 2)))
        ax.set(title=panel.title, xlabel=panel.steps_label, ylabel=f"{panel.nll_label}\n({panel.nll_unit})")
        if curves["held_out_nll"].max() > 6 * curves["held_out_nll"].min():
            ax.set_yscale("log")
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter("{x:g}")
            ax.set_ylabel(f"{panel.nll_label}\n({panel.nll_unit}, logarithmic)")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.grid(alpha=0.25, which="both")
    methods = methods_in(method for _, curves in known for method in curves["method"])
    handles = [_stroke(method) for method in ("prior", *methods)]
    if any(panel.uniform is not None for panel, _ in known):
        handles.append(Line2D([], [], color="black", lw=1, ls=(0, (1, 2)), label="uniform play"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, handlelength=2.6)
    return figure


@styled
def diversity(sides: Sides) -> Figure:
    """How varied the samples of the finished policies are: means over seeds with 95 % intervals.

    Args:
        sides: by domain, a long table with the columns method, seed, metric, value; one temperature c a method.
    """
    columns = max(len(panel.diversity) for panel, _ in sides)
    figure, axes = new_figure(len(sides), columns, (3.7 * columns, 2.9 * len(sides)))
    for row, (panel, table) in zip(axes, sides, strict=True):
        means = over_seeds(table[table["metric"].isin(list(panel.diversity))], ["method", "metric"])
        for ax, (metric, (label, scale)) in zip(row, panel.diversity.items(), strict=True):
            values = means[means["metric"] == metric].set_index("method")
            methods = methods_in(values.index)
            for place, method in enumerate(methods):
                mean, low, high = scale * values.loc[method, ["mean", "low", "high"]].to_numpy(float)
                # no measure here can be below 0, as few seeds far apart would have it
                error = np.nan_to_num([[mean - np.maximum(low, 0)], [high - mean]])
                ax.errorbar(place, mean, yerr=error, marker=METHOD_MARKERS[method], ms=8, capsize=4, lw=1.5,
                            color=METHOD_COLOURS[method])  # fmt: skip
            ax.set_xticks(range(len(methods)), [_name(method).replace(" ", "\n") for method in methods])
            ax.set(xlim=(-0.5, len(methods) - 0.5), ylabel=label.replace(" (", "\n("))
            ax.margins(y=0.15)
            ax.grid(axis="y", alpha=0.25)
        row[0].set_title(panel.title, loc="left")
    return figure


@styled
def earned(sides: Sides) -> Figure:
    """What the reward consists of, part by part: bars with 95 % intervals over seeds.

    Args:
        sides: by domain, the columns method, rule, seed, value (the mean of a part's reward over sequences, summed
            over their steps); one temperature c a method.
    """
    figure, axes = new_figure(len(sides), 1, (11, 4.0 * len(sides)))
    for ax, (panel, parts) in zip(axes.flat, sides, strict=True):
        means = over_seeds(parts, ["method", "rule"])
        methods, rules = methods_in(means["method"]), list(dict.fromkeys(parts["rule"]))
        width = 0.84 / len(methods)
        for index, method in enumerate(methods):
            bars = means[means["method"] == method].set_index("rule").reindex(rules)
            x = np.arange(len(rules)) + (index - (len(methods) - 1) / 2) * width
            errors = np.nan_to_num([bars["mean"] - bars["low"], bars["high"] - bars["mean"]])
            ax.bar(x, bars["mean"], width, yerr=errors, capsize=2, error_kw={"lw": 1}, color=METHOD_COLOURS[method],
                   hatch=METHOD_HATCHES[method], ec="white")  # fmt: skip
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=panel.title, ylabel=panel.reward_label)
        if means["mean"].abs().max() > 20:
            ax.set_yscale("symlog", linthresh=1)
            ax.set_ylabel(f"{panel.reward_label}\n(logarithmic beyond \u00b11)")
            ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.set_xticks(range(len(rules)), [PARTS.get(rule, rule).replace("_", "\n") for rule in rules])
        ax.grid(axis="y", alpha=0.25)
    methods = methods_in(method for _, parts in sides for method in parts["method"])
    handles = [Patch(fc=METHOD_COLOURS[method], hatch=METHOD_HATCHES[method], ec="white", label=_name(method))
               for method in methods]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def _along(ax: Axes, runs: pd.DataFrame, method: str, steps: str, value: str) -> None:
    """A thin line a seed and their mean in bold."""
    for _, run in runs.groupby("seed"):
        ax.plot(run[steps], run[value], color=METHOD_COLOURS[method], lw=0.7, alpha=0.45)
    mean = runs.groupby(steps)[value].mean()
    ax.plot(mean.index, mean, color=METHOD_COLOURS[method], lw=2.4, ls=METHOD_LINES[method])


def _name(method: str) -> str:
    """The two domains have priors of different names."""
    return method_name(method, {"prior": "the prior"})


def _mark(method: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=METHOD_MARKERS[method], ms=12, color=METHOD_COLOURS[method], label=label)


def _stroke(method: str) -> Line2D:
    return Line2D([], [], color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2.4, label=_name(method))
