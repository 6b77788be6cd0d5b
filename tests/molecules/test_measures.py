"""Table 2 against the authors' counters, by hand, and against slow readings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from repro.molecules import measures

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
TOTAL = GOLDEN["aggregate_this_split"]
STRINGS = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"] if token) for molecule in MOLECULES]
ENDED = [molecule["ended_with_eos"] for molecule in MOLECULES]
BAD = ["C(", "c1cc", ")"]


@pytest.fixture(scope="module")
def golden() -> pd.DataFrame:
    return measures.per_molecule(STRINGS, ENDED, qed_parameters="authors")


def ring_differences() -> list[float]:
    """Returns how much higher the smallest rings' penalty is than that of the authors' cycle basis, per molecule."""
    terms = [molecule["terms"] for molecule in MOLECULES]
    return [0.0 if term is None else term["ringp_sssr"] - term["ringp"] for term in terms]


def test_counters_of_each_molecule_are_the_authors(golden: pd.DataFrame) -> None:
    """Protects every column that Table 2 is averaged from, molecule by molecule."""
    names = {"sum_logp": "logp", "sum_qed": "qed", "num_valid_sequences": "valid", "num_tokens": "length"}
    ours = golden.fillna(0.0)
    for name, column in names.items():
        expected = [molecule["metrics"][name] for molecule in MOLECULES]
        np.testing.assert_allclose(ours[column].astype(float), expected, rtol=0, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(-ours["sa"], [m["metrics"]["sum_sa"] for m in MOLECULES], rtol=0, atol=1e-6)
    rings = np.array([molecule["metrics"]["sum_ring_penalty"] for molecule in MOLECULES]) + ring_differences()
    np.testing.assert_array_equal(ours["ring_penalty"], rings)


def test_table_is_the_authors_report(golden: pd.DataFrame) -> None:
    """Protects the denominators: scores over valid molecules, validity, length and small rings over all strings."""
    table, count, valid = measures.summarise(golden), TOTAL["num_sequences"], TOTAL["num_valid_sequences"]
    assert table["valid"] == pytest.approx(TOTAL["eval_percent_valid"] / 100)
    assert table["length"] == pytest.approx(TOTAL["eval_avg_length"])
    assert table["logp"] == pytest.approx(TOTAL["sum_logp"] / valid)
    assert table["qed"] == pytest.approx(TOTAL["sum_qed"] / valid)
    assert -table["sa"] == pytest.approx(TOTAL["sum_sa"] / valid)
    assert table["ring_penalty"] == pytest.approx((TOTAL["sum_ring_penalty"] + sum(ring_differences())) / valid)
    small = TOTAL["num_seqs_w_no_ring_penalty"] + sum(
        difference > 0 and molecule["terms"]["ringp_sssr"] == 0
        for difference, molecule in zip(ring_differences(), MOLECULES, strict=True)
    )
    assert table["share_without_large_rings"] == pytest.approx(small / count)
    assert table["share_without_large_rings_of_valid"] == pytest.approx(small / valid)
    assert table["ended"] == pytest.approx(np.mean(ENDED))


def test_best_molecules_are_the_authors(golden: pd.DataFrame) -> None:
    """Protects the rows from being shuffled: the best scores belong to the strings that earned them."""
    for column, sign in {"logp": 1, "qed": 1, "sa": -1}.items():
        best = golden.loc[(sign * golden[column]).idxmax()]
        assert sign * best[column] == pytest.approx(TOTAL[f"best_{column}"])
        assert best["smiles"] == TOTAL[f"best_{column}_seq"].strip()


def test_rows_are_the_contract(golden: pd.DataFrame) -> None:
    """Protects the names of Table 2's rows and their order."""
    assert list(measures.summarise(golden).index) == list(measures.TITLES)
    assert len(measures.TITLES) == 13


