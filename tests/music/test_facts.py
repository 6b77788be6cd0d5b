"""Facts about melodies against the authors' code, and the limits of the compact arithmetic."""

import json
from pathlib import Path

import numpy as np
import pytest

from repro.music.facts import INTERVAL_CODES, Melodies, chunks

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "music_public.json").read_text())["compositions"]


@pytest.fixture(scope="module")
def golden_facts() -> Melodies:
    """Facts of the melodies that the authors' code has judged."""
    return Melodies(np.array([piece["notes"] for piece in GOLDEN]).T)


def test_interval_codes_are_the_authors(golden_facts: Melodies) -> None:
    """Protects the classes of intervals: in-key thirds and fifths, rests and holds after C or G."""
    codes = INTERVAL_CODES[golden_facts.sounding, golden_facts.events]
    np.testing.assert_array_equal(codes.T, [piece["interval"] for piece in GOLDEN])


def test_state_of_leaps_is_the_authors(golden_facts: Melodies) -> None:
    """Protects direction, origin and age of the open leap after every event, not only what it pays in the end."""
    states = [[(direction, origin or 0, steps) for direction, origin, steps in piece["leap_state"]] for piece in GOLDEN]
    direction, origin, steps = np.moveaxis(np.array(states), -1, 0)
    np.testing.assert_array_equal(np.sign(golden_facts.open_leaps.T), direction)
    np.testing.assert_array_equal(np.abs(golden_facts.open_leaps.T), origin)
    np.testing.assert_array_equal(golden_facts.since_leap.T, steps)


@pytest.mark.parametrize("length", [1, 2, 3, 32, 33, 127])
def test_whole_numbers_of_autocorrelation_do_not_overflow(length: int) -> None:
    """Protects the narrow integers: the largest sums of products must equal those of Python's own numbers."""
    extremes = np.tile([37, 2, 37, 37, 0, 36], 22)[:length]
    facts = Melodies(np.stack([extremes, np.full(length, 37), np.sort(extremes)]).T)
    for column, melody in enumerate(facts.events.T.tolist()):
        deviations = [length * event - sum(melody) for event in melody]
        assert facts.variation[-1, column] == sum(deviation**2 for deviation in deviations)
        for lag in (1, 2, 3):
            pairs = zip(deviations[lag:], deviations, strict=False)
            assert facts.covariation(lag)[-1, column] == sum(later * earlier for later, earlier in pairs)
        assert 20 * int(facts.variation[-1, column]) <= np.iinfo(facts.variation.dtype).max


def test_chunks_cover_the_batch_in_order() -> None:
    """Protects large batches: every melody is met once, at its own place; an empty batch is one empty part."""
    melodies = np.random.default_rng(0).integers(38, size=(9_001, 4))
    parts = [facts.events.T for facts in chunks(melodies)]
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), melodies)
    assert [facts.events.shape for facts in chunks(melodies[:0])] == [(4, 0)]


def test_what_the_counters_cannot_hold_is_refused() -> None:
    """Protects from silent overflow of one-byte counters."""
    assert [len(facts.events) for facts in chunks([[1] * 127])] == [127]
    with pytest.raises(ValueError, match="melodies have 128 events: the horizon is 127"):
        list(chunks([[1] * 128]))
