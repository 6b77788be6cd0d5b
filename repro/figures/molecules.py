"""Figures of molecules: data frame in, matplotlib figure out, in the colours and style of `repro.figures.methods`."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, SymmetricalLogLocator
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D
from scipy.stats import gaussian_kde

from repro.figures.style import METHOD_COLOURS, METHOD_HATCHES, METHOD_LINES, METHOD_MARKERS, new_figure, styled
from repro.methods import method_name, methods_in
from repro.molecule_paper import TABLE_2
from repro.stats import over_seeds
from repro.tables.molecules import NAMES, ROWS

DATA = "data"
DATA_COLOUR = "#D9D9D9"
SCORES = {
    "logp": "logP (base-10 logarithm)",
    "qed": "QED (0 to 1)",
    "sa": "SA score (1 easy, 10 hard)",
    "length": "characters",
}
CURVES = {
    "valid": "valid (%)",
    "logp": "mean logP",
    "qed": "mean QED",
    "sa": "mean SA score",
    "kl": "KL from the prior (nats)",
    "objective": "J = E[r/c] - KL (nats)",
}
COMPARED = ("valid", "logp", "qed", "sa", "ring_penalty", "unique_10k", "log_p", "objective")
PICTURE = (300, 210)  # pixels of one molecule


@styled
def score_distributions(frame: pd.DataFrame) -> Figure:
    """Densities of the scores of valid molecules, each method against the data's own.

    Args:
        frame: rows of `gallery.scored` and `gallery.of_strings`; the method "data" is drawn as a grey area.
    """
    valid = frame[frame["valid"]].reset_index(drop=True)
    valid = valid.assign(length=valid["smiles"].str.len())
    methods = methods_in(set(valid["method"]) - {DATA})
    figure, axes = new_figure(2, 2, (10, 6.4))
    for ax, (score, label) in zip(axes.flat, SCORES.items(), strict=True):
        low, high = np.quantile(valid[score], [0.001, 0.999])
        grid = np.linspace(low - 0.05 * (high - low), high + 0.05 * (high - low), 300)
        heights = []
        for method in [*([DATA] if DATA in set(valid["method"]) else []), *methods]:
            density = _density(valid.loc[valid["method"] == method, score].to_numpy(float), grid)
            heights.append(np.nan_to_num(density).max())
            if method == DATA:
                ax.fill_between(grid, density, color=DATA_COLOUR, lw=0)
            else:
                ax.plot(grid, density, color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2)
        # a model that writes one kind of molecule is a spike: cut off, or nothing else could be seen
        top = min(max(heights), 1.6 * float(np.median(heights)))
        ax.set(xlabel=label, ylabel="density", ylim=(0, 1.05 * top or None))
    handles: list[Line2D | Patch] = [Patch(color=DATA_COLOUR, label="held-out data")]
    figure.legend(handles=[*handles, *map(_line, methods)], loc="outside upper center", ncols=6, handlelength=2.6)
    return figure


def _density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """A Gaussian kernel estimate; nothing where all values are one."""
    if len(values) < 2 or np.ptp(values) == 0:
        return np.full_like(grid, np.nan)
    return gaussian_kde(values)(grid)


@styled
def molecule_curves(curves: pd.DataFrame) -> Figure:
    """Validity, scores, KL and J during tuning: thin lines are seeds, thick ones their means.

    Args:
        curves: `Tuning.curves()`: method, seed, sequences and the columns of CURVES; NaN where nothing was valid.
    """
    figure, axes = new_figure(2, 3, (11, 6.4), sharex=True)
    methods = methods_in(curves["method"])
    for ax, (value, label) in zip(axes.flat, CURVES.items(), strict=True):
        for method in methods:
            _curve(ax, curves[curves["method"] == method], method, value)
        ax.set_ylabel(label)
        ax.grid(alpha=0.25)
    for ax, value in zip(axes[1, 1:], ("kl", "objective"), strict=True):
        _far_apart(ax, curves[value])
    for ax in axes[1]:
        ax.set_xlabel("molecules sampled")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.legend(handles=list(map(_line, methods)), loc="outside upper center", ncols=6, handlelength=2.6)
    return figure


@styled
def collapse(dueling: pd.DataFrame, plain: pd.DataFrame) -> Figure:
    """The paper's form beside the dueling form on the same task: validity and J.

    Args:
        dueling: curves of the dueling form, as for `molecule_curves`.
        plain: those of the paper's form.
    """
    figure, axes = new_figure(2, 2, (10, 6.4), sharey="row")
    methods = methods_in([*dueling["method"], *plain["method"]])
    for column, (title, curves) in enumerate((("dueling form", dueling), ("the paper's form", plain))):
        for ax, value in zip(axes[:, column], ("valid", "objective"), strict=True):
            for method in methods_in(curves["method"]):
                _curve(ax, curves[curves["method"] == method], method, value)
            ax.grid(alpha=0.25)
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("molecules sampled")
        for ax in axes[:, column]:
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0, 0].set_ylabel(CURVES["valid"])
    axes[1, 0].set_ylabel(CURVES["objective"])
    _far_apart(axes[1, 0], pd.concat([dueling["objective"], plain["objective"]]))
    figure.legend(handles=list(map(_line, methods)), loc="outside upper center", ncols=6, handlelength=2.6)
    return figure


def _far_apart(ax: Axes, values: pd.Series) -> None:
    """A symmetric logarithm where some run ends far from all others, in nats."""
    if values.min() < -30 or values.max() > 60:
        ax.set_yscale("symlog", linthresh=20)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=20, subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.set_ylabel(f"{ax.get_ylabel()}\n(logarithmic beyond \u00b120)")


def _curve(ax: Axes, runs: pd.DataFrame, method: str, value: str) -> None:
    scale, colour = (100 if value == "valid" else 1), METHOD_COLOURS[method]
    for _, run in runs.groupby("seed"):
        ax.plot(run["sequences"], scale * run[value], color=colour, lw=0.7, alpha=0.4)
    mean = runs.groupby("sequences")[value].mean()
    ax.plot(mean.index, scale * mean, color=colour, lw=2.2, ls=METHOD_LINES[method])


@styled
def comparison_2(table: pd.DataFrame) -> Figure:
    """Table 2 as dots, a panel a row: ours filled with the interval over seeds, the paper's two columns hollow.

    Args:
        table: `Tuning.table()`: method, seed, metric, value.
    """
    means = over_seeds(table[table["metric"].isin(COMPARED)], ["method", "metric"])
    methods = methods_in(means["method"])
    figure, axes = new_figure(2, 4, (10, 5.6))
    for ax, metric in zip(axes.flat, COMPARED, strict=True):
        row = ROWS[metric]
        scale = row.sign * (100 if row.fraction else 1)
        for place, method in enumerate(methods):
            ours = means[(means["method"] == method) & (means["metric"] == metric)].iloc[0]
            shown = np.array(row.shown(ours["low"], ours["high"])) * abs(scale)
            error = abs(shown - scale * ours["mean"])[:, None]
            ax.errorbar(place, scale * ours["mean"], yerr=np.nan_to_num(error), marker=METHOD_MARKERS[method], ms=7,
                        color=METHOD_COLOURS[method], capsize=3, lw=1.5)  # fmt: skip
        for place, model in ((0, "prior"), (len(methods), "sequence_tutor")):
            if metric in TABLE_2:
                ax.plot(place, scale * TABLE_2[metric][model], "o", ms=9, mfc="none", mec="#444444", mew=1.5)
        ax.set(xticks=(), xlim=(-0.6, len(methods) + 0.6))  # the legend says which model is which
        ax.set_title(f"{row.name.replace('(', chr(10) + '(')}{' (%)' if row.fraction else ''}")
        ax.grid(axis="y", alpha=0.25)
        if metric in ("log_p", "objective"):
            ax.set_ylabel("nats")
            _far_apart(ax, means.loc[means["metric"] == metric, "mean"])
    handles = [Line2D([], [], ls="", marker=METHOD_MARKERS[method], ms=7, color=METHOD_COLOURS[method],
                      label=method_name(method, NAMES)) for method in methods]  # fmt: skip
    handles.append(Line2D([], [], ls="", marker="o", ms=9, mfc="none", mew=1.5, color="#444444",
                          label="paper (unverified): left its RNN, right its tutor"))  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.2)
    return figure


@styled
def refused(frame: pd.DataFrame) -> Figure:
    """The parser's reasons for invalid strings: bars of shares of all strings sampled, means over seeds.

    Args:
        frame: rows of `gallery.refusals`: method, seed, reason, share.
    """
    means = frame.groupby(["method", "reason"], sort=False)["share"].mean()
    methods, reasons = methods_in(frame["method"]), list(dict.fromkeys(frame["reason"]))
    figure, axes = new_figure(1, 1, (10, 1.2 + 0.62 * max(1, len(reasons))))
    ax, height = axes[0, 0], 0.84 / len(methods)
    for index, method in enumerate(methods):
        y = np.arange(len(reasons)) + (index - (len(methods) - 1) / 2) * height
        values = [100 * means.get((method, reason), 0.0) for reason in reasons]
        ax.barh(y, values, height, color=METHOD_COLOURS[method], hatch=METHOD_HATCHES[method], ec="white",
                label=method_name(method, NAMES))  # fmt: skip
    ax.set_yticks(range(len(reasons)), reasons)
    ax.invert_yaxis()
    ax.set_xlabel("share of all sampled strings (%)")
    ax.grid(axis="x", alpha=0.25)
    figure.legend(loc="outside upper center", ncols=len(methods))
    return figure


def grid(smiles: Sequence[str], captions: Sequence[str], columns: int = 4) -> Figure:
    """Drawings of molecules with a caption under each.

    Args:
        smiles: valid SMILES strings.
        captions: as many, of one or two lines.
        columns: how many stand in a row.
    """
    rows = -(-max(1, len(smiles)) // columns)
    figure, axes = new_figure(rows, columns, (2.7 * columns, 2.45 * rows))
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, string, caption in zip(axes.flat, smiles, captions, strict=False):
        ax.imshow(_drawing(string), interpolation="antialiased")
        ax.set_title(caption, y=-0.24, fontsize=11)
    return figure


def _drawing(smiles: str) -> np.ndarray:
    drawing = rdMolDraw2D.MolDraw2DCairo(*PICTURE)
    rdMolDraw2D.PrepareAndDrawMolecule(drawing, Chem.MolFromSmiles(smiles))
    drawing.FinishDrawing()
    return plt.imread(io.BytesIO(drawing.GetDrawingText()))


def _line(method: str) -> Line2D:
    return Line2D([], [], color=METHOD_COLOURS[method], ls=METHOD_LINES[method], lw=2.2,
                  label=method_name(method, NAMES))  # fmt: skip
