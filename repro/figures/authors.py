"""Figures of G with a trained prior and of the authors' schedule, in the style of `repro.figures.methods`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from repro.figures.style import METHOD_COLOURS, METHOD_LINES, METHOD_MARKERS, UNIFORM, new_figure, styled
from repro.methods import method_name
from repro.paper import TABLE_1, TABLE_1_NAMES

# The fixed prior is G's own colour; the quirk gets two that no method has.
VARIANT_COLOURS = {
    "prior fixed": METHOD_COLOURS["g"],
    "prior trained": "#56B4E9",
    "prior trained, zero head": "#E69F00",
}
VARIANT_LINES = {"prior fixed": "-.", "prior trained": "-", "prior trained, zero head": "--"}
SHOWN = ("not_in_key", "starts_with_tonic", "leaps_resolved")


@styled
def trajectories(curves: pd.DataFrame) -> Figure:
    """What three rules of music say of G during training, a line a seed, and the paper's G as a dotted line.

    Args:
        curves: `authors_experiments.Variants.curves()`: variant, seed, environment_steps, metric, value.
    """
    figure, axes = new_figure(1, len(SHOWN), (10.5, 4))
    variants = [name for name in VARIANT_COLOURS if name in set(curves["variant"])]
    for ax, metric in zip(axes[0], SHOWN, strict=True):
        for variant in variants:
            rows = curves[(curves["variant"] == variant) & (curves["metric"] == metric)]
            for _, run in rows.groupby("seed"):
                ax.plot(run["environment_steps"], 100 * run["value"], color=VARIANT_COLOURS[variant],
                        ls=VARIANT_LINES[variant], lw=1.2)  # fmt: skip
        ax.axhline(100 * TABLE_1[metric]["g"], color="black", lw=1.4, ls=":")
        ax.set(xlabel="environment steps", ylabel=f"{TABLE_1_NAMES[metric]} (%)", ylim=(-3, 103))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.grid(alpha=0.25)
    handles = [Line2D([], [], color=VARIANT_COLOURS[v], ls=VARIANT_LINES[v], lw=2, label=v) for v in variants]
    handles.append(Line2D([], [], color="black", lw=1.4, ls=":", label="the paper's G"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=2.6)
    return figure


SCHEDULE_PANELS = {
    "log_p": "log p, mean over all notes (nats per note)",
    "log_p_last": "log p of the last note (nats)",
    "task_reward": "task reward r_MT per melody",
}
TRAINED_LOOK = {"color": VARIANT_COLOURS["prior trained"], "ls": "-"}


@styled
def schedule(curves: pd.DataFrame, ours: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Log p and task reward on the authors' schedule; at the right edge where ours end, hollow the paper's curve.

    Args:
        curves: variant (a method, or one with a remark behind a comma), seed, environment_steps, metric, value.
        ours: method, seed, metric, value of policies tuned in lockstep.
        paper: the published points, as paper.figure_2a() returns them; it is not known which log p they are.
    """
    figure, axes = new_figure(1, len(SCHEDULE_PANELS), (10.5, 4.6))
    last = curves["environment_steps"].max()
    variants = [name for name in (*METHOD_LINES, "g, prior trained") if name in set(curves["variant"])]
    looks = {name: {"color": METHOD_COLOURS[name], "ls": METHOD_LINES[name]} if name in METHOD_LINES else TRAINED_LOOK
             for name in variants}  # fmt: skip
    ends = ours.groupby(["method", "metric"])["value"].mean()
    for ax, (metric, label) in zip(axes[0], SCHEDULE_PANELS.items(), strict=True):
        for name in variants:
            rows = curves[(curves["variant"] == name) & (curves["metric"] == metric)]
            ax.plot(rows["environment_steps"], rows["value"], lw=1.8, **looks[name])
            if (name, metric) in ends.index:
                ax.plot(1.07 * last, ends[name, metric], ls="", marker=METHOD_MARKERS[name], color=METHOD_COLOURS[name])
            points = paper[(paper["method"] == name) & (paper["environment_steps"] <= last)]
            if metric != "task_reward":
                ax.plot(points["environment_steps"], points["log_p"], ls="", ms=4.5, mfc="none",
                        marker=METHOD_MARKERS.get(name), color=looks[name]["color"])  # fmt: skip
        if metric != "task_reward":
            ax.axhline(UNIFORM, color="black", lw=1, ls=(0, (1, 2)))
        ax.axvline(1.035 * last, color="#BBBBBB", lw=0.8)
        ax.set(xlabel="environment steps", ylabel=label)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.grid(alpha=0.25)
    axes[0, 2].set_yscale("symlog", linthresh=10)
    axes[0, 2].set_ylabel(f"{SCHEDULE_PANELS['task_reward']}\n(logarithmic beyond \u00b110)")
    handles = [Line2D([], [], lw=2, label=_variant_name(name), **looks[name]) for name in variants]
    handles.append(Line2D([], [], ls="", marker="o", color="#444444", label="ours, finished"))
    handles.append(Line2D([], [], ls="", marker="o", mfc="none", color="#444444", label="paper (digitised)"))
    handles.append(Line2D([], [], color="black", lw=1, ls=(0, (1, 2)), label="uniform"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, handlelength=2.4, columnspacing=1.2)
    return figure


def _variant_name(variant: str) -> str:
    method, comma, remark = variant.partition(",")
    return method_name(method) + comma + remark
