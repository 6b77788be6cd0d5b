"""A corpus with the statistics of the paper's, rebuilt from folk tunes by slowing them and letting them fall silent.

The paper's melodies come from MIDI songs, which may move more slowly than folk tunes and pause for bars at a time, and
its code writes them with rest and hold exchanged against what its rules read. Each window of the rebuilt corpus is a
piece of a folk tune played at one of three speeds, with long silences let in; in the authors' coding 0 holds and 1 ends
a note. This is a corpus with the paper's statistics, not the paper's corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repro.music.events import FIRST_PITCH, HOLD, REST
from repro.settings import RebuiltSettings


def swap_rest_and_hold(melodies: np.ndarray) -> np.ndarray:
    """Exchanges events 0 and 1: what the authors' encoder writes as its rules read it, and the other way round."""
    return np.where(melodies == REST, HOLD, np.where(melodies == HOLD, REST, melodies))


def slowed(melodies: np.ndarray, times: int) -> np.ndarray:
    """The same music `times` as slow: each event (..., T) is held on, (..., T * times)."""
    stretched = np.full((*melodies.shape, times), HOLD, dtype=melodies.dtype)
    stretched[..., 0] = melodies
    return stretched.reshape(*melodies.shape[:-1], -1)


def struck_again(melody: np.ndarray, every: int) -> np.ndarray:
    """A melody (T,) whose held notes are struck again every `every` steps from their beginning."""
    again = melody.copy()
    begin = None
    for step, event in enumerate(melody):
        if event != HOLD:
            begin = step if event >= FIRST_PITCH else None
        elif begin is not None and (step - begin) % every == 0:
            again[step] = melody[begin]
    return again


def with_silences(melody: np.ndarray, settings: RebuiltSettings, generator: np.random.Generator) -> np.ndarray:
    """Lets silences into a melody (T,): after every so many steps, perhaps, one note off and then nothing."""
    silence = np.full(settings.silence_events, HOLD, dtype=melody.dtype)
    silence[0] = REST
    parts = []
    for first in range(0, len(melody), settings.silence_every):
        parts.append(melody[first : first + settings.silence_every])
        if generator.random() < settings.silences:
            parts.append(silence)
    return np.concatenate(parts)


def window(tune: np.ndarray, settings: RebuiltSettings, generator: np.random.Generator) -> np.ndarray:
    """One window of a tune, at most `window_events` events: a place, a speed and silences are drawn."""
    last = len(tune) - 1  # a window has at least two events
    on_note = generator.random() < settings.begin_on_note
    start = generator.choice(np.flatnonzero(tune[:last] >= FIRST_PITCH) if on_note else last)
    speed = generator.choice(3, p=settings.speeds)
    times = (1, 2, 4)[speed]
    piece = slowed(tune[start : start + -(-settings.window_events // times)], times)
    if speed == 1:
        piece = struck_again(piece, every=2)  # an eighth
    return with_silences(piece, settings, generator)[: settings.window_events]


def windows(tunes: Sequence[np.ndarray], count: int, settings: RebuiltSettings, seed: int) -> list[np.ndarray]:
    """Draws `count` windows, every event of the corpus equally likely to be covered; the same seed, the same windows.

    Args:
        tunes: melodies of 38 events in the paper's coding.
        count: how many windows.
        settings: speeds, silences and coding.
        seed: of all draws.

    Returns:
        Integer arrays in the coding that the settings name, each of at least two events.
    """
    generator = np.random.default_rng(seed)
    sizes = np.array([len(tune) for tune in tunes], dtype=float)
    chosen = generator.choice(len(tunes), size=count, p=sizes / sizes.sum())
    drawn = [window(tunes[tune], settings, generator) for tune in chosen]
    return [swap_rest_and_hold(piece) for piece in drawn] if settings.event_coding == "authors_code" else drawn
