"""Table 1: how often whole melodies keep or break the rules, counted as by the authors, and how varied they are."""

import numpy as np
import pandas as pd

from repro.music.events import TONIC, checked
from repro.music.facts import LAGS, chunks

ENTRIES = [
    "repeated", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3", "not_in_key", "starts_with_tonic",
    "leaps_resolved", "unique_max", "unique_min", "in_motif", "in_repeated_motif",
]  # fmt: skip
PER_EVENT = ["repeated", "not_in_key", "in_motif", "in_repeated_motif"]  # the other entries are counted per melody


def per_melody(melodies: object) -> pd.DataFrame:
    """What Table 1 is summed from, a row per melody of (B, T): counts (int64), 0 or 1, and autocorrelations or NaN."""
    # a note is "in a motif" when the 8 events that end at it are one: 25 of 32 at most, and 17 in a repeated one
    parts = []
    for batch in chunks(melodies):
        marks = {
            "repeated": batch.repeated, "not_in_key": ~batch.in_key, "starts_with_tonic": batch.events[:1] == TONIC,
            "leaps_resolved": batch.leap_outcomes > 0, "leaps_doubled": batch.leap_outcomes < 0,
            "unique_max": batch.unique_extremes[0][None], "unique_min": batch.unique_extremes[1][None],
            "in_motif": batch.motif_notes > 0, "in_repeated_motif": batch.in_repeated_motif,
        }  # fmt: skip
        # One byte per melody holds the count, since T is at most 127: fast.
        counts = {name: np.add.reduce(mark.view(np.uint8), dtype=np.uint8).astype(int) for name, mark in marks.items()}
        variation = np.where(batch.variation[-1] > 0, batch.variation[-1], np.nan)
        along = {f"autocorrelation_{lag}": batch.covariation(lag)[-1] / variation for lag in LAGS}
        parts.append(pd.DataFrame(counts | along))
    return pd.concat(parts, ignore_index=True)


def rule_counts(melodies: object) -> pd.Series:
    """Table 1 of a batch (B, T), in this order: shares of events, melodies or answered leaps, mean autocorrelations."""
    counts, events_per_melody = per_melody(melodies), checked(melodies).shape[1]
    resolved, doubled = counts["leaps_resolved"].sum(), counts["leaps_doubled"].sum()
    table = counts[ENTRIES].mean()
    table[PER_EVENT] /= events_per_melody
    table["leaps_resolved"] = resolved / (resolved + doubled) if resolved + doubled else np.nan
    return table


def broken(melody: np.ndarray) -> dict[str, np.ndarray]:
    """Which events of one melody (T,) break a rule, by the rule's name: booleans (T,)."""
    (batch,) = chunks([melody])
    marks = (~batch.in_key, batch.repeated, batch.leap_outcomes < 0)
    return dict(zip(("not in key", "excessively repeated", "leap doubled"), (m[:, 0] for m in marks), strict=True))


def distinct_share(melodies: object) -> float:
    """The share of distinct melodies among the first 10,000, in [0, 1]; NaN if there are none."""
    first = checked(melodies)[:10_000].astype(np.uint8)
    return len({melody.tobytes() for melody in first}) / len(first) if len(first) else float("nan")


def mean_edit_distance(melodies: object, pairs: int = 2_000, seed: int = 0) -> float:
    """The mean Levenshtein distance, in events, between melodies at two random places; NaN for fewer than two."""
    array = checked(melodies).astype(np.int16)
    if len(array) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(array), size=pairs)
    second = (first + rng.integers(1, len(array), size=pairs)) % len(array)
    others = array[second].T  # (T, P): one dynamic programme advances all pairs together
    distance = np.repeat(np.arange(len(others) + 1, dtype=np.int16)[:, None], pairs, axis=1)
    for event in array[first].T:  # distance[j]: between the events of the first so far and j of the second
        replaced = distance[:-1] + (others != event)
        distance = distance + np.int16(1)  # deleted
        for place in range(len(others)):
            inserted = distance[place] + np.int16(1)
            distance[place + 1] = np.minimum(np.minimum(replaced[place], distance[place + 1]), inserted)
    return float(distance[-1].mean())
