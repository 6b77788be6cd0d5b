"""The sequence RNN: one set of weights, two ways to run it."""

from __future__ import annotations

import numpy as np
import torch

from repro.rnn import SequenceRNN, Stepper, draw, epsilon_greedy, play, shifted


def test_stepper_agrees_with_unrolling() -> None:
    """Protects rollouts: the step-by-step run returns the logits that training sees."""
    rnn = SequenceRNN(7, 12, seed=3)
    with torch.no_grad():
        rnn.head.bias.normal_()
        tokens = torch.randint(7, (5, 9), generator=torch.Generator().manual_seed(0))
        stepper = Stepper(rnn, 5)
        steps = torch.stack([stepper(tokens[:, step]) for step in range(9)], dim=1)
        torch.testing.assert_close(steps, rnn(tokens), atol=1e-6, rtol=1e-5)


def test_draws_follow_the_softmax() -> None:
    """Protects sampling: over a fine grid of uniform numbers each token's share is its probability."""
    scores = torch.tensor([[0.0, 1.0, -2.0, 0.5]])
    grid = (torch.arange(100_000) + 0.5) / 100_000
    shares = torch.bincount(draw(scores.expand(100_000, 4), grid), minlength=4) / 100_000
    torch.testing.assert_close(shares, scores.softmax(dim=1)[0], atol=1e-4, rtol=0)


def test_draws_never_leave_the_vocabulary() -> None:
    """Protects the edges: the largest uniform number below 1, and tokens whose probability is 0."""
    scores = torch.tensor([[-1e9, 0.0, -1e9]])
    largest = torch.tensor([np.nextafter(np.float32(1), np.float32(0))])
    assert draw(scores, largest).item() == 1
    assert draw(scores, torch.zeros(1)).item() == 1


def test_epsilon_greedy_explores_every_token_alike() -> None:
    """Protects exploration: epsilon is shared equally by all tokens, the last included; the best gets the rest."""
    scores = torch.tensor([[0.0, 3.0, 1.0, 2.0]]).expand(100_000, 4)
    grid = (torch.arange(100_000) + 0.5) / 100_000
    shares = torch.bincount(epsilon_greedy(scores, grid, epsilon=0.4), minlength=4) / 100_000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.7, 0.1, 0.1]), atol=1e-4, rtol=0)
    assert torch.equal(epsilon_greedy(scores, grid, epsilon=0.0), torch.ones(100_000, dtype=torch.int64))


def test_play_adds_the_scores_of_its_networks() -> None:
    """Protects G's policy: two networks together play as their logits' sum, which for p twice is p squared."""
    rnn = SequenceRNN(5, 8, seed=1)
    with torch.no_grad():
        rnn.head.bias.normal_()
    first = np.arange(400) % 5
    tokens = play([rnn, rnn], first, 1, np.random.default_rng(0))
    uniform = torch.from_numpy(np.random.default_rng(0).random((1, 400), dtype=np.float32))[0]
    with torch.no_grad():
        assert torch.equal(tokens[:, 0], draw(2 * rnn(torch.from_numpy(first)[:, None])[:, 0], uniform))


def test_the_same_seed_plays_the_same_sequences() -> None:
    """Protects determinism of rollouts, and that another seed gives others."""
    rnn, first = SequenceRNN(5, 8), np.zeros(6, dtype=np.int64)
    plays = [play([rnn], first, 10, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert torch.equal(plays[0], plays[1]) and not torch.equal(plays[0], plays[2])


def test_shifted_puts_the_priming_token_first() -> None:
    """Protects the alignment of inputs and actions."""
    assert shifted(torch.tensor([9]), torch.tensor([[1, 2, 3]])).tolist() == [[9, 1, 2, 3]]


def test_making_a_network_leaves_the_global_generator_alone() -> None:
    """Protects determinism: weights come from their own seed, and nobody else's numbers move."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = SequenceRNN(5, 8, seed=2), SequenceRNN(5, 8, seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
