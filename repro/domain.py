"""What a domain is: all that the models and trainers know of melodies, molecules or your own sequences.

To tune towards a reward of your own, write a class with these names and hand an object of it to `repro.tutor.train`;
no file of this package changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd


class Domain(Protocol):
    """Sequences of tokens 0..V-1 of a fixed horizon T, and what they are worth."""

    name: str
    vocabulary: tuple[str, ...]  # the name of each token; V = len(vocabulary)
    horizon: int  # T, tokens an episode
    reward_modules: tuple[str, ...]  # the modules whose code decides rewards and first inputs: runs depend on them
    measure_modules: tuple[str, ...]  # and those that only the measures depend on

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The tokens (count,) that prime the RNN; they are its first input and no part of the sequence."""
        ...

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The task reward r_T of every step, float (B, T), before division by the temperature c.

        The reward of step t may depend on tokens 0..t alone: the trainer asks for whole finished batches.
        """
        ...

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts that add up to `step_rewards`, by name, each float (B, T)."""
        ...

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The domain's own metrics of sequences (B, T), by name."""
        ...

    def render(self, sequence: np.ndarray, path: Path) -> None:
        """Writes one sequence (T,) to a file that people can hear or see."""
        ...
