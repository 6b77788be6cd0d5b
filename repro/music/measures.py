"""Table 1: how often melodies keep or break the rules of music theory, and how different they are from one another.

    counts = per_melody(melodies)   # DataFrame, one row a melody
    rule_counts(melodies)           # Series, one entry a row of Table 1; equals summarise(counts, events_per_melody)

What is counted, and what it is divided by, follows the authors' code. Melodies are judged whole: the last event given
is taken for the last of the melody.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro.music.events import TONIC, checked
from repro.music.facts import IN_KEY_FIFTH, IN_KEY_THIRD, REST_AFTER_C_OR_G, REST_CODE, Melodies, chunks

LAGS = (1, 2, 3)
TITLES = {
    "repeated": "Notes excessively repeated",
    "autocorrelation_1": "Mean autocorrelation, lag 1",
    "autocorrelation_2": "Mean autocorrelation, lag 2",
    "autocorrelation_3": "Mean autocorrelation, lag 3",
    "not_in_key": "Notes not in key",
    "starts_with_tonic": "Melodies starting with the tonic",
    "leaps_resolved": "Leaps resolved",
    "unique_max": "Melodies with a unique highest note",
    "unique_min": "Melodies with a unique lowest note",
    "in_motif": "Notes in a motif",
    "in_repeated_motif": "Notes in a repeated motif",
}
PER_EVENT = ("repeated", "not_in_key", "in_motif", "in_repeated_motif")  # counted at events; the others once a melody

# The authors count in-key thirds nowhere: their comparison catches in-key fifths only. `in_key_thirds` is ours.
INTERVAL_COUNTERS = {
    "rests": REST_CODE,
    "rests_after_tonic_or_fifth": REST_AFTER_C_OR_G,
    "in_key_thirds": IN_KEY_THIRD,
    "in_key_fifths": IN_KEY_FIFTH,
    "seconds": 2,
    "thirds": 4,
    "fourths": 5,
    "fifths": 7,
    "sixths": 9,
    "sevenths": 11,
}
DISTINCT_AMONG = 10_000


def _count(facts: np.ndarray) -> np.ndarray:
    """Returns how many events of each melody a fact holds for, (B,) from bool (T, B); T is at most 127."""
    return np.add.reduce(facts.view(np.uint8), axis=0, dtype=np.uint8)


def _autocorrelation(batch: Melodies, lag: int) -> np.ndarray:
    """Returns r_lag of each whole melody, (B,); NaN for a constant one, which has no variance to divide by."""
    variation = batch.variation[-1]
    return batch.covariation(lag)[-1] / np.where(variation > 0, variation, np.nan)


def _columns(batch: Melodies, intervals: bool) -> dict[str, np.ndarray]:
    """Returns the columns of `per_melody` for one part of the batch."""
    columns = {
        "repeated": _count(batch.repeated),
        "not_in_key": _count(~batch.in_key),
        "starts_with_tonic": batch.events[0] == TONIC,
        "leaps_resolved": _count(batch.leap_outcomes > 0),
        "leaps_doubled": _count(batch.leap_outcomes < 0),
        "unique_max": batch.unique_max,
        "unique_min": batch.unique_min,
        "in_motif": _count(batch.in_motif),
        "in_repeated_motif": _count(batch.in_repeated_motif),
    }
    if intervals:
        codes = batch.interval_codes
        columns |= {name: _count(codes == code) for name, code in INTERVAL_COUNTERS.items()}
        columns["octave_jumps"] = _count(codes > 12)  # the authors' name for what is wider than an octave
    columns = {name: column.astype(np.int64) for name, column in columns.items()}
    return columns | {f"autocorrelation_{lag}": _autocorrelation(batch, lag) for lag in LAGS}


def per_melody(melodies: object, intervals: bool = True) -> pd.DataFrame:
    """Returns what Table 1 is summed from, one row a melody.

    Args:
        melodies: lists or an integer array (B, T) of sampled events 0..37, without priming notes.
        intervals: also count intervals by their class, which Table 1 does not need.

    Returns:
        Whole numbers, events or leaps a melody: repeated, not_in_key, in_motif, in_repeated_motif, leaps_resolved,
        leaps_doubled; 0 or 1: starts_with_tonic, unique_max, unique_min; real numbers: autocorrelation_1 to _3, NaN
        for a constant melody; with intervals, the INTERVAL_COUNTERS and octave_jumps. A note is "in a motif" when the
        window of 8 events that ends at it is one, so at most 25 of 32 are, and 17 of 32 in a repeated motif.

    Raises:
        ValueError: melodies of different lengths, not whole numbers, or outside 0..37.
    """
    parts = [_columns(batch, intervals) for _, batch in chunks(melodies)]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def summarise(melodies: pd.DataFrame, events_per_melody: int) -> pd.Series:
    """Returns Table 1 from its counters.

    Args:
        melodies: rows of `per_melody`.
        events_per_melody: T, 32 in the paper.

    Returns:
        One entry a row of Table 1, in the order of TITLES. Fractions in [0, 1] of all events, or of all melodies
        (starts_with_tonic, unique_max, unique_min), or of the leaps that were answered at all (leaps_resolved:
        resolved / (resolved + doubled), NaN without any). Autocorrelations are means over the melodies that have one.
    """
    resolved, doubled = melodies["leaps_resolved"].sum(), melodies["leaps_doubled"].sum()
    table = melodies[list(TITLES)].mean()
    table[list(PER_EVENT)] /= events_per_melody
    table["leaps_resolved"] = resolved / (resolved + doubled) if resolved + doubled else np.nan
    return table


def rule_counts(melodies: object) -> pd.Series:
    """Returns Table 1 of a batch of melodies, one entry a row: see `summarise`. Takes and raises as `per_melody`."""
    array = checked(melodies)
    return summarise(per_melody(array, intervals=False), array.shape[1])


def broken(melody: np.ndarray) -> dict[str, np.ndarray]:
    """Which events of one melody (T,) break a rule, by the rule's name: booleans (T,)."""
    ((_, batch),) = chunks(checked([melody]))
    return {
        "not in key": ~batch.in_key[:, 0],
        "excessively repeated": batch.repeated[:, 0],
        "leap doubled": batch.leap_outcomes[:, 0] < 0,
    }


