"""Table 2: how many sampled strings are molecules, how good these are, and how different from one another.

    table = per_molecule(smiles, ended)              # DataFrame, one row a string
    summarise(table, training=strings_trained_on)    # Series, one entry a row of Table 2

The scores and what they are averaged over follow the authors' code; uniqueness, novelty and diversity follow MOSES.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from repro.molecules import scores

TITLES = {
    "valid": "Valid molecules",
    "logp": "Mean logP",
    "qed": "Mean QED",
    "sa": "Mean SA score",
    "ring_penalty": "Mean ring penalty",
    "share_without_large_rings": "Strings that are molecules without a ring above six",
    "share_without_large_rings_of_valid": "Molecules without a ring above six",
    "ended": "Strings that ended before the horizon",
    "length": "Mean length in tokens",
    "unique_1k": "Unique of 1,000",
    "unique_10k": "Unique of 10,000",
    "novel": "Novel molecules",
    "diversity": "Internal diversity",
}
UNIQUE_AMONG = {"unique_1k": 1_000, "unique_10k": 10_000}
FINGERPRINT_BITS = 1_024
BLOCK = 1_000  # fingerprints compared with all others at a time
_FINGERPRINTS = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS)


def per_molecule(
    smiles: Iterable[str],
    ended: Iterable[bool] | None = None,
    lengths: Iterable[int] | None = None,
    qed_parameters: str = "rdkit",
    processes: int = 1,
) -> pd.DataFrame:
    """Returns what Table 2 is averaged from, one row a sampled string.

    Args:
        smiles: B strings without their end token.
        ended: which ended before the horizon, (B,); unknown if None, and then taken to have ended for the length.
        lengths: tokens of each, (B,), the end token included; the number of characters and the end if None.
        qed_parameters: as in `scores.score`.
        processes: as in `scores.score`.

    Returns:
        The columns of `scores.score`, then smiles, as sampled; canonical, RDKit's canonical SMILES, "" if invalid;
        ended, 1, 0 or NaN; length, tokens.

    Raises:
        ValueError: not a list of strings, unknown parameters, flags or lengths of another number.
        ScoringError: RDKit fails on a valid molecule.
    """
    strings = scores.checked(smiles)
    return described(scores.score(strings, qed_parameters, processes), strings, ended, lengths)


def described(
    table: pd.DataFrame, strings: list[str], ended: Iterable[bool] | None = None, lengths: Iterable[int] | None = None
) -> pd.DataFrame:
    """Returns the rows of `per_molecule` from those of `scores.score`, for strings whose scores are known already."""
    count = len(strings)
    flags = np.full(count, np.nan) if ended is None else np.asarray(ended, dtype=float)
    tokens = np.array([len(string) for string in strings] if lengths is None else lengths, dtype=float)
    if flags.shape != (count,) or tokens.shape != (count,):
        raise ValueError(f"{count} strings need {count} flags and lengths, not {flags.shape} and {tokens.shape}")
    canonical = [
        Chem.MolToSmiles(scores.parse(s)[0]) if v else "" for s, v in zip(strings, table["valid"], strict=True)
    ]
    end_tokens = (flags != 0) if lengths is None else 0
    return table.assign(smiles=strings, canonical=canonical, ended=flags, length=tokens + end_tokens)


def summarise(
    table: pd.DataFrame, training: Collection[str] | None = None, diversity_among: int | None = None
) -> pd.Series:
    """Returns Table 2 of a model.

    Args:
        table: rows of `per_molecule`, in the order of sampling.
        training: the canonical SMILES trained on, best a set; without them novelty is unknown.
        diversity_among: compare only the first so many valid molecules, where all are too many.

    Returns:
        One entry a row of Table 2, in the order of TITLES. Fractions in [0, 1]: valid and share_without_large_rings
        of all strings (authors' code), share_without_large_rings_of_valid of the valid ones; ended of all strings.
        Means over valid molecules: logp, qed, sa (1 to 10; the paper prints minus the score), ring_penalty. length:
        tokens, over all strings. unique_1k, unique_10k: different molecules among the valid ones of the first 1,000
        and 10,000 strings. novel: share of the different molecules that were not trained on. diversity: see
        `diversity`. What has nothing to be averaged over is NaN: without a valid molecule there is no mean score.
    """
    valid = table[table["valid"]]
    small = valid["ring_penalty"] == 0
    row = {"valid": table["valid"].mean()}
    row |= {name: valid[name].mean() for name in ("logp", "qed", "sa", "ring_penalty")}
    row["share_without_large_rings"] = small.sum() / len(table) if len(table) else np.nan
    row["share_without_large_rings_of_valid"] = small.mean()
    row |= {"ended": table["ended"].mean(), "length": table["length"].mean()}
    row |= {name: unique(table, among) for name, among in UNIQUE_AMONG.items()}
    row["novel"] = np.nan if training is None else novel(table, training)
    row["diversity"] = diversity(valid["canonical"].tolist()[:diversity_among])
    return pd.Series(row, dtype=float)[list(TITLES)]


def unique(table: pd.DataFrame, among: int) -> float:
    """Returns the share of different molecules among the valid ones of the first `among` strings, NaN if none."""
    first = table.iloc[:among]
    molecules = first.loc[first["valid"], "canonical"]
    return molecules.nunique() / len(molecules) if len(molecules) else float("nan")


def novel(table: pd.DataFrame, training: Collection[str]) -> float:
    """Returns the share of the different valid molecules that are not in the training set, NaN if none.

    Neither the string as sampled nor its canonical form may be there.
    """
    known = training if isinstance(training, (set, frozenset)) else set(training)
    valid = table[table["valid"]]
    molecules = set(valid["canonical"])
    old = {canonical for s, canonical in zip(valid["smiles"], valid["canonical"], strict=True) if s.strip() in known}
    return 1.0 - len(old | (molecules & known)) / len(molecules) if molecules else float("nan")


def diversity(molecules: Sequence[str]) -> float:
    """Returns 1 - the mean Tanimoto similarity of all pairs of molecules (IntDiv of MOSES), in [0, 1]; NaN if none.

    Morgan fingerprints of radius 2 and 1,024 bits. As in MOSES the pairs of a molecule with itself count.

    Args:
        molecules: valid SMILES, repeated ones included.
    """
    if not molecules:
        return float("nan")
    bits = np.stack([_FINGERPRINTS.GetFingerprintAsNumPy(Chem.MolFromSmiles(string)) for string in molecules])
    bits = bits.astype(np.float32)  # whole numbers below 2^24 stay exact, and the matrix product is fast
    sizes = bits.sum(axis=1)
    similarity = 0.0
    for start in range(0, len(bits), BLOCK):
        common = bits[start : start + BLOCK] @ bits.T
        either = sizes[start : start + BLOCK, None] + sizes - common
        similarity += float((common / either).sum(dtype=np.float64))
    return 1.0 - similarity / len(bits) ** 2


def reasons(table: pd.DataFrame) -> pd.Series:
    """Returns how many strings RDKit refused for each kind of reason, most first; numbers of atoms and rings read N."""
    refused = table.loc[~table["valid"], "reason"]
    kinds = refused.str.replace(r"(Unkekulized atoms:).*", r"\1 N", regex=True)
    return kinds.str.replace(r"\d+", "N", regex=True).value_counts()
