"""Molecules as a domain: both rewards against the authors' code and by hand, what is watched, measured and named."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit.Contrib.SA_Score import sascorer

from repro.domain import DomainError, Reward
from repro.molecules import scores
from repro.molecules.data import Vocabulary
from repro.molecules.domain import (
    AuthorsMolecules,
    AuthorsReward,
    Molecules,
    length_penalty,
    prefix_parts,
    terminal_parts,
)
from repro.settings import RewardWeights

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "molecules_public.json").read_text())
MOLECULES = GOLDEN["molecules"]
ENDED = [molecule["ended_with_eos"] for molecule in MOLECULES]
STRINGS = ["".join(GOLDEN["meta"]["vocab"][token] for token in molecule["seq"] if token) for molecule in MOLECULES]
LATEST = AuthorsReward()
NAMES = {"logp_multiplier": "logp", "ringp_multiplier": "ring_penalty", "qed_multiplier": "qed", "sa_multiplier": "sa"}
SMILES = ["CCO", "c1ccccc1", "CC(", "N"]
VOCABULARY = Vocabulary.of(SMILES, "characters")


def tokens(smiles: list[str], steps: int = 10) -> np.ndarray:
    rows = VOCABULARY.encode(smiles)
    return np.array([[*row[1:], *[0] * (steps + 1 - len(row))] for row in rows], dtype=np.int64)


def test_the_terminal_reward_stands_at_the_end_and_nowhere_else() -> None:
    """Protects the trainer: the reward of a molecule is paid when its end token comes, -2 for an invalid one. In the
    authors' episode a first character is never the end, and prefixes have the golden-tested reward.
    """
    domain, theirs = Molecules(VOCABULARY), AuthorsMolecules(VOCABULARY)
    rewards = domain.step_rewards(tokens(SMILES))
    expected = sum(terminal_parts(scores.score(SMILES), [True] * 4, RewardWeights()).values())
    assert [np.flatnonzero(row).tolist() for row in rewards] == [[3], [8], [3], [1]]
    assert np.allclose(rewards.sum(axis=1), expected) and rewards[2, 3] == -2
    unfinished = np.full((1, 5), VOCABULARY.tokens.index("C"))
    assert domain.step_rewards(unfinished).tolist() == [[0, 0, 0, 0, -2]]
    assert set(theirs.first_inputs(1000, np.random.default_rng(0))) == set(range(1, len(VOCABULARY)))
    rows = theirs.step_rewards(tokens(SMILES, steps=12))
    assert np.allclose(rows, sum(prefix_parts(SMILES, [True] * 4, 12, AuthorsReward()).values()))


def test_an_own_reward_is_checked_and_paid_at_the_end() -> None:
    """Protects users' rewards: any function from strings to numbers will do, also one that sorts what it gets; it sees
    valid, finished molecules alone; a value that is no number names its molecule.
    """

    def paid(own: Reward, steps: int | None = None) -> list[float]:
        domain = Molecules(VOCABULARY, reward=own, invalid=-9)
        return domain.step_rewards(tokens(SMILES)[:, :steps]).sum(axis=1).tolist()

    assert paid(lambda smiles: [len(s) for s in smiles]) == [3, 8, -9, 1]
    assert paid(lambda smiles: [len(s) for s in smiles], steps=3) == [-9, -9, -9, 1]  # nothing else has ended
    assert paid(lambda smiles: smiles.sort() or np.arange(3, dtype=np.float32)) == [0, 1, -9, 2]
    with pytest.raises(DomainError, match="the reward of 'N' is nan: give a finite number"):
        paid(lambda smiles: [0, 1, np.nan])


def test_what_is_watched_are_means_over_the_sequences_given() -> None:
    """Protects the curves: the scores of these sequences, whatever was rewarded before; what has no mean is missing."""
    domain, qed = Molecules(VOCABULARY), scores.score([*SMILES, "CCO"])["qed"]
    domain.step_rewards(tokens(["N", "N"]))
    watched = domain.watch(tokens([*SMILES, "CCO"]))
    assert list(watched) == ["valid", "logp", "qed", "sa", "ring_penalty", "unique"]
    assert watched["valid"] == watched["unique"] == 0.8 and watched["qed"] == pytest.approx(qed.mean())
    watched = domain.watch(tokens(["CC(", "(("]))
    assert (watched["valid"], watched["unique"]) == (0, 1)
    assert all(np.isnan(watched[name]) for name in ("logp", "qed", "sa", "ring_penalty"))


def test_measures_are_table_2_with_novelty_against_the_strings_trained_on() -> None:
    """Protects Table 2: three of four are valid, and of their molecules only those not trained on are novel."""
    measured = Molecules(VOCABULARY, training=lambda: {"CCO"}).measures(tokens(SMILES))
    expected = {"valid": 0.75, "novel": 2 / 3, "length": np.mean([4, 9, 4, 2]), "ended": 1}
    assert measured[list(expected)].to_dict() == pytest.approx(expected)
    unfinished = Molecules(VOCABULARY).measures(np.ones((2, 5), int))
    assert (unfinished["ended"], unfinished["length"]) == (0, 5) and np.isnan(unfinished["novel"])


def test_what_was_rewarded_is_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the time of a run: rewarded, watched, measured and estimated, each molecule is scored once."""
    scored, once = [], sascorer.calculateScore
    monkeypatch.setattr(sascorer, "calculateScore", lambda molecule: scored.append("") or once(molecule))
    scores.row.cache_clear()
    domain = Molecules(VOCABULARY)
    for asked in (domain.step_rewards, domain.watch, domain.measures, domain.scored):
        asked(tokens(SMILES))
    assert len(scored) == 3