def distinct_share(melodies: object) -> float:
    """Returns the share of distinct melodies among the first 10,000, in [0, 1]; NaN if there are none."""
    first = checked(melodies)[:DISTINCT_AMONG].astype(np.uint8)
    return len({melody.tobytes() for melody in first}) / len(first) if len(first) else float("nan")


def mean_edit_distance(melodies: object, pairs: int = 2_000, seed: int | np.random.Generator = 0) -> float:
    """Returns the mean edit distance between random pairs of melodies.

    The distance (Levenshtein's) is the least number of events to insert, delete or replace that turns one melody into
    the other. The two melodies of a pair stand at different places of the batch, but may be equal.

    Args:
        melodies: lists or an integer array (B, T), events 0..37.
        pairs: number of pairs, drawn with replacement.
        seed: of the draw, or a generator.

    Returns:
        Events, in [0, T]; NaN when there are fewer than two melodies.

    Raises:
        ValueError: as `per_melody`; or fewer than one pair.
    """
    array = checked(melodies).astype(np.int16)
    if pairs < 1:
        raise ValueError(f"{pairs} pairs: at least one is needed for a mean")
    if len(array) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(array), size=pairs)
    second = (first + rng.integers(1, len(array), size=pairs)) % len(array)
    return float(_edit_distances(array[first].T, array[second].T).mean())


def _edit_distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the edit distance of each pair, (P,), from two batches with time first, int16 (T, P).

    distance[j] is that between the events of `ones` so far and the first j of `others`; the dynamic programme advances
    all pairs together.
    """
    length, pairs = others.shape
    distance = np.repeat(np.arange(length + 1, dtype=np.int16)[:, None], pairs, axis=1)
    for event in ones:
        replaced = distance[:-1] + (others != event)
        deleted = distance + np.int16(1)
        distance = deleted.copy()
        for place in range(length):
            inserted = distance[place] + np.int16(1)
            distance[place + 1] = np.minimum(np.minimum(replaced[place], deleted[place + 1]), inserted)
    return distance[-1]
