"""Melodies as a domain: what the models and trainers see of music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from repro.music import events, measures, rules


class Music:
    """Melodies of 32 events under the nine rules (`repro.domain.Domain`)."""

    name = "music"
    vocabulary = tuple(events.name(event) for event in range(events.NUM_EVENTS))
    horizon = events.HORIZON
    reward_modules: tuple[str, ...] = ("repro.music.domain", "repro.music.facts", "repro.music.rules")
    measure_modules: tuple[str, ...] = ("repro.music.measures",)

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """One uniformly random event a melody, as the paper; the authors' code never draws the highest."""
        return generator.integers(events.NUM_EVENTS, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """r_MT of every note, (B, 32)."""
        return rules.total_reward(sequences)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """r_MT rule by rule."""
        return rules.step_rewards(sequences)

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 1, then how varied the melodies are."""
        variety = {
            "unique": measures.distinct_share(sequences),
            "edit_distance": measures.mean_edit_distance(sequences),
        }
        return pd.concat([measures.rule_counts(sequences), pd.Series(variety)])

    def render(self, sequence: np.ndarray, path: Path) -> None:
        """Writes a MIDI file."""
        events.to_midi(sequence, path)
