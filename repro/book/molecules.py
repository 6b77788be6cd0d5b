"""Figures of molecules: strings scored, picked, drawn with captions, and compared by density."""

import io
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D
from scipy.stats import gaussian_kde

from repro.book.paper import MOLECULE_NAMES
from repro.book.plots import legend, look_of, new_figure, present, styled
from repro.molecules import scores
from repro.molecules.domain import terminal_parts
from repro.settings import RewardWeights

SCORES = {"logp": "logP (base-10 logarithm)", "qed": "QED (0 to 1)", "sa": "SA score (1 easy, 10 hard)",
          "length": "characters"}  # fmt: skip


def scored(method: str, smiles: Iterable[str]) -> pd.DataFrame:
    """The strings that a model wrote, one row each: method, smiles and the columns of `scores.score`."""
    frame = pd.DataFrame({"method": method, "smiles": list(smiles)})
    distinct = frame["smiles"].drop_duplicates().to_numpy()
    return frame.join(scores.score(distinct).set_index(distinct), on="smiles")


def picked(frame: pd.DataFrame, by: str, count: int) -> pd.DataFrame:
    """At most `count` different valid strings of `scored`, with captions, `by` random, qed, logp, or worst reward."""
    if by not in ("random", "qed", "logp", "worst"):
        raise ValueError(f"cannot pick by {by!r}: known are random, qed, logp, worst")
    rows = frame[frame["valid"]].drop_duplicates("smiles")
    rows = rows.assign(worst=-sum(terminal_parts(rows, rows["valid"], RewardWeights()).values()))
    rows = rows.sample(min(count, len(rows)), random_state=0) if by == "random" else rows.nlargest(count, by)
    rings = [f", rings {penalty:.0f}" if penalty else "" for penalty in rows["ring_penalty"]]
    values = zip(rows["qed"], rows["logp"], rows["sa"], rings, strict=True)
    captions = [f"QED {qed:.2f}, logP {logp:.1f}\nSA {sa:.1f}{more}" for qed, logp, sa, more in values]
    return rows.assign(caption=captions).reset_index(drop=True)


@styled()
def grid(rows: pd.DataFrame, columns: int = 4) -> Figure:
    """Drawings of molecules with a caption under each: columns smiles and caption, as of `picked`."""
    lines = -(-max(1, len(rows)) // columns)
    figure, axes = new_figure(lines, columns, (2.7 * columns, 2.45 * lines))
    plt.setp(axes.flat, frame_on=False, xticks=(), yticks=())
    for ax, smiles, caption in zip(axes.flat, rows["smiles"], rows["caption"], strict=False):
        drawing = rdMolDraw2D.MolDraw2DCairo(300, 210)
        rdMolDraw2D.PrepareAndDrawMolecule(drawing, Chem.MolFromSmiles(smiles))
        drawing.FinishDrawing()
        ax.imshow(plt.imread(io.BytesIO(drawing.GetDrawingText())), interpolation="antialiased")
        ax.set_title(caption, y=-0.24, fontsize=11)
    return figure


@styled()
def densities(frame: pd.DataFrame) -> Figure:
    """Densities of the scores of valid molecules in rows of `scored`; the method "data" is drawn as a grey area."""
    valid = frame[frame["valid"]].reset_index(drop=True).assign(length=lambda rows: rows["smiles"].str.len())
    methods = present([valid[valid["method"] != "data"]])
    figure, axes = new_figure(2, 2, (10, 6.4))
    for ax, (score, label) in zip(axes.flat, SCORES.items(), strict=True):
        low, high = np.quantile(valid[score], [0.001, 0.999])
        places, heights = np.linspace(low - 0.05 * (high - low), high + 0.05 * (high - low), 300), []
        for method in ["data", *methods]:
            values = valid.loc[valid["method"] == method, score].to_numpy(float)
            if len(values) < 2 or np.ptp(values) == 0:
                continue  # no density where all values are one
            density = gaussian_kde(values)(places)
            heights.append(density.max())
            if method == "data":
                ax.fill_between(places, density, color="#D9D9D9", lw=0)
            else:
                ax.plot(places, density, color=look_of(method).colour, ls=look_of(method).line, lw=2)
        # a model that writes one kind of molecule is a spike: cut off, or nothing else could be seen
        top = min(max(heights), 1.6 * float(np.median(heights))) if heights else 1
        ax.set(xlabel=label, ylabel="density", ylim=(0, 1.05 * top))
    legend(figure, methods, extra=[Patch(color="#D9D9D9", label="held-out data")], names=MOLECULE_NAMES)
    return figure
