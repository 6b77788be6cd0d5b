"""Figures that compare methods: along training, along a sequence, rule by rule, and beside the paper's Table 1.

Intervals are 95 % t intervals over seeds; a single seed has none, and none is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, SymmetricalLogLocator

from repro import paper as published
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
from repro.music.events import NUM_EVENTS
from repro.stats import over_seeds


@styled
def learning_curves(
    curves: pd.DataFrame, paper: pd.DataFrame | None = None, names: Mapping[str, str] | None = None
) -> Figure:
    """Log p under the prior and task reward during fine-tuning: the paper's Figure 2, both readings of it.

    Args:
        curves: one row an evaluation, with the columns method, c, seed, environment_steps, gradient_steps, log_p
            (nats per note, mean over all notes), log_p_last (nats, the last note), task_reward (r_MT per melody, summed
            over its notes), task_reward_last (r_MT of the last note). One temperature c a method.
        paper: the published points, as paper.figure_2a() returns them; None leaves them out.
        names: names of methods that differ from METHOD_NAMES.
    """
    figure, axes = new_figure(2, 2, (10, 7.4), sharex=True)
    methods = methods_in(curves["method"])
    panels = ("log_p", "log_p_last", "task_reward", "task_reward_last")
    for ax, value in zip(axes.flat, panels, strict=True):
        for method in methods:
            _curve(ax, curves[curves["method"] == method], method, value)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.grid(alpha=0.25)
    for ax in axes[0]:
        ax.axhline(UNIFORM, color="black", lw=1, ls=(0, (1, 2)))
        if paper is not None:
            for method, points in paper[paper["method"].isin(methods)].groupby("method", sort=False):
                ax.plot(points["environment_steps"], points["log_p"], ls="", ms=4.5, mfc="none", alpha=0.75,
                        marker=METHOD_MARKERS[method], color=METHOD_COLOURS[method])  # fmt: skip
        _gradient_axis(ax, curves)
    for ax in axes[1]:
        ax.set_xlabel("environment steps")
    axes[0, 0].set(ylabel="log p (nats per note)", title="mean over all notes")
    axes[0, 1].set(ylabel="log p (nats)", title="last note only")
    axes[1, 0].set(ylabel="task reward r_MT per melody")
    axes[1, 1].set(ylabel="task reward r_MT of the last note")
    _symmetric_log(axes[1, 0], curves["task_reward"], threshold=10)
    _symmetric_log(axes[1, 1], curves["task_reward_last"], threshold=1)
    handles = [_line(method, names) for method in methods]
    handles.append(Line2D([], [], color="black", lw=1, ls=(0, (1, 2)), label=f"uniform over {NUM_EVENTS} events"))
    if paper is not None:
        handles.append(Line2D([], [], ls="", marker="o", mfc="none", color="#444444", label="paper (digitised)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, handlelength=2.6, columnspacing=1.2)
    return figure


@styled
def along_the_melody(
    steps: pd.DataFrame, paper: Mapping[str, float] | None = None, names: Mapping[str, str] | None = None
) -> Figure:
    """Log p of the played event at every step of the melody.

    Args:
        steps: columns method, c, seed, step (from 1), value (nats); one temperature c a method.
        paper: by method, one published value, drawn as a dotted line.
        names: names of methods that differ from METHOD_NAMES.
    """
    figure, axes = new_figure(1, 1, (10, 4.4))
    ax, methods = axes[0, 0], methods_in(steps["method"])
    for method in methods:
        _curve(ax, steps[steps["method"] == method], method, "value", along="step")
        if paper is not None and method in paper:
            ax.axhline(paper[method], color=METHOD_COLOURS[method], lw=1.2, ls=":")
    ax.set(xlabel="sixteenth note of the melody", ylabel="log p (nats)")
    ax.grid(alpha=0.25)
    handles = [_line(method, names) for method in methods]
    if paper is not None:
        handles.append(Line2D([], [], color="#444444", lw=1.2, ls=":", label="paper (one value a method)"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=2.6)
    return figure


@styled
def rule_rewards(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """What each rule pays each method: bars with intervals over seeds.

    Args:
        frame: columns method, rule, seed, value (the mean over melodies of the rule's reward, summed over a melody);
            c and experiment may stand beside them, one a method.
        names: names of methods that differ from METHOD_NAMES.
    """
    table = over_seeds(frame, ["method", "rule"])
    methods, rules = methods_in(table["method"]), list(dict.fromkeys(table["rule"]))
    figure, axes = new_figure(1, 1, (10, 4.6))
    ax, width = axes[0, 0], 0.84 / len(methods)
    for index, method in enumerate(methods):
        bars = table[table["method"] == method].set_index("rule").reindex(rules)
        x = np.arange(len(rules)) + (index - (len(methods) - 1) / 2) * width
        ax.bar(x, bars["mean"], width, yerr=_errors(bars), capsize=2, error_kw={"lw": 1}, color=METHOD_COLOURS[method],
               hatch=METHOD_HATCHES[method], ec="white", label=method_name(method, names))  # fmt: skip
    ax.axhline(0, color="black", lw=0.8)
    ax.set(ylabel="mean reward per melody", xlabel="rule")
    _symmetric_log(ax, table[["mean", "low", "high"]], threshold=1)
    ax.set_xticks(range(len(rules)), [rule.replace("_", "\n") for rule in rules], rotation=25)
    ax.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=len(methods))
    return figure


@styled
def training_curve(frame: pd.DataFrame, paper: Mapping[str, float] | None = None) -> Figure:
    """Maximum-likelihood training of the prior.

    Args:
        frame: columns step, train_nll, validation_nll (nats per event), validation_accuracy (in [0, 1]); NaN where a
            quantity was not measured at that step.
        paper: validation_nll and validation_accuracy as published (paper.PRIOR_VALIDATION), drawn as lines.
    """
    figure, axes = new_figure(1, 2, (10, 4))
    left, right = axes[0]
    held_out = {"color": METHOD_COLOURS["prior"], "lw": 2.4, "marker": "o", "ms": 4}
    for ax, column, scale, label, line in (
        (left, "train_nll", 1, "training", {"color": "#B0B0B0", "lw": 1.2, "ls": "--"}),
        (left, "validation_nll", 1, "validation", held_out),
        (right, "validation_accuracy", 100, "validation", held_out),
    ):
        points = frame[["step", column]].dropna()
        ax.plot(points["step"], scale * points[column], label=label, **line)
    for ax, column, scale in ((left, "validation_nll", 1), (right, "validation_accuracy", 100)):
        if paper is not None:
            ax.axhline(scale * paper[column], color="black", lw=1.2, ls=":", label="paper (another corpus)")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlabel("training step")
        ax.grid(alpha=0.25)
        ax.legend()
    left.set_ylabel("negative log-likelihood (nats per event)")
    right.set_ylabel("accuracy of the next event (%)")
    return figure


@styled
def comparison(
    ours: pd.DataFrame,
    paper: Mapping[str, Mapping[str, float]] = published.TABLE_1,
    names: Mapping[str, str] | None = None,
) -> Figure:
    """Table 1 as dots: ours filled, with the interval over seeds; the paper's hollow, on the same line.

    Args:
        ours: columns method, seed, metric, value (the long tables of results/); other metrics are left out, and c and
            experiment may stand beside them, one a method.
        paper: by metric and method, the published value.
        names: names of methods that differ from METHOD_NAMES.
    """
    table = over_seeds(ours[ours["metric"].isin(list(paper))], ["method", "metric"])
    methods = methods_in(table["method"])
    correlations = [metric for metric in paper if metric.startswith("autocorrelation")]
    fractions = [metric for metric in paper if metric not in correlations]
    figure, axes = new_figure(2, 1, (10, 8), height_ratios=(len(fractions), len(correlations)))
    for ax, metrics, scale in ((axes[0, 0], fractions, 100), (axes[1, 0], correlations, 1)):
        for index, method in enumerate(methods):
            y = np.arange(len(metrics)) + (index - (len(methods) - 1) / 2) * 0.8 / len(methods)
            look = {"marker": METHOD_MARKERS[method], "color": METHOD_COLOURS[method], "ls": ""}
            rows = table[table["method"] == method].set_index("metric").reindex(metrics)
            ax.errorbar(scale * rows["mean"], y, xerr=scale * _errors(rows), ms=6, lw=1.5, capsize=3, **look)
            theirs = [scale * paper[metric].get(method, np.nan) for metric in metrics]
            ax.plot(theirs, y, ms=9, mfc="none", mew=1.5, **look)
        wanted = {"0": "0 wanted", "up": "more wanted"}
        labels = [f"{published.TABLE_1_NAMES[m]}\n({wanted[published.TABLE_1_WANTED[m]]})" for m in metrics]
        ax.set_yticks(range(len(metrics)), labels)
        ax.set_ylim(len(metrics) - 0.5, -0.5)
        for edge in range(len(metrics) - 1):
            ax.axhline(edge + 0.5, color="#DDDDDD", lw=0.8)
        ax.grid(axis="x", alpha=0.25)
    axes[0, 0].set(xlabel="share (%)", xlim=(-3, 103))
    axes[1, 0].set(xlabel="autocorrelation (-1 to 1)")
    axes[1, 0].axvline(0, color="black", lw=0.8)
    handles = [Line2D([], [], ls="", marker=METHOD_MARKERS[m], color=METHOD_COLOURS[m], label=method_name(m, names))
               for m in methods]  # fmt: skip
    handles.append(Line2D([], [], ls="", marker="o", ms=6, color="#444444", label="filled: ours"))
    handles.append(Line2D([], [], ls="", marker="o", ms=9, mfc="none", mew=1.5, color="#444444", label="hollow: paper"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _curve(ax: Axes, runs: pd.DataFrame, method: str, value: str, along: str = "environment_steps") -> None:
    """A thin line a seed, their mean in bold and its interval shaded."""
    colour = METHOD_COLOURS[method]
    for _, run in runs.groupby("seed"):
        ax.plot(run[along], run[value], color=colour, lw=0.7, alpha=0.4)
    mean = over_seeds(runs, [along], value).sort_values(along)
    ax.fill_between(mean[along], mean["low"], mean["high"], color=colour, alpha=0.2, lw=0)
    ax.plot(mean[along], mean["mean"], color=colour, lw=2.2, ls=METHOD_LINES[method])


def _gradient_axis(ax: Axes, curves: pd.DataFrame) -> None:
    """A second x axis on top, in gradient steps; updates may start late, so its ticks are looked up, not scaled."""
    steps = curves.groupby("gradient_steps")["environment_steps"].max()
    ticks = [tick for tick in MaxNLocator(5).tick_values(0, steps.index.max()) if 0 <= tick <= steps.index.max()]
    top = ax.secondary_xaxis("top")
    show = EngFormatter(sep="")
    top.set_xticks(np.interp(ticks, steps.index, steps), [show(tick) for tick in ticks])
    top.set_xlabel("gradient steps")


def _symmetric_log(ax: Axes, values: pd.DataFrame | pd.Series, threshold: float) -> None:
    """An axis for rewards, which run from -1,000 (one note repeated) to 50: logarithmic beyond +-threshold."""
    if np.nanmax(np.abs(values.to_numpy())) > 10 * threshold:
        ax.set_yscale("symlog", linthresh=threshold)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=threshold, subs=(1, 3)))
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.set_ylabel(f"{ax.get_ylabel()}\n(logarithmic beyond \u00b1{threshold:g})")


def _errors(rows: pd.DataFrame) -> np.ndarray:
    """The distances (2, n) from the mean to low and high, as matplotlib wants them."""
    return np.array([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])


def _line(method: str, names: Mapping[str, str] | None) -> Line2D:
    label = method_name(method, names)
    return Line2D([], [], color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2.2, label=label)
