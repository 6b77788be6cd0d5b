"""Prioritised replay of whole sequences: what is kept, what is drawn how often, and how it is padded."""

from __future__ import annotations

import numpy as np
import torch

from repro.memory import MOST, Memory


def _episodes(lengths: list[int]) -> dict[str, torch.Tensor]:
    longest = max(lengths)
    alive = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    actions = torch.arange(1, len(lengths) + 1)[:, None].expand(-1, longest).clone()
    return {"actions": actions, "alive": alive, "log_prior": torch.ones(len(lengths), longest, 2)}


def _memory(priority: float, size: int = 100) -> Memory:
    return Memory(size, priority, np.random.default_rng(0))


def test_sequences_come_back_as_they_were_padded_to_the_longest() -> None:
    """Protects what is trained on: the steps of a remembered sequence, no old padding, and none alive after."""
    memory = _memory(0.0)
    memory.add(_episodes([2, 4]), np.zeros(2))
    both = memory.beside(_episodes([3]), np.array([1, 0]))
    assert both["alive"].sum(dim=1).tolist() == [3, 4, 2]
    assert both["actions"].tolist() == [[1, 1, 1, 0], [2, 2, 2, 2], [1, 1, 0, 0]]
    assert both["log_prior"].shape == (3, 4, 2) and both["log_prior"][2, 2:].abs().sum() == 0


def test_the_oldest_make_room() -> None:
    """Protects memory use and freshness: no more than `size`, the latest ones."""
    memory = _memory(0.0, size=3)
    for weight in range(5):
        memory.add(_episodes([weight + 1]), np.array([float(weight)]))
    assert [len(sequence["alive"]) for sequence in memory.sequences] == [3, 4, 5]
    assert memory.log_weights.tolist() == [2.0, 3.0, 4.0]


def test_chances_follow_the_weights() -> None:
    """Protects the formula: (w / median w) ** priority, at most MOST; corrected weights count from then on."""
    memory = _memory(0.5)
    memory.add(_episodes([1, 1, 1, 1, 1]), np.array([-2.0, 0.0, 0.0, 2.0, 50.0]))
    draws = np.concatenate([memory.draw(1) for _ in range(20_000)])
    expected = np.array([np.exp(-1), 1, 1, np.exp(1), MOST])
    shares = np.bincount(draws, minlength=5) / len(draws)
    # five standard errors of a share of 20,000 draws are at most .018
    assert np.abs(shares - expected / expected.sum()).max() < 0.018
    memory.correct(np.array([4]), np.array([-50.0]))
    assert (np.concatenate([memory.draw(1) for _ in range(2_000)]) == 4).sum() == 0


def test_without_priority_all_are_alike_and_none_twice_in_a_draw() -> None:
    """Protects the plain case, and small memories: all that there is."""
    memory = _memory(0.0)
    assert len(memory.draw(4)) == 0
    memory.add(_episodes([1, 1, 1]), np.array([0.0, 9.0, -9.0]))
    assert sorted(memory.draw(8).tolist()) == [0, 1, 2]
