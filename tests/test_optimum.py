"""Estimates of the optimum by importance sampling, against problems that are written out in full."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro import optimum
from repro.episodes import sampled
from repro.exact import BRACKETS, Exact
from repro.kl_control import METHODS
from repro.rnn import SequenceRNN

PRIOR = SequenceRNN(4, 16, seed=2).eval()
TRUTH = Exact(BRACKETS, PRIOR, c=1.0)


def test_log_probabilities_are_those_of_the_written_out_problem() -> None:
    """Protects log p(x) and log pi(x): equal to the exact sums for every sequence, ended or not."""
    network = SequenceRNN(4, 16, seed=5).eval()
    first = np.full(len(TRUTH.sequences), BRACKETS.first)
    for method in ("psi", "g"):
        pair = optimum.log_probabilities(BRACKETS, METHODS[method], network, PRIOR, first, TRUTH.sequences)
        assert pair[0] == pytest.approx(TRUTH.along(TRUTH.log_prior).numpy(), abs=1e-5)
        assert pair[1] == pytest.approx(TRUTH.along(TRUTH.policy_of(method, network)).numpy(), abs=1e-5)
    alone = optimum.log_probabilities(BRACKETS, None, PRIOR, PRIOR, first, TRUTH.sequences)
    assert np.array_equal(*alone), "without a method the policy is the prior"


def test_the_optimum_is_estimated_from_samples_of_the_prior() -> None:
    """Protects log Z, weighted means and the expected share of different sequences, against sums over all."""
    first, tokens = sampled(BRACKETS, [PRIOR], 40_000, seed=1)
    log_prior, log_policy = optimum.log_probabilities(BRACKETS, None, PRIOR, PRIOR, first, tokens)
    reward = BRACKETS.step_rewards(tokens).sum(axis=1)
    length = (np.cumsum(tokens == 3, axis=1) == 0).sum(axis=1).astype(float)
    ours = optimum.estimated(log_prior, log_policy, reward, {"length": length, "reward": reward}, among=100)
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
