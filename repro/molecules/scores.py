"""What a molecule is worth, by RDKit alone: validity, logP, QED, synthetic accessibility and ring penalty.

    score(["CCO", "c1ccccc"])   # DataFrame, one row a string: valid, logp, qed, sa, ring_penalty, reason

The values are those of RDKit's own functions. QED is computed from the molecule whose logP is already known, and its
structural alerts are matched in one call, which takes less than half the time of `QED.default`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import NamedTuple

import joblib
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import QED, FilterCatalog, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.Contrib.SA_Score import sascorer

LARGEST_FREE_RING = 6
PART = 500  # molecules a process scores at a time
EMPTY = "no atoms"
# The desirability function of logP in the authors' QED, known as Gerebtzoff's. RDKit's default has another; the other
# seven functions and the weights are the same in both.
GEREBTZOFF = QED.ADSparameter(
    A=0.486849448, B=186.2293718, C=2.066177165, D=3.902720615, E=1.027025453, F=0.913012565, DMAX=145.43148
)
QED_PARAMETERS: dict[str, dict[str, QED.ADSparameter]] = {
    "rdkit": QED.adsParameters,
    "authors": QED.adsParameters | {"ALOGP": GEREBTZOFF},
}


class Scores(NamedTuple):
    """The scores of one valid molecule."""

    logp: float  # Crippen's octanol-water partition coefficient, a base-10 logarithm
    qed: float  # quantitative estimate of drug-likeness, 0 to 1
    sa: float  # Ertl's synthetic accessibility, 1 (easy) to 10
    ring_penalty: int  # -(largest ring - 6), or 0


class ScoringError(RuntimeError):
    """A molecule that RDKit can read and cannot score. It is never given a made-up score instead."""


def parse(smiles: str) -> tuple[Chem.Mol | None, str]:
    """Returns the molecule, or None, and RDKit's reason for refusing the string, without the string itself.

    RDKit reads up to the first space: the authors' end token, a space, changes nothing. A string without atoms is
    invalid here as in the authors' code, though RDKit accepts it.
    """
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None, _reason(log.messages) if smiles.strip() else EMPTY
    return (molecule, "") if molecule.GetNumAtoms() else (None, EMPTY)


def _reason(messages: str) -> str:
    """Returns the first of RDKit's messages, without time stamp, prefix and the string that it quotes."""
    first = messages.partition("\n")[0].partition("] ")[2].removeprefix("SMILES Parse Error: ")
    for quotation in (" while parsing:", " for input:"):
        first = first.partition(quotation)[0]
    return " ".join(first.split()) or "refused without a reason"


@cache
def _alerts() -> FilterCatalog.FilterCatalog:
    """Returns the structural alerts of QED as one catalogue, which is matched without returning to Python."""
    catalogue = FilterCatalog.FilterCatalog()
    for alert in QED.StructuralAlertSmarts:
        catalogue.AddEntry(FilterCatalog.FilterCatalogEntry(alert, FilterCatalog.SmartsMatcher(alert, alert, 1)))
    return catalogue


def _aromatic_rings(molecule: Chem.Mol) -> int:
    """Returns QED's count of aromatic rings: those left when atoms of aliphatic rings are deleted."""
    return len(Chem.GetSSSR(Chem.DeleteSubstructs(molecule, QED.AliphaticRings)))


def _qed(molecule: Chem.Mol, logp: float, parameters: dict[str, QED.ADSparameter]) -> float:
    """Returns QED with RDKit's mean weights from RDKit's eight properties, of which logP is handed in."""
    properties = QED.QEDproperties(
        MW=rdMolDescriptors._CalcMolWt(molecule),
        ALOGP=logp,
        HBA=sum(len(molecule.GetSubstructMatches(acceptor)) for acceptor in QED.Acceptors),
        HBD=rdMolDescriptors.CalcNumHBD(molecule),
        PSA=rdMolDescriptors.CalcTPSA(molecule),
        ROTB=rdMolDescriptors.CalcNumRotatableBonds(molecule, rdMolDescriptors.NumRotatableBondsOptions.Strict),
        AROM=_aromatic_rings(molecule),
        ALERTS=len(_alerts().GetMatches(molecule)),
    )
    logs = sum(
        weight * math.log(QED.ads(value, parameters[name]))
        for weight, (name, value) in zip(QED.WEIGHT_MEAN, properties._asdict().items(), strict=True)
    )
    return math.exp(logs / sum(QED.WEIGHT_MEAN))


