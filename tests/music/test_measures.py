"""Table 1 against the authors' counters, and the measures of variety against their definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

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
    "not_in_key": "notes_not_in_key",
    "repeated": "num_repeated_notes",
    "in_motif": "notes_in_motif",
    "in_repeated_motif": "notes_in_repeated_motif",
    "starts_with_tonic": "num_starting_tonic",
    "unique_max": "num_high_unique",
    "unique_min": "num_low_unique",
    "leaps_resolved": "num_resolved_leaps",
    "leaps_doubled": "num_leap_twice",
    "rests": "num_rest_intervals",
    "rests_after_tonic_or_fifth": "num_special_rest_intervals",
    "octave_jumps": "num_octave_jumps",
    "in_key_fifths": "num_in_key_preferred_intervals",
    "fifths": "num_fifths",
    "thirds": "num_thirds",
    "sixths": "num_sixths",
    "seconds": "num_seconds",
    "fourths": "num_fourths",
    "sevenths": "num_sevenths",
}


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
    """Protects what outsiders rely on: the entries, their order, a title for each."""
    table = measures.rule_counts(NOTES)
    assert list(table.index) == ENTRIES == list(measures.TITLES)


def test_table_can_be_recomputed_from_its_counters() -> None:
    """Protects per_melody as the source of Table 1, with and without the counters that the table does not need."""
    frame = measures.per_melody(some_melodies(9_000))
    pd.testing.assert_series_equal(measures.summarise(frame, 32), measures.rule_counts(some_melodies(9_000)))
    lean = measures.per_melody(some_melodies(9_000), intervals=False)
    assert set(lean) < set(frame) and not {"rests", "octave_jumps"} & set(lean)
    pd.testing.assert_frame_equal(lean, frame[list(lean)])
    whole = frame.drop(columns=[f"autocorrelation_{lag}" for lag in (1, 2, 3)])
    assert len(frame) == 9_000 and (whole.dtypes == np.int64).all()


def test_counters_agree_with_the_rewards() -> None:
    """Protects Table 1 and the reward from meaning different things by one rule."""
    melodies = some_melodies(3_000, seed=1)
    frame, rewards = measures.per_melody(melodies), rules.step_rewards(melodies)
    np.testing.assert_array_equal(frame["repeated"], (rewards["repetition"] < 0).sum(axis=1))
    np.testing.assert_array_equal(frame["not_in_key"], (rewards["key"] < 0).sum(axis=1))
    np.testing.assert_array_equal(frame["starts_with_tonic"], rewards["tonic"][:, 0] > 0)
    np.testing.assert_array_equal(frame["in_motif"], (rewards["motif"] > 0).sum(axis=1))
    np.testing.assert_array_equal(frame["in_repeated_motif"], (rewards["repeated_motif"] > 0).sum(axis=1))
    np.testing.assert_array_equal(frame["leaps_resolved"], (rewards["leaps"] > 0).sum(axis=1))
    np.testing.assert_array_equal(frame["leaps_doubled"], (rewards["leaps"] < 0).sum(axis=1))
    extremes = 3 * (frame["unique_max"] + frame["unique_min"])
    np.testing.assert_array_equal(extremes, rewards["unique_extremes"][:, -1])
    assert (frame.drop(columns=["sevenths", "seconds"]).sum() != 0).all()  # otherwise this test protects nothing


def test_in_key_thirds_are_counted_apart() -> None:
    """Protects our own counter, which the authors' code lacks: C E is in key, D F sharp is just a third."""
    frame = measures.per_melody([[14, 18, 18], [16, 20, 20]])
    assert frame["in_key_thirds"].tolist() == [1, 0]
    assert frame["thirds"].tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 37), min_size=32, max_size=32), min_size=1, max_size=6), st.randoms())
def test_table_is_within_bounds_whatever_the_order(melodies: list[list[int]], random: Random) -> None:
    """Protects the meaning of the entries as shares, and of the table as a property of the set of melodies."""
    table = measures.rule_counts(melodies)
    low = [-1.0 if entry.startswith("autocorrelation") else 0.0 for entry in table.index]
    assert (table.isna() | ((table >= low) & (table <= 1.0))).all()
    assert not (table["in_motif"] > 25 / 32 or table["in_repeated_motif"] > 17 / 32)
    random.shuffle(melodies)
    pd.testing.assert_series_equal(measures.rule_counts(melodies), table)


def test_what_no_melody_has_is_nan() -> None:
    """Protects from 0 where nothing can be said: no leap was answered, no melody varies, there is no melody."""
    still = measures.rule_counts([[14] * 32, [1] * 32])
    assert still[["leaps_resolved", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3"]].isna().all()
    assert still["starts_with_tonic"] == 0.5
    assert measures.rule_counts(np.empty((0, 32), dtype=int)).isna().all()
    assert np.isnan(measures.distinct_share(np.empty((0, 32), dtype=int)))
    assert np.isnan(measures.mean_edit_distance([[14, 1]]))


@pytest.mark.parametrize(
    "function",
    [measures.per_melody, measures.rule_counts, measures.distinct_share, measures.mean_edit_distance],
)
@pytest.mark.parametrize("melodies", [[[14, 1], [14]], [[38], [1]], [[-1], [1]], [[0.5], [1.0]], [14, 1]])
def test_bad_melodies_are_refused(function: Callable, melodies: list) -> None:
    """Protects from measuring what is no batch of melodies."""
    with pytest.raises(ValueError):
        function(melodies)


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


def test_edit_distance_of_melodies_one_step_apart() -> None:
    """Protects from counting replacements only: a melody a sixteenth later is two edits away, not 32."""
    melody = list(range(2, 34))
    assert measures.mean_edit_distance([melody, [1, *melody[:-1]]]) == 2.0


def test_edit_distance_is_a_mean_over_pairs_of_two_places() -> None:
    """Protects the draw: it repeats with its seed, takes a generator, and never pairs a melody with itself."""
    melodies = np.eye(3, 6, dtype=int) * 9 + 14  # any two differ at exactly two places
    assert measures.mean_edit_distance(melodies, pairs=500) == 2.0
    mixed = some_melodies(200)
    first = measures.mean_edit_distance(mixed, pairs=100, seed=3)
    assert first == measures.mean_edit_distance(mixed, pairs=100, seed=np.random.default_rng(3))
    assert first != measures.mean_edit_distance(mixed, pairs=100, seed=4)
    with pytest.raises(ValueError, match="pairs"):
        measures.mean_edit_distance(mixed, pairs=0)
