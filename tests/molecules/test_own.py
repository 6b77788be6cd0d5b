"""A reward of the user's own: bad values are named, and no two different functions share a name."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from rdkit.Chem import Descriptors, MolFromSmiles

from repro import domain
from repro.molecules import scores
from repro.molecules.reward import OwnReward, RewardError, rewarded
from repro.music.domain import Music

SMILES = ["CCO", "c1ccccc1", "CC(", "N"]
FACTOR = 2.0


def test_values_are_checked_and_the_strings_are_a_copy() -> None:
    """Protects users: nan names the molecule, a wrong shape names both shapes; a function may sort what it gets."""
    assert rewarded(lambda smiles: [len(s) for s in smiles], SMILES).tolist() == [3.0, 8.0, 3.0, 1.0]
    assert rewarded(lambda smiles: smiles.sort() or np.zeros(4, np.float32), SMILES).sum() == 0
    assert SMILES[-1] == "N"
    with pytest.raises(RewardError, match="molecule 1, 'c1ccccc1', is nan: give a number"):
        rewarded(lambda smiles: np.array([0, np.nan, 0, 0]), SMILES)
    with pytest.raises(RewardError, match=r"4 molecules has the shape \(2,\), not \(4,\)"):
        rewarded(lambda smiles: np.zeros(2), SMILES)
    for bad in ("high", None, math.inf):
        with pytest.raises(RewardError, match=f"molecule 2, 'CC\\(', is {bad}: give a number"):
            rewarded(lambda smiles, bad=bad: [0, 1, bad, 0], SMILES)


def over(value: object) -> OwnReward:
    def reward(smiles: list[str]) -> list[object]:
        return [value for _ in smiles]

    return reward


def helped(smiles: list[str]) -> list[float]:
    return [one(string) for string in smiles]


def one(smiles: str) -> float:
    return FACTOR * Descriptors.MolWt(MolFromSmiles(smiles)) if smiles else one("C")


def powered() -> OwnReward:
    def reward(smiles: list[str], power: float = 2.0) -> list[float]:
        return [scores.score([string])["qed"].item() ** power for string in smiles]

    return reward


def test_two_lambdas_have_two_names() -> None:
    """Protects against another reward's results: lambdas of one line and two defined apart are told apart."""
    pair = [lambda smiles: [len(s) + 1 for s in smiles], lambda smiles: [len(s) - 1 for s in smiles]]
    named = [lambda smiles: list(map(min, smiles)), lambda smiles: list(map(max, smiles))]
    digests = [domain.digest(reward) for reward in (*pair, *named, lambda smiles: [len(s) * 2.0 for s in smiles])]
    assert None not in digests and len(set(digests)) == 5


VALUES = [
    1, 1.0, "a", "b", [1, 2], [2, 1], {"a": 1}, {"a": 2}, {"a", "b"}, frozenset("ab"), np.arange(3), np.arange(3.0),
    math.log, math.exp, functools, math, one, helped,
]  # fmt: skip


def test_closures_over_different_values_have_two_names() -> None:
    """Protects a reward that is made by a function: what it closes over is part of its name."""
    digests = [domain.digest(over(value)) for value in VALUES]
    assert None not in digests and len(set(digests)) == len(VALUES)
    assert digests == [domain.digest(over(value)) for value in VALUES]


def test_the_same_function_defined_twice_is_found_again() -> None:
    """Protects finished runs: a cell of a notebook that is run again names the same reward, however it is indented."""
    if True:

        def reward(smiles: list[str], power: float = 2.0) -> list[float]:
            return [scores.score([string])["qed"].item() ** power for string in smiles]

    assert domain.digest(reward) == domain.digest(powered()) == domain.digest(powered()) is not None
    reward.__defaults__ = (3.0,)
    assert domain.digest(reward) != domain.digest(powered())


@pytest.mark.parametrize(("name", "value"), [("FACTOR", 3.0), ("one", len)])
def test_helpers_and_globals_count(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Protects from stale results: a global number or a helper function that changes makes another reward."""
    before = domain.digest(helped)
    monkeypatch.setitem(globals(), "unrelated", 1)
    assert domain.digest(helped) == before is not None
    monkeypatch.setitem(globals(), name, value)
    assert domain.digest(helped) not in (before, None)


class Counted:
    __call__ = helped


def test_what_has_no_name_is_not_named() -> None:
    """Protects from a name that does not change with the reward: objects with a state, lost text."""
    unnamed = [Counted(), over(np.random.default_rng(0)), functools.lru_cache(one)]
    assert {domain.digest(reward) for reward in [*unnamed, eval("lambda smiles: [0.0 for _ in smiles]")]} == {None}


def test_own_domains_are_told_apart() -> None:
    """Protects an own domain from another one's finished runs, the shipped ones among them."""

    class Ones(domain.Domain):
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
