"""Molecules as a domain: where rewards stand, what is watched and measured, and what names a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rdkit.Contrib.SA_Score import sascorer

from repro.molecules import reward, scores
from repro.molecules.data import Vocabulary
from repro.molecules.domain import AuthorsMolecules, Molecules
from repro.molecules.reward import AuthorsReward, RewardError
from repro.settings import RewardWeights

SMILES = ["CCO", "c1ccccc1", "CC(", "N"]
VOCABULARY = Vocabulary.of(SMILES, "characters")


def tokens(smiles: list[str], steps: int = 10) -> np.ndarray:
    rows = VOCABULARY.encode(smiles)
    return np.array([[*row[1:], *[0] * (steps + 1 - len(row))] for row in rows], dtype=np.int64)


def test_the_terminal_reward_stands_at_the_end_and_nowhere_else() -> None:
    """Protects the trainer: the reward of a molecule is paid when its end token comes, -2 for an invalid one."""
    domain = Molecules(VOCABULARY)
    rewards = domain.step_rewards(tokens(SMILES))
    expected = sum(reward.terminal_parts(scores.score(SMILES), [True] * 4, RewardWeights()).values())
    assert [np.flatnonzero(row).tolist() for row in rewards] == [[3], [8], [3], [1]]
    assert np.allclose(rewards.sum(axis=1), expected)
    assert rewards[2, 3] == -2
    unfinished = np.full((1, 5), VOCABULARY.tokens.index("C"))
    assert domain.step_rewards(unfinished).tolist() == [[0, 0, 0, 0, -2]]


def test_an_own_reward_is_paid_at_the_end() -> None:
    """Protects users' rewards: any function from strings to numbers will do, and nothing else."""
    rewards = Molecules(VOCABULARY, reward=lambda smiles: [len(s) for s in smiles]).step_rewards(tokens(SMILES))
    assert rewards.sum(axis=1).tolist() == [3, 8, 3, 1]
    with pytest.raises(RewardError, match="the reward is 'qed': it must be a RewardWeights, or a function"):
        Molecules(VOCABULARY, reward="qed")  # type: ignore[arg-type]


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
    assert measured["valid"] == 0.75
    assert measured["novel"] == pytest.approx(2 / 3)
    assert measured["length"] == np.mean([4, 9, 4, 2])
    assert measured["ended"] == 1
    unfinished = Molecules(VOCABULARY).measures(np.ones((2, 5), int))
    assert (unfinished["ended"], unfinished["length"]) == (0, 5) and np.isnan(unfinished["novel"])


def test_what_was_rewarded_is_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the time of a run: rewarded, watched, measured and estimated, each molecule is scored once."""
    scored: list[str] = []
    once = sascorer.calculateScore
    monkeypatch.setattr(sascorer, "calculateScore", lambda molecule: scored.append("") or once(molecule))
    scores.row.cache_clear()
    domain = Molecules(VOCABULARY)
    for asked in (domain.step_rewards, domain.watch, domain.measures, domain.scored):
        asked(tokens(SMILES))
    assert len(scored) == 3
    assert domain.scored(tokens(SMILES)).equals(scores.score(SMILES).assign(smiles=SMILES))


def test_the_authors_episode() -> None:
    """Protects the second block: a first character that is never the end, and the golden-tested reward of prefixes."""
    domain = AuthorsMolecules(VOCABULARY)
    first = domain.first_inputs(1000, np.random.default_rng(0))
    assert set(first) == set(range(1, len(VOCABULARY))) and domain.horizon == 120
    rows = domain.step_rewards(tokens(SMILES, steps=12))
    assert np.allclose(rows, sum(reward.prefix_parts(SMILES, [True] * 4, 12, AuthorsReward()).values()))


def test_whatever_changes_a_run_changes_its_spec() -> None:
    """Protects against numbers of another run: tokens, weights, horizon and episode are named in words."""
    domains = [
        Molecules(VOCABULARY),
        Molecules(Vocabulary.of(SMILES[:2], "characters")),
        Molecules(VOCABULARY, RewardWeights(qed=3.0)),
        Molecules(VOCABULARY, len),
        AuthorsMolecules(VOCABULARY),
        AuthorsMolecules(VOCABULARY, AuthorsReward(qed=40.0)),
    ]
    specs = [json.dumps(domain.spec()) for domain in domains]
    assert len(set(specs)) == len(specs)
    known = {"name": "molecules", "version": 1, "horizon": 72, "tokens": list(VOCABULARY.tokens)}
    assert domains[0].spec() == known | {"reward": vars(RewardWeights())}
    assert Molecules(VOCABULARY, eval("lambda smiles: [0.0] * len(smiles)")).spec()["reward"] is None  # not kept
    assert domains[4].spec()["name"] == "authors_molecules" and domains[4].spec()["reward"]["end_valid_bonus"] == 600
