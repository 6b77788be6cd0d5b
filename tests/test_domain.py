"""What a domain may be: how its rewards are checked, and a name for what is your own."""

import functools
import math

import numpy as np
import pytest
import torch
from rdkit.Chem import Descriptors, MolFromSmiles

from repro.domain import Domain, Reward, digest, earned
from repro.music.domain import Music


def test_generators_and_arrays_are_rewards() -> None:
    """Protects rewards as people write them."""
    for reward in (lambda s: (len(x) for x in s), lambda s: map(len, s), lambda s: np.array([1, 2], np.float32),
                   lambda s: torch.tensor([1.0, 2.0]), lambda s: [np.int64(1), torch.tensor(2)]):  # fmt: skip
        assert earned(reward, ["a", "bb"], np.ones(2, bool), 0.0).tolist() == [1.0, 2.0]


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
