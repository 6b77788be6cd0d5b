"""Forgetting: the likelihood of real sequences under policies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from repro import forgetting
from repro.kl_control import METHODS
from repro.prior import held_out_scores
from repro.rnn import SequenceRNN

VOCABULARY = 5
SEQUENCES = [np.array([1, 2, 3]), np.array([0, 4]), np.array([3, 3, 1, 0, 2, 4])]


def networks() -> tuple[SequenceRNN, SequenceRNN]:
    return SequenceRNN(VOCABULARY, 7, seed=1).eval(), SequenceRNN(VOCABULARY, 7, seed=2).eval()


def test_without_a_method_it_is_the_held_out_score_of_the_prior() -> None:
    """The two ways to the same number agree, whatever the batches: notebooks compare one with the other."""
    rnn, other = networks()
    expected = held_out_scores(rnn, SEQUENCES)["nll"]
    for batch in (1, 2, 256):
        assert forgetting.held_out_nll(None, rnn, other, SEQUENCES, batch=batch) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", list(METHODS))
def test_each_method_by_hand_one_token_after_the_other(name: str) -> None:
    """Q, Psi and RL only read the policy off the network; G multiplies the prior in. Padding and the first token of a
    sequence must not count."""
    network, prior = networks()
    total, count = 0.0, 0
    for sequence in SEQUENCES:
        for place in range(1, len(sequence)):
            read = torch.from_numpy(sequence[None, :place])
            values, prior_logits = (rnn(read)[0, -1].detach().double().numpy() for rnn in (network, prior))
            weights = np.exp(values)
            if name == "g":
                weights *= np.exp(prior_logits) / np.exp(prior_logits).sum()
            total -= math.log(weights[sequence[place]] / weights.sum())
            count += 1
    assert count == 8
    assert forgetting.held_out_nll(METHODS[name], network, prior, SEQUENCES) == pytest.approx(total / count, abs=1e-5)


def test_a_uniform_policy_costs_the_logarithm_of_the_vocabulary() -> None:
    """An exact value: a network whose head is zero plays uniformly."""
    network, prior = networks()
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    assert forgetting.held_out_nll(METHODS["rl_only"], network, prior, SEQUENCES) == pytest.approx(math.log(VOCABULARY))
    # and G with it is the prior itself
    assert forgetting.held_out_nll(METHODS["g"], network, prior, SEQUENCES) == pytest.approx(
        held_out_scores(prior, SEQUENCES)["nll"], abs=1e-6
    )


def test_sequences_without_a_second_token_have_no_likelihood() -> None:
    """A mean over nothing is missing, not 0."""
    network, prior = networks()
    assert math.isnan(forgetting.held_out_nll(None, network, prior, [np.array([1])]))
