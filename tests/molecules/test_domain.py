"""Molecules as a domain: where rewards stand, what is watched and measured, and what names a run; own rewards."""

import functools
import json
import math

import numpy as np
import pytest
from rdkit.Chem import Descriptors, MolFromSmiles
from rdkit.Contrib.SA_Score import sascorer

from repro.domain import Domain, DomainError, Reward, digest
from repro.molecules import scores
from repro.molecules.data import Vocabulary
from repro.molecules.domain import AuthorsMolecules, AuthorsReward, Molecules, prefix_parts, terminal_parts
from repro.music.domain import Music
from repro.settings import RewardWeights

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
    valid, finished molecules alone; a value that is no number names its molecule, a wrong shape both shapes.
    """

    def paid(own: Reward, steps: int | None = None) -> list[float]:
        domain = Molecules(VOCABULARY, reward=own, invalid=-9)
        return domain.step_rewards(tokens(SMILES)[:, :steps]).sum(axis=1).tolist()

    assert paid(lambda smiles: [len(s) for s in smiles]) == [3, 8, -9, 1]
    assert paid(lambda smiles: [len(s) for s in smiles], steps=3) == [-9, -9, -9, 1]  # nothing else has ended
    assert paid(lambda smiles: smiles.sort() or np.arange(3, dtype=np.float32)) == [0, 1, -9, 2]
    with pytest.raises(DomainError, match="3 strings has 2 values: it gets a list of strings and returns one number"):
        paid(lambda smiles: np.zeros(2))
    for bad in ("high", None, math.inf, math.nan):
        with pytest.raises(DomainError, match=f"the reward of 'N' is {bad}: give a finite number"):
            paid(lambda smiles, bad=bad: [0, 1, bad])
    with pytest.raises(DomainError, match="the reward is 'qed': it must be a RewardWeights, or a function"):
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


FACTOR = 2.0


def over(value: object) -> Reward:
    def reward(smiles: list[str]) -> list[object]:
        return [value for _ in smiles]

    return reward


def helped(smiles: list[str]) -> list[float]:
    return [one(string) for string in smiles]


def one(smiles: str) -> float:
    return FACTOR * Descriptors.MolWt(MolFromSmiles(smiles)) if smiles else one("C")


VALUES = [
    1, 1.0, "a", "b", [1, 2], [2, 1], {"a": 1}, {"a": 2}, {"a", "b"}, frozenset("ab"), np.arange(3), np.arange(3.0),
    math.log, math.exp, functools, math, one, helped,
]  # fmt: skip


def test_two_functions_have_two_names() -> None:
    """Protects against another reward's results: lambdas of one line, two defined apart, two that close over different
    values are told apart.
    """
    pair = [lambda smiles: [len(s) + 1 for s in smiles], lambda smiles: [len(s) - 1 for s in smiles]]
    named = [lambda smiles: list(map(min, smiles)), lambda smiles: list(map(max, smiles))]
    digests = [digest(reward) for reward in (*pair, *named, *map(over, VALUES))]
    assert None not in digests and len(set(digests)) == 4 + len(VALUES)
    assert digests[4:] == [digest(over(value)) for value in VALUES]


def test_the_same_function_defined_twice_is_found_again() -> None:
    """Protects finished runs: a cell of a notebook that is run again names the same reward, however it is indented."""
    value = 2.0
    if True:

        def reward(smiles: list[str]) -> list[object]:
            return [value for _ in smiles]

    assert digest(reward) == digest(over(2.0))
    reward.__defaults__ = (["C"],)
    assert digest(reward) != digest(over(2.0))


def test_helpers_and_globals_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from stale results: a global number or a helper function that changes makes another reward."""
    digests = [digest(helped)]
    for name, value in (("unrelated", 1), ("FACTOR", 3.0), ("one", len)):
        monkeypatch.setitem(globals(), name, value)
        digests.append(digest(helped))
    assert digests[0] == digests[1] and len(set(digests)) == 3 and None not in digests


class Counted:
    __call__ = helped


def test_what_has_no_name_is_not_named() -> None:
    """Protects from a name that does not change with the reward: objects with a state, lost text."""
    for named in (Counted(), over(np.random.default_rng(0)), functools.lru_cache(one), eval("lambda smiles: [0.0]")):
        assert digest(named) is None


def test_own_domains_are_told_apart() -> None:
    """Protects an own domain from another one's finished runs, the shipped ones among them."""

    class Ones(Domain):
        def __init__(self, weight: float = 1.0) -> None:
            self.weight = weight

        def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
            return self.weight * (sequences == 1)

    class Worthless(Music):
        def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
            return 0.0 * super().step_rewards(sequences)

    specs = [one.spec() for one in (Ones(), Ones(2.0), Worthless(), Music())]
    assert Ones().spec() == specs[0] and len({str(spec) for spec in specs}) == 4
    assert "own" not in specs[3] and None not in specs[2].values()
    assert None in Ones(object()).spec().values()  # a state that has no name: trained, and not kept
