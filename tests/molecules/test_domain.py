"""Molecules as a domain: where rewards stand, what an own reward may be, what is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repro.molecules import domain as domain_module, reward, scores
from repro.molecules.domain import AuthorsMolecules, Molecules, RewardError
from repro.molecules.reward import TerminalReward
from repro.molecules.tokens import Vocabulary

SMILES = ["CCO", "c1ccccc1", "CC(", "N"]
VOCABULARY = Vocabulary.of(SMILES, "characters")


def tokens(smiles: list[str], steps: int = 10) -> np.ndarray:
    return VOCABULARY.encode(smiles, steps)[0].astype(np.int64)


def test_the_terminal_reward_stands_at_the_end_and_nowhere_else() -> None:
    """Protects the trainer: the reward of a molecule is paid when its end token comes, -2 for an invalid one."""
    rewards = Molecules(VOCABULARY).step_rewards(tokens(SMILES))
    expected = sum(reward.terminal_parts(scores.score(SMILES), [True] * 4, TerminalReward()).values())
    assert [np.flatnonzero(row).tolist() for row in rewards] == [[3], [8], [3], [1]]
    assert np.allclose(rewards.sum(axis=1), expected)
    assert rewards[2, 3] == -2


def test_an_unfinished_molecule_is_paid_at_the_horizon() -> None:
    """Protects the horizon: without an end token the last step pays for an invalid molecule."""
    unfinished = np.full((1, 5), VOCABULARY.tokens.index("C"))
    rewards = Molecules(VOCABULARY).step_rewards(unfinished)
    assert rewards.tolist() == [[0, 0, 0, 0, -2]]


def test_an_own_reward_is_paid_at_the_end() -> None:
    """Protects users' rewards: any function from strings to numbers will do."""
    rewards = Molecules(VOCABULARY, reward=lambda smiles: np.array([len(s) for s in smiles])).step_rewards(
        tokens(SMILES)
    )
    assert rewards.sum(axis=1).tolist() == [3, 8, 3, 1]


def test_a_reward_that_cannot_be_used_says_for_which_molecule() -> None:
    """Protects users: nan names the molecule, a wrong shape names both shapes."""
    with pytest.raises(RewardError, match="molecule 1, 'c1ccccc1', is nan"):
        Molecules(VOCABULARY, reward=lambda smiles: np.array([0, np.nan, 0, 0])).step_rewards(tokens(SMILES))
    with pytest.raises(RewardError, match=r"4 molecules has the shape \(2,\), not \(4,\)"):
        Molecules(VOCABULARY, reward=lambda smiles: np.zeros(2)).step_rewards(tokens(SMILES))
    for bad in ("high", None):
        with pytest.raises(RewardError, match=f"molecule 2, 'CC\\(', is {bad}: give a number"):
            Molecules(VOCABULARY, reward=lambda smiles, bad=bad: [0, 1, bad, 0]).step_rewards(tokens(SMILES))
    with pytest.raises(RewardError, match="the reward is 'qed': it must be a TerminalReward, or a function"):
        Molecules(VOCABULARY, reward="qed")  # type: ignore[arg-type]


def test_a_batch_without_a_valid_molecule_has_no_means() -> None:
    """Protects the curves: what has nothing to be averaged over is missing, not 0."""
    domain = Molecules(VOCABULARY)
    domain.step_rewards(tokens(["CC(", "(("]))
    watched = domain.watch()
    assert watched["valid"] == 0 and watched["unique"] == 1
    assert all(np.isnan(watched[name]) for name in ("logp", "qed", "sa", "ring_penalty"))
    measured = domain.measures(tokens(["CC(", "(("]))
    assert measured["valid"] == 0 and np.isnan(measured["qed"]) and np.isnan(measured["novel"])


def test_measures_are_table_2_with_novelty_against_the_strings_trained_on() -> None:
    """Protects Table 2: three of four are valid, and of their molecules only those not trained on are novel."""
    measured = Molecules(VOCABULARY, training=lambda: {"CCO"}).measures(tokens(SMILES))
    assert measured["valid"] == 0.75
    assert measured["novel"] == pytest.approx(2 / 3)
    assert measured["length"] == np.mean([4, 9, 4, 2])
    assert measured["ended"] == 1


def test_what_was_rewarded_is_not_scored_again_when_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the time of a measured model: each of the three molecules is scored once."""
    scored: list[str] = []
    once = scores.of_molecule
    monkeypatch.setattr(scores, "of_molecule", lambda *given: scored.append("") or once(*given))
    domain_module._row.cache_clear()
    domain = Molecules(VOCABULARY)
    domain.step_rewards(tokens(SMILES))
    domain.measures(tokens(SMILES))
    assert len(scored) == 3


def test_the_authors_episode() -> None:
    """Protects the second block: a first character that is never the end, and the golden-tested reward of prefixes."""
    domain = AuthorsMolecules(VOCABULARY)
    first = domain.first_inputs(1000, np.random.default_rng(0))
    assert set(first) == set(range(1, len(VOCABULARY)))
    rows = domain.step_rewards(tokens(SMILES, steps=12))
    assert np.allclose(rows, sum(reward.prefix_parts(SMILES, [True] * 4, steps=12).values()))
    assert domain.describe() != Molecules(VOCABULARY).describe()


def test_a_molecule_is_drawn_and_a_string_that_is_none_is_refused(tmp_path: Path) -> None:
    """Protects pictures: an SVG with lines in it, or RDKit's reason."""
    domain = Molecules(VOCABULARY)
    domain.render(tokens(["c1ccccc1"])[0], tmp_path / "benzene.svg")
    assert "<path" in (tmp_path / "benzene.svg").read_text()
    with pytest.raises(ValueError, match="no molecule"):
        domain.render(tokens(["CC("])[0], tmp_path / "none.svg")
