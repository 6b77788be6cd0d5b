"""The reward of music theory: what nine rules pay for the facts of `facts`, by the numbers of the authors' code.

A rule pays for each event given the events before it, so all of a batch are paid at once. Rules return arrays (T, B).
"""

from functools import reduce

import numpy as np

from repro.music.events import FIRST_PITCH, HOLD, HORIZON, NUM_EVENTS, REST, TONIC
from repro.music.facts import LAGS, MOTIF_NOTES, Melodies, chunks

INTERVALS = {2: 0.40, 4: 0.45, 5: 0.35, 7: 0.10, 9: 0.25, 11: -1.5}  # by semitones; others to the octave are worth 0
# The worth of every (sounding pitch, event), float64 (38, 38): the authors' table times its scaler 5; 0 where no pitch
# has sounded yet. C down to F is a fifth in key too. The paper and the authors' names speak of rests after third or
# fifth; the code tests C and G.
_FROM, _TO = np.ogrid[:NUM_EVENTS, :NUM_EVENTS]
_SEMITONES = np.abs(_TO - _FROM)
_C_OR_G, _C_OR_E = (np.isin((_FROM - FIRST_PITCH) % 12, classes) for classes in ((0, 7), (0, 4)))
_WORTH = np.select(
    [_FROM < FIRST_PITCH, (_TO == REST) & _C_OR_G, _TO == REST, (_TO == HOLD) & _C_OR_G, _TO == HOLD,
     (_SEMITONES == 7) & _C_OR_G, (_SEMITONES == 4) & _C_OR_E, *(n == _SEMITONES for n in INTERVALS), _SEMITONES > 12],
    [0.0, 0.75, 0.25, 1.5, 0.375, 0.5, 0.75, *INTERVALS.values(), -5.0],
)  # fmt: skip


def key(batch: Melodies) -> np.ndarray:
    """-1 for a pitch outside C major."""
    return np.where(batch.in_key, 0.0, -1.0)


def tonic(batch: Melodies) -> np.ndarray:
    """+3 for middle C as the first event and as the first of the last four, and for letting it sound to the end."""
    events, final = batch.events, HORIZON - 4
    time = np.arange(len(events))[:, None]  # each event is judged for itself; other octaves of C do not count
    places = [(time == 0) | (time == final), time == final + 1, time > final + 1]
    return 3.0 * np.select(places, [events == TONIC, events == HOLD, events < FIRST_PITCH], False)


def repetition(batch: Melodies) -> np.ndarray:
    """-100 for an event that comes too often: see `Melodies.repeated`."""
    return np.where(batch.repeated, -100.0, 0.0)


def autocorrelation(batch: Melodies) -> np.ndarray:
    """-3 |r_k| for each lag k = 1, 2, 3 whose autocorrelation r_k of the events so far is beyond .15 in size."""
    # Both signs are punished, where the paper speaks of "greater than .15". Rests and holds enter as 0 and 1. Ratios of
    # whole numbers are compared exactly: a rare tie costs nothing, where rounding decides in the authors' code.
    rewards = np.zeros(batch.events.shape)
    for lag in LAGS:
        size = np.abs(batch.covariation(lag))
        rewards += -3.0 * (20 * size > 3 * batch.variation) * size / np.maximum(batch.variation, 1)
    return rewards


def motif(batch: Melodies) -> np.ndarray:
    """+3 where the last 8 events strike three different pitches, and .3 more for each further one: up to 4.5."""
    return np.where(batch.motif_notes > 0, 3.0 + 0.3 * (batch.motif_notes - float(MOTIF_NOTES)), 0.0)


def repeated_motif(batch: Melodies) -> np.ndarray:
    """+4, and 1 for each pitch beyond the third, where the last 8 events are a motif that was heard before."""
    return np.where(batch.in_repeated_motif, 4.0 + (batch.motif_notes - float(MOTIF_NOTES)), 0.0)


def intervals(batch: Melodies) -> np.ndarray:
    """What the step from the last pitch to this event is worth; nothing before the first pitch."""
    return _WORTH[batch.sounding, batch.events]


def leaps(batch: Melodies) -> np.ndarray:
    """+5 for resolving a leap of a fifth or more, -5 for leaping on in its direction: see `Melodies.open_leaps`."""
    return 5.0 * batch.leap_outcomes


def unique_extremes(batch: Melodies) -> np.ndarray:
    """+3 each at the last event of the horizon if the highest event and the lowest pitch come once."""
    rewards = np.zeros(batch.events.shape)
    highest, lowest = batch.unique_extremes
    rewards[HORIZON - 1 :] = 3.0 * highest + 3.0 * lowest
    return rewards


_RULES = (key, tonic, repetition, autocorrelation, motif, repeated_motif, intervals, leaps, unique_extremes)
RULES = {rule.__name__: rule for rule in _RULES}


def step_rewards(melodies: object) -> dict[str, np.ndarray]:
    """What each rule pays for each event of melodies (B, T <= 32) without priming notes: float64 (B, T), by name."""
    parts = [[np.ascontiguousarray(rule(batch).T) for rule in RULES.values()] for batch in chunks(melodies, HORIZON)]
    return {name: np.concatenate(rewards) for name, rewards in zip(RULES, zip(*parts, strict=True), strict=True)}


def total_reward(melodies: object) -> np.ndarray:
    """The sum of `step_rewards` over the rules, r_MT before division by the temperature c: float64 (B, T)."""
    sums = (reduce(np.add, (rule(batch) for rule in RULES.values())) for batch in chunks(melodies, HORIZON))
    return np.concatenate([np.ascontiguousarray(total.T) for total in sums])
