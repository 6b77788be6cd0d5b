"""The two task rewards of molecules, as pure functions of what was sampled.

    terminal(smiles, ended)          # (B,): one reward a molecule, paid when it ends
    prefix_rewards(sequences, ended) # (B, T): the authors' reward, paid at every token

Both come before the division by the temperature c, and apart into the parts that add up to them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TypeVar

import numpy as np
import pandas as pd

from repro.molecules import scores

REMEMBERED = 2**17  # prefixes; short ones come again in nearly every molecule
CARBON = "C"
Weights = TypeVar("Weights", "TerminalReward", "AuthorsReward")


@dataclass(frozen=True)
class TerminalReward:
    """Weights of the reward that a finished molecule earns at its end. All ours; the four scores are the paper's."""

    qed: float = 2.0  # times QED, 0 to 1
    sa: float = 1.0  # times minus the SA score, -10 to -1
    logp: float = 1.0  # times logP
    ring_penalty: float = 1.0  # times the ring penalty, at most 0
    invalid: float = -2.0  # paid instead for an invalid or unfinished molecule


@dataclass(frozen=True)
class AuthorsReward:
    """The authors' reward of every token. The values are those of their final run; `TRAIN` differs in one.

    A sequence of L tokens, the end token included, ends with that token or at `max_length`. The quality of a valid
    prefix is logp logP + ring_penalty (ring penalty) + qed QED - sa (SA score).
    """

    logp: float = 3.0  # authors' code
    ring_penalty: float = 5.0  # authors' code
    qed: float = 50.0  # authors' code, final run
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


LATEST = AuthorsReward()  # the authors' final run; they multiply by .35: c = 2.857
TRAIN = AuthorsReward(qed=40.0)  # their earlier training script; they multiply by .4: c = 2.5


