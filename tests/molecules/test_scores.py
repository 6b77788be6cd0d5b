"""The scores against the authors' code and against RDKit's own functions, and what happens to bad strings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen
from rdkit.Contrib.SA_Score import sascorer

from repro.molecules import scores

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
PREFIXES = [
    "".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"][: length + 1])
    for molecule in MOLECULES
    for length in range(molecule["length"])
]
VALID = [flag == "1" for molecule in MOLECULES for flag in molecule["prefix_valid"]]
TERMS = pd.DataFrame(
    [row for molecule in MOLECULES for row in molecule["prefix_terms"]], columns=GOLDEN["meta"]["prefix_terms_columns"]
)
ODD = [
    "[H][H]", "[2H]C", "[H]N", "[H+]", "[2H][2H]", "*", "C*", "[Na+].[Cl-]", "F.F.F.F", "[Pu]", "[H]", "[H]O[H]",
    "[O-][N+](=O)C", "[13CH4]", "[Hg]", "[Si](C)(C)C", "C1CCCCCCCCC1", "[C@H](F)(Cl)Br", "F/C=C/F", "[se]1cccc1",
    "B1OCCO1", "O=P(O)(O)O", "I(=O)=O", "[H]/N=C/C", "C[N+](C)(C)C", "[N-]=[N+]=NC", "c1ccc2c(c1)ccc1ccccc12",
    "C1CC2CCC1C2", "CN1CC2CCC1C2", "C1CC11CC1", "CC(=O)Oc1ccccc1C(=O)O", "O=C1C=CC(=O)C=C1", "NNC(=O)C=CC#N",
]  # fmt: skip


@pytest.fixture(scope="module")
def golden() -> pd.DataFrame:
    return scores.score(PREFIXES)


def test_the_contract(golden: pd.DataFrame) -> None:
    """Protects what outsiders rely on: names, order and types of the columns, one row a string."""
    assert list(golden) == ["valid", "logp", "qed", "sa", "ring_penalty", "reason"]
    assert len(golden) == len(PREFIXES)
    assert golden["valid"].dtype == bool and golden["qed"].dtype == float and scores.score([])["valid"].dtype == bool


def test_validity_is_the_authors(golden: pd.DataFrame) -> None:
    """Protects validity at every prefix of every molecule, with and without the end token."""
    assert golden["valid"].tolist() == VALID


@pytest.mark.parametrize(
    ("ours", "authors", "sign"),
    [("logp", "logp", 1), ("sa", "sa", -1), ("sa", "sa_contrib", -1), ("ring_penalty", "ringp_sssr", 1)],
)
def test_score_is_the_authors(golden: pd.DataFrame, ours: str, authors: str, sign: int) -> None:
    """Protects logP, SA score and ring penalty at all valid prefixes."""
    np.testing.assert_allclose(golden.loc[VALID, ours], sign * TERMS[authors], rtol=0, atol=1e-6)


def test_ring_penalty_departs_from_cycle_bases_in_bridged_molecules_alone(golden: pd.DataFrame) -> None:
    """Protects from counting other rings: where the authors' cycle basis differs, it finds larger ones."""
    other = golden.loc[VALID, "ring_penalty"].to_numpy() != TERMS["ringp"].to_numpy()
    assert 0 < other.mean() < 0.02
    assert (TERMS["ringp"][other] < golden.loc[VALID, "ring_penalty"].to_numpy()[other]).all()


@pytest.mark.parametrize(("parameters", "column"), [("rdkit", "qed_rdkit"), ("authors", "qed_ref")])
def test_qed_has_both_parameters(parameters: str, column: str) -> None:
    """Protects QED with RDKit's and with the authors' logP function, which differ by up to .04."""
    qed = scores.score(PREFIXES, qed_parameters=parameters).loc[VALID, "qed"]
    np.testing.assert_allclose(qed, TERMS[column], rtol=0, atol=1e-6)
    assert np.abs(TERMS["qed_rdkit"] - TERMS["qed_ref"]).max() > 0.01


