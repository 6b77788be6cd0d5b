"""Scores of molecules, by RDKit alone, and Table 2: how many strings are valid, how good and how different they are."""

import math
from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import QED, FilterCatalog, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Contrib.SA_Score import sascorer

# A to F and DMAX of logP's desirability in the authors' QED, Gerebtzoff's; all else there is RDKit's
GEREBTZOFF = QED.ADSparameter(0.486849448, 186.2293718, 2.066177165, 3.902720615, 1.027025453, 0.913012565, 145.43148)
QED_PARAMETERS = {"rdkit": QED.adsParameters, "authors": QED.adsParameters | {"ALOGP": GEREBTZOFF}}
LONGEST = 2_000  # characters of a string that is read
COMPARED = 5_000  # molecules of which diversity is the mean over all pairs
BLOCK = 1_000  # fingerprints compared with all others at a time
_ALERTS = FilterCatalog.FilterCatalog()  # of QED, as one catalogue that is matched without returning to Python
for _alert in QED.StructuralAlertSmarts:
    _ALERTS.AddEntry(FilterCatalog.FilterCatalogEntry(_alert, FilterCatalog.SmartsMatcher(_alert, _alert, 1)))
_FINGERPRINTS = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1_024)


class Scores(NamedTuple):
    """The scores of one valid molecule."""

    logp: float  # Crippen's octanol-water partition coefficient, a base-10 logarithm
    qed: float  # quantitative estimate of drug-likeness, 0 to 1
    sa: float  # Ertl's synthetic accessibility, 1 (easy) to 10
    ring_penalty: int  # -(largest ring - 6), or 0


class ScoringError(RuntimeError):
    """A molecule that RDKit can read and cannot score. It is never given a made-up score instead."""


def parse(smiles: str) -> tuple[Chem.Mol | None, str]:
    """The molecule, or None and RDKit's reason for refusing the string; without atoms it is invalid (authors' code)."""
    if not smiles.isascii() or len(smiles) > LONGEST:  # RDKit cuts letters in two, and crashes on rows of thousands
        return None, "a letter that no SMILES has" if len(smiles) <= LONGEST else f"longer than {LONGEST} characters"
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        molecule = Chem.MolFromSmiles(smiles)  # reads up to the first space, the authors' end token
    if molecule is not None and molecule.GetNumAtoms():
        return molecule, ""
    if molecule is not None or not smiles.strip():
        return None, "no atoms"
    # the first of RDKit's messages, without time stamp, prefix and the string that it quotes
    first = log.messages.partition("\n")[0].partition("] ")[2].removeprefix("SMILES Parse Error: ")
    first = first.partition(" while parsing:")[0].partition(" for input:")[0]
    return None, " ".join(first.split()) or "refused without a reason"


def _qed(molecule: Chem.Mol, logp: float, parameters: dict[str, QED.ADSparameter]) -> float:
    # QED.default from a logP that is known already, and in less than half of its time
    properties = {
        "MW": rdMolDescriptors._CalcMolWt(molecule), "ALOGP": logp,
        "HBA": sum(len(molecule.GetSubstructMatches(acceptor)) for acceptor in QED.Acceptors),
        "HBD": rdMolDescriptors.CalcNumHBD(molecule), "PSA": rdMolDescriptors.CalcTPSA(molecule),
        "ROTB": rdMolDescriptors.CalcNumRotatableBonds(molecule, rdMolDescriptors.NumRotatableBondsOptions.Strict),
        "AROM": len(Chem.GetSSSR(Chem.DeleteSubstructs(molecule, QED.AliphaticRings))),
        "ALERTS": len(_ALERTS.GetMatches(molecule)),
    }  # fmt: skip
    logs = [math.log(QED.ads(value, parameters[name])) for name, value in properties.items()]
    return math.exp(sum(w * log for w, log in zip(QED.WEIGHT_MEAN, logs, strict=True)) / sum(QED.WEIGHT_MEAN))


