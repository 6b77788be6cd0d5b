"""The coding of melodies: one of 38 events a sixteenth note, as the paper has it.

0 is a rest (note off), 1 holds what sounds (no event), 2 to 37 strike MIDI pitch 48 to 83 (C3 to B5).
Everything is in C major or A minor.

Several melodies can sound alike: a hold before the first note, or a rest after a rest, is silence all the same.
`canonical` writes each silence as one rest and then holds, since a note is switched off once and then nothing happens.
What a MIDI file keeps of a melody is exactly its canonical form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi

NUM_EVENTS = 38
REST = 0  # paper: "note off"
HOLD = 1  # paper: "no event"
FIRST_PITCH = 2  # the event that strikes MIDI pitch 48
LOWEST_MIDI = 48  # C3
HIGHEST_MIDI = 83  # B5
TONIC = 14  # middle C, MIDI 60; the only tonic that the authors' rules reward
C_MAJOR = (0, 2, 4, 5, 7, 9, 11)  # the pitch classes of C major and A minor
HORIZON = 32  # events a melody: two bars of 4/4
STEPS_PER_QUARTER = 4  # sixteenth notes
TEMPO = 80.0  # quarter notes a minute, the authors' rendering
STEP_SECONDS = 60.0 / TEMPO / STEPS_PER_QUARTER


def checked(melodies: object, horizon: int | None = None) -> np.ndarray:
    """Returns melodies as an int64 array (B, T), or says in one sentence what is wrong with them.

    Args:
        melodies: a list of equally long lists of events, or an integer array (B, T).
        horizon: the most events a melody may have, if any.

    Raises:
        ValueError: ragged lists, not two axes, not whole numbers, an event outside 0..37, or T > horizon.
    """
    try:
        array = np.asarray(melodies)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype == object:
        raise ValueError("melodies are of different lengths: pass a batch (B, T) of equally long melodies")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"melodies have shape {array.shape}: pass a batch (B, T) with T >= 1")
    if array.dtype.kind not in "iu":
        raise ValueError(f"melodies have type {array.dtype}: events are whole numbers 0..{NUM_EVENTS - 1}")
    if array.size and (array.min() < 0 or array.max() >= NUM_EVENTS):
        bad = int(array.min() if array.min() < 0 else array.max())
        raise ValueError(f"event {bad} is not one of the {NUM_EVENTS} events 0..{NUM_EVENTS - 1}")
    if horizon is not None and array.shape[1] > horizon:
        raise ValueError(f"melodies have {array.shape[1]} events: the horizon is {horizon}")
    return array.astype(np.int64, copy=False)


def canonical(melody: object) -> np.ndarray:
    """Returns the melody (T,) that sounds the same and writes each silence as one rest followed by holds."""
    return from_notes(*notes(melody), length=len(_one(melody)))


def notes(melody: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the notes of a melody (T,): the steps at which they begin and end, and their MIDI pitches."""
    events = _one(melody)
    changes = np.flatnonzero(events != HOLD)  # whatever is not a hold ends what sounded
    ends = np.append(changes[1:], len(events))
    struck = events[changes] >= FIRST_PITCH
    begins = changes[struck]
    return begins, ends[struck], events[begins] - FIRST_PITCH + LOWEST_MIDI


def from_notes(begins: np.ndarray, ends: np.ndarray, pitches: np.ndarray, length: int | None = None) -> np.ndarray:
    """Returns the canonical melody (T,) of notes; each ends where the next begins at the latest.

    Args:
        begins: ascending steps, all different.
        ends: steps, each after its beginning.
        pitches: MIDI pitches 48..83.
        length: events of the melody; as far as the last note sounds when not given.

    Raises:
        ValueError: a pitch that has no event.
    """
    pitches = np.asarray(pitches, dtype=np.int64)
    if len(pitches) and (pitches.min() < LOWEST_MIDI or pitches.max() > HIGHEST_MIDI):
        bad = int(pitches.min() if pitches.min() < LOWEST_MIDI else pitches.max())
        raise ValueError(f"MIDI pitch {bad} has no event: transpose the melody into {LOWEST_MIDI}..{HIGHEST_MIDI}")
    length = (int(np.max(ends)) if len(pitches) else 0) if length is None else length
    ends = np.minimum(ends, np.append(begins[1:], length)).astype(np.int64)
    events = np.full(length, HOLD, dtype=np.int64)
    events[:1] = REST
    events[ends[ends < length]] = REST  # the next note overwrites the rest where it begins at once
    events[begins] = pitches - LOWEST_MIDI + FIRST_PITCH
    return events


