"""What the rules and the measures look at in a batch of melodies: facts, without any judgement of their worth.

The definitions are those of the authors' code, which is at places milder or harsher than the paper's sentences; the
docstrings say where. Every fact about an event depends only on the events up to it.

Time comes first: arrays are (T, B) and as narrow as their values allow, so that a statement about all melodies at one
time step runs over few and contiguous bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from repro.music.events import C_MAJOR, FIRST_PITCH, HOLD, NUM_EVENTS, REST, checked

MOTIF_EVENTS = 8  # the window: two quarter notes
MOTIF_NOTES = 3  # different pitches that make a window a motif
LEAP = 7  # semitones: a fifth or more
LEAP_PATIENCE = 6  # events that must pass before a leap back resolves

# Interval codes: semitones, except for the classes that the authors' code singles out by negative numbers.
REST_CODE, HOLD_CODE = -1.0, -1.5
REST_AFTER_C_OR_G, HOLD_AFTER_C_OR_G = -2.0, -2.5
IN_KEY_THIRD, IN_KEY_FIFTH = -3.0, -5.0

_EVENTS = np.arange(NUM_EVENTS)
_PITCH_CLASS = np.where(_EVENTS >= FIRST_PITCH, (_EVENTS - FIRST_PITCH) % 12, -1)
_IN_KEY = (_EVENTS < FIRST_PITCH) | np.isin(_PITCH_CLASS, C_MAJOR)  # rest and hold pass
_PITCH_BIT = np.where(_EVENTS >= FIRST_PITCH, 1 << _EVENTS, 0).astype(np.uint64)
_MOST_EVENTS = 127  # what the one-byte counters hold
_CHUNK = 4096  # melodies worked on at once: the arrays of a fact stay in the processor's cache


def _interval_codes() -> np.ndarray:
    """Returns the code of every (sounding pitch, event), float64 (38, 38); 0 where no pitch has sounded yet.

    The direction is not looked at: C down to F is an in-key fifth, E up to G sharp an in-key third. The paper speaks
    of rests and holds after the third or fifth, the names in the authors' code too; the code tests C and G.
    """
    after, event = _EVENTS[:, None], _EVENTS[None, :]
    semitones = np.abs(event - after)
    c_or_g, c_or_e = np.isin(_PITCH_CLASS, (0, 7))[:, None], np.isin(_PITCH_CLASS, (0, 4))[:, None]
    codes = semitones.astype(float)
    codes[(semitones == 7) & c_or_g] = IN_KEY_FIFTH
    codes[(semitones == 4) & c_or_e] = IN_KEY_THIRD
    codes[:, [REST]] = np.where(c_or_g, REST_AFTER_C_OR_G, REST_CODE)
    codes[:, [HOLD]] = np.where(c_or_g, HOLD_AFTER_C_OR_G, HOLD_CODE)
    codes[:FIRST_PITCH] = 0.0
    return codes


INTERVAL_CODES = _interval_codes()


def chunks(melodies: object, horizon: int | None = None) -> Iterator[tuple[slice, Melodies]]:
    """Yields the batch in parts that fit the processor's cache, at least one, each with its place in the batch.

    Args:
        melodies: lists or an integer array (B, T).
        horizon: events of a finished melody; T when None.

    Raises:
        ValueError: as `events.checked`; or a horizon outside 1..127.
    """
    array = checked(melodies, horizon)
    horizon = array.shape[1] if horizon is None else horizon
    if not 1 <= horizon <= _MOST_EVENTS:
        raise ValueError(f"a horizon of {horizon} events: melodies have 1 to {_MOST_EVENTS} events")
    for start in range(0, max(len(array), 1), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield part, Melodies(array[part].T, horizon)


def _running(ufunc: np.ufunc, rows: np.ndarray) -> np.ndarray:
    """Returns the running ufunc over time (in place), by doubling: log2(T) array operations instead of T."""
    reach = 1
    while reach < len(rows):
        ufunc(rows[reach:], rows[:-reach], out=rows[reach:])
        reach *= 2
    return rows


def _delayed(rows: np.ndarray) -> np.ndarray:
    """Returns rows one step later: at time t what rows say at t - 1, and 0 at the start."""
    later = np.zeros_like(rows)
    later[1:] = rows[:-1]
    return later


class Melodies:
    """What the rules and measures look at in a batch of melodies, each fact computed once, when first asked for.

    Attributes:
        events: int8 (T, B), time first; the facts below have this shape too.
        horizon: events of a finished melody. Decides where the final bar lies and when extremes are judged.
    """

    def __init__(self, events: np.ndarray, horizon: int):
        self.events = np.ascontiguousarray(events, dtype=np.int8)
        self.horizon = horizon

    @cached_property
    def in_key(self) -> np.ndarray:
        """Whether the event is a note of C major; rests and holds are."""
        return _IN_KEY.take(self.events)

    @cached_property
    def is_pitch(self) -> np.ndarray:
        """Whether the event strikes a pitch."""
        return self.events >= FIRST_PITCH

    @cached_property
    def sounding(self) -> np.ndarray:
        """The last pitch before the event, however many rests and holds lie between; 0 if there is none."""
        time = np.arange(len(self.events), dtype=np.int16)[:, None]
        stamped = np.where(self.is_pitch, time * 64 + self.events, np.int16(0))
        return (_delayed(_running(np.maximum, stamped)) & 63).astype(np.int8)

    @cached_property
    def repeated(self) -> np.ndarray:
        """Whether the event comes too often since the melody last moved to a different pitch.

        Too often is the third rest; the sixth of the same pitch or of holds, or the eighth if something else that is
        no pitch lies between (for a hold: a rest; for a pitch: rests or holds). For rests and holds any pitch counts
        as moving. The paper says "not more than four times in a row"; the authors' code lets five pass.
        """
        rests = _running(np.add, (self.events == REST).astype(np.int8))
        holds = _running(np.add, (self.events == HOLD).astype(np.int8))
        pitches = _running(np.add, self.is_pitch.astype(np.int8))
        rests_then = _running(np.maximum, rests * self.is_pitch)  # counts never fall: the maximum is the latest
        holds_then = _running(np.maximum, holds * self.is_pitch)
        rests_since, holds_since = rests - rests_then, holds - holds_then

        moves = self.is_pitch & (self.events != self.sounding)
        pitches_since = pitches - _running(np.maximum, (pitches - 1) * moves)
        others_since = rests + holds - _running(np.maximum, _delayed(rests_then + holds_then) * moves)

        too_many_holds = holds_since >= np.where(rests_since > 0, np.int8(8), np.int8(6))
        too_many_pitches = pitches_since >= np.where(others_since > 0, np.int8(8), np.int8(6))
        too_many = np.where(self.is_pitch, too_many_pitches, too_many_holds)
        return np.where(self.events == REST, rests_since >= 3, too_many)

    @cached_property
    def _integers(self) -> np.ndarray:
        """The events wide enough for their sums of products: in 32 events 20 n^2 sum x^2 stays below 2^31."""
        return self.events.astype(np.int32 if len(self.events) <= 32 else np.int64)

    @cached_property
    def _lengths(self) -> np.ndarray:
        """Number n of events so far, (T, 1)."""
        return np.arange(1, len(self.events) + 1, dtype=self._integers.dtype)[:, None]

    @cached_property
    def _sums(self) -> np.ndarray:
        """Sum S of the events so far."""
        return _running(np.add, self._integers.copy())

    @cached_property
    def variation(self) -> np.ndarray:
        """n^2 times the sum of squared deviations of the n events so far: n (n sum x^2 - S^2), a whole number."""
        return self._lengths * (self._lengths * _running(np.add, self._integers**2) - self._sums**2)

    def covariation(self, lag: int) -> np.ndarray:
        """n^2 times the sum over i of (x_{i+lag} - m)(x_i - m) of the n events so far, a whole number.

        Divided by `variation` it is the autocorrelation: with the mean m = S/n and the variance of all n events, and
        divided by n although the sum has n - lag terms. Without any term (n <= lag) it is 0.
        """
        products = np.zeros_like(self._integers)
        if len(products) <= lag:
            return products
        x, n, total = self._integers, self._lengths[lag:], self._sums[lag:]
        pairs = _running(np.add, x[lag:] * x[:-lag])
        ends = self._sums[:-lag] + total - self._sums[lag - 1]  # sum without the last lag events, and without the first
        products[lag:] = n * (n * pairs - total * ends) + (n - lag) * total**2
        return products

    @cached_property
    def motif_notes(self) -> np.ndarray:
        """Number of different pitches among the last 8 events; 0 before the eighth."""
        notes = np.zeros(self.events.shape, dtype=np.uint8)
        if len(notes) >= MOTIF_EVENTS:
            window = _PITCH_BIT.take(self.events)
            for reach in (1, 2, 4):
                window = window[reach:] | window[:-reach]
            notes[MOTIF_EVENTS - 1 :] = np.bitwise_count(window)
        return notes

    @cached_property
    def in_motif(self) -> np.ndarray:
        """Whether the last 8 events are a motif: three different pitches or more."""
        return self.motif_notes >= MOTIF_NOTES

    @cached_property
    def in_repeated_motif(self) -> np.ndarray:
        """Whether the last 8 events are a motif that was heard before: all 8 alike, ended before it began."""
        heard = np.zeros(self.events.shape, dtype=bool)
        if len(heard) >= 2 * MOTIF_EVENTS:
            window = self.events.astype(np.uint64)
            for reach in (1, 2, 4):  # 8 events of 6 bits fill 48 bits of one number
                window = (window[:-reach] << np.uint64(6 * reach)) | window[reach:]
            for back in range(MOTIF_EVENTS, len(window)):
                heard[MOTIF_EVENTS - 1 + back :] |= window[back:] == window[:-back]
        return heard & self.in_motif

    @cached_property
    def interval_index(self) -> np.ndarray:
        """Index of (sounding pitch, event) in a flat (38, 38) table."""
        return self.sounding * np.int16(NUM_EVENTS) + self.events

    @cached_property
    def interval_codes(self) -> np.ndarray:
        """Semitones from the sounding pitch, or the negative code of a class; 0 without a sounding pitch. float64."""
        return INTERVAL_CODES.take(self.interval_index)

    @cached_property
    def leap_directions(self) -> np.ndarray:
        """1 where the event leaps up by a fifth or more, -1 down, otherwise 0. int8."""
        step = self.events - self.sounding
        both = self.is_pitch & (self.sounding > 0)
        return both * ((step >= LEAP).view(np.int8) - (step <= -LEAP).view(np.int8))

    @cached_property
    def since_leap(self) -> np.ndarray:
        """Number of events since the last leap, the event included; since the start if there was none. int8."""
        time = np.arange(len(self.events), dtype=np.int8)[:, None]
        return time - _running(np.maximum, time * (self.leap_directions != 0))

    @cached_property
    def open_leaps(self) -> np.ndarray:
        """The leap that is open after the event: +p if it went up from pitch p, -p if down from p, 0 if none. int8.

        A leap opens when none is open. The next opposite leap closes it, and so does a pitch without a leap that
        comes back to where it started, or beyond. Another leap in the same direction leaves it open.
        """
        events, leaps = self.events, self.leap_directions
        opens = leaps * self.sounding
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
        """1 where the event resolves the open leap, -1 where it doubles it, otherwise 0. int8.

        An opposite leap resolves only when more than 6 events have passed since the last leap.
        """
        before = np.sign(_delayed(self.open_leaps))
        meeting = before * self.leap_directions
        closes = (before != 0) & (self.open_leaps == 0)
        too_early = (meeting < 0) & (_delayed(self.since_leap) <= LEAP_PATIENCE)
        return (closes & ~too_early).view(np.int8) - (meeting > 0).view(np.int8)

    @cached_property
    def unique_max(self) -> np.ndarray:
        """Whether the highest event of the whole melody comes once, (B,). Rests and holds are events as well."""
        return (self.events == self.events.max(axis=0)).sum(axis=0) == 1

    @cached_property
    def unique_min(self) -> np.ndarray:
        """Whether the lowest pitch of the whole melody is struck once, (B,)."""
        pitches = np.where(self.is_pitch, self.events, np.int8(127))
        return ((pitches == pitches.min(axis=0)) & self.is_pitch).sum(axis=0) == 1
