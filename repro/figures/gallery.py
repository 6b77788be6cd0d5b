"""Sampled strings, scored, counted and picked: what pictures of molecules are made from.

frame = scored(tuning)                       # one row a sampled string of every model
best = picked(frame[frame["method"] == "psi"], "qed", 8)
figure = molecule_figures.grid(best["smiles"], best["caption"])
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from repro.molecules import measures, scores
from repro.molecules.reward import TerminalReward, terminal_parts

if TYPE_CHECKING:
    from repro.experiments.stages import Tuning  # for its type alone: it would bring torch

PICKS = ("random", "qed", "logp", "worst", "invalid")
MOST_REASONS = 6
OTHER = "other"
# How RDKit's reasons begin, and what readers see; others keep RDKit's words.
KINDS = {
    "Can't kekulize": "aromatic ring cannot be kekulized",
    "Explicit valence": "atom with too many bonds",
    "ring closure": "ring closed between bonded atoms",
    "duplicated ring closure": "ring closed onto its own atom",
    "non-ring atom": "aromatic atom outside a ring",
}


def scored(tuning: Tuning, seed: int | None = None, processes: int = 1) -> pd.DataFrame:
    """The strings that the prior and the tuned policies wrote, with their scores.

    Args:
        tuning: a finished experiment, as of `molecule_experiments.terminal`.
        seed: of the policies; None takes those of all seeds. The prior has seed 0 and is always there.
        processes: over which the scoring is spread.

    Returns:
        One row a string: method, seed, smiles, valid, logp, qed, sa, ring_penalty (NaN if invalid), reason ("" if
        valid).

    Raises:
        ValueError: no policy has this seed.
    """
    models = [("prior", 0, tuning.prior_measures)]
    for tuned, measured in tuning.policies:
        if seed in (None, tuned.numbers["seed"]):
            models.append((tuned.numbers["settings"]["method"], tuned.numbers["seed"], measured))
    if len(models) == 1:
        known = sorted({tuned.numbers["seed"] for tuned, _ in tuning.policies})
        raise ValueError(f"no policy has seed {seed}: the seeds are {', '.join(map(str, known))}")
    rows = [(method, number, string) for method, number, record in models for string in record.numbers["strings"]]
    return _scored(pd.DataFrame(rows, columns=["method", "seed", "smiles"]), processes)


def of_strings(method: str, smiles: Iterable[str], processes: int = 1) -> pd.DataFrame:
    """The same rows for strings from elsewhere, as `of_strings("data", test_molecules)`; their seed is 0."""
    return _scored(pd.DataFrame({"method": method, "seed": 0, "smiles": list(smiles)}), processes)


def picked(frame: pd.DataFrame, by: str, count: int, seed: int = 0) -> pd.DataFrame:
    """A few of the strings of `scored`, each string once, with what stands below its picture.

    Args:
        frame: rows of one model.
        by: "random" (valid molecules), "qed" or "logp" (the highest), "worst" (the valid molecules of the lowest
            terminal reward), "invalid" (random strings that are no molecules).
        count: how many; fewer if there are no more.
        seed: of the random picks.

    Returns:
        Rows of `frame` and caption, the best (or worst) first.

    Raises:
        ValueError: an unknown `by`.
    """
    if by not in PICKS:
        raise ValueError(f"cannot pick by {by!r}: known are {', '.join(PICKS)}")
    rows = frame[frame["valid"] == (by != "invalid")].drop_duplicates("smiles")
    if by in ("random", "invalid"):
        rows = rows.sample(min(count, len(rows)), random_state=seed)
    elif by == "worst":
        parts = terminal_parts(rows, np.ones(len(rows), bool), TerminalReward())
        rows = rows.iloc[np.argsort(sum(parts.values()), kind="stable")[:count]]
    else:
        rows = rows.sort_values(by, ascending=False, kind="stable").head(count)
    return rows.assign(caption=[caption(row) for _, row in rows.iterrows()]).reset_index(drop=True)


def caption(row: pd.Series) -> str:
    """The scores of one row of `scored` in two lines, or the parser's reason for refusing it."""
    if not row["valid"]:
        return textwrap.fill(row["reason"], 32)
    rings = f", rings {row['ring_penalty']:.0f}" if row["ring_penalty"] else ""
    return f"QED {row['qed']:.2f}, logP {row['logp']:.1f}\nSA {row['sa']:.1f}{rings}"


def refusals(frame: pd.DataFrame, most: int = MOST_REASONS) -> pd.DataFrame:
    """Why RDKit refuses strings: method, seed, reason, share (in [0, 1]) of all strings sampled of that model.

    The `most` frequent kinds of reason in all models together stay apart and come in that order; the rest is "other".
    """
    models = frame.groupby(["method", "seed"], sort=False)
    shares = pd.DataFrame({model: measures.reasons(rows) / len(rows) for model, rows in models}).fillna(0.0)
    shares = shares.groupby(shares.index.map(_kind)).sum()
    shares = shares.loc[shares.mean(axis=1).sort_values(ascending=False, kind="stable").index]
    rest = shares.iloc[most:].sum()
    shares = shares.iloc[:most]
    if rest.any():
        shares = pd.concat([shares, rest.to_frame(OTHER).T])
    rows = [(*model, reason, share) for model, column in shares.items() for reason, share in column.items()]
    return pd.DataFrame(rows, columns=["method", "seed", "reason", "share"])


def _kind(reason: str) -> str:
    return next((kind for start, kind in KINDS.items() if reason.startswith(start)), reason)


def _scored(frame: pd.DataFrame, processes: int) -> pd.DataFrame:
    """The strings with their scores; one that was written more than once is scored once."""
    distinct = frame["smiles"].drop_duplicates()
    table = scores.score(distinct, processes=processes).set_index(distinct.to_numpy())
    return frame.join(table, on="smiles")
