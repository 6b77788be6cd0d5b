"""The latest sequences played, and which of them to train on again.

A sequence x that the optimum p*(x) = p(x) exp(r(x) / c) / Z would play more often than the policy does has a large

    w(x) = p(x) exp(r(x) / c) / pi(x)

A policy that learns from its own play alone rarely meets those again, settles on fewer sequences and repeats itself.
Here they are drawn in proportion to w ** priority, capped, with w as it was when the sequence was last trained on.
Prioritised replay as in Schaul et al. (2016), who rank transitions by the size of their error.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Episodes = dict[str, Tensor]  # inputs, actions, alive, reward (B, T), log_prior (B, T, V)
MOST = 12.0  # ours: times as likely as the median, so that no sequence is seen in every step


class Memory:
    """Sequences without their padding, the latest `size`, each with log w."""

    def __init__(self, size: int, priority: float, numbers: np.random.Generator) -> None:
        self.size, self.priority, self.numbers = size, priority, numbers
        self.sequences: list[Episodes] = []
        self.log_weights = np.zeros(0)

    def add(self, episodes: Episodes, log_weights: np.ndarray) -> None:
        """Keeps new sequences; the oldest make room for them."""
        lengths = episodes["alive"].sum(dim=1).tolist()
        for row, length in enumerate(lengths):
            # a copy: a view would keep the whole padded batch in memory
            self.sequences.append({name: tensor[row, :length].clone() for name, tensor in episodes.items()})
        self.sequences = self.sequences[-self.size :]
        self.log_weights = np.concatenate([self.log_weights, log_weights])[-self.size :]

    def draw(self, count: int) -> np.ndarray:
        """Places of `count` different sequences, or of all where there are fewer."""
        count = min(count, len(self.sequences))
        if count == 0:
            return np.zeros(0, dtype=np.int64)
        # P(x) in proportion to min( (w(x) / median w) ** priority, MOST )
        excess = self.priority * (self.log_weights - np.median(self.log_weights))
        chance = np.exp(np.minimum(excess, np.log(MOST)))
        return self.numbers.choice(len(self.sequences), count, replace=False, p=chance / chance.sum())

    def beside(self, episodes: Episodes, places: np.ndarray) -> Episodes:
        """New episodes with remembered ones below them, all padded to the longest; padding is not alive."""
        old = [self.sequences[place] for place in places]
        return {name: pad_sequence([*tensor, *(sequence[name] for sequence in old)], batch_first=True)
                for name, tensor in episodes.items()}  # fmt: skip

    def correct(self, places: np.ndarray, log_weights: np.ndarray) -> None:
        """Notes what sequences that were trained on again weigh now."""
        self.log_weights[places] = log_weights