def ring_penalty(molecule: Chem.Mol) -> int:
    """Returns -(atoms of the largest ring - 6), or 0, over RDKit's smallest set of smallest rings.

    The authors' code takes the rings from a cycle basis of the atom graph, which depends on the order of the atoms;
    it differs for few molecules, with bridged or multiply fused rings.
    """
    return min(0, LARGEST_FREE_RING - max(map(len, molecule.GetRingInfo().AtomRings()), default=0))


def of_molecule(molecule: Chem.Mol, qed_parameters: str = "rdkit") -> Scores:
    """Returns the scores of a molecule with at least one atom.

    Raises:
        ScoringError: RDKit fails, or returns what is not a number; it names the molecule.
    """
    try:
        with rdBase.BlockLogs():
            logp, _ = rdMolDescriptors.CalcCrippenDescriptors(molecule)
            qed = _qed(molecule, logp, QED_PARAMETERS[qed_parameters])
            scores = Scores(logp, qed, sascorer.calculateScore(molecule), ring_penalty(molecule))
        finite = all(map(math.isfinite, scores))
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise ScoringError(f"RDKit cannot score {Chem.MolToSmiles(molecule)}: {error}") from error
    if not finite:
        raise ScoringError(f"RDKit's scores of {Chem.MolToSmiles(molecule)} are not all numbers: {scores}")
    return scores


def of_smiles(smiles: str, qed_parameters: str = "rdkit") -> Scores | None:
    """Returns the scores of one SMILES string, None if it is invalid."""
    molecule, _ = parse(smiles)
    return None if molecule is None else of_molecule(molecule, qed_parameters)


def checked(smiles: Iterable[str]) -> list[str]:
    """Returns the strings as a list.

    Raises:
        ValueError: one string alone, or something among them that is no string; it says which.
    """
    if isinstance(smiles, str) or not isinstance(smiles, Iterable):
        raise ValueError(f"a list of SMILES strings is needed, not {smiles!r}")
    strings = list(smiles)
    for place, string in enumerate(strings):
        if not isinstance(string, str):
            raise ValueError(f"molecule {place} is {string!r}, not a SMILES string")
    return strings


def row(smiles: str, qed_parameters: str = "rdkit") -> tuple:
    """Returns the row of `score` for one string: valid, the four scores, reason."""
    molecule, reason = parse(smiles)
    values = (math.nan,) * len(Scores._fields) if molecule is None else of_molecule(molecule, qed_parameters)
    return (molecule is not None, *values, reason)


def table(rows: Iterable[tuple]) -> pd.DataFrame:
    """Returns rows as the table of `score`."""
    columns = ["valid", *Scores._fields, "reason"]
    types = dict.fromkeys(Scores._fields, float) | {"valid": bool, "reason": object}
    return pd.DataFrame(list(rows), columns=columns).astype(types)


def _rows(smiles: list[str], qed_parameters: str) -> list[tuple]:
    """Returns the rows of some strings: work for one process."""
    return [row(string, qed_parameters) for string in smiles]


def score(smiles: Iterable[str], qed_parameters: str = "rdkit", processes: int = 1) -> pd.DataFrame:
    """Returns the scores of SMILES strings.

    Args:
        smiles: strings, finished or not; trailing spaces change nothing.
        qed_parameters: "rdkit" as `QED.default`, or "authors" (the authors' code: Gerebtzoff's logP function).
        processes: over which a long list is spread.

    Returns:
        One row a string, in its order: valid (bool); logp, qed, sa, ring_penalty as in `Scores`, NaN if invalid;
        reason, RDKit's own for an invalid string, otherwise "".

    Raises:
        ValueError: not a list of strings, unknown parameters.
        ScoringError: RDKit fails on a valid molecule.
    """
    strings = checked(smiles)
    if qed_parameters not in QED_PARAMETERS:
        raise ValueError(f"unknown QED parameters {qed_parameters!r}; known: {', '.join(QED_PARAMETERS)}")
    parts = [strings[start : start + PART] for start in range(0, len(strings), PART)]
    calls = (joblib.delayed(_rows)(part, qed_parameters) for part in parts)
    return table(chain.from_iterable(joblib.Parallel(n_jobs=max(1, min(processes, len(parts))))(calls)))


def scaffold(smiles: str) -> str:
    """Returns the Bemis-Murcko scaffold as SMILES: ring systems and what links them; "" without rings or if invalid."""
    molecule, _ = parse(smiles)
    if molecule is None:
        return ""
    return Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(molecule))
