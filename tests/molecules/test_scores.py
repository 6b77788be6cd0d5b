"""Scores and Table 2 against the authors' code and RDKit's own functions, and what happens to bad strings."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import QED, Crippen, rdFingerprintGenerator
from rdkit.Contrib.SA_Score import sascorer

from repro.molecules import scores

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
TOTAL = GOLDEN["aggregate_this_split"]
STRINGS = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"] if token) for molecule in MOLECULES]
PREFIXES = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"][: length + 1])
            for molecule in MOLECULES for length in range(molecule["length"])]  # fmt: skip
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


def test_scores_are_the_authors() -> None:
    """Protects validity at every prefix, with and without the end token, and all scores at all valid ones, QED with
    RDKit's and with the authors' logP function; names and order of the columns.
    """
    golden = scores.score(PREFIXES)
    assert list(golden) == ["valid", "logp", "qed", "sa", "ring_penalty", "reason"]
    assert golden["valid"].tolist() == VALID and scores.score([])["valid"].dtype == golden["valid"].dtype == bool
    ours = golden[VALID].assign(
        authors_qed=[scores.row(s, "authors")[2] for s, valid in zip(PREFIXES, VALID, strict=True) if valid]
    )
    assert np.abs(ours["qed"] - ours["authors_qed"]).max() > 0.01
    other = ours["ring_penalty"].to_numpy() - TERMS["ringp"].to_numpy()  # authors' cycle basis: larger rings, seldom
    assert other.min() == 0 and 0 < np.count_nonzero(other) < 0.02 * len(other)
    pairs = {"logp": "logp", "sa_contrib": "sa", "ringp_sssr": "ring_penalty", "qed_rdkit": "qed"}
    for theirs, column in (pairs | {"sa": "sa", "qed_ref": "authors_qed"}).items():
        sign = -1 if column == "sa" else 1
        np.testing.assert_allclose(sign * ours[column], TERMS[theirs], rtol=0, atol=1e-6, err_msg=theirs)


def test_short_cuts_change_no_value() -> None:
    """Protects the short cuts of QED where hydrogens, ions, isotopes and dummy atoms could make them differ."""
    for smiles in ODD:
        molecule = Chem.MolFromSmiles(smiles)
        expected = Crippen.MolLogP(molecule), QED.default(molecule), sascorer.calculateScore(molecule)
        assert scores.row(smiles)[1:4] == expected, smiles


REASONS = {
    "": "no atoms",
    " ": "no atoms",
    "c1ccccc": "unclosed ring",
    "CC(C": "extra open parentheses",
    "CC)": "extra close parentheses",
    "C==C": "syntax error",
    "C11": "duplicated ring closure 1 bonds atom 0 to itself",
    "FF(C)C": "Explicit valence for atom # 1 F, 3, is greater than permitted",
    "c1cccc1": "Can't kekulize mol. Unkekulized atoms: 0 1 2 3 4",
    "cC": "non-ring atom 0 marked aromatic",
}


def test_invalid_strings_have_a_reason_and_no_scores(capfd: pytest.CaptureFixture[str]) -> None:
    """Protects the reason, that nothing invalid gets a 0, that a trailing space changes nothing, and notebooks from
    thousands of lines of parser noise, at the level of file descriptors.
    """
    table = scores.score([*REASONS, "CCO", "CCO "])
    assert table["reason"].tolist() == [*REASONS.values(), "", ""]
    assert not table["valid"][:-2].any() and table.loc[:9, ["logp", "qed", "sa", "ring_penalty"]].isna().all(axis=None)
    assert table.loc[10].equals(table.loc[11].rename(10))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fault", [lambda _: None, lambda _: float("nan"), lambda _: 1 / 0])
def test_a_scorer_that_fails_raises(fault: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from the authors' silent 0: a failed score names the molecule."""
    monkeypatch.setattr(sascorer, "calculateScore", fault)
    scores.row.cache_clear()
    with pytest.raises(scores.ScoringError, match="CCO"):
        scores.score(["OCC"])


def table_2(smiles: list[str], trained_on: set[str] | None = None) -> pd.Series:
    table = scores.score(smiles).assign(smiles=smiles)
    return scores.table_2(table, np.ones(len(smiles), bool), np.ones(len(smiles)), trained_on)