def test_unique_and_novel_by_hand() -> None:
    """Protects the denominators of MOSES: one molecule written twice is one; strings count up to the limit."""
    table = measures.per_molecule(["CCO", "OCC", "C(", "CC", "c1ccccc1", "CCO"], [True] * 6)
    assert measures.unique(table, 10) == 3 / 5
    assert measures.unique(table, 3) == 1 / 2  # one of the first three strings is no molecule
    assert measures.unique(table, 1) == 1.0
    assert measures.novel(table, {"CCO"}) == pytest.approx(2 / 3)
    assert measures.novel(table, ["OCC", "CC"]) == pytest.approx(1 / 3)
    assert measures.novel(table, set()) == 1.0
    assert np.isnan(measures.summarise(table)["novel"])
    assert measures.summarise(table, training={"CCO"})["novel"] == pytest.approx(2 / 3)


def test_diversity_is_the_mean_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the matrix arithmetic and its blocks from differing from RDKit's similarity, pair by pair."""
    molecules = [smiles for smiles, molecule in zip(STRINGS, MOLECULES, strict=True) if molecule["valid"]][:40]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in molecules]
    slow = 1 - np.mean([DataStructs.BulkTanimotoSimilarity(one, prints) for one in prints])
    assert measures.diversity(molecules) == pytest.approx(slow, abs=1e-6)
    monkeypatch.setattr(measures, "BLOCK", 7)
    assert measures.diversity(molecules) == pytest.approx(slow, abs=1e-6)
    assert measures.diversity(["CCO"] * 3) == pytest.approx(0.0, abs=1e-6)


def test_diversity_can_look_at_the_first_molecules() -> None:
    """Protects `diversity_among`: invalid strings do not count among the first."""
    table = measures.per_molecule(["C(", "CCO", "c1ccccc1", "CCCCN"])
    assert measures.summarise(table, diversity_among=1)["diversity"] == pytest.approx(0.0, abs=1e-6)
    assert measures.summarise(table, diversity_among=2)["diversity"] == measures.diversity(["CCO", "c1ccccc1"])


@pytest.mark.parametrize("smiles", [BAD, []])
def test_without_molecules_means_are_missing(smiles: list[str]) -> None:
    """Protects a batch without a single valid molecule: no score is 0, none raises."""
    table = measures.summarise(measures.per_molecule(smiles, [True] * len(smiles)), training={"CCO"})
    missing = ["logp", "qed", "sa", "ring_penalty", "share_without_large_rings_of_valid", "unique_1k", "novel"]
    assert table[[*missing, "diversity"]].isna().all()
    assert table["valid"] == 0.0 if smiles else np.isnan(table["valid"])


def test_length_counts_the_end_token() -> None:
    """Protects the paper's length: tokens with the end token where it came, characters unless lengths are given."""
    length = measures.per_molecule(["CCl", "CCl"], [True, False])["length"]
    assert length.tolist() == [4, 3]
    assert measures.per_molecule(["CCl"], [True], lengths=[3])["length"].tolist() == [3]
    assert measures.per_molecule(["CCl"])["length"].tolist() == [4]
    assert np.isnan(measures.summarise(measures.per_molecule(["CCl"]))["ended"])


def test_reasons_of_a_kind_are_counted_together() -> None:
    """Protects the table of the parser's reasons: atom numbers and lists of atoms make no kinds of their own."""
    strings = ["CC", "C(C)(C)(C)(C)C", "CC(C)(C)(C)C", "c1cccc1", "c1ccccc1c1cccc1", "C1CC"]
    counts = measures.reasons(measures.per_molecule(strings)).to_dict()
    valence, kekulize = "Explicit valence for atom # N C, N, is greater than permitted", "Can't kekulize mol."
    assert counts == {valence: 2, f"{kekulize} Unkekulized atoms: N": 2, "unclosed ring": 1}


@pytest.mark.parametrize("others", [{"ended": [True]}, {"ended": [True] * 3}, {"lengths": [3, 3, 3]}])
def test_flags_of_another_batch_are_refused(others: dict) -> None:
    """Protects from lengths and ends that belong to other strings."""
    with pytest.raises(ValueError, match="2 strings need 2"):
        measures.per_molecule(["CC", "CO"], **others)