def test_whatever_changes_a_run_changes_its_spec() -> None:
    """Protects against numbers of another run: tokens, weights, horizon and episode are named in words."""
    domains = [Molecules(VOCABULARY), AuthorsMolecules(VOCABULARY), Molecules(VOCABULARY, len)]
    domains += [Molecules(Vocabulary.of(SMILES[:2], "characters")), Molecules(VOCABULARY, RewardWeights(qed=3.0))]
    specs = [domain.spec() for domain in (*domains, AuthorsMolecules(VOCABULARY, AuthorsReward(qed=40.0)))]
    assert len({json.dumps(spec) for spec in specs}) == len(specs)
    known = {"name": "molecules", "version": 1, "horizon": 72, "tokens": list(VOCABULARY.tokens)}
    assert specs[0] == known | {"reward": vars(RewardWeights())}
    assert specs[1]["name"] == "authors_molecules" and specs[1]["reward"]["end_valid_bonus"] == 600
    assert Molecules(VOCABULARY, eval("lambda smiles: [0.0] * len(smiles)")).spec()["reward"] is None  # not kept


def as_settings(config: str) -> AuthorsReward:
    """Returns a setting of the authors' code in our names; `data_scalar` weighs log p, which is no reward."""
    values = {NAMES.get(name, name): value for name, value in GOLDEN["meta"]["configs"][config].items()}
    return replace(AuthorsReward(), **{name: v for name, v in values.items() if name != "data_scalar"})


def authors_reward(molecule: dict, config: str, weights: AuthorsReward) -> np.ndarray:
    """Returns the authors' rewards with our rings: few bridged molecules differ, by ring penalty alone."""
    rewards = np.array(molecule["domain_reward"][config], dtype=float)
    columns = GOLDEN["meta"]["prefix_terms_columns"]
    for row in molecule["prefix_terms"]:
        terms = dict(zip(columns, row, strict=True))
        at_end = terms["prefix_length"] == molecule["length"] and (molecule["ended_with_eos"] or len(rewards) == 120)
        factor = weights.end_valid_drug_quality_multiplier if at_end else 1.0
        rewards[row[0] - 1] += factor * weights.ring_penalty * (terms["ringp_sssr"] - terms["ringp"])
    return rewards


@pytest.mark.parametrize("config", GOLDEN["meta"]["configs"])
def test_every_step_pays_what_the_authors_code_pays(config: str) -> None:
    """Protects the per-prefix reward at every token of 100 molecules, also where every term is at work; the values of
    their final run, and the one in which their earlier script differs.
    """
    weights = as_settings(config)
    assert {"latest": LATEST, "train": AuthorsReward(qed=40.0)}.get(config, weights) == weights
    ours = sum(prefix_parts(STRINGS, ENDED, 120, weights).values())
    assert ours.shape == (len(STRINGS), 120)
    for row, molecule in zip(ours, MOLECULES, strict=True):
        expected = authors_reward(molecule, config, weights)
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=0, atol=1e-6, err_msg=molecule["id"])
        assert not row[len(expected) :].any()


def test_penalties_by_length_and_by_carbons_are_the_authors() -> None:
    """Protects both sides of all four thresholds of length, and the count of carbons: the 13th C in a row is the first
    to cost, and another token ends the row.
    """
    for config, expected in GOLDEN["tables"]["length_penalty_by_length"].items():
        assert [length_penalty(length, as_settings(config)) for length in range(len(expected))] == expected
    expected = GOLDEN["tables"]["carbon_penalty_by_preceding_C"]
    strings = ["C" * len(expected), "C" * 12 + "O" + "C" * 12]
    carbons = prefix_parts(strings, [False, False], 120, LATEST)["carbons"]
    assert carbons[0, : len(expected)].tolist() == expected
    assert not carbons[1].any()


def terminal(smiles: list[str], ended: list[bool], weights: RewardWeights) -> np.ndarray:
    return sum(terminal_parts(scores.score(smiles), ended, weights).values())


def test_terminal_reward_by_hand() -> None:
    """Protects the formula, -2 for what is invalid, empty or unfinished, and each weight from being mixed up."""
    table = scores.score(["C1CCCCCCC1C"]).loc[0]
    scored = {"qed": table["qed"], "sa": -table["sa"], "logp": table["logp"], "ring_penalty": table["ring_penalty"]}
    expected = 2 * scored["qed"] + scored["sa"] + scored["logp"] + scored["ring_penalty"]
    rewards = terminal(["C1CCCCCCC1C"] * 2 + ["CC(", ""], [True, False, True, True], RewardWeights())
    np.testing.assert_allclose(rewards, [expected, -2, -2, -2], rtol=0, atol=1e-12)
    assert list(terminal_parts(scores.score(["C"]), [True], RewardWeights())) == [*scored, "invalid"]
    for name in (*scored, "invalid"):
        weights = RewardWeights(**(dict.fromkeys([*scored, "invalid"], 0.0) | {name: 3.0}))
        paid = terminal(["C1CCCCCCC1C", "C("], [True, True], weights)
        assert paid.tolist() == pytest.approx([3 * scored.get(name, 0), 3.0 if name == "invalid" else 0.0])


def test_the_horizon_ends_a_molecule() -> None:
    """Protects the last of 120 tokens: it ends the molecule without an end token; one fewer does not."""
    validity = prefix_parts(["C" * 120, "C" * 119], [False, False], 120, LATEST)["validity"]
    assert validity[0, -1] == LATEST.end_valid_bonus
    assert validity[1, -2:].tolist() == [LATEST.any_valid_bonus, 0.0]
    nothing = prefix_parts([""], [True], 1, LATEST)
    assert sum(nothing.values()).tolist() == [[LATEST.short_seq + LATEST.end_invalid_penalty]]
