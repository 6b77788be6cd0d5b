"""The reward of music theory: nine rules, each a pure function of a batch of melodies.

    rewards = step_rewards(melodies)   # rule name -> (B, T), in the order of RULES
    total = total_reward(melodies)     # (B, T), r_MT before division by the temperature c

A rule rewards every event given the events before it, so all rewards of a finished batch are computed at once, and
those of a prefix stay what they are when the melody goes on. The numbers are those of the authors' code. What the
rules look at is in `facts`; here stands what it is worth. Rules take and return arrays with time first, (T, B).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from repro.music.events import FIRST_PITCH, HOLD, HORIZON, TONIC, checked
from repro.music.facts import (
    HOLD_AFTER_C_OR_G,
    HOLD_CODE,
    IN_KEY_FIFTH,
    IN_KEY_THIRD,
    INTERVAL_CODES,
    MOTIF_NOTES,
    REST_AFTER_C_OR_G,
    REST_CODE,
    Melodies,
    chunks,
)

OUT_OF_KEY = -1.0
AT_TONIC = 3.0
TOO_OFTEN = -100.0
AUTOCORRELATION_LAGS = (1, 2, 3)
AUTOCORRELATION_WEIGHT = -3.0  # times |r| where |r| > 3/20
MOTIF, MOTIF_EXTRA_NOTE = 3.0, 0.3
REPEATED_MOTIF, REPEATED_MOTIF_EXTRA_NOTE = 4.0, 1.0
LEAP_RESOLVED_OR_DOUBLED = 5.0  # with the sign of the outcome
UNIQUE_EXTREME = 3.0
BEYOND_OCTAVE = -5.0
INTERVALS = {  # the authors' table times its scaler 5; other intervals up to the octave are worth nothing
    REST_CODE: 0.25,
    HOLD_CODE: 0.375,
    REST_AFTER_C_OR_G: 0.75,
    HOLD_AFTER_C_OR_G: 1.5,
    IN_KEY_FIFTH: 0.5,
    IN_KEY_THIRD: 0.75,
    2: 0.40,
    4: 0.45,
    5: 0.35,
    7: 0.10,
    9: 0.25,
    11: -1.5,
}
_INTERVAL_REWARDS = np.select(
    [code == INTERVAL_CODES for code in INTERVALS] + [INTERVAL_CODES > 12], [*INTERVALS.values(), BEYOND_OCTAVE], 0.0
)


def key(batch: Melodies) -> np.ndarray:
    """-1 for a pitch outside C major."""
    return np.where(batch.in_key, 0.0, OUT_OF_KEY)


def tonic(batch: Melodies) -> np.ndarray:
    """+3 for middle C as the first event and as the first of the last four, and for letting it sound to the end.

    Of the last four events the second must be a hold, the third and fourth a hold or a rest; each is judged for
    itself, whatever pitch sounds. Other octaves of C do not count.
    """
    rewards = np.zeros(batch.events.shape)
    final = batch.horizon - 4
    for time, events in enumerate(batch.events):
        if time in (0, final):
            rewards[time] = AT_TONIC * (events == TONIC)
        elif time == final + 1:
            rewards[time] = AT_TONIC * (events == HOLD)
        elif time > final + 1:
            rewards[time] = AT_TONIC * (events < FIRST_PITCH)
    return rewards


def repetition(batch: Melodies) -> np.ndarray:
    """-100 for an event that comes too often: see `Melodies.repeated`."""
    return np.where(batch.repeated, TOO_OFTEN, 0.0)


def autocorrelation(batch: Melodies) -> np.ndarray:
    """-3 |r_k| for each lag k = 1, 2, 3 whose autocorrelation r_k of the events so far is beyond .15 in size.

    Both signs are punished, where the paper speaks of "greater than .15". Rests and holds enter as the numbers 0 and
    1. A constant melody has no autocorrelation and no penalty. With two events r_1 is always -1/2: a second event that
    differs from the first costs 1.5.

    r_k is a ratio of whole numbers and the threshold is 3/20, so the comparison is exact: a tie costs nothing. The
    authors' code compares rounded numbers, and whether a tie costs .45 depends on the rounding. Ties are rare.
    """
    rewards = np.zeros(batch.events.shape)
    for lag in AUTOCORRELATION_LAGS:
        size = np.abs(batch.covariation(lag))
        punished = 20 * size > 3 * batch.variation
        rewards += AUTOCORRELATION_WEIGHT * punished * size / np.maximum(batch.variation, 1)
    return rewards


def motif(batch: Melodies) -> np.ndarray:
    """+3 where the last 8 events strike three different pitches, and .3 more for each further one: up to 4.5."""
    return np.where(batch.in_motif, MOTIF + MOTIF_EXTRA_NOTE * (batch.motif_notes - float(MOTIF_NOTES)), 0.0)


def repeated_motif(batch: Melodies) -> np.ndarray:
    """+4, and 1 for each pitch beyond the third, where the last 8 events are a motif that was heard before."""
    worth = REPEATED_MOTIF + REPEATED_MOTIF_EXTRA_NOTE * (batch.motif_notes - float(MOTIF_NOTES))
    return np.where(batch.in_repeated_motif, worth, 0.0)


def intervals(batch: Melodies) -> np.ndarray:
    """The worth, in INTERVALS, of the step from the last pitch to this event; nothing before the first pitch."""
    return _INTERVAL_REWARDS.take(batch.interval_index)


def leaps(batch: Melodies) -> np.ndarray:
    """+5 for resolving a leap of a fifth or more, -5 for leaping on in its direction: see `Melodies.open_leaps`."""
    return LEAP_RESOLVED_OR_DOUBLED * batch.leap_outcomes


def unique_extremes(batch: Melodies) -> np.ndarray:
    """+3 each at the last event of the horizon if the highest event and the lowest pitch come once."""
    rewards = np.zeros(batch.events.shape)
    if len(rewards) == batch.horizon:
        rewards[-1] = UNIQUE_EXTREME * batch.unique_max + UNIQUE_EXTREME * batch.unique_min
    return rewards


RULES: dict[str, Callable[[Melodies], np.ndarray]] = {
    "key": key,
    "tonic": tonic,
    "repetition": repetition,
    "autocorrelation": autocorrelation,
    "motif": motif,
    "repeated_motif": repeated_motif,
    "intervals": intervals,
    "leaps": leaps,
    "unique_extremes": unique_extremes,
}


def step_rewards(melodies: object, horizon: int = HORIZON) -> dict[str, np.ndarray]:
    """Returns what each rule pays for each event.

    Args:
        melodies: lists or an integer array (B, T), events 0..37, T <= horizon. Priming notes are no part of it.
        horizon: events of a finished melody.

    Returns:
        Rule name -> float64 (B, T), in the order of RULES.

    Raises:
        ValueError: melodies of different lengths, not whole numbers, outside 0..37, or longer than the horizon.
    """
    array = checked(melodies, horizon)
    rewards = {name: np.empty(array.shape) for name in RULES}
    for part, batch in chunks(array, horizon):
        for name, rule in RULES.items():
            rewards[name][part] = rule(batch).T
    return rewards


def total_reward(melodies: object, horizon: int = HORIZON) -> np.ndarray:
    """Returns the sum of all rules for each event, r_MT before division by the temperature c: float64 (B, T).

    Takes and raises what `step_rewards` does.
    """
    array = checked(melodies, horizon)
    total = np.empty(array.shape)
    for part, batch in chunks(array, horizon):
        total[part] = reduce(np.add, (rule(batch) for rule in RULES.values())).T
    return total