def weighted(settings: Weights, weights: Mapping[str, float]) -> Weights:
    """Returns the settings with some of their values replaced.

    Raises:
        ValueError: an unknown name, with the known ones, or a value that is no finite number.
    """
    known = {field.name for field in dataclasses.fields(settings)}
    for name, value in weights.items():
        if name not in known:
            raise ValueError(f"unknown weight {name!r}; the weights are {', '.join(sorted(known))}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"the weight {name} is {value!r}: it must be a finite number")
    return dataclasses.replace(settings, **weights)  # type: ignore[arg-type]


def _flags(ended: Iterable[bool], count: int) -> np.ndarray:
    """Returns which of `count` sequences ended as booleans (B,)."""
    flags = np.asarray(ended, dtype=bool)
    if flags.shape != (count,):
        raise ValueError(f"{count} sequences need as many flags that say which ended, not {flags.shape}")
    return flags


def terminal_parts(table: pd.DataFrame, ended: Iterable[bool], settings: TerminalReward) -> dict[str, np.ndarray]:
    """Returns the parts of the terminal reward from a table of `scores.score`.

    Args:
        table: one row a molecule, B rows.
        ended: which molecules ended before the horizon, (B,).
        settings: the weights.

    Returns:
        Part -> float (B,): qed, sa, logp, ring_penalty, which are 0 for a molecule that is invalid or unfinished, and
        invalid, which is 0 for all others.
    """
    finished = table["valid"].to_numpy() & _flags(ended, len(table))
    signs = {"qed": 1, "sa": -1, "logp": 1, "ring_penalty": 1}
    parts = {
        name: np.where(finished, sign * getattr(settings, name) * table[name].to_numpy(), 0.0)
        for name, sign in signs.items()
    }
    return parts | {"invalid": np.where(finished, 0.0, settings.invalid)}


def terminal(
    smiles: Iterable[str],
    ended: Iterable[bool],
    settings: TerminalReward | None = None,
    processes: int = 1,
) -> np.ndarray:
    """Returns 2 QED - SA + logP + ring penalty of each finished valid molecule, -2 for the others: float (B,).

    Args:
        smiles: B strings without their end token.
        ended: which of them ended before the horizon, (B,).
        settings: other weights than these.
        processes: as in `scores.score`.

    Raises:
        ValueError: not a list of strings, flags of another length.
        ScoringError: RDKit fails on a valid molecule.
    """
    table = scores.score(smiles, processes=processes)
    return reduce(np.add, terminal_parts(table, ended, settings or TerminalReward()).values())


@lru_cache(maxsize=REMEMBERED)
def _prefix_scores(smiles: str) -> scores.Scores | None:
    """Returns the scores of a prefix, QED with the authors' parameters; None if it is invalid."""
    return scores.of_smiles(smiles, qed_parameters="authors")


def quality(of: scores.Scores, settings: AuthorsReward) -> float:
    """Returns the weighted sum of a valid molecule's scores."""
    return (
        settings.logp * of.logp + settings.ring_penalty * of.ring_penalty + settings.qed * of.qed - settings.sa * of.sa
    )


def length_penalty(length: int, settings: AuthorsReward) -> float:
    """Returns what a finished sequence of L tokens, the end token included, is paid for being short or long."""
    if length < settings.short:
        return settings.short_seq if length < settings.shortest else settings.shortish_seq
    if length > settings.long:
        return settings.long_seq if length > settings.longest else settings.longish_seq
    return 0.0


def _end(valid: bool, length: int, settings: AuthorsReward) -> tuple[float, float]:
    """Returns what the end pays for validity and for length."""
    penalty = length_penalty(length, settings)
    if valid:
        bonus = min(settings.valid_length_multiplier * length, settings.valid_length_bonus_cap)
        return settings.end_valid_bonus, penalty + bonus
    return settings.end_invalid_penalty, penalty + settings.invalid_length_multiplier * length


def _steps(tokens: Sequence[str], ended: bool, settings: AuthorsReward) -> list[tuple[float, float, float, float]]:
    """Returns what each token of one sequence earns, in the order of PARTS; the end token last, if it came."""
    rows, prefix, run = [], "", 0
    for length, token in enumerate([*tokens, ""] if ended else tokens, start=1):  # the end token adds no character
        prefix += token
        found = _prefix_scores(prefix)
        worth = 0.0 if found is None else quality(found, settings)
        if (ended and length > len(tokens)) or length == settings.max_length:
            validity, for_length = _end(found is not None, length, settings)
            worth *= settings.end_valid_drug_quality_multiplier
        else:
            validity = settings.any_invalid_penalty if found is None else settings.any_valid_bonus
            for_length = 0.0
        carbons = settings.repeated_C_penalty if token == CARBON and run > settings.most_carbons else 0.0
        run = run + 1 if token == CARBON else 0
        rows.append((worth, validity, for_length, carbons))
    return rows


PARTS = ("quality", "validity", "length", "carbons")


def prefix_parts(
    sequences: Sequence[Sequence[str]],
    ended: Iterable[bool],
    settings: AuthorsReward = LATEST,
    steps: int | None = None,
) -> dict[str, np.ndarray]:
    """Returns the parts of `prefix_rewards`, by their names in PARTS, each float (B, T). Takes and raises the same."""
    flags = _flags(ended, len(sequences))
    lengths = [len(sequence) + flag for sequence, flag in zip(sequences, flags, strict=True)]
    limit = settings.max_length if steps is None else min(steps, settings.max_length)
    for row, length in enumerate(lengths):
        if length > limit:
            raise ValueError(f"sequence {row} has {length} tokens with its end; at most {limit} are rewarded")
    rewards = np.zeros((len(PARTS), len(sequences), max(lengths, default=0) if steps is None else steps))
    for row, (sequence, flag, length) in enumerate(zip(sequences, flags, lengths, strict=True)):
        if length:
            rewards[:, row, :length] = np.array(_steps(sequence, bool(flag), settings)).T
    return dict(zip(PARTS, rewards, strict=True))


def prefix_rewards(
    sequences: Sequence[Sequence[str]],
    ended: Iterable[bool],
    settings: AuthorsReward = LATEST,
    steps: int | None = None,
) -> np.ndarray:
    """Returns the authors' reward of every token, given the tokens before it.

    Every prefix is parsed. One that parses earns a bonus and its quality, whether or not it is the molecule meant; the
    end of a molecule pays once more, and much more. The paper describes the four scores, the authors' code this sum.

    Args:
        sequences: B strings, whose characters are the tokens as in the authors' code, or B lists of tokens; without
            end tokens. The C of Cl counts as a carbon when it is a token of its own.
        ended: which sequences an end token follows, (B,).
        settings: LATEST, TRAIN, or others.
        steps: T; the longest sequence with its end token unless given.

    Returns:
        Float (B, T), 0 after the end.

    Raises:
        ValueError: more tokens than `steps` or `settings.max_length`, flags of another length.
        ScoringError: RDKit fails on a valid molecule.
    """
    return reduce(np.add, prefix_parts(sequences, ended, settings, steps).values())
