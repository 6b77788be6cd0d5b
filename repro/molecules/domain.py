"""Molecules as a domain: SMILES strings under a reward at their end, the authors' of every token, or your own."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from rdkit import rdBase
from rdkit.Chem import Draw

from repro.domain import INVALID, Domain, Reward, alive, at_the_end, digest, earned, must
from repro.molecules import scores
from repro.molecules.data import END_INDEX, HORIZON, Vocabulary, ended
from repro.settings import RewardWeights

Training = Callable[[], Set[str]] | None  # returns the strings that the prior learned from, which are not novel
Parts = dict[str, np.ndarray]  # of a reward, by name
PARTS = ("quality", "validity", "length", "carbons")  # of the authors' reward


@dataclass(frozen=True)
class AuthorsReward:
    """The authors' reward of every token; the L tokens of a sequence include its end token, if there is one."""

    # The values are those of their final run, which multiplies by .35: c = 2.857. The quality of a valid prefix is
    # logp logP + ring_penalty (ring penalty) + qed QED - sa (SA score).
    logp: float = 3.0  # authors' code
    ring_penalty: float = 5.0  # authors' code
    qed: float = 50.0  # authors' code, final run (40 in their earlier training script)
    sa: float = 2.0  # authors' code
    any_valid_bonus: float = 5.0  # authors' code: with the quality, for each unfinished prefix that parses
    any_invalid_penalty: float = -5.0  # authors' code: for each that does not (their library's default is +1)
    end_valid_bonus: float = 600.0  # authors' code: for a finished valid molecule
    end_invalid_penalty: float = 0.0  # authors' code
    end_valid_drug_quality_multiplier: float = 10.0  # authors' code: times the quality at the end
    valid_length_multiplier: float = 0.0  # authors' code: times L at a valid end, at most the cap
    valid_length_bonus_cap: float = 0.0  # authors' code; their library misspells this name, which ends in a TypeError
    invalid_length_multiplier: float = 0.0  # authors' code: times L at an invalid end
    short_seq: float = -200.0  # authors' code: L < shortest; a patch against reward hacking
    shortish_seq: float = -25.0  # authors' code: L < short, another patch
    longish_seq: float = 0.0  # authors' code: L > long
    long_seq: float = 0.0  # authors' code: L > longest
    repeated_C_penalty: float = -150.0  # authors' code: for each C after too many; a patch against carbon chains
    most_carbons: int = 11  # authors' code: the longest run of C in their data; the 13th C is the first to cost
    shortest: float = 19.0  # authors' code: characters of the shortest SMILES of their data
    short: float = 27.08  # authors' code: mean 45.82 - 2 standard deviations of 9.37
    long: float = 64.56  # authors' code: mean + 2 standard deviations
    longest: float = 78.0  # authors' code: of the longest SMILES
    max_length: int = 120  # authors' code: tokens an episode


def terminal_parts(table: pd.DataFrame, ended: Iterable[bool], weights: RewardWeights) -> Parts:
    """The parts (B,) of the reward of B molecules, from `scores.score`: `invalid` alone for a failed or unended one."""
    finished = table["valid"].to_numpy() & np.asarray(ended, dtype=bool)
    worth = {"qed": weights.qed, "sa": -weights.sa, "logp": weights.logp, "ring_penalty": weights.ring_penalty}
    parts = {name: np.where(finished, weight * table[name], 0.0) for name, weight in worth.items()}
    return parts | {"invalid": np.where(finished, 0.0, weights.invalid)}


def length_penalty(length: int, weights: AuthorsReward) -> float:
    """What a finished sequence of L tokens, the end token included, is paid for being short or long."""
    if length < weights.short:
        return weights.short_seq if length < weights.shortest else weights.shortish_seq
    if length > weights.long:
        return weights.long_seq if length > weights.longest else weights.longish_seq
    return 0.0


