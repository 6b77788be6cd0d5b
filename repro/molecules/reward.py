"""Rewards of molecules, before the division by c: ours at the end, the authors' at every token."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from repro.molecules import scores
from repro.settings import RewardWeights

Parts = dict[str, np.ndarray]  # of a reward, by name
PARTS = ("quality", "validity", "length", "carbons")  # of the authors' reward


@dataclass(frozen=True)
class AuthorsReward:
    """The authors' reward of every token; the L tokens of a sequence include its end token, if there is one.

    The values are those of their final run, which multiplies by .35: c = 2.857. The quality of a valid prefix is
    logp logP + ring_penalty (ring penalty) + qed QED - sa (SA score).
    """

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


def prefix_parts(sequences: Sequence[Sequence[str]], ended: Iterable[bool], steps: int, of: AuthorsReward) -> Parts:
    """The parts of the authors' reward of every token given those before it, each float (B, T), 0 after the end.

    Every prefix is parsed. `sequences` are B lists of tokens, or strings, that an end token follows where `ended` (B,).
    """
    rewards = np.zeros((len(PARTS), len(sequences), steps))
    for row, (tokens, finished) in enumerate(zip(sequences, ended, strict=True)):
        prefix, run = "", 0
        for length, token in enumerate([*tokens, ""] if finished else tokens, start=1):  # the end adds no character
            prefix += token
            valid, logp, qed, sa, rings, _ = scores.row(prefix, "authors")
            worth = of.logp * logp + of.ring_penalty * rings + of.qed * qed - of.sa * sa if valid else 0.0
            if length > len(tokens) or length == of.max_length:
                worth *= of.end_valid_drug_quality_multiplier
                validity = of.end_valid_bonus if valid else of.end_invalid_penalty
                bonus = min(of.valid_length_multiplier * length, of.valid_length_bonus_cap)
                for_length = length_penalty(length, of)
                for_length += bonus if valid else of.invalid_length_multiplier * length
            else:
                validity, for_length = of.any_valid_bonus if valid else of.any_invalid_penalty, 0.0
            carbons = of.repeated_C_penalty if token == "C" and run > of.most_carbons else 0.0
            run = run + 1 if token == "C" else 0
            rewards[:, row, length - 1] = worth, validity, for_length, carbons
    return dict(zip(PARTS, rewards, strict=True))
