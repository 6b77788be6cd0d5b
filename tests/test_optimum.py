"""Estimates of the optimum by importance sampling, against problems that are written out in full."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro import optimum
from repro.evaluation import evaluate_to_end
from repro.exact import BRACKETS, Exact
from repro.rnn import SequenceRNN

PRIOR = SequenceRNN(4, 16, seed=2).eval()
TRUTH = Exact(BRACKETS, PRIOR, c=1.0)


def test_the_optimum_is_estimated_from_samples_of_the_prior() -> None:
    """Protects log Z, weighted means and the expected share of different sequences, against sums over all."""
    _, sample = evaluate_to_end(BRACKETS, None, PRIOR, PRIOR, 40_000, seed=1, c=1.0)
    reward = sample.task_reward
    length = (np.cumsum(sample.tokens == 3, axis=1) == 0).sum(axis=1).astype(float)
    ours = optimum.estimated(sample.log_p, sample.log_pi, reward, {"length": length, "reward": reward}, among=100)
    best = TRUTH.log_optimum.exp().numpy()
    true_length = (np.cumsum(TRUTH.sequences == 3, axis=1) == 0).sum(axis=1)
    assert ours["log_z"] == pytest.approx(TRUTH.log_z, abs=0.05)
    assert ours["length"] == pytest.approx((best * true_length).sum(), abs=0.1)
    assert ours["reward"] == pytest.approx((best * TRUTH.along(TRUTH.reward).numpy()).sum(), abs=0.05)
    assert ours["unique"] == pytest.approx((1 - (1 - best) ** 100).sum() / 100, abs=0.02)


def test_samples_of_the_optimum_itself_need_no_weights() -> None:
    """Protects the effective number: all samples count where the policy is the optimum, and log Z is exact."""
    log_prior = torch.tensor([0.2, 0.3, 0.5]).log().double().numpy()
    reward = np.array([1.0, 0.0, 2.0])
    log_z = np.log(np.exp(log_prior + reward).sum())
    ours = optimum.estimated(log_prior, log_prior + reward - log_z, reward, {"score": np.array([1.0, np.nan, 3.0])})
    assert ours["log_z"] == pytest.approx(log_z)
    assert ours["effective"] == pytest.approx(3)
    assert ours["score"] == pytest.approx(2.0), "what has no score is left out"