@lru_cache(maxsize=2**17)  # a tuned policy writes many strings again, and short prefixes come in nearly every one
def row(smiles: str, qed_parameters: str = "rdkit") -> tuple:
    """The row of `score` for one string; ScoringError names a molecule for which RDKit fails or returns no number."""
    molecule, reason = parse(smiles)
    if molecule is None:
        return (False, *[math.nan] * len(Scores._fields), reason)
    try:
        with rdBase.BlockLogs():
            logp, _ = rdMolDescriptors.CalcCrippenDescriptors(molecule)
            qed = _qed(molecule, logp, QED_PARAMETERS[qed_parameters])
            # RDKit's smallest rings: the authors' cycle basis differs for few molecules, bridged or multiply fused
            largest = max(map(len, molecule.GetRingInfo().AtomRings()), default=0)
            scores = Scores(logp, qed, sascorer.calculateScore(molecule), min(0, 6 - largest))
        if not all(map(math.isfinite, scores)):
            raise ValueError(f"its scores must be finite numbers: {scores}")
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise ScoringError(f"RDKit cannot score {Chem.MolToSmiles(molecule)}: {error}") from error
    return (True, *scores, reason)


def checked(smiles: Iterable[str]) -> list[str]:
    """The strings as a list; one string alone, or something among them that is no string, is a ValueError."""
    if isinstance(smiles, str) or not isinstance(smiles, Iterable):
        raise ValueError(f"a list of SMILES strings is needed, not {smiles!r}")
    strings = list(smiles)
    for place, string in enumerate(strings):
        if not isinstance(string, str):
            raise ValueError(f"molecule {place} is {string!r}, not a SMILES string")
    return strings


def score(smiles: Iterable[str]) -> pd.DataFrame:
    """One row per string: valid, logp, qed, sa, ring_penalty (as in `Scores`, NaN if invalid), reason ("" if valid)."""
    types = {"valid": bool} | dict.fromkeys(Scores._fields, float) | {"reason": object}
    return pd.DataFrame(map(row, checked(smiles)), columns=list(types)).astype(types)


def table_2(table: pd.DataFrame, ended: np.ndarray, lengths: np.ndarray, known: Set[str] | None = None) -> pd.Series:
    """Table 2 from rows of `score` and smiles, counted as by the authors and MOSES; NaN where nothing is averaged."""
    # scores are means over valid molecules, ended (B,) and lengths (B,) over all strings; `known` are not novel
    valid = table[table["valid"]]
    smiles = valid["smiles"].tolist()
    canonical = [Chem.MolToSmiles(parse(string)[0]) for string in smiles]
    firsts = {name: canonical[: table["valid"].iloc[:n].sum()] for name, n in (("1k", 1_000), ("10k", 10_000))}
    different, trained_on = set(canonical), known or set()
    old = {c for string, c in zip(smiles, canonical, strict=True) if {string.strip(), c} & trained_on}
    row = {
        "valid": table["valid"].mean(), **{name: valid[name].mean() for name in Scores._fields},
        "share_without_large_rings": (table["ring_penalty"] == 0).mean(),  # an invalid string has none: NaN
        "share_without_large_rings_of_valid": (valid["ring_penalty"] == 0).mean(),
        "ended": pd.Series(ended, dtype=float).mean(), "length": pd.Series(lengths, dtype=float).mean(),
        **{f"unique_{name}": len(set(first)) / len(first) if first else np.nan for name, first in firsts.items()},
        "novel": 1.0 - len(old) / len(different) if different and known is not None else np.nan,
        "diversity": diversity(canonical[:COMPARED]),
    }  # fmt: skip
    return pd.Series(row, dtype=float)


def diversity(molecules: Sequence[str]) -> float:
    """1 - the mean Tanimoto similarity of all pairs of valid SMILES, each with itself too (IntDiv of MOSES), 0 to 1."""
    if not molecules:
        return float("nan")
    rows = [_FINGERPRINTS.GetFingerprintAsNumPy(Chem.MolFromSmiles(string)) for string in molecules]
    bits = np.stack(rows, dtype=np.float32)  # whole numbers below 2^24 stay exact, and the matrix product is fast
    sizes, similarity = bits.sum(axis=1), 0.0
    for start in range(0, len(bits), BLOCK):
        common = bits[start : start + BLOCK] @ bits.T
        either = sizes[start : start + BLOCK, None] + sizes - common
        similarity += float((common / either).sum(dtype=np.float64))
    return 1.0 - similarity / len(bits) ** 2
