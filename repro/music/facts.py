"""Facts about a batch of melodies, for rules and measures, defined as in the authors' code; `rules` says what they pay.

Arrays are (T, B), time first, and narrow; a fact about an event depends only on the events up to it.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np

from repro.music.events import C_MAJOR, FIRST_PITCH, HOLD, NUM_EVENTS, REST, checked

MOTIF_EVENTS = 8  # the window: two quarter notes
MOTIF_NOTES = 3  # different pitches that make a window a motif
LAGS = (1, 2, 3)  # of the autocorrelation
LEAP = 7  # semitones: a fifth or more
LEAP_PATIENCE = 6  # events that must pass before a leap back resolves

_EVENTS = np.arange(NUM_EVENTS)
_IN_KEY = (_EVENTS < FIRST_PITCH) | np.isin((_EVENTS - FIRST_PITCH) % 12, C_MAJOR)
_PITCH_BIT = np.where(_EVENTS >= FIRST_PITCH, 1 << _EVENTS, 0).astype(np.uint64)
_CHUNK = 4096  # melodies worked on at once: the arrays of a fact stay in the processor's cache


def _running(ufunc: np.ufunc, rows: np.ndarray) -> np.ndarray:
    for before, row in pairwise(rows):  # over time and in place: a quarter of ufunc.accumulate's time
        ufunc(before, row, out=row)
    return rows


def _delayed(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])  # at time t what rows say at t - 1; 0 at the start


class Melodies:
    """Facts about events int8 (T, B), each of this shape and computed when first asked for."""

    def __init__(self, events: np.ndarray):
        self.events = np.ascontiguousarray(events, dtype=np.int8)
        self.in_key = _IN_KEY.take(self.events)  # rests and holds are
        self.is_pitch: np.ndarray = self.events >= FIRST_PITCH
        # Wide enough for sums of products: in 32 events 20 n^2 sum x^2 stays below 2^31.
        self._integers: np.ndarray = self.events.astype(np.int32 if len(self.events) <= 32 else np.int64)
        self._lengths: np.ndarray = np.arange(1, len(events) + 1, dtype=self._integers.dtype)[:, None]  # n so far
        self._sums: np.ndarray = _running(np.add, self._integers.copy())  # S, the sum of the events so far

    @cached_property
    def sounding(self) -> np.ndarray:
        """The last pitch before the event, however many rests and holds lie between; 0 if there is none."""
        time = np.arange(len(self.events), dtype=np.int16)[:, None]
        stamped = np.where(self.is_pitch, time * 64 + self.events, np.int16(0))
        return (_delayed(_running(np.maximum, stamped)) & 63).astype(np.int8)

    @cached_property
    def repeated(self) -> np.ndarray:
        """Whether the event comes too often since the melody last moved to another pitch (for rests and holds: any)."""
        # The third rest does; the sixth hold or same pitch, or the eighth if rests (for a pitch: or holds) lie between.
        # The paper says "not more than four times in a row"; the authors' code lets five pass.
        kinds = (self.events == REST, self.events == HOLD, self.is_pitch)
        rests, holds, pitches = (_running(np.add, kind.astype(np.int8)) for kind in kinds)
        # counts never fall: the maximum is the latest
        rests_then, holds_then = (_running(np.maximum, count * self.is_pitch) for count in (rests, holds))
        rests_since, holds_since = rests - rests_then, holds - holds_then
        moves = self.is_pitch & (self.events != self.sounding)
        pitches_since = pitches - _running(np.maximum, (pitches - 1) * moves)
        others_since = rests + holds - _running(np.maximum, _delayed(rests_then + holds_then) * moves)
        too_many_holds = holds_since >= np.where(rests_since > 0, np.int8(8), np.int8(6))
        too_many_pitches = pitches_since >= np.where(others_since > 0, np.int8(8), np.int8(6))
        return np.select(kinds, [rests_since >= 3, too_many_holds, too_many_pitches], False)

    @cached_property
    def variation(self) -> np.ndarray:
        """n^2 times the sum of squared deviations of the n events so far: n (n sum x^2 - S^2), a whole number."""
        return self._lengths * (self._lengths * _running(np.add, self._integers**2) - self._sums**2)

    def covariation(self, lag: int) -> np.ndarray:
        """n^2 times the sum of (x_{i+lag} - m)(x_i - m), 0 if n <= lag; over `variation` it is the autocorrelation."""
        products = np.zeros_like(self._integers)
        x, n, total = self._integers, self._lengths[lag:], self._sums[lag:]
        pairs = _running(np.add, x[lag:] * x[:-lag])
        ends = self._sums[:-lag] + total - self._sums[lag - 1 : lag]  # without the last lag events, and the first
        products[lag:] = n * (n * pairs - total * ends) + (n - lag) * total**2
        return products

    @cached_property
    def motif_notes(self) -> np.ndarray:
        """Number of different pitches among the last 8 events if these are a motif: three or more; otherwise 0."""
        notes = np.zeros(self.events.shape, dtype=np.uint8)
        window = _PITCH_BIT.take(self.events)
        for reach in (1, 2, 4):
            window = window[reach:] | window[:-reach]
        different = np.bitwise_count(window)
        notes[MOTIF_EVENTS - 1 :] = different * (different >= MOTIF_NOTES)
        return notes

    @cached_property
    def in_repeated_motif(self) -> np.ndarray:
        """Whether the last 8 events are a motif that was heard before: all 8 alike, ended before it began."""
        heard = np.zeros(self.events.shape, dtype=bool)
        window = self.events.astype(np.uint64)
        for reach in (1, 2, 4):  # 8 events of 6 bits fill 48 bits of one number
            window = (window[:-reach] << np.uint64(6 * reach)) | window[reach:]
        for back in range(MOTIF_EVENTS, len(window)):
            heard[MOTIF_EVENTS - 1 + back :] |= window[back:] == window[:-back]
        return heard & (self.motif_notes > 0)

    @cached_property
    def leap_directions(self) -> np.ndarray:
        """1 where the event leaps up by a fifth or more, -1 down, otherwise 0. int8."""
        step = (self.events - self.sounding) * (self.is_pitch & (self.sounding > 0))
        return (step >= LEAP).view(np.int8) - (step <= -LEAP).view(np.int8)

    @cached_property
    def open_leaps(self) -> np.ndarray:
        """The leap that is open after the event: +p if it went up from pitch p, -p if down from p, 0 if none. int8."""
        # One opens when none is open. The next opposite leap closes it, another in its direction does not; so does a
        # pitch without a leap that comes back to where it started, or beyond.
        events, leaps, opens = self.events, self.leap_directions, self.leap_directions * self.sounding
        quiet = self.is_pitch & (leaps == 0)
        # What closes a leap: upward from p (state +p) when p >= floor, downward (state -p) when -p >= ceiling.
        floor = np.where(quiet, events, np.where(leaps < 0, np.int8(1), np.int8(127)))
        ceiling = np.where(quiet, -events, np.where(leaps > 0, np.int8(-127), np.int8(0)))
        state = np.zeros_like(events)
        for time in range(1, len(events)):
            now = state[time - 1]
            closes = (now >= floor[time]) | ((now < 0) & (now >= ceiling[time]))
            state[time] = np.where(now == 0, opens[time], now * ~closes)
        return state

    @cached_property
    def leap_outcomes(self) -> np.ndarray:
        """1 where the event resolves the open leap, -1 where it doubles it, otherwise 0. int8."""
        before = _delayed(self.open_leaps)
        meeting = np.sign(before) * self.leap_directions
        closes = (before != 0) & (self.open_leaps == 0)
        # An opposite leap resolves only when more than 6 events have passed since the last leap, or since the start.
        time = np.arange(len(self.events), dtype=np.int8)[:, None]
        since_leap = time - _running(np.maximum, time * (self.leap_directions != 0))
        too_early = (meeting < 0) & (_delayed(since_leap) <= LEAP_PATIENCE)
        return (closes & ~too_early).view(np.int8) - (meeting > 0).view(np.int8)

    @cached_property
    def unique_extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether the highest event of the whole melody, perhaps a hold, and its lowest pitch come once, each (B,)."""
        pitches = np.where(self.is_pitch, self.events, np.int8(127))
        lowest = (pitches == pitches.min(axis=0)) & self.is_pitch
        return (self.events == self.events.max(axis=0)).sum(axis=0) == 1, lowest.sum(axis=0) == 1


def chunks(melodies: object, horizon: int = 127) -> Iterator[Melodies]:  # the most that one-byte counters hold
    """Yields a batch (B, T), T at most the horizon, in parts that fit the processor's cache, in order."""
    array = checked(melodies, horizon)
    for start in range(0, max(len(array), 1), _CHUNK):
        yield Melodies(array[start : start + _CHUNK].T)
