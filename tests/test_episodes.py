"""Sequences that end: what belongs to them, how they are played."""

from __future__ import annotations

import numpy as np
import torch

from repro import episodes
from repro.rnn import SequenceRNN, Stepper, play, shifted


def test_a_sequence_goes_up_to_its_first_end_token() -> None:
    """Protects every mask: the end token belongs to the sequence, what follows does not, no end means all."""
    tokens = torch.tensor([[1, 2, 0, 3, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    belongs = episodes.alive(tokens, 0)
    assert belongs.tolist() == [[True] * 3 + [False] * 2, [True] * 5, [True] + [False] * 4]
    assert episodes.last_steps(belongs).long().argmax(dim=1).tolist() == [2, 4, 0]
    assert episodes.last_steps(belongs).sum(dim=1).tolist() == [1, 1, 1]
    assert episodes.alive(tokens, None).all()


def test_playing_to_the_end_is_playing_with_what_follows_left_out() -> None:
    """Protects sampling: up to its end each sequence is the one that plain play draws from the same numbers."""
    rnn = SequenceRNN(4, 8, seed=3)
    first = np.zeros(200, dtype=np.int64)
    whole = play([rnn], first, 6, np.random.default_rng(5))
    ended = episodes.play_to_end([rnn], first, 6, 0, np.random.default_rng(5))
    belongs = episodes.alive(ended, 0)
    assert torch.equal(ended[belongs], whole[belongs])
    assert (ended[~belongs] == 0).all()
    assert 0 < (~belongs).sum() < belongs.numel()
    assert torch.equal(episodes.play_to_end([rnn], first, 6, None, np.random.default_rng(5)), whole)


def test_play_hands_back_what_the_last_network_said() -> None:
    """Protects the prior's log-probabilities in G-learning: heard during play, they are those of the whole sequence."""
    policy, prior = SequenceRNN(4, 8, seed=3), SequenceRNN(4, 8, seed=4)
    heard: list[torch.Tensor] = []
    first = np.zeros(20, dtype=np.int64)
    tokens = episodes.play_to_end([policy, prior], first, 30, 0, np.random.default_rng(5), last_logits=heard)
    longest = int(episodes.alive(tokens, 0).sum(dim=1).max())
    assert len(heard) == longest < 30
    with torch.no_grad():
        known = prior(shifted(torch.from_numpy(first), tokens)[:, :longest])
    torch.testing.assert_close(torch.stack(heard, dim=1), known)


def test_half_precision_steps_are_those_of_full_precision_up_to_rounding() -> None:
    """Protects play in bfloat16: along the same tokens the logits differ by no more than its rounding."""
    rnn, tokens = SequenceRNN(6, 64, seed=3), torch.from_numpy(np.random.default_rng(0).integers(6, size=(12, 50)))
    full, half = Stepper(rnn, 50), episodes.HalfStepper(rnn, 50)
    pairs = [(full(step), half(step)) for step in tokens]
    differences = torch.stack([(one - other).abs().max() for one, other in pairs])
    assert 0 < differences.max() < 2**-8 * max(one.abs().max() for one, _ in pairs) * 4
