"""Facts about melodies: the limits of the compact arithmetic; what they mean is held by tests/music/test_rules.py."""

import numpy as np
import pytest

from repro.music.facts import Melodies, chunks


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
    # melodies of 127 events are the longest whose counts do not run over; large batches are held by test_measures
    assert [len(facts.events) for facts in chunks([[1] * 127])] == [127]
    with pytest.raises(ValueError, match="melodies have 128 events: the horizon is 127"):
        list(chunks([[1] * 128]))
