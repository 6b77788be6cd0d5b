"""Molecules as a domain: what the models and trainers see of SMILES strings.

terminal = Molecules(vocabulary)                          # r at the end of a molecule, first input the start token
authors = AuthorsMolecules(vocabulary)                    # the authors' reward of every token, random first input
own = Molecules(vocabulary, reward=my_function)           # list of B strings -> B numbers
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit.Chem.Draw import rdMolDraw2D

from repro.molecules import measures, scores
from repro.molecules.reward import LATEST, AuthorsReward, TerminalReward, prefix_parts, terminal_parts
from repro.molecules.tokens import END_INDEX, START_INDEX, Vocabulary, ended

HORIZON = 72  # tokens; the longest of the 1.58 million training molecules has 53
AUTHORS_HORIZON = 120  # authors' code: characters
DIVERSITY_AMONG = 5_000  # molecules whose pairs are compared
REMEMBERED = 2**16
OwnReward = Callable[[list[str]], np.ndarray]


class RewardError(ValueError):
    """A reward of the user's own that cannot be used; the sentence says which molecule."""


_row = lru_cache(maxsize=REMEMBERED)(scores.row)  # a tuned policy writes many strings again


def _scored(smiles: list[str]) -> pd.DataFrame:
    """The table of `scores.score`; strings scored before are looked up, as when what was rewarded is measured."""
    return scores.table(_row(string) for string in smiles)


def _number(value: object) -> float:
    """The value as a float, NaN if it is no number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _checked(values: np.ndarray, smiles: list[str]) -> np.ndarray:
    """The values of an own reward as floats (B,)."""
    given = np.asarray(values, dtype=object)
    if given.shape != (len(smiles),):
        raise RewardError(f"the reward of {len(smiles)} molecules has the shape {given.shape}, not {(len(smiles),)}")
    rewards = np.array([_number(value) for value in given])
    if not np.isfinite(rewards).all():
        place = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise RewardError(f"the reward of molecule {place}, {smiles[place]!r}, is {given[place]}: give a number")
    return rewards


def before_end(tokens: np.ndarray) -> np.ndarray:
    """How many tokens stand before the end in each row of (B, T), int (B,)."""
    return np.cumprod(np.asarray(tokens) != END_INDEX, axis=1).sum(axis=1)


def at_the_end(values: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    """Values (B,) at the last step of each sequence (B, T), zero elsewhere."""
    steps = np.minimum(before_end(sequences), sequences.shape[1] - 1)
    rewards = np.zeros(sequences.shape)
    rewards[np.arange(len(sequences)), steps] = values
    return rewards


class Molecules:
    """SMILES strings under a reward that a finished molecule earns (`repro.domain.Domain`)."""

    name = "molecules"
    end = END_INDEX
    reward_modules: tuple[str, ...] = tuple(f"repro.molecules.{m}" for m in ("domain", "reward", "scores", "tokens"))
    measure_modules: tuple[str, ...] = ("repro.molecules.measures",)

    def __init__(
        self,
        vocabulary: Vocabulary,
        reward: TerminalReward | OwnReward | None = None,
        training: Callable[[], Collection[str]] | None = None,
        horizon: int = HORIZON,
    ) -> None:
        """Says what is played.

        Args:
            vocabulary: the tokens of the prior.
            reward: other weights of the terminal reward than its defaults, or a function of your own that takes B
                strings and returns B numbers.
            training: returns the strings that the prior was trained on, which are not novel.
            horizon: the most tokens of a molecule, its end included.

        Raises:
            RewardError: the reward is neither.
        """
        if not (reward is None or isinstance(reward, TerminalReward) or callable(reward)):
            raise RewardError(f"the reward is {reward!r}: it must be a TerminalReward, or a function of strings")
        self.tokens, self.vocabulary, self.horizon = vocabulary, vocabulary.tokens, horizon
        self.reward: TerminalReward | OwnReward = reward or TerminalReward()
        self.training = training
        self.last_scores = _scored([])

    def describe(self) -> dict[str, object]:
        """What of the domain determines a run beside its code: an own reward by its name alone."""
        own = getattr(self.reward, "__qualname__", repr(self.reward))
        return {"kind": type(self).__name__, "reward": own, "horizon": self.horizon, "tokens": self.vocabulary}

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The start token."""
        return np.full(count, START_INDEX)

    def _score(self, sequences: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The strings of sequences, and which have ended; their scores are kept for `watch`."""
        smiles = self.tokens.decode(sequences)
        self.last_scores = _scored(smiles).assign(smiles=smiles)
        return smiles, ended(sequences)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of the reward, each (B, T), at the last step of each molecule.

        Raises:
            RewardError: an own reward has another shape than (B,) or returns what is no finite number.
        """
        smiles, finished = self._score(sequences)
        if isinstance(self.reward, TerminalReward):
            parts = terminal_parts(self.last_scores, finished, self.reward)
        else:
            parts = {"reward": _checked(self.reward(smiles), smiles)}
        return {name: at_the_end(values, sequences) for name, values in parts.items()}

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The reward at the last step of each molecule, (B, T)."""
        return np.sum(list(self.reward_parts(sequences).values()), axis=0)

    def watch(self) -> dict[str, float]:
        """Means over the molecules last rewarded, for the training curve; without a valid one the scores are NaN."""
        table = self.last_scores
        valid = table[table["valid"]]
        return {
            "valid": float(table["valid"].mean()),
            **{name: float(valid[name].mean()) for name in scores.Scores._fields},
            "unique": table["smiles"].nunique() / max(1, len(table)),
        }

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 2."""
        smiles, finished = self.tokens.decode(sequences), ended(sequences)
        table = measures.described(_scored(smiles), smiles, finished, before_end(sequences) + finished)
        known = self.training() if self.training is not None else None
        return measures.summarise(table, known, DIVERSITY_AMONG)

    def render(self, sequence: np.ndarray, path: Path) -> None:
        """Draws a molecule as an SVG file.

        Raises:
            ValueError: the sequence is no molecule.
        """
        smiles = self.tokens.decode(sequence[None])[0]
        molecule, reason = scores.parse(smiles)
        if molecule is None:
            raise ValueError(f"{smiles!r} is no molecule: {reason}")
        drawing = rdMolDraw2D.MolDraw2DSVG(300, 220)
        rdMolDraw2D.PrepareAndDrawMolecule(drawing, molecule)
        drawing.FinishDrawing()
        path.write_text(drawing.GetDrawingText(), encoding="utf-8")


class AuthorsMolecules(Molecules):
    """The authors' episode: a uniformly random first character, no part of the string, and a reward of every token."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        authors: AuthorsReward = LATEST,
        training: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """As `Molecules`, with the weights of the authors' reward."""
        super().__init__(vocabulary, training=training, horizon=AUTHORS_HORIZON)
        self.authors = authors

    def describe(self) -> dict[str, object]:
        """The same, with the weights of the authors' reward."""
        return super().describe() | {"reward": repr(self.authors)}

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Any character but the end; the authors' code never draws the last one either."""
        return generator.integers(1, len(self.vocabulary), size=count)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of the authors' reward, each (B, T)."""
        _, finished = self._score(sequences)
        characters = [
            [self.vocabulary[token] for token in row[:length]]
            for row, length in zip(sequences, before_end(sequences), strict=True)
        ]
        return prefix_parts(characters, finished, self.authors, sequences.shape[1])
