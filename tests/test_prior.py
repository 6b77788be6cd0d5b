"""Maximum likelihood: windows, training, held-out scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from repro.prior import PADDING, Windows, held_out_scores, train
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings


def test_windows_are_slices_of_one_sequence() -> None:
    """Protects the data: no window runs from one tune into the next, and short tunes are padded, not wrapped."""
    sequences = [np.arange(10), np.arange(20, 24), np.arange(30, 50)]
    inputs, labels = Windows(sequences, 6).draw(500, np.random.default_rng(0))
    real = labels != PADDING
    assert torch.equal(labels[real], inputs[real] + 1)
    short = inputs[:, 0] == 20
    assert real.sum(dim=1)[short].unique().tolist() == [3] and real[~short].all()
    assert set(inputs[:, 0].tolist()) == {*range(4), 20, *range(30, 44)}


def test_training_learns_a_pattern_and_repeats_itself() -> None:
    """Protects the trainer: a cycle is learned almost to certainty, and the same seed gives the same bytes."""
    cycle = [np.tile([0, 1, 2, 3], 8)[shift : shift + 24] for shift in range(4)]
    settings = PriorSettings(cells=16, steps=150, windows=8, window_events=12, l2=0.0, learning_rate=2e-2)
    one, two = (train(cycle, cycle, 4, settings) for _ in range(2))
    assert held_out_scores(one.rnn, cycle)["accuracy"] == 1.0
    assert held_out_scores(one.rnn, cycle)["nll"] < 0.05
    assert one.curve.equals(two.curve)
    assert all(torch.equal(a, b) for a, b in zip(one.rnn.parameters(), two.rnn.parameters(), strict=True))


def test_held_out_scores_of_a_uniform_model() -> None:
    """Protects the scores: zero weights give ln V nats an event; each sequence counts all events but its first."""
    rnn = SequenceRNN(5, 4)
    for weight in rnn.parameters():
        torch.nn.init.zeros_(weight)
    sequences = [np.array([1, 0, 0, 2]), np.array([3, 4])]
    scores = held_out_scores(rnn, sequences, batch=1)
    assert scores["nll"] == pytest.approx(math.log(5)) and scores["events"] == 4
    assert scores["accuracy"] == 0.5  # of equal logits the first is taken, and two of the four are 0
    assert held_out_scores(rnn, sequences, skip=2)["events"] == 1
    assert math.isnan(held_out_scores(rnn, sequences, skip=9)["nll"])


def test_batches_do_not_change_the_scores() -> None:
    """Protects the padding: sequences of different lengths score together as one by one."""
    rnn, numbers = SequenceRNN(6, 8, seed=1), np.random.default_rng(0)
    sequences = [numbers.integers(6, size=size) for size in (3, 9, 5, 20)]
    together, alone = held_out_scores(rnn, sequences), held_out_scores(rnn, sequences, batch=1)
    assert together["nll"] == pytest.approx(alone["nll"], rel=1e-6) and together["events"] == alone["events"]


def test_nothing_to_train_on_is_refused() -> None:
    """Protects the user who has filtered everything away."""
    with pytest.raises(ValueError, match="no sequences"):
        train([], [np.zeros(3)], 4, PriorSettings())