def prefix_parts(strings: Sequence[str], ended: Iterable[bool], steps: int, of: AuthorsReward) -> Parts:
    """The parts of the authors' reward of every character given those before it, each float (B, T), 0 after the end."""
    # every prefix is parsed; an end token follows B strings where `ended` (B,)
    rewards = np.zeros((len(PARTS), len(strings), steps))
    for row, (tokens, finished) in enumerate(zip(strings, ended, strict=True)):
        prefix = ""
        for length, token in enumerate([*tokens, ""] if finished else tokens, start=1):  # the end adds no character
            prefix += token
            valid, logp, qed, sa, rings, _ = scores.row(prefix, "authors")
            worth = of.logp * logp + of.ring_penalty * rings + of.qed * qed - of.sa * sa if valid else 0.0
            if length > len(tokens) or length == of.max_length:
                worth *= of.end_valid_drug_quality_multiplier
                validity = of.end_valid_bonus if valid else of.end_invalid_penalty
                bonus = min(of.valid_length_multiplier * length, of.valid_length_bonus_cap)
                for_length = length_penalty(length, of) + (bonus if valid else of.invalid_length_multiplier * length)
            else:
                validity, for_length = of.any_valid_bonus if valid else of.any_invalid_penalty, 0.0
            too_many = token and prefix.endswith("C" * (of.most_carbons + 2))
            carbons = of.repeated_C_penalty if too_many else 0.0
            rewards[:, row, length - 1] = worth, validity, for_length, carbons
    return dict(zip(PARTS, rewards, strict=True))


class Molecules(Domain):
    """SMILES strings under a reward that a finished molecule earns: by its scores, or a function of B strings."""

    name = "molecules"
    end = END_INDEX

    def __init__(self, prior: Any, reward: RewardWeights | Reward | None = None,
                 training: Training = None, invalid: float = INVALID, horizon: int = HORIZON) -> None:  # fmt: skip
        """`prior`: what `repro.load_prior` returned, or a Vocabulary.

        A function of yours is asked for valid, finished molecules alone; all other strings earn `invalid`, where a
        RewardWeights does not say it. `horizon`: the most tokens of a molecule, the end included.
        """
        usable = reward is None or isinstance(reward, RewardWeights) or callable(reward)
        must(usable, f"the reward is {reward!r}: it must be a RewardWeights, or a function of strings")
        must(getattr(prior, "tokeniser", ""), "the prior writes no molecules: load_prior('molecules') does")
        self.coding = prior if isinstance(prior, Vocabulary) else Vocabulary(prior.vocabulary, prior.tokeniser)
        self.vocabulary, self.tokeniser = self.coding.tokens, self.coding.tokeniser
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
            with rdBase.BlockLogs():  # what RDKit says of each molecule would flood a notebook
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
        fits = isinstance(sample, pd.DataFrame) and {"text", "reward"} <= {*sample}
        must(fits, f"the sample is {sample!r:.60}: give a frame with text and reward, as sample(12)")
        read = [(scores.parse(row.text)[0], f"{row.reward:.3g}") for row in sample.itertuples()]
        valid = [(molecule, caption) for molecule, caption in read if molecule is not None]
        must(valid, f"none of the {len(read)} strings is a molecule: there is nothing to draw")
        molecules, captions = zip(*valid, strict=True)
        return Draw.MolsToGridImage(molecules, legends=captions, molsPerRow=4, subImgSize=(220, 180))

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 2."""
        lengths, known = alive(sequences, self.end).sum(axis=1), self.training() if self.training else None
        return scores.table_2(self.scored(sequences), ended(sequences), lengths, known)


class AuthorsMolecules(Molecules):
    """The authors' episode: a uniformly random first character, no part of the string, and a reward of every token."""

    name = "authors_molecules"

    def __init__(self, vocabulary: Vocabulary, authors: AuthorsReward | None = None, training: Training = None) -> None:
        self.authors = authors or AuthorsReward()
        super().__init__(vocabulary, training=training, horizon=self.authors.max_length)
        self.invalid = Domain.invalid

    def spec(self) -> dict[str, object]:
        """As of `Molecules`, with the weights of the authors' reward."""
        return super().spec() | {"reward": asdict(self.authors)}

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Any character but the end; the authors' code never draws the last one either."""
        return generator.integers(1, len(self.vocabulary), size=count)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The parts of the authors' reward, each (B, T)."""
        return prefix_parts(self.coding.decode(sequences), ended(sequences), sequences.shape[1], self.authors)
