"""The rebuilt corpus: speeds, silences, coding, and the determinism of its windows."""

import numpy as np
import pytest

from repro.music.corpus import struck_again, window, windows, with_silences
from repro.music.events import HOLD, REST, slowed, swap_rest_and_hold
from repro.settings import RebuiltSettings

TUNE = np.array([14, 1, 16, 18, 0, 1, 21, 1, 1, 23] * 8)
PLAIN = RebuiltSettings(event_coding="paper", speeds=(1, 0, 0), silences=0.0, window_events=20)


def test_slowing_and_striking_again() -> None:
    """Protects the music: the same notes in the same order, each as many times as long, in a batch as alone; of the
    half-speed third, notes are struck again every eighth, silence stays silent.
    """
    assert slowed(np.array([14, 0, 1, 16]), 3).tolist() == [14, 1, 1, 0, 1, 1, 1, 1, 1, 16, 1, 1]
    assert np.array_equal(slowed(np.stack([TUNE, TUNE[::-1]]), 4)[1], slowed(TUNE[::-1], 4))
    assert struck_again(np.array([1, 14, 1, 1, 1, 1, 0, 1, 1]), 2).tolist() == [1, 14, 1, 14, 1, 14, 0, 1, 1]


def test_silences_are_one_note_off_and_holds() -> None:
    """Protects the silences: always, after every 16 steps, 32 steps long; never, the melody itself."""
    always = RebuiltSettings(silences=1.0)
    heard = with_silences(np.full(20, 14), always, np.random.default_rng(0))
    assert heard.tolist() == [14] * 16 + [REST] + [HOLD] * 31 + [14] * 4 + [REST] + [HOLD] * 31
    assert with_silences(TUNE, RebuiltSettings(silences=0.0), np.random.default_rng(0)).tolist() == TUNE.tolist()


def test_a_plain_window_is_a_piece_of_the_tune() -> None:
    """Protects the ablations: at the written speed, without silences and in the paper's coding nothing is changed."""
    pieces = windows([TUNE], 50, PLAIN, seed=0)
    text = " ".join(map(str, TUNE))
    assert all(" ".join(map(str, piece)) in text for piece in pieces)
    assert {len(piece) for piece in pieces} <= set(range(2, 21)) and max(map(len, pieces)) == 20


def test_the_shares_are_those_of_the_settings() -> None:
    """Protects the recipe: 90 % of 4,000 windows begin on a note (more by chance), and speeds are as asked."""
    generator = np.random.default_rng(0)
    made = RebuiltSettings(event_coding="paper", silences=0.0, speeds=(0, 0, 1))
    begins = np.array([window(TUNE, made, generator)[0] >= 2 for _ in range(4000)])
    assert begins.mean() == pytest.approx(0.9 + 0.1 * (TUNE[:-1] >= 2).mean(), abs=0.02)
    mixed = RebuiltSettings(event_coding="paper", silences=0.0, speeds=(0.15, 0.1, 0.75))
    fast = [window(TUNE, mixed, generator) for _ in range(4000)]
    quarter = np.mean([not (piece[1:4] != HOLD).any() for piece in fast if piece[0] >= 2])
    assert quarter == pytest.approx(0.75, abs=0.05)


def test_the_same_seed_draws_the_same_windows() -> None:
    """Protects determinism, and that the authors' coding is the paper's with 0 and 1 exchanged, notes as they are."""
    assert swap_rest_and_hold(np.array([0, 1, 2, 37])).tolist() == [1, 0, 2, 37]
    paper, authors = RebuiltSettings(event_coding="paper"), RebuiltSettings(event_coding="authors_code")
    drawn, again, swapped = (windows([TUNE, TUNE], 30, coding, seed=3) for coding in (paper, paper, authors))
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
    assert all(np.array_equal(swap_rest_and_hold(one), other) for one, other in zip(drawn, swapped, strict=True))
