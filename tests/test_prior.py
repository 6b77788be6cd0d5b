"""Maximum likelihood: what a batch is, training, and the held-out loss of priors and of policies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small import bytes_of, uniform_rnn

from repro.kl_control import METHODS, Policy
from repro.prior import PADDING, Corpus, held_out_scores, train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings

SEQUENCES = [np.array([1, 2, 3]), np.array([0, 4]), np.array([3, 3, 1, 0, 2, 4])]


def test_windows_are_slices_of_one_sequence() -> None:
    """Protects the data: no window runs from one tune into the next, and short tunes are padded, not wrapped."""
    sequences = [np.arange(10), np.arange(20, 24), np.arange(30, 50)]
    inputs, labels = Corpus(sequences, 6).draw(500, np.random.default_rng(0))
    real = labels != PADDING
    assert torch.equal(labels[real], inputs[real] + 1)
    short = inputs[:, 0] == 20
    assert real.sum(dim=1)[short].unique().tolist() == [3] and real[~short].all()
    assert set(inputs[:, 0].tolist()) == {*range(4), 20, *range(30, 44)}


def test_wholes_read_each_sequence_once_an_epoch() -> None:
    """Protects the data: an epoch has every sequence once, whole, in another order than the next; little is padded."""
    sequences = [np.arange(10 * first, 10 * first + 2 + first % 7) for first in range(500)]
    wholes, generator = Corpus(sequences, 0), np.random.default_rng(0)
    epochs = []
    for _ in range(2):
        firsts: list[int] = []
        while len(firsts) < len(sequences):
            inputs, labels = wholes.draw(3, generator)
            real = labels != PADDING
            assert torch.equal(labels[real], inputs[real] + 1)
            assert inputs.shape[1] == real.sum(dim=1).max() and inputs.shape[0] in (2, 3)  # 500 = 166 * 3 + 2
            assert real.sum(dim=1).tolist() == [len(sequences[first // 10]) - 1 for first in inputs[:, 0].tolist()]
            firsts += inputs[:, 0].tolist()
        assert sorted(firsts) == [10 * first for first in range(500)]
        epochs.append(firsts)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("window_events", [12, 0])
def test_training_learns_a_pattern_and_repeats_itself(window_events: int) -> None:
    """Protects the trainer: a cycle is learned almost to certainty, and the same seed gives the same bytes."""
    cycle = [np.tile([0, 1, 2, 3], 8)[shift : shift + 24] for shift in range(4)]
    settings = PriorSettings(
        cells=16, steps=150, windows=8, window_events=window_events, l2=0.0, learning_rate=2e-2, evaluate_every=60
    )
    (rnn, curve), (again, same) = (train_prior(cycle, cycle, 4, settings) for _ in range(2))
    scores = held_out_scores(Policy(rnn, rnn), cycle)
    assert scores["accuracy"] == 1.0 and scores["nll"] < 0.05
    assert curve.equals(same) and curve["step"].tolist() == [60, 120, 150]
    assert bytes_of(rnn) == bytes_of(again)


def test_nothing_to_train_on_is_refused() -> None:
    """Protects the user who has filtered everything away."""
    with pytest.raises(ValueError, match="no sequences"):
        train_prior([], [np.zeros(3)], 4, PriorSettings())


def test_held_out_scores_of_a_uniform_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the scores: zero weights give ln V nats an event; each sequence counts all events but its first."""
    policy = Policy(uniform_rnn(5), uniform_rnn(5))
    sequences = [np.array([1, 0, 0, 2]), np.array([3, 4])]
    monkeypatch.setattr("repro.prior.BATCH", 1)
    scores = held_out_scores(policy, sequences)
    assert scores["nll"] == pytest.approx(math.log(5)) and scores["events"] == 4
    assert scores["accuracy"] == 0.5  # of equal logits the first is taken, and two of the four are 0
    assert held_out_scores(policy, sequences, skip=2)["events"] == 1
    assert math.isnan(held_out_scores(policy, sequences, skip=9)["nll"])
    assert math.isnan(held_out_scores(policy, [np.array([1])])["nll"])


@pytest.mark.parametrize("name", METHODS)
def test_each_method_by_hand_one_token_after_the_other(name: str) -> None:
    """Protects what is forgotten: Q, Psi and RL only are read off the network; G multiplies the prior in."""
    network, prior = SequenceRNN(5, 7, seed=1), SequenceRNN(5, 7, seed=2)
    total = 0.0
    for sequence in SEQUENCES:
        for place in range(1, len(sequence)):
            read = torch.from_numpy(sequence[None, :place])
            values, prior_logits = (rnn(read)[0, -1].detach().double().numpy() for rnn in (network, prior))
            weights = np.exp(values + prior_logits) if name == "g" else np.exp(values)
            total -= math.log(weights[sequence[place]] / weights.sum())
    scores = held_out_scores(Policy(network, prior, METHODS[name]), SEQUENCES)
    assert scores["events"] == 8
    assert scores["nll"] == pytest.approx(total / 8, abs=1e-5)
