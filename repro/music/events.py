"""The coding of melodies: one of 38 events a sixteenth note, as the paper has it.

0 is a rest (note off), 1 holds what sounds (no event), 2 to 37 strike MIDI pitch 48 to 83 (C3 to B5).
Everything is in C major or A minor.
"""

from __future__ import annotations

import numpy as np

NUM_EVENTS = 38
REST = 0  # paper: "note off"
HOLD = 1  # paper: "no event"
FIRST_PITCH = 2  # the event that strikes MIDI pitch 48
LOWEST_MIDI = 48  # C3
HIGHEST_MIDI = 83  # B5
TONIC = 14  # middle C, MIDI 60; the only tonic that the authors' rules reward
HORIZON = 32  # events a melody: two bars of 4/4
STEPS_PER_QUARTER = 4  # sixteenth notes
TEMPO = 80.0  # quarter notes a minute, the authors' rendering


def checked(melodies: object, horizon: int | None = None) -> np.ndarray:
    """Returns melodies as an int64 array (B, T), or says in one sentence what is wrong with them.

    Args:
        melodies: a list of equally long lists of events, or an integer array (B, T).
        horizon: the most events a melody may have, if any.

    Raises:
        ValueError: ragged lists, not two axes, not whole numbers, an event outside 0..37, or T > horizon.
    """
    try:
        array = np.asarray(melodies)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype == object:
        raise ValueError("melodies are of different lengths: pass a batch (B, T) of equally long melodies")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"melodies have shape {array.shape}: pass a batch (B, T) with T >= 1")
    if array.dtype.kind not in "iu":
        raise ValueError(f"melodies have type {array.dtype}: events are whole numbers 0..{NUM_EVENTS - 1}")
    if array.size and (array.min() < 0 or array.max() >= NUM_EVENTS):
        bad = int(array.min() if array.min() < 0 else array.max())
        raise ValueError(f"event {bad} is not one of the {NUM_EVENTS} events 0..{NUM_EVENTS - 1}")
    if horizon is not None and array.shape[1] > horizon:
        raise ValueError(f"melodies have {array.shape[1]} events: the horizon is {horizon}")
    return array.astype(np.int64, copy=False)
