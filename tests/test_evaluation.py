"""Samples of a policy and what is measured along them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro import evaluation
from repro.episodes import alive
from repro.exact import BRACKETS, Exact
from repro.kl_control import METHODS
from repro.rnn import SequenceRNN

PRIOR = SequenceRNN(4, 16, seed=2).eval()
TRUTH = Exact(BRACKETS, PRIOR, c=1.0)


class Toy:
    """Four tokens, of which 0 ends a sequence."""

    name, vocabulary, horizon, end = "toy", ("end", "a", "b", "c"), 6, 0

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The end token."""
        return np.zeros(count, dtype=np.int64)


def log_probabilities(
    method: str | None, network: SequenceRNN, first: np.ndarray, tokens: np.ndarray
) -> list[np.ndarray]:
    """Log p(x) and log pi(x) of sequences of BRACKETS."""
    chosen = METHODS[method] if method else None
    steps = list(evaluation.against_prior(BRACKETS, chosen, network, PRIOR, first, tokens))
    return [np.concatenate([part[name].sum(dim=1).numpy() for part in steps]) for name in ("log_p", "log_pi")]


def test_log_probabilities_are_those_of_the_written_out_problem() -> None:
    """Protects log p(x) and log pi(x): equal to the exact sums for every sequence, ended or not."""
    network = SequenceRNN(4, 16, seed=5).eval()
    first = np.full(len(TRUTH.sequences), BRACKETS.first)
    for method in ("psi", "g"):
        pair = log_probabilities(method, network, first, TRUTH.sequences)
        assert pair[0] == pytest.approx(TRUTH.along(TRUTH.log_prior).numpy(), abs=1e-5)
        assert pair[1] == pytest.approx(TRUTH.along(TRUTH.policy_of(method, network)).numpy(), abs=1e-5)
    alone = log_probabilities(None, PRIOR, first, TRUTH.sequences)
    assert np.array_equal(*alone), "without a method the policy is the prior"


def test_sums_over_a_sequence_leave_out_what_follows_its_end() -> None:
    """Protects log p, log pi and KL: sums over the steps that belong, worked out here one sequence at a time."""
    prior, policy = SequenceRNN(4, 8, seed=1), SequenceRNN(4, 8, seed=2)

    first, tokens = evaluation.sampled(Toy(), [policy], 40, seed=7)  # type: ignore[arg-type]
    (steps,) = evaluation.against_prior(Toy(), METHODS["psi"], policy, prior, first, tokens)  # type: ignore[arg-type]
    sums = {name: value.sum(dim=1) for name, value in steps.items()}
    for row in range(0, 40, 7):
        length = int(alive(torch.from_numpy(tokens[row : row + 1]), 0).sum())
        inputs = torch.tensor([[0, *tokens[row, : length - 1]]])
        log_p, log_pi = (rnn(inputs).log_softmax(dim=-1)[0].detach() for rnn in (prior, policy))
        expected = sum(log_p[step, tokens[row, step]].item() for step in range(length))
        played = sum(log_pi[step, tokens[row, step]].item() for step in range(length))
        assert abs(sums["log_p"][row] - expected) < 1e-4
        assert abs(sums["log_pi"][row] - played) < 1e-4
        assert abs(sums["kl"][row] - (log_pi.exp() * (log_pi - log_p)).sum().item()) < 1e-4
        assert abs(sums["entropy"][row] + (log_pi.exp() * log_pi).sum().item()) < 1e-4


def test_the_same_seed_gives_the_same_samples() -> None:
    """Protects determinism, and that other seeds give others."""
    rnn = SequenceRNN(4, 8, seed=1)
    one, again, other = (evaluation.sampled(Toy(), [rnn], 50, seed)[1] for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_sample_says_what_its_sequences_are_worth() -> None:
    """Protects what importance weights are made of: rewards and log-probabilities of the sequences kept."""
    numbers, sample = evaluation.evaluate_to_end(BRACKETS, None, PRIOR, PRIOR, 300, seed=4, c=0.5)
    metrics = numbers["metrics"]
    assert isinstance(metrics, dict)
    np.testing.assert_array_equal(sample.task_reward, BRACKETS.step_rewards(sample.tokens).sum(axis=1))
    np.testing.assert_array_equal(sample.log_p, sample.log_pi)
    assert metrics["log_p"] == pytest.approx(sample.log_p.mean())
    assert metrics["objective"] == pytest.approx(sample.task_reward.mean() / 0.5)
