"""Molecules as a domain: SMILES strings under a reward at their end, the authors' of every token, or your own."""

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import pandas as pd
from rdkit.Chem import Draw

from repro.domain import INVALID, Domain, DomainError, Reward, at_the_end, earned
from repro.molecules import scores
from repro.molecules.data import END_INDEX, HORIZON, Vocabulary, before_end, ended
from repro.molecules.reward import AuthorsReward, prefix_parts, terminal_parts
from repro.own import digest
from repro.settings import RewardWeights

Training = Callable[[], Set[str]] | None  # returns the strings that the prior learned from, which are not novel


class Known(Protocol):
    """A prior of molecules: the tokens that it knows, and how strings are cut into them."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The end token first."""

    @property
    def tokeniser(self) -> str:
        """Regex or characters."""


class Molecules(Domain):
    """SMILES strings under a reward that a finished molecule earns: by its scores, or a function of B strings."""

    name = "molecules"
    end = END_INDEX

    def __init__(self, known: Vocabulary | Known, reward: RewardWeights | Reward | None = None,
                 training: Training = None, invalid: float = INVALID, horizon: int = HORIZON) -> None:  # fmt: skip
        """`known`: a Vocabulary, or a prior that has `vocabulary` and `tokeniser` (`repro.load_prior`).

        A function of yours is asked for valid, finished molecules alone; all other strings earn `invalid`, where a
        RewardWeights does not say it. `horizon`: the most tokens of a molecule, the end included.
        """
        if not (reward is None or isinstance(reward, RewardWeights) or callable(reward)):
            raise DomainError(f"the reward is {reward!r}: it must be a RewardWeights, or a function of strings")
        self.coding = known if isinstance(known, Vocabulary) else Vocabulary(known.vocabulary, known.tokeniser)
        self.vocabulary = self.coding.tokens
        self.reward = RewardWeights() if reward is None else reward
        self.training, self.horizon = training, horizon
        self.invalid = invalid if callable(self.reward) else self.reward.invalid

    def spec(self) -> dict[str, object]:
        """What of the domain determines a run; `reward` is None for a function without a name (`digest`)."""
        reward = digest(self.reward) if callable(self.reward) else asdict(self.reward)
        spec = super().spec() | {"reward": reward, "horizon": self.horizon, "tokens": list(self.vocabulary)}
        return spec | ({"invalid": self.invalid} if callable(self.reward) else {})

    def scored(self, sequences: np.ndarray) -> pd.DataFrame:
        """The table of `scores.score` and smiles, one row per sequence of (B, T)."""
        smiles = self.coding.decode(sequences)
        return scores.score(smiles).assign(smiles=smiles)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of the reward, each (B, T), at the last step of each molecule."""
        if isinstance(self.reward, RewardWeights):
            parts = terminal_parts(self.scored(sequences), ended(sequences), self.reward)
        else:
            smiles = self.coding.decode(sequences)
            whole = ended(sequences) & [scores.parse(string)[0] is not None for string in smiles]
            parts = {"reward": earned(self.reward, smiles, whole, self.invalid)}
        return {name: at_the_end(values, sequences, self.end) for name, values in parts.items()}

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The reward at the last step of each molecule, (B, T)."""
        return np.sum(list(self.reward_parts(sequences).values()), axis=0)

    def watch(self, sequences: np.ndarray) -> dict[str, float]:
        """Validity, mean scores of the valid molecules (NaN without one) and the share of different strings."""
        table = self.scored(sequences)
        means = {name: float(table.loc[table["valid"], name].mean()) for name in scores.Scores._fields}
        unique = table["smiles"].nunique() / max(1, len(table))
        return {"valid": float(table["valid"].mean()), **means, "unique": unique}

    def values(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """Validity and scores of each string, whose means under the optimum are estimated."""
        table = self.scored(sequences)
        return {name: table[name].to_numpy(float) for name in ("valid", "logp", "qed", "sa")}

    def text(self, sequence: np.ndarray) -> str:
        """The SMILES string of one sequence (T,)."""
        return self.coding.decode(sequence[None])[0]

    def encode(self, strings: Sequence[str]) -> list[np.ndarray]:
        """Strings as sequences to learn from, each with its first input and its end."""
        return self.coding.encode(strings)

    def draw(self, sample: pd.DataFrame) -> Any:
        """The molecules of a frame with columns text and reward, as one picture."""
        read = [(scores.parse(row.text)[0], f"{row.reward:.3g}") for row in sample.itertuples()]
        valid = [(molecule, caption) for molecule, caption in read if molecule is not None]
        if not valid:
            raise DomainError(f"none of the {len(read)} strings is a molecule: there is nothing to draw")
        molecules, captions = zip(*valid, strict=True)
        return Draw.MolsToGridImage(molecules, legends=captions, molsPerRow=4, subImgSize=(220, 180))

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 2."""
        finished, known = ended(sequences), self.training() if self.training else None
        return scores.table_2(self.scored(sequences), finished, before_end(sequences) + finished, known)


class AuthorsMolecules(Molecules):
    """The authors' episode: a uniformly random first character, no part of the string, and a reward of every token."""

    name = "authors_molecules"

    def __init__(self, vocabulary: Vocabulary, authors: AuthorsReward | None = None, training: Training = None) -> None:
        self.authors = authors or AuthorsReward()
        super().__init__(vocabulary, training=training, horizon=self.authors.max_length)
        self.invalid = -math.inf

    def spec(self) -> dict[str, object]:
        """As of `Molecules`, with the weights of the authors' reward."""
        return super().spec() | {"reward": asdict(self.authors)}

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Any character but the end; the authors' code never draws the last one either."""
        return generator.integers(1, len(self.vocabulary), size=count)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of the authors' reward, each (B, T)."""
        rows = zip(sequences, before_end(sequences), strict=True)
        characters = [[self.vocabulary[token] for token in row[:length]] for row, length in rows]
        return prefix_parts(characters, ended(sequences), sequences.shape[1], self.authors)
