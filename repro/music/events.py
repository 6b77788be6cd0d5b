"""The coding of melodies: one of 38 events per sixteenth note, as in the paper, all in C major or A minor.

0 is a rest (note off), 1 holds what sounds (no event), 2 to 37 strike MIDI pitch 48 to 83 (C3 to B5).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pretty_midi

NUM_EVENTS = 38
REST, HOLD = 0, 1  # paper: "note off" and "no event"
FIRST_PITCH = 2  # the event that strikes MIDI pitch 48
LOWEST_MIDI, HIGHEST_MIDI = 48, 83  # C3 and B5
TONIC = 14  # middle C, MIDI 60; the only tonic that the authors' rules reward
C_MAJOR = (0, 2, 4, 5, 7, 9, 11)  # the pitch classes of C major and A minor
HORIZON = 32  # events of a melody: two bars of 4/4
STEPS_PER_QUARTER = 4  # sixteenth notes
TEMPO = 80.0  # quarter notes per minute, the authors' rendering
AUDIO_RATE = 8_000  # samples per second: melodies have nothing above 4 kHz that could be heard
STEP_SECONDS = 60.0 / TEMPO / STEPS_PER_QUARTER


def checked(melodies: object, horizon: int | None = None) -> np.ndarray:
    """Lists of T events each, T at most the horizon, or an integer array (B, T), as int64 (B, T); or a ValueError."""
    try:
        array = np.asarray(melodies)
    except ValueError:
        raise ValueError("melodies are of different lengths: pass a batch (B, T) of equally long melodies") from None
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"melodies have shape {array.shape}: pass a batch (B, T) with T >= 1")
    if array.dtype.kind not in "iu":
        raise ValueError(f"melodies have type {array.dtype}: events are whole numbers 0..{NUM_EVENTS - 1}")
    if (bad := array[(array < 0) | (array >= NUM_EVENTS)]).size:
        raise ValueError(f"event {bad[0]} is not one of the {NUM_EVENTS} events 0..{NUM_EVENTS - 1}")
    if horizon is not None and array.shape[1] > horizon:
        raise ValueError(f"melodies have {array.shape[1]} events: the horizon is {horizon}")
    return array.astype(np.int64, copy=False)


def notes(melody: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The notes of a melody (T,): the steps at which they begin and end, and their MIDI pitches."""
    if np.ndim(melody) != 1:
        raise ValueError(f"a melody is a list of events, of shape (T,): this has shape {np.shape(melody)}")
    events = checked([melody])[0]
    changes = np.flatnonzero(events != HOLD)  # whatever is not a hold ends what sounded
    ends = np.append(changes[1:], len(events))
    struck = events[changes] >= FIRST_PITCH
    begins = changes[struck]
    return begins, ends[struck], events[begins] - FIRST_PITCH + LOWEST_MIDI


def from_notes(begins: np.ndarray, ends: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """The melody, uint8 (T,), of notes with ascending begins and pitches 48..83: each ends the one before it."""
    length = int(ends.max())
    ends = np.minimum(ends, np.append(begins[1:], length))
    events = np.full(length, HOLD, dtype=np.uint8)
    events[0] = REST
    events[ends[ends < length]] = REST  # the next note overwrites the rest where it begins at once
    events[begins] = pitches - LOWEST_MIDI + FIRST_PITCH
    return events


def swap_rest_and_hold(melodies: np.ndarray) -> np.ndarray:
    """Exchanges events 0 and 1: the authors' encoder writes 0 for a hold and 1 for a rest, their rules read 1 and 0."""
    return np.where(melodies == REST, HOLD, np.where(melodies == HOLD, REST, melodies))


def slowed(melodies: np.ndarray, times: int) -> np.ndarray:
    """The same music `times` as slow: each event (..., T) is held on, (..., T * times)."""
    return np.where(np.arange(melodies.shape[-1] * times) % times > 0, HOLD, np.repeat(melodies, times, axis=-1))


class Dropped(ValueError):
    """A tune that cannot be a melody here; its text is the reason, in a few words."""


def in_c(pitches: np.ndarray, sharps: int = 0) -> np.ndarray:
    """Transposes to the most notes in C major; of equally good keys to the one nearest to `sharps` in fifths."""
    fits = np.isin((pitches[None] + np.arange(12)[:, None]) % 12, C_MAJOR).sum(axis=1)
    fifths = (7 * np.arange(12) + sharps) % 12  # between the key that this shift takes to C, and the key of `sharps`
    return pitches + int(np.lexsort((fifths, np.minimum(fifths, 12 - fifths), -fits))[0])


def in_range(pitches: np.ndarray) -> np.ndarray:
    """Moves by octaves to the mean nearest to the range's middle: the tonic mostly lands on middle C. Or Dropped."""
    octaves = pitches + 12 * np.arange(-10, 11)[:, None]
    fitting = octaves[(octaves.min(axis=1) >= LOWEST_MIDI) & (octaves.max(axis=1) <= HIGHEST_MIDI)]
    if not len(fitting):
        raise Dropped("range too wide")
    return fitting[np.abs(fitting.mean(axis=1) - (LOWEST_MIDI + HIGHEST_MIDI) / 2).argmin()]


def name(event: int) -> str:
    """An event in words: 'rest', 'hold', or the note that it strikes, as 'C4' or 'F#4' (C4 is middle C)."""
    number = int(checked([[event]])[0, 0])
    pitch = pretty_midi.note_number_to_name(number - FIRST_PITCH + LOWEST_MIDI)
    return {REST: "rest", HOLD: "hold"}.get(number, pitch)


def to_midi(melody: Sequence[int] | np.ndarray, file: str | Path | IO[bytes]) -> None:
    """Writes a melody (T,) as MIDI, one piano at 80 quarter notes per minute; equal melodies give equal bytes."""
    midi, piano = pretty_midi.PrettyMIDI(initial_tempo=TEMPO), pretty_midi.Instrument(program=0)
    for begin, end, pitch in zip(*notes(melody), strict=True):
        piano.notes.append(pretty_midi.Note(100, int(pitch), begin * STEP_SECONDS, end * STEP_SECONDS))
    # A file has no other place for the length of a melody that ends in silence, or for a melody of silence alone.
    midi.text_events.append(pretty_midi.Text("end of melody", len(melody) * STEP_SECONDS))
    midi.instruments.append(piano)
    midi.write(file)


def to_audio(melody: Sequence[int] | np.ndarray, rate: int = AUDIO_RATE) -> np.ndarray:
    """A melody (T,) as mono audio, float32 in [-1, 1], `rate` samples per second, plucked on six partials."""
    played = notes(melody)
    audio = np.zeros(round(len(melody) * STEP_SECONDS * rate))
    for begin, end, pitch in zip(*played, strict=True):
        first, last = (round(step * STEP_SECONDS * rate) for step in (begin, end))
        seconds = np.arange(last - first) / rate
        pitch_hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        partials = np.arange(1, 1 + min(6, int(rate / 2 / pitch_hz)))[:, None]  # none above half the rate
        tone = np.exp(-seconds * (1.5 + partials)) * np.sin(2 * np.pi * pitch_hz * partials * seconds) / partials**1.5
        edges = np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / 0.005)  # 5 ms, or each note would click
        audio[first:last] += tone.sum(axis=0) * edges
    return (0.4 * audio).astype(np.float32)
