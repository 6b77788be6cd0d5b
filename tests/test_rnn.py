"""The sequence RNN: one set of weights, two ways to run it; how sequences are drawn, and where they end."""

import numpy as np
import torch

from repro.domain import alive
from repro.rnn import SequenceRNN, Stepper, draw, epsilon_greedy, last_steps, play, shifted


def test_stepper_agrees_with_unrolling() -> None:
    """Protects rollouts: the step-by-step run returns the logits that training sees, in bfloat16 up to its rounding."""
    rnn = SequenceRNN(7, 64, seed=3)
    with torch.no_grad():
        rnn.head.bias.normal_(0, 0.1)
        tokens = torch.randint(7, (50, 12), generator=torch.Generator().manual_seed(0))
        full, half = Stepper(rnn, 50), Stepper(rnn, 50, half=True)
        pairs = [(full(tokens[:, step]), half(tokens[:, step])) for step in range(12)]
        whole, rounded = (torch.stack(steps, dim=1) for steps in zip(*pairs, strict=True))
        torch.testing.assert_close(whole, rnn(tokens), atol=1e-6, rtol=1e-5)
        assert 0 < (whole - rounded).abs().max() < 2**-8 * whole.abs().max() * 4


def test_draws_stay_in_the_vocabulary_and_exploration_is_even() -> None:
    """Protects the edges (the largest uniform number below 1, tokens whose probability is 0), and exploration: epsilon
    is shared equally by all tokens, the last included; the best gets the rest.
    """
    largest = torch.tensor([np.nextafter(np.float32(1), np.float32(0))])
    for number in (largest, torch.zeros(1)):
        assert draw(torch.tensor([[-1e9, 0.0, -1e9]]), number).item() == 1
    scores = torch.tensor([[0.0, 3.0, 1.0, 2.0]]).expand(100_000, 4)
    grid = (torch.arange(100_000) + 0.5) / 100_000
    shares = torch.bincount(epsilon_greedy(scores, grid, epsilon=0.4), minlength=4) / 100_000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.7, 0.1, 0.1]), atol=1e-4, rtol=0)
    assert torch.equal(epsilon_greedy(scores, grid, epsilon=0.0), torch.ones(100_000, dtype=torch.int64))


def test_playing_to_the_end_is_playing_with_what_follows_left_out() -> None:
    """Protects sampling: up to its end each sequence is the one that would be drawn without an end token."""
    rnn, first = SequenceRNN(4, 8, seed=3), np.zeros(200, dtype=np.int64)
    whole = play([rnn], first, 6, None, np.random.default_rng(5))
    ended = play([rnn], first, 6, 0, np.random.default_rng(5))
    belongs = alive(ended, 0)
    assert torch.equal(ended[belongs], whole[belongs])
    assert (ended[~belongs] == 0).all()
    assert 0 < (~belongs).sum() < belongs.numel()


def test_play_hands_back_what_the_last_network_said() -> None:
    """Protects the prior's log-probabilities in G-learning: heard during play, they are those of the whole sequence."""
    policy, prior = SequenceRNN(4, 8, seed=3), SequenceRNN(4, 8, seed=4)
    heard: list[torch.Tensor] = []
    first = np.zeros(20, dtype=np.int64)
    tokens = play([policy, prior], first, 30, 0, np.random.default_rng(5), last_logits=heard)
    longest = int(alive(tokens, 0).sum(dim=1).max())
    assert len(heard) == longest < 30
    with torch.no_grad():
        known = prior(shifted(first, tokens)[:, :longest])
    torch.testing.assert_close(torch.stack(heard, dim=1), known)


def test_a_sequence_goes_up_to_its_first_end_token() -> None:
    """Protects every mask: the end token belongs to the sequence, what follows does not, no end means all."""
    tokens = torch.tensor([[1, 2, 0, 3, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    belongs = alive(tokens, 0)
    assert belongs.tolist() == [[True] * 3 + [False] * 2, [True] * 5, [True] + [False] * 4]
    assert last_steps(belongs).long().argmax(dim=1).tolist() == [2, 4, 0]
    assert last_steps(belongs).sum(dim=1).tolist() == [1, 1, 1]
    assert alive(tokens, None).all()
