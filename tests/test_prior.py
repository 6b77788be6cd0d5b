"""Maximum likelihood: windows, training, held-out scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from repro import prior
from repro.prior import PADDING, Wholes, Windows, held_out_scores, train
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


def test_wholes_read_each_sequence_once_an_epoch() -> None:
    """Protects the data: an epoch has every sequence once, whole, in another order than the next epoch has."""
    sequences = [np.arange(10 * first, 10 * first + 2 + first % 7) for first in range(500)]
    wholes, generator = Wholes(sequences), np.random.default_rng(0)
    epochs = []
    for _ in range(2):
        firsts: list[int] = []
        while len(firsts) < len(sequences):
            inputs, labels = wholes.draw(3, generator)
            real = labels != PADDING
            assert torch.equal(labels[real], inputs[real] + 1)
            assert real.sum(dim=1).tolist() == [len(sequences[first // 10]) - 1 for first in inputs[:, 0].tolist()]
            firsts += inputs[:, 0].tolist()
        assert sorted(firsts) == [10 * first for first in range(500)]
        epochs.append(firsts)
    assert epochs[0] != epochs[1]


def test_wholes_are_padded_to_the_longest_of_their_batch() -> None:
    """Protects the time of a step: T is the longest of the batch, and padding stands on the right alone."""
    sequences = [np.arange(2), np.arange(5), np.arange(3), *[np.arange(9)] * 3]
    wholes, generator = Wholes(sequences), np.random.default_rng(0)
    batches = sorted((wholes.draw(3, generator) for _ in range(2)), key=lambda batch: batch[0].shape)
    assert [batch[0].shape for batch in batches] == [(3, 4), (3, 8)]
    assert sorted(batches[0][1].tolist()) == [[1, -100, -100, -100], [1, 2, -100, -100], [1, 2, 3, 4]]
    assert (batches[1][1] != PADDING).all()


def test_wholes_repeat_themselves() -> None:
    """Protects reproducibility: the same seed draws the same batches, the last one of an epoch smaller."""
    sequences = [np.arange(2 + size % 5) for size in range(11)]
    one, two = (
        [wholes.draw(4, generator) for _ in range(7)]
        for wholes, generator in ((Wholes(sequences), np.random.default_rng(1)) for _ in range(2))
    )
    assert all(torch.equal(a, b) for pair in zip(one, two, strict=True) for a, b in zip(*pair, strict=True))
    assert sorted(len(inputs) for inputs, _ in one[:3]) == [3, 4, 4]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx2 avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16"), ("avx2 avx512f", "float32"), (None, "float32")],
)
def test_precision_goes_by_what_the_processor_can_do(
    flags: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protects slow processors and systems without /proc: bfloat16 only where there are instructions for it."""
    monkeypatch.setattr(prior, "PROBE", tmp_path / "cpuinfo")
    if flags is not None:
        prior.PROBE.write_text(f"processor: 0\nflags: fpu {flags} sse\n", encoding="utf-8")
    assert prior.precision(PriorSettings(precision="auto")) == expected
    assert [prior.precision(PriorSettings(precision=name)) for name in ("float32", "bfloat16")] == [
        "float32",
        "bfloat16",
    ]


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