@pytest.mark.parametrize("smiles", ODD)
def test_short_cuts_change_no_value(smiles: str) -> None:
    """Protects the short cuts of QED where hydrogens, ions, isotopes and dummy atoms could make them differ."""
    molecule = Chem.MolFromSmiles(smiles)
    expected = Crippen.MolLogP(molecule), QED.default(molecule), sascorer.calculateScore(molecule)
    assert scores.of_smiles(smiles)[:3] == expected


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "no atoms"),
        (" ", "no atoms"),
        ("c1ccccc", "unclosed ring"),
        ("CC(C", "extra open parentheses"),
        ("CC)", "extra close parentheses"),
        ("C==C", "syntax error"),
        ("C11", "duplicated ring closure 1 bonds atom 0 to itself"),
        ("FF(C)C", "Explicit valence for atom # 1 F, 3, is greater than permitted"),
        ("c1cccc1", "Can't kekulize mol. Unkekulized atoms: 0 1 2 3 4"),
        ("cC", "non-ring atom 0 marked aromatic"),
    ],
)
def test_invalid_strings_have_a_reason_and_no_scores(smiles: str, reason: str) -> None:
    """Protects the reason, and that nothing invalid gets a 0."""
    table = scores.score(["CCO", smiles, "CCO "])
    assert table["reason"].tolist() == ["", reason, ""]
    assert table.loc[1, ["logp", "qed", "sa", "ring_penalty"]].isna().all()
    assert not table.loc[1, "valid"]
    assert table.loc[0].equals(table.loc[2].rename(0))


def test_ring_penalty_counts_all_atoms_beyond_six() -> None:
    """Protects the definition on rings of any element; only the largest counts, and no ring costs nothing."""
    rings = ["CC", "C1CCCCC1", "C1CCCCCC1", "C1COCCOCCO1", "C1CCCCCCC1CC1CCCCCCCC1", "c1ccc2ccccc2c1"]
    assert scores.score(rings)["ring_penalty"].tolist() == [0, 0, -1, -3, -3, 0]


def test_rdkit_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Protects the notebooks from thousands of lines of parser noise, at the level of file descriptors."""
    scores.score(["c1cc", "CC(", "[H+]", "CC(C)(C)(C)C"])
    scores.of_smiles("c1cc")
    scores.scaffold("c1cc")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fault", [lambda _: None, lambda _: float("nan"), lambda _: 1 / 0])
def test_a_scorer_that_fails_raises(fault: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from the authors' silent 0: a failed score names the molecule."""
    monkeypatch.setattr(sascorer, "calculateScore", fault)
    with pytest.raises(scores.ScoringError, match="CCO"):
        scores.score(["OCC"])


@pytest.mark.parametrize("smiles", ["CCO", None, ["CCO", None], ["CCO", 3], 7, ["CCO", float("nan")]])
def test_what_is_no_list_of_strings_is_refused(smiles: object) -> None:
    """Protects from scoring the letters of one string, and says which entry is wrong."""
    with pytest.raises(ValueError, match="molecule 1 is|a list of SMILES strings is needed"):
        scores.score(smiles)


def test_unknown_parameters_are_refused() -> None:
    """Protects from a misspelt name that would mean the default; the known ones are listed."""
    with pytest.raises(ValueError, match="rdkit, authors"):
        scores.score(["CCO"], qed_parameters="gerebtzoff")


def test_processes_change_nothing() -> None:
    """Protects order and values when a list is spread over processes."""
    smiles = [prefix for prefix, valid in zip(PREFIXES, VALID, strict=True) if valid][: scores.PART + 50]
    pd.testing.assert_frame_equal(scores.score(smiles, processes=2), scores.score(smiles))


def test_scaffold_is_rings_and_linkers() -> None:
    """Protects the scaffold: side chains go, linkers stay; no ring or no molecule, no scaffold."""
    assert scores.scaffold("Cc1ccc(CCC2CCNC2)cc1O") == Chem.CanonSmiles("c1ccc(CCC2CCNC2)cc1")
    assert scores.scaffold("CCCO") == scores.scaffold("C1CC") == ""
