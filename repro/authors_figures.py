"""The figure of G with a trained prior: data frame in, matplotlib figure out, in the style of `repro.figures`."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from repro.figures import METHOD_COLOURS, new_figure, styled
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
    figure, axes = new_figure(1, len(SHOWN), (12, 4))
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
