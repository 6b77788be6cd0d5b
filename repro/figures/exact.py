"""Figures of what was learned against what is exact: data frame in, matplotlib figure out.

Every seed is drawn; where there are several, their mean is the bold line.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repro.figures.style import METHOD_COLOURS, METHOD_LINES, METHOD_MARKERS, new_figure, styled
from repro.methods import method_name, methods_in

GOALS = (0.03, 0.01)  # nats: what a learned policy has to reach, and what it should
NEAR_ZERO = 1e-4  # nats: the axis of the discounts is linear below


@styled
def against_exact(curves: pd.DataFrame, discounts: pd.DataFrame) -> Figure:
    """How far from p* the policies are while they learn, in both forms, and what a discount costs; a row a domain.

    Args:
        curves: domain, form, method, gamma, seed, step, kl, as `repro.experiments.exact.learned` returns them.
        discounts: domain, method, gamma, kl, as `repro.experiments.exact.discounts` returns them; G's are Psi's.
    """
    domains, forms = list(dict.fromkeys(curves["domain"])), list(dict.fromkeys(curves["form"]))
    figure, axes = new_figure(len(domains), len(forms) + 1, (3.5 * (len(forms) + 1), 3.7 * len(domains)))
    for row, domain in zip(axes, domains, strict=True):
        own, exact = curves[curves["domain"] == domain], discounts[discounts["domain"] == domain]
        for ax, form in zip(row, forms, strict=False):
            runs = own[(own["form"] == form) & (own["gamma"] == 1)]
            _learning(ax, runs, "kl")
            _goals(ax)
            if "q" in set(runs["method"]):
                limit = exact[(exact["method"] == "q") & (exact["gamma"] == 1)]["kl"].item()
                ax.axhline(limit, color=METHOD_COLOURS["q"], lw=1, ls=(0, (1, 1)))
            ax.set(yscale="log", title=f"{domain}, {form} form", xlabel="step (64 sequences)")
            ax.set_ylabel("KL(\u03c0 || p*) (nats a sequence)")
        _discounts(row[-1], own[own["form"] == forms[0]], exact)
        row[-1].set_title(f"{domain}, what \u03b3 costs")
        for ax in row[1:-1]:
            ax.sharey(row[0])
    methods = methods_in([*curves["method"], *discounts["method"]])
    handles = [*map(_method_line, methods), Line2D([], [], color="black", lw=1, ls=(0, (1, 1)), label="exact limit")]
    handles.append(Line2D([], [], color="#888888", lw=0.8, label=" and ".join(f"{goal:g}" for goal in GOALS) + " nats"))
    handles.append(Line2D([], [], color="#444444", ls="", marker="s", mfc="none", label="learned, one a seed"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=2.6)
    return figure


@styled
def objectives(curves: pd.DataFrame, log_z: dict[str, float]) -> Figure:
    """J(pi) while the policies learn, up to the exact line, log Z; a column a domain.

    Args:
        curves: domain, form, method, gamma, seed, step, objective; drawn are the runs of gamma = 1 in the first form.
        log_z: log Z by domain.
    """
    figure, axes = new_figure(1, len(log_z), (5.2 * len(log_z), 4))
    shown = curves[(curves["form"] == curves["form"].iloc[0]) & (curves["gamma"] == 1)]
    for ax, (domain, limit) in zip(axes[0], log_z.items(), strict=True):
        runs = shown[shown["domain"] == domain]
        _learning(ax, runs, "objective")
        ax.axhline(limit, color="black", lw=1, ls=(0, (1, 1)))
        # the first moments reach far down and would hide the rest
        bottom = runs[runs["step"] > 0]["objective"].min()
        ax.set(title=domain, xlabel="step (64 sequences)", ylabel="J(\u03c0) (nats a sequence)")
        ax.set_ylim(bottom - 0.05 * (limit - bottom), limit + 0.05 * (limit - bottom))
    handles = [*map(_method_line, methods_in(shown["method"]))]
    handles.append(Line2D([], [], color="black", lw=1, ls=(0, (1, 1)), label="log Z, the exact optimum"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=2.6)
    return figure


@styled
def probabilities(frame: pd.DataFrame) -> Figure:
    """Learned against exact log-probability of every sequence: a row a domain, a column a method.

    Args:
        frame: domain, method, prior, exact, learned (nats), as `repro.experiments.exact.probabilities` returns them.
    """
    domains, methods = list(dict.fromkeys(frame["domain"])), methods_in(frame["method"])
    figure, axes = new_figure(len(domains), len(methods), (4.6 * len(methods), 4.2 * len(domains)))
    for row, domain in zip(axes, domains, strict=True):
        for ax, method in zip(row, methods, strict=True):
            points = frame[(frame["domain"] == domain) & (frame["method"] == method)]
            look = {"ls": "", "marker": ".", "ms": 3, "alpha": 0.35, "mew": 0, "rasterized": True}
            ax.plot(points["exact"], points["prior"], color=METHOD_COLOURS["prior"], **look)
            ax.plot(points["exact"], points["learned"], color=METHOD_COLOURS[method], **look)
            ends = points["exact"].min(), points["exact"].max()
            ax.plot(ends, ends, color="black", lw=1)
            ax.set(title=f"{domain}, {method_name(method)}", xlabel="exact log p*(x) (nats)")
            ax.set_ylabel("log-probability (nats)")
            ax.grid(alpha=0.25)
    names = {"prior": "prior"} | {method: f"learned {method_name(method)}" for method in methods}
    handles = [Line2D([], [], ls="", marker="o", color=METHOD_COLOURS[key], label=name) for key, name in names.items()]
    handles.append(Line2D([], [], color="black", lw=1, label="exact"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _learning(ax: Axes, runs: pd.DataFrame, value: str) -> None:
    """A thin line a seed and their mean."""
    for method in methods_in(runs["method"]):
        own = runs[runs["method"] == method]
        for _, run in own.groupby("seed"):
            ax.plot(run["step"], run[value], color=METHOD_COLOURS[method], lw=0.7, alpha=0.4)
        mean = own.groupby("step")[value].mean()
        ax.plot(mean.index, mean, color=METHOD_COLOURS[method], lw=2.2, ls=METHOD_LINES[method])
    ax.grid(alpha=0.25)


def _goals(ax: Axes) -> None:
    for goal in GOALS:
        ax.axhline(goal, color="#888888", lw=0.8)


def _discounts(ax: Axes, learned: pd.DataFrame, exact: pd.DataFrame) -> None:
    """Lines: what the exact values of every gamma lead to; marks: where learning ended."""
    for method in methods_in(exact["method"]):
        line = exact[exact["method"] == method]
        ax.plot(line["gamma"], line["kl"], color=METHOD_COLOURS[method], lw=2, ls=METHOD_LINES[method])
    last = learned[learned["step"] == learned["step"].max()]
    for method in methods_in(last["method"]):
        points = last[last["method"] == method]
        ax.plot(points["gamma"], points["kl"], ls="", marker=METHOD_MARKERS[method], mfc="none",
                color=METHOD_COLOURS[method], clip_on=False)  # fmt: skip
    ax.set_yscale("symlog", linthresh=NEAR_ZERO)
    ax.set(ylim=(0, None), xlabel="discount \u03b3", ylabel="KL(\u03c0 || p*) (nats a sequence)")
    ax.grid(alpha=0.25)


def _method_line(method: str) -> Line2D:
    return Line2D([], [], color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2.2, label=method_name(method))