def test_table_is_the_authors_report() -> None:
    """Protects the denominators: scores over valid molecules, validity, length and small rings over all strings."""
    whole = scores.score(STRINGS).assign(smiles=STRINGS, qed=[scores.row(string, "authors")[2] for string in STRINGS])
    count, valid = TOTAL["num_sequences"], TOTAL["num_valid_sequences"]
    terms = [molecule["terms"] for molecule in MOLECULES if molecule["terms"]]
    more = [term["ringp_sssr"] - term["ringp"] for term in terms]  # the smallest rings are smaller in few molecules
    small = TOTAL["num_seqs_w_no_ring_penalty"] + sum(t["ringp_sssr"] == 0 > t["ringp"] for t in terms)
    expected = {
        "valid": TOTAL["eval_percent_valid"] / 100,
        "logp": TOTAL["sum_logp"] / valid,
        "qed": TOTAL["sum_qed"] / valid,
        "sa": -TOTAL["sum_sa"] / valid,
        "ring_penalty": (TOTAL["sum_ring_penalty"] + sum(more)) / valid,
        "share_without_large_rings": small / count,
        "share_without_large_rings_of_valid": small / valid,
        "ended": np.mean([molecule["ended_with_eos"] for molecule in MOLECULES]),
        "length": TOTAL["eval_avg_length"],
    }
    ends = pd.DataFrame(MOLECULES)[["ended_with_eos", "length"]]
    table = scores.table_2(whole, ends["ended_with_eos"], ends["length"])
    assert table[list(expected)].to_dict() == pytest.approx(expected)
    assert list(table.index) == [*expected, "unique_1k", "unique_10k", "novel", "diversity"]


def test_unique_and_novel_by_hand() -> None:
    """Protects the denominators of MOSES: one molecule written twice is one; strings count up to the limit."""
    six = ["CCO", "OCC", "C(", "CC", "c1ccccc1", "CCO"]
    assert table_2(six)["unique_1k"] == table_2(six)["unique_10k"] == 3 / 5
    late = ["C("] * 998 + ["CCO", "OCC", "CC"]  # the last is beyond the first 1,000 strings
    assert table_2(late)["unique_1k"] == 1 / 2 and table_2(late)["unique_10k"] == 2 / 3
    assert table_2(six, {"CCO"})["novel"] == pytest.approx(2 / 3)
    assert table_2(six, {"OCC", "CC"})["novel"] == pytest.approx(1 / 3)
    assert table_2(six, set())["novel"] == 1.0 and np.isnan(table_2(six)["novel"])


def test_diversity_is_the_mean_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the matrix arithmetic and its blocks from differing from RDKit's similarity, pair by pair."""
    molecules = [smiles for smiles, molecule in zip(STRINGS, MOLECULES, strict=True) if molecule["valid"]][:40]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in molecules]
    slow = 1 - np.mean([DataStructs.BulkTanimotoSimilarity(one, prints) for one in prints])
    assert scores.diversity(molecules) == pytest.approx(slow, abs=1e-6)
    monkeypatch.setattr(scores, "BLOCK", 7)
    assert scores.diversity(molecules) == pytest.approx(slow, abs=1e-6)
    assert scores.diversity(["CCO"] * 3) == pytest.approx(0.0, abs=1e-6)
    monkeypatch.setattr(scores, "COMPARED", 2)
    first = table_2(["C(", "CCO", "c1ccccc1", "CCCCN"])["diversity"]  # invalid strings do not count
    assert first == scores.diversity(["CCO", "c1ccccc1"])


@pytest.mark.parametrize("smiles", [["C(", "c1cc", ")"], []])
def test_without_molecules_means_are_missing(smiles: list[str]) -> None:
    """Protects a batch without a single valid molecule: no score is 0, none raises."""
    table = table_2(smiles, {"CCO"})
    missing = ["logp", "qed", "sa", "ring_penalty", "share_without_large_rings_of_valid", "unique_1k", "novel"]
    assert table[[*missing, "diversity"]].isna().all()
    assert table["valid"] == 0.0 if smiles else np.isnan(table["valid"])
