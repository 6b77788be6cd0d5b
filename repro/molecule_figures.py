"""Figures of molecules and of how policies come to write them: data frame in, matplotlib figure out.

Colours, lines, markers and hatches of methods come from `repro.figures`; what is drawn is prepared by
`repro.molecules.gallery`. Intervals are 95 % t intervals over seeds; a single seed has none, and none is drawn.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from rdkit.Chem.Draw import rdMolDraw2D
from scipy.stats import gaussian_kde

from repro.figures import (
    METHOD_COLOURS,
    METHOD_HATCHES,
    METHOD_LINES,
    METHOD_MARKERS,
    method_name,
    methods_in,
    new_figure,
    styled,
)
from repro.molecule_paper import SEQUENCE_TUTOR, TABLE_2
from repro.molecules import scores
from repro.stats import over_seeds

DATA = "data"  # the method of rows that are the data's own molecules
DATA_COLOUR = "#D3D3D3"
NAMES = {"prior": "SMILES RNN", DATA: "test molecules"}
SCORES = {"logp": "logP (Crippen)", "qed": "QED (0 to 1)", "sa": "SA score (1 easy to 10 hard)"}
CURVES = {
    "valid": "valid (%)",
    "logp": "mean logP",
    "qed": "mean QED (0 to 1)",
    "sa": "mean SA score (1 easy to 10)",
    "kl": "KL(pi || p)\n(nats a molecule)",
    "objective": "J = E[r/c] - KL\n(nats a molecule)",
}
COMPARED = {
    "valid": "valid (%)",
    "logp": "mean logP",
    "qed": "mean QED (0 to 1)",
    "sa": "mean SA score (1 easy to 10)",
    "ring_penalty": "mean ring penalty",
    "objective": "J = E[r/c] - KL (nats)",
}
LARGEST_PENALTY = 4  # rings of ten atoms and more share a bar
SHOWN = (0.005, 0.995)  # the quantiles between which densities are drawn
LINEAR = 30.0  # KL and J beyond +- this many nats are drawn on a logarithmic axis
PICTURE = (480, 340)  # pixels of a drawn molecule
PAPER = {"ls": "", "mfc": "none", "mew": 1.6, "ms": 9}


@styled
def score_distributions(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """The four scores of valid molecules before and after tuning, the data's own as a grey area.

    Densities are drawn in bold over the strings of all seeds, thin for each seed, between the .5 and 99.5 % quantiles.

    Args:
        frame: rows of `gallery.scored`, and those of `gallery.of_strings("data", ...)`: columns method, seed, valid,
            logp, qed, sa, ring_penalty.
        names: names of methods that differ from NAMES and METHOD_NAMES.
    """
    figure, axes = new_figure(2, 2, (10, 7.2))
    frame = frame[frame["valid"]]
    methods = _with_data(frame["method"])
    for ax, (score, label) in zip(axes.flat, SCORES.items(), strict=False):
        for method in methods:
            _densities(ax, frame.loc[frame["method"] == method, ["seed", score]], method)
        ax.set(xlabel=label, ylabel="density", ylim=(0, None))
    _large_rings(axes[1, 1], frame, methods)
    for ax in axes.flat:
        ax.grid(alpha=0.25)
    handles = [_handle(method, names) for method in methods]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=2.6)
    return figure


@styled
def molecule_curves(
    curves: pd.DataFrame, prior: Mapping[str, float] | None = None, names: Mapping[str, str] | None = None
) -> Figure:
    """Validity, the scores, KL and J during fine-tuning.

    Args:
        curves: `Tuning.curves()`: columns method, seed, sequences and the keys of CURVES; NaN where a batch had no
            valid molecule. One c a method.
        prior: what the prior measures, by the same keys, as a dotted line; None leaves it out.
        names: names of methods that differ from NAMES and METHOD_NAMES.
    """
    figure, axes = new_figure(2, 3, (12, 6.6), sharex=True)
    methods = methods_in(curves["method"])
    for ax, (value, label) in zip(axes.flat, CURVES.items(), strict=True):
        for method in methods:
            _curve(ax, curves[curves["method"] == method], method, value)
        if prior is not None:
            ax.axhline(_scale(value) * prior[value], color=METHOD_COLOURS["prior"], lw=1.6, ls=METHOD_LINES["prior"])
        ax.set_ylabel(label)
        _curve_axis(ax, value, curves[value])
    for ax in axes[-1]:
        ax.set_xlabel("molecules sampled")
    handles = [_handle(method, names) for method in (*(["prior"] if prior is not None else []), *methods)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=2.6)
    return figure


@styled
def collapse(
    curves_dueling: pd.DataFrame, curves_plain: pd.DataFrame, names: Mapping[str, str] | None = None
) -> Figure:
    """J and validity of the paper's form of KL-control beside those of the dueling form, on the same y axes.

    Args:
        curves_dueling: as for `molecule_curves`.
        curves_plain: those of the paper's form; in a column diverged, 1 is where its loss was no number: a cross.
        names: names of methods that differ from NAMES and METHOD_NAMES.
    """
    figure, axes = new_figure(2, 2, (10, 6.6), sharey="row", sharex="col")
    both = pd.concat([curves_plain, curves_dueling])
    methods = methods_in(both["method"])
    for (left, right), value in zip(axes, ("objective", "valid"), strict=True):
        left.set_ylabel(CURVES[value])
        for ax, curves in ((left, curves_plain), (right, curves_dueling)):
            for method in methods_in(curves["method"]):
                _curve(ax, curves[curves["method"] == method], method, value)
            _curve_axis(ax, value, both[value])
    for ax, title in zip(axes.T, ("the paper's form", "dueling form"), strict=True):
        ax[0].set_title(title)
        ax[1].set_xlabel("molecules sampled")
    handles = [_handle(method, names) for method in methods]
    if both.get("diverged", pd.Series([0.0])).any():
        handles.append(Line2D([], [], ls="", marker="X", ms=9, color="#444444", label="diverged"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=2.6)
    return figure


@styled
def grid(smiles: Sequence[str], captions: Sequence[str], columns: int = 4) -> Figure:
    """Drawings of molecules with a caption under each; what is no molecule is shown as its string.

    Args:
        smiles: what is drawn, row by row.
        captions: one each.
        columns: of the grid.
    """
    columns = min(columns, len(smiles))
    rows = -(-len(smiles) // columns) if columns else 0
    figure, axes = new_figure(rows, columns, (2.9 * columns, 2.75 * rows))
    for ax, string, caption in zip(axes.flat, smiles, captions, strict=False):
        picture = _picture(string)
        if picture is None:
            ax.imshow(np.ones((PICTURE[1], PICTURE[0], 3)))
            wrapped = "\n".join(textwrap.wrap(string, 22, break_on_hyphens=False))
            ax.text(0.5, 0.5, wrapped, transform=ax.transAxes, ha="center", va="center", family="monospace", size=10)
        else:
            ax.imshow(picture)
        ax.set_xlabel(caption)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    for ax in axes.flat[len(smiles) :]:
        ax.remove()
    return figure


@styled
def refused(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """Why sampled strings are no molecules, before and after tuning: bars with intervals over seeds.

    Args:
        frame: `gallery.refusals`: columns method, seed, reason, share (in [0, 1], of all sampled strings).
        names: names of methods that differ from NAMES and METHOD_NAMES.
    """
    table = over_seeds(frame, ["method", "reason"], "share")
    methods, reasons = methods_in(table["method"]), list(dict.fromkeys(frame["reason"]))
    figure, axes = new_figure(1, 1, (10, 1.6 + 0.19 * (len(methods) + 1) * len(reasons)))
    ax, height = axes[0, 0], 0.84 / len(methods)
    for index, method in enumerate(methods):
        bars = table[table["method"] == method].set_index("reason").reindex(reasons)
        y = np.arange(len(reasons)) + (index - (len(methods) - 1) / 2) * height
        ax.barh(y, 100 * bars["mean"], height, xerr=100 * _errors(bars), capsize=2, error_kw={"lw": 1}, ec="white",
                color=METHOD_COLOURS[method], hatch=METHOD_HATCHES[method], label=_name(method, names))  # fmt: skip
    ax.set_yticks(range(len(reasons)), [textwrap.fill(reason, 28) for reason in reasons])
    ax.set(xlabel="share of sampled strings (%)", xlim=(0, None), ylim=(len(reasons) - 0.5, -0.5))
    ax.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=len(methods))
    return figure


@styled
def comparison_2(table: pd.DataFrame, names: Mapping[str, str] | None = None) -> Figure:
    """Table 2 as dots, and J: ours filled, with intervals over seeds; the paper's unverified values hollow.

    The paper's Sequence Tutor has a line of its own: which method it is, the paper does not say.

    Args:
        table: `Tuning.table()`: columns method, seed, metric, value; other metrics are left out. One c a method.
        names: names of methods that differ from NAMES and METHOD_NAMES.
    """
    ours = over_seeds(table[table["metric"].isin(list(COMPARED))], ["method", "metric"]).set_index("metric")
    methods = methods_in(ours["method"])
    figure, axes = new_figure(2, 3, (12, 5.6), sharey=True)
    paper = {"prior": (methods.index("prior"), METHOD_COLOURS["prior"])} if "prior" in methods else {}
    paper["sequence_tutor"] = (len(methods), "black")
    for ax, (metric, label) in zip(axes.flat, COMPARED.items(), strict=True):
        scale = _scale(metric)
        rows = ours.loc[[metric]].set_index("method").reindex(methods)
        for y, method in enumerate(methods):
            row = rows.loc[[method]]
            ax.errorbar(scale * row["mean"], [y], xerr=scale * _errors(row), ms=7, lw=1.5, capsize=3, ls="",
                        marker=METHOD_MARKERS[method], color=METHOD_COLOURS[method])  # fmt: skip
        for model, (y, colour) in paper.items() if metric in TABLE_2 else ():
            ax.plot(scale * TABLE_2[metric][model], y, color=colour, marker=METHOD_MARKERS.get(model, "*"), **PAPER)
        ax.set_xlabel(label)
        ax.margins(x=0.12)
        ax.grid(alpha=0.25)
    axes[0, 0].set_yticks(range(len(methods) + 1), [*(_name(method, names) for method in methods), SEQUENCE_TUTOR])
    axes[0, 0].set_ylim(len(methods) + 0.5, -0.5)
    handles = [
        Line2D([], [], ls="", marker="o", ms=7, color="#444444", label="ours, 95 % interval over seeds"),
        Line2D([], [], color="#444444", marker="o", label="paper (unverified)", **PAPER),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _name(method: str, names: Mapping[str, str] | None) -> str:
    return method_name(method, NAMES | dict(names or {}))


def _with_data(values: Iterable[str]) -> list[str]:
    """The methods among values in their fixed order, the data first."""
    found = set(values)
    return [*([DATA] if DATA in found else []), *methods_in(found - {DATA})]


def _handle(method: str, names: Mapping[str, str] | None) -> Line2D | Patch:
    if method == DATA:
        return Patch(color=DATA_COLOUR, label=_name(method, names))
    return Line2D([], [], color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2.2, label=_name(method, names))


def _densities(ax: Axes, rows: pd.DataFrame, method: str) -> None:
    """The density of one method; a policy that writes one value alone has none, and gets a vertical line."""
    score = rows.columns[-1]
    if method == DATA:
        ax.fill_between(*_density(rows[score]), color=DATA_COLOUR, lw=0)
        return
    look: dict[str, Any] = {"color": METHOD_COLOURS[method], "ls": METHOD_LINES[method]}
    if rows[score].nunique() == 1:
        ax.axvline(rows[score].iloc[0], lw=2.2, **look)
        return
    seeds = [values[score] for _, values in rows.groupby("seed")]
    for values in seeds if len(seeds) > 1 else []:
        if values.nunique() > 1:
            ax.plot(*_density(values), color=METHOD_COLOURS[method], lw=0.7, alpha=0.4)
    ax.plot(*_density(rows[score]), lw=2.2, **look)


def _density(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    grid_ = np.linspace(*values.quantile(SHOWN), 200)
    return grid_, gaussian_kde(values)(grid_)


def _large_rings(ax: Axes, frame: pd.DataFrame, methods: list[str]) -> None:
    """The share of valid molecules with each penalty for a large ring; the rest has none."""
    penalties = range(1, LARGEST_PENALTY + 1)
    per_seed = frame.assign(penalty=(-frame["ring_penalty"]).clip(upper=LARGEST_PENALTY))
    shares = per_seed.groupby(["method", "seed"])["penalty"].value_counts(normalize=True).unstack(fill_value=0.0)
    long = shares.reindex(columns=penalties, fill_value=0.0).stack().rename("value").reset_index()
    table = over_seeds(long, ["method", "penalty"]).set_index("method")
    width = 0.84 / len(methods)
    for index, method in enumerate(methods):
        x = np.array(penalties) + (index - (len(methods) - 1) / 2) * width
        ax.bar(x, 100 * table.loc[method, "mean"], width, yerr=100 * _errors(table.loc[method]), capsize=2,
               error_kw={"lw": 1}, ec="white", color=METHOD_COLOURS.get(method, DATA_COLOUR),
               hatch=METHOD_HATCHES.get(method, ""))  # fmt: skip
    ax.set_xticks(penalties, [f"-{p}" for p in penalties[:-1]] + [f"-{LARGEST_PENALTY} or less"])
    ax.set(xlabel="ring penalty (all others: 0)", ylabel="valid molecules (%)", ylim=(0, None))


def _curve(ax: Axes, runs: pd.DataFrame, method: str, value: str) -> None:
    """A thin line a seed, their mean in bold and its interval shaded; a cross where a seed diverged."""
    colour, scale = METHOD_COLOURS[method], _scale(value)
    for _, run in runs.groupby("seed"):
        ax.plot(run["sequences"], scale * run[value], color=colour, lw=0.7, alpha=0.4)
    mean = over_seeds(runs, ["sequences"], value).sort_values("sequences")
    ax.fill_between(mean["sequences"], scale * mean["low"], scale * mean["high"], color=colour, alpha=0.2, lw=0)
    ax.plot(mean["sequences"], scale * mean["mean"], color=colour, lw=2.2, ls=METHOD_LINES[method])
    if "diverged" in runs:
        last = runs[runs["diverged"] == 1]
        ax.plot(last["sequences"], scale * last[value], ls="", marker="X", ms=9, color=colour, mec="white", zorder=3)


def _curve_axis(ax: Axes, value: str, values: pd.Series) -> None:
    """Units of the axes; KL and J, which reach thousands in a collapse, are logarithmic far from 0."""
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(alpha=0.25)
    if value == "valid":
        ax.set_ylim(-3, 103)
    if value in ("kl", "objective") and np.nanmax(np.abs(values)) > 5 * LINEAR:
        ax.set_yscale("symlog", linthresh=LINEAR)
        ax.yaxis.set_major_formatter("{x:,.0f}")
        if ax.get_ylabel():
            ax.set_ylabel(f"{ax.get_ylabel()}\n(logarithmic beyond \u00b1{LINEAR:g})")


def _scale(value: str) -> int:
    return 100 if value == "valid" else 1


def _errors(rows: pd.DataFrame) -> np.ndarray:
    return np.array([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])


def _picture(smiles: str) -> np.ndarray | None:
    """RDKit's drawing of a molecule as an image (height, width, 4), None for what is no molecule."""
    molecule, _ = scores.parse(smiles)
    if molecule is None:
        return None
    drawing = rdMolDraw2D.MolDraw2DCairo(*PICTURE)
    rdMolDraw2D.PrepareAndDrawMolecule(drawing, molecule)
    drawing.FinishDrawing()
    return plt.imread(io.BytesIO(drawing.GetDrawingText()))
