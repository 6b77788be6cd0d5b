"""Table 1 against the authors' counters, and the measures of variety against their definitions."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from repro.music import measures

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "music_public.json").read_text())
PIECES = GOLDEN["compositions"]
NOTES = np.array([piece["notes"] for piece in PIECES])
ENTRIES = [
    "repeated", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3", "not_in_key", "starts_with_tonic",
    "leaps_resolved", "unique_max", "unique_min", "in_motif", "in_repeated_motif",
]  # fmt: skip
AUTHORS_NAMES = {
    "not_in_key": "notes_not_in_key", "repeated": "num_repeated_notes", "in_motif": "notes_in_motif",
    "in_repeated_motif": "notes_in_repeated_motif", "starts_with_tonic": "num_starting_tonic",
    "unique_max": "num_high_unique", "unique_min": "num_low_unique", "leaps_resolved": "num_resolved_leaps",
    "leaps_doubled": "num_leap_twice",
}  # fmt: skip


PER_MELODY = ("starts_with_tonic", "unique_max", "unique_min")


def test_counters_are_the_authors_for_every_melody() -> None:
    """Protects every counter of the authors' evaluation, melody by melody, also where so many are worked on in parts,
    and that a constant melody has no autocorrelation.
    """
    times = 9_000 // len(NOTES) + 1
    many, ours = measures.per_melody(np.tile(NOTES, (times, 1))), measures.per_melody(NOTES)
    assert many.equals(pd.concat([ours] * times, ignore_index=True))
    for counter, name in AUTHORS_NAMES.items():
        np.testing.assert_array_equal(ours[counter], [piece["metrics"][name] for piece in PIECES], err_msg=counter)
    for lag in (1, 2, 3):
        authors = np.array([piece["metrics"][f"autocorrelation{lag}"] for piece in PIECES], dtype=float)
        assert np.isnan(authors).any()
        np.testing.assert_allclose(ours[f"autocorrelation_{lag}"], authors, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("group", ["uniform", "musical", "tunes"])
def test_table_is_the_authors_report(group: str) -> None:
    """Protects the denominators: events, melodies, answered leaps, and melodies that have an autocorrelation."""
    table = measures.rule_counts([piece["notes"] for piece in PIECES if piece["group"] == group])
    assert list(table.index) == ENTRIES  # outsiders rely on names and order
    total = GOLDEN["aggregates_this_split"][group]
    for entry in ("repeated", "not_in_key", "in_motif", "in_repeated_motif", *PER_MELODY):
        whole = total["num_compositions" if entry in PER_MELODY else "total_notes"]
        assert table[entry] == pytest.approx(total[AUTHORS_NAMES[entry]] / whole, abs=1e-12)
    for lag in (1, 2, 3):
        assert table[f"autocorrelation_{lag}"] == pytest.approx(total[f"autocorrelation{lag}_nanmean"], abs=1e-9)
    resolved, doubled = total["num_resolved_leaps"], total["num_leap_twice"]
    assert table["leaps_resolved"] == pytest.approx(resolved / (resolved + doubled), abs=1e-12)


def test_edges_of_the_measures() -> None:
    """Protects from 0 where nothing can be said (no leap was answered, no melody varies, there is no melody), and the
    share of different melodies, which looks at the first ten thousand.
    """
    still, nothing = measures.rule_counts([[14] * 32, [1] * 32]), np.empty((0, 32), dtype=int)
    assert still[["leaps_resolved", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3"]].isna().all()
    assert still["starts_with_tonic"] == 0.5 and measures.rule_counts(nothing).isna().all()
    assert np.isnan([measures.distinct_share(nothing), measures.mean_edit_distance([[14, 1]])]).all()
    different = np.stack(np.unravel_index(np.arange(10_000), (38, 38, 38)), axis=1)
    assert measures.distinct_share([[14, 1], [14, 1], [14, 0], [14, 1]]) == 0.5
    assert measures.distinct_share(np.concatenate([different, different])) == 1.0
    assert measures.distinct_share(np.concatenate([different[:5_000]] * 2)) == 0.5


@cache
def slow_edit_distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:  # Levenshtein's, by its definition
    if not one or not other:
        return len(one) + len(other)
    changed = slow_edit_distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(slow_edit_distance(one[1:], other) + 1, slow_edit_distance(one, other[1:]) + 1, changed)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)))
def test_edit_distance_is_levenshteins(pair: tuple[list[int], list[int]]) -> None:
    """Protects the vectorised dynamic programme: with two melodies every pair is this pair."""
    assert measures.mean_edit_distance(pair, pairs=3) == slow_edit_distance(tuple(pair[0]), tuple(pair[1]))


def test_edit_distance_is_a_mean_over_pairs_of_two_places() -> None:
    """Protects the draw: it repeats with its seed, and never pairs a melody with itself."""
    melodies = np.eye(3, 6, dtype=int) * 9 + 14  # any two differ at exactly two places
    assert measures.mean_edit_distance(melodies, pairs=500) == 2.0
    one, again, other = (measures.mean_edit_distance(NOTES, pairs=100, seed=seed) for seed in (3, 3, 4))
    assert one == again != other
