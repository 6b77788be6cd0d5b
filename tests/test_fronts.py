"""Reward against KL: what costs no training has closed forms on small problems."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small import Coins, run_cells

from repro import fronts, runs, store
from repro.fronts import cooled, resampled
from repro.rnn import SequenceRNN
from repro.runs import Task
from repro.settings import PriorSettings


def test_importance_resampling_against_enumeration() -> None:
    """Protects the free baseline: mean reward and KL of one of three, drawn in proportion to exp(r / c)."""
    values, share, c = np.array([0.0, 1.0, 3.0]), np.array([0.5, 0.3, 0.2]), 1.5
    pi = np.zeros(3)
    for three in product(range(3), repeat=3):
        weight = np.exp(values[list(three)] / c)
        np.add.at(pi, list(three), share[list(three)].prod() * weight / weight.sum())
    pool, generator = np.repeat(values, [500, 300, 200]), np.random.default_rng(0)
    earned, kl = np.mean([resampled(pool, c, 3, generator) for _ in range(100)], axis=0)
    assert earned == pytest.approx(pi @ values, abs=0.02)
    assert kl == pytest.approx(pi @ np.log(pi / share), abs=0.02)


def test_best_of_n_and_lower_temperatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the free baselines of any domain: the best of n earns more for a KL of log n - (n - 1) / n at most."""
    monkeypatch.setattr(fronts, "NUMBERS", (2, 10))
    settings = PriorSettings(cells=8, steps=3, windows=4, window_events=4)
    prior = runs.prior({"name": "coins"}, settings, lambda: Coins.vocabulary, lambda: [[np.tile([0, 1, 2], 20)]] * 3)
    task = Task(Coins(), prior, samples=20)
    given: dict[str, Any] = {"pool": 200, "temperatures": (0.5,), "colder": (0.5,)}
    made = fronts.untrained(task, (5, 6), **given)
    assert made.key == fronts.untrained(task, (5, 6), **given).key == store.key_of(made.numbers["spec"])
    frame = pd.DataFrame(made.numbers["rows"])
    best = frame[frame["method"] == "best_of_n"].groupby("n")[["task_reward", "kl"]].mean()
    assert set(frame["seed"]) == {5, 6} and best["task_reward"][10] > best["task_reward"][2]
    # three different rewards: KL(best of n || p) by enumeration, which the bound meets where no two are equal
    for n, bound in best["kl"].items():
        share = np.diff((np.arange(4) / 3) ** n)
        exact = float(share @ np.log(3 * share))
        assert exact < bound * Coins.horizon == pytest.approx(np.log(n) - 1 + 1 / n)


def test_a_colder_network_has_sharper_logits() -> None:
    """Protects the baseline of lower temperatures: logits are divided by it, the original stays as it is."""
    rnn, inputs = SequenceRNN(5, 4, seed=1), torch.tensor([[0, 3, 2]])
    assert torch.allclose(2 * rnn(inputs), cooled(rnn, 0.5)(inputs), atol=1e-6)


def test_the_front_is_what_coins_between_policies_earn() -> None:
    """Protects the picks and the hypervolume: points below do not count, and past its end nothing is gained."""
    points = pd.DataFrame({"kl": [0.0, 0.2, 0.1, 0.4, 0.8], "reward": [1.0, 3.0, 1.5, 4.0, 3.9]})
    space = run_cells("09-13c", "09-13d", np=np)
    assert space["front"](points).tolist() == [[0.0, 1.0], [0.2, 3.0], [0.4, 4.0]]
    # above the prior's 1: a triangle of .2 by 2, a trapezium of .2 by (2 + 3) / 2, then 3 from .4 to 1
    assert space["hypervolume"](points, 1.0) == pytest.approx(0.2 + 0.5 + 1.8)
    assert space["hypervolume"](points, 0.1) == pytest.approx(0.05)
