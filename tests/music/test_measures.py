"""Table 1 against the authors' counters, and the measures of variety against their definitions."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from repro.music import measures, rules

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


def some_melodies(count: int, seed: int = 0) -> np.ndarray:
    """Returns melodies that break and keep every rule of Table 1 now and then, (count, 32)."""
    rng = np.random.default_rng(seed)
    phrases = rng.choice([0, 1, 1, 9, 14, 14, 16, 18, 20, 21, 26, 37], size=(count, 16))
    return np.where(rng.random((count, 32)) < 0.05, rng.integers(38, size=(count, 32)), np.tile(phrases, 2))


@pytest.mark.parametrize("counter", AUTHORS_NAMES)
def test_counter_is_the_authors_for_every_melody(counter: str) -> None:
    """Protects every counter of the authors' evaluation, melody by melody."""
    authors = [piece["metrics"][AUTHORS_NAMES[counter]] for piece in PIECES]
    np.testing.assert_array_equal(measures.per_melody(NOTES)[counter], authors)


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_autocorrelation_is_the_authors_for_every_melody(lag: int) -> None:
    """Protects the coefficient, and that a constant melody has none."""
    authors = np.array([piece["metrics"][f"autocorrelation{lag}"] for piece in PIECES], dtype=float)
    ours = measures.per_melody(NOTES)[f"autocorrelation_{lag}"]
    assert np.isnan(authors).any()
    np.testing.assert_allclose(ours, authors, rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("group", ["uniform", "musical", "tunes"])
def test_table_is_the_authors_report(group: str) -> None:
    """Protects the denominators: events, melodies, answered leaps, and melodies that have an autocorrelation."""
    table = measures.rule_counts([piece["notes"] for piece in PIECES if piece["group"] == group])
    total = GOLDEN["aggregates_this_split"][group]
    melodies, notes = total["num_compositions"], total["total_notes"]
    for entry in ("repeated", "not_in_key", "in_motif", "in_repeated_motif"):
        assert table[entry] == pytest.approx(total[AUTHORS_NAMES[entry]] / notes, abs=1e-12)
    for entry in ("starts_with_tonic", "unique_max", "unique_min"):
        assert table[entry] == pytest.approx(total[AUTHORS_NAMES[entry]] / melodies, abs=1e-12)
    for lag in (1, 2, 3):
        assert table[f"autocorrelation_{lag}"] == pytest.approx(total[f"autocorrelation{lag}_nanmean"], abs=1e-9)
    resolved, doubled = total["num_resolved_leaps"], total["num_leap_twice"]
    assert table["leaps_resolved"] == pytest.approx(resolved / (resolved + doubled), abs=1e-12)


def test_entries_are_the_contract() -> None:
    """Protects what outsiders rely on: the entries and their order."""
    assert list(measures.rule_counts(NOTES).index) == ENTRIES


def test_rows_are_of_one_melody_each() -> None:
    """Protects the counters of a batch that is worked on in parts: a row for every melody, whole numbers."""
    frame = measures.per_melody(some_melodies(9_000))
    pd.testing.assert_frame_equal(
        frame[5_000:5_010].reset_index(drop=True), measures.per_melody(some_melodies(9_000)[5_000:5_010])
    )
    whole = frame.drop(columns=[f"autocorrelation_{lag}" for lag in (1, 2, 3)])
    assert len(frame) == 9_000 and (whole.dtypes == np.int64).all()


def test_counters_agree_with_the_rewards() -> None:
    """Protects Table 1 and the reward from meaning different things by one rule."""
    melodies = some_melodies(3_000, seed=1)
    frame, rewards = measures.per_melody(melodies), rules.step_rewards(melodies)
    same = {
        "repeated": rewards["repetition"] < 0, "not_in_key": rewards["key"] < 0, "in_motif": rewards["motif"] > 0,
        "in_repeated_motif": rewards["repeated_motif"] > 0, "starts_with_tonic": rewards["tonic"][:, :1] > 0,
        "leaps_resolved": rewards["leaps"] > 0, "leaps_doubled": rewards["leaps"] < 0,
    }  # fmt: skip
    for counter, paid in same.items():
        np.testing.assert_array_equal(frame[counter], paid.sum(axis=1))
    np.testing.assert_array_equal(3 * (frame["unique_max"] + frame["unique_min"]), rewards["unique_extremes"][:, -1])
    assert (frame.sum() != 0).all()  # otherwise this test protects nothing


def test_what_no_melody_has_is_nan() -> None:
    """Protects from 0 where nothing can be said: no leap was answered, no melody varies, there is no melody."""
    still = measures.rule_counts([[14] * 32, [1] * 32])
    assert still[["leaps_resolved", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3"]].isna().all()
    assert still["starts_with_tonic"] == 0.5
    assert measures.rule_counts(np.empty((0, 32), dtype=int)).isna().all()
    assert np.isnan(measures.distinct_share(np.empty((0, 32), dtype=int)))
    assert np.isnan(measures.mean_edit_distance([[14, 1]]))


def test_distinct_share_looks_at_the_first_ten_thousand() -> None:
    """Protects the measure of variety: the share of different melodies, duplicates counted once."""
    different = np.stack(np.unravel_index(np.arange(10_000), (38, 38, 38)), axis=1)
    assert measures.distinct_share(different) == 1.0
    assert measures.distinct_share([[14, 1], [14, 1], [14, 0], [14, 1]]) == 0.5
    assert measures.distinct_share(np.concatenate([different, different])) == 1.0
    assert measures.distinct_share(np.concatenate([different[:5_000]] * 2)) == 0.5


@cache
def slow_edit_distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Returns Levenshtein's distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        slow_edit_distance(one[1:], other) + 1,
        slow_edit_distance(one, other[1:]) + 1,
        slow_edit_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)))
def test_edit_distance_is_levenshteins(pair: tuple[list[int], list[int]]) -> None:
    """Protects the vectorised dynamic programme: with two melodies every pair is this pair."""
    expected = slow_edit_distance(tuple(pair[0]), tuple(pair[1]))
    assert measures.mean_edit_distance(pair, pairs=3) == expected


def test_edit_distance_is_a_mean_over_pairs_of_two_places() -> None:
    """Protects the draw: it repeats with its seed, and never pairs a melody with itself."""
    melodies = np.eye(3, 6, dtype=int) * 9 + 14  # any two differ at exactly two places
    assert measures.mean_edit_distance(melodies, pairs=500) == 2.0
    mixed = some_melodies(200)
    first = measures.mean_edit_distance(mixed, pairs=100, seed=3)
    assert first == measures.mean_edit_distance(mixed, pairs=100, seed=3)
    assert first != measures.mean_edit_distance(mixed, pairs=100, seed=4)