def transpose(melody: object, semitones: int) -> np.ndarray:
    """Returns the melody (T,) moved by semitones; rests and holds stay.

    Raises:
        ValueError: a note would leave C3 to B5.
    """
    events = _one(melody)
    begins, _, pitches = notes(events)
    from_notes(begins, begins + 1, pitches + semitones, len(events))  # refuses a note out of range
    return np.where(events >= FIRST_PITCH, events + semitones, events)


def name(event: int) -> str:
    """Returns an event in words: 'rest', 'hold', or the note that it strikes, as 'C4' or 'F#4' (C4 is middle C)."""
    event = int(checked([[event]])[0, 0])
    if event < FIRST_PITCH:
        return "hold" if event == HOLD else "rest"
    return pretty_midi.note_number_to_name(event - FIRST_PITCH + LOWEST_MIDI)


def to_midi(melody: object, path: str | Path) -> None:
    """Writes a melody (T,) as MIDI, one piano at 80 quarter notes a minute; the same melody gives the same bytes."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=TEMPO)
    piano = pretty_midi.Instrument(program=0)
    for begin, end, pitch in zip(*notes(melody), strict=True):
        piano.notes.append(pretty_midi.Note(100, int(pitch), begin * STEP_SECONDS, end * STEP_SECONDS))
    # A file has no other place for the length of a melody that ends in silence, or for a melody of silence alone.
    midi.text_events.append(pretty_midi.Text("end of melody", len(_one(melody)) * STEP_SECONDS))
    midi.instruments.append(piano)
    midi.write(str(path))


def from_midi(path: str | Path) -> np.ndarray:
    """Reads the first instrument of a MIDI file that is not a drum as a canonical melody (T,).

    Steps are counted in quarter notes of the file, whatever its tempo, and notes begin on the nearest sixteenth.
    Of notes that begin together the highest is kept, and each ends where the next begins at the latest.

    Raises:
        ValueError: the file cannot be read as MIDI, has no instrument, or a note is outside C3 to B5.
    """
    try:
        midi = pretty_midi.PrettyMIDI(str(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # mido and pretty_midi let any kind through
        raise ValueError(f"{path} cannot be read as a MIDI file: {error}") from error
    instrument = next((one for one in midi.instruments if not one.is_drum), None)
    if instrument is None and not midi.text_events:
        raise ValueError(f"{path} has no instrument that plays a melody")
    played = instrument.notes if instrument else []

    def step(seconds: float) -> int:
        return int(midi.time_to_tick(seconds) * STEPS_PER_QUARTER / midi.resolution + 0.5)

    found = {step(note.start): note for note in sorted(played, key=lambda note: note.pitch)}
    begins = np.array(sorted(found), dtype=np.int64)
    ends = np.array([max(step(found[begin].end), begin + 1) for begin in begins], dtype=np.int64)
    length = max([step(event.time) for event in midi.text_events] + ends.tolist())
    return from_notes(begins, ends, np.array([found[begin].pitch for begin in begins]), length)


def to_audio(melody: object, rate: int = 16000) -> np.ndarray:
    """Returns a melody (T,) as mono audio, float32 in [-1, 1], `rate` samples a second, plucked on six partials."""
    audio = np.zeros(round(len(_one(melody)) * STEP_SECONDS * rate), dtype=np.float64)
    for begin, end, pitch in zip(*notes(melody), strict=True):
        first, last = (round(step * STEP_SECONDS * rate) for step in (begin, end))
        seconds = np.arange(last - first) / rate
        pitch_hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        partials = np.arange(1, 1 + min(6, int(rate / 2 / pitch_hz)))[:, None]  # none above half the rate
        tone = np.exp(-seconds * (1.5 + partials)) * np.sin(2 * np.pi * pitch_hz * partials * seconds) / partials**1.5
        edges = np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / 0.005)  # 5 ms, or each note would click
        audio[first:last] += tone.sum(axis=0) * edges
    return (0.4 * audio).astype(np.float32)


def _one(melody: Any) -> np.ndarray:
    if np.ndim(melody) != 1:
        raise ValueError(f"a melody is a list of events, of shape (T,): this has shape {np.shape(melody)}")
    return checked([melody])[0]
