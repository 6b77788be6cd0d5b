"""Melodies as a domain: what the models and trainers see of music."""

import numpy as np
import pandas as pd

from repro.domain import Domain
from repro.music import events, measures, rules


class Music(Domain):
    """Melodies of 32 events under the nine rules."""

    name = "music"
    vocabulary = tuple(events.name(event) for event in range(events.NUM_EVENTS))
    horizon = events.HORIZON

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """One uniformly random event per melody, as the paper; the authors' code never draws the highest."""
        return generator.integers(events.NUM_EVENTS, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """r_MT of every note, (B, 32)."""
        return rules.total_reward(sequences)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """r_MT rule by rule."""
        return rules.step_rewards(sequences)

    def watch(self, sequences: np.ndarray) -> dict[str, float]:
        """The share of different melodies."""
        return {"unique": measures.distinct_share(sequences)}

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 1, then how varied the melodies are."""
        table, distance = measures.rule_counts(sequences), measures.mean_edit_distance(sequences)
        return pd.concat([table, pd.Series({"unique": measures.distinct_share(sequences), "edit_distance": distance})])
