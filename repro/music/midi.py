"""Melodies from your own MIDI files: one per file, from the track in which the fewest notes begin while another sounds.

Notes begin and end on the nearest sixteenth of the file's own beat, whatever its tempi, and none has to be in key. No
content of a file can stop the others from being read: a file without a melody is left out with a reason.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from symusic.core import ScoreTick, TrackTick

from repro.domain import demand
from repro.music.events import STEPS_PER_QUARTER, Dropped, from_notes, in_c, in_range

ENDINGS = (".mid", ".midi")
REASONS = ("unreadable", "no notes", "no such track", "too short", "few pitches", "range too wide", "duplicate")
BAR = 16  # sixteenths
LEAST = (7 * BAR, 5)  # events and different pitches of a melody
OFF = 0.1  # of a sixteenth: so far from it a note is off the grid
MOST_SILENCE = 2 * BAR  # songs let a voice pause for a whole verse
MOST_EVENTS = 256 * BAR  # held-out scores run the RNN over whole melodies
MOST_BYTES = 4_000_000  # about 500,000 notes
MOST_TICKS = 10_000_000  # beyond 2^31 they would wrap
CUT_OFF = "unreadable: it is cut off"


def files(folder: Path) -> list[tuple[str, Path]]:
    """All MIDI files below a folder, ordered by their names there; ValueError if there is none. No links to folders."""
    demand(ValueError, folder.is_dir(), f"{printable(folder)} is {'a file, not a' if folder.exists() else 'no'} folder")
    midi = [file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()]
    demand(ValueError, midi, f"{printable(folder)} has no file that ends in {' or '.join(ENDINGS)}")
    return sorted((printable(file.relative_to(folder).as_posix()), file) for file in midi)


def printable(name: object) -> str:
    """A text on one line: line ends, control characters and bytes that are no text are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(name))


def content(file: Path) -> bytes:
    """The bytes of a file, or Dropped if it cannot be read or is too large."""
    try:
        demand(Dropped, file.stat().st_size <= MOST_BYTES, f"unreadable: larger than {MOST_BYTES // 10**6} MB")
        return file.read_bytes()
    except OSError as error:
        raise Dropped(f"unreadable: {error.strerror}") from error


def melody(file: Path, track: str = "", least: tuple[int, int] = LEAST) -> tuple[np.ndarray, str]:
    """The first voice (of the track of this name) that can be a melody, uint8 (T,), and what differs; or Dropped."""
    score, reasons = _score(content(file)), []
    played = [(one.name.strip().casefold(), _notes(one, score.tpq)) for one in score.tracks if not one.is_drum]
    played = [(name, voice) for name, voice in played if voice.size]
    voices = [voice for name, voice in played if not track or name == track.strip().casefold()]
    demand(Dropped, voices, "no such track" if played else "no notes")
    if track:  # all that it plays, for it may change its instrument
        voices = [np.concatenate(voices, axis=1)]
    for voice in sorted(voices, key=_likeness):
        try:
            return _events(voice, *least), "; ".join(_told(voice[3], voice[0], score))
        except Dropped as dropped:
            reasons.append(dropped)
    raise reasons[0]


def _told(ticks: np.ndarray, steps: np.ndarray, score: ScoreTick) -> Iterator[str]:
    """What differs between a voice, whose notes begin at ticks, and the melody that is read from it, in steps."""
    struck, first = np.unique(ticks, return_index=True)
    off = np.abs(struck * STEPS_PER_QUARTER / score.tpq - steps[first]) > OFF
    if off.any():
        yield f"{off.sum()} of {len(struck)} notes begin off the grid of sixteenths, and are moved to it"
    if lost := len(struck) - len(np.unique(steps)):
        yield f"{lost} of {len(struck)} notes begin on a sixteenth that another has, and are dropped"
    said = [(each.numerator, each.denominator) for each in score.time_signatures]
    if metres := {f"{beats}/{unit}" for beats, unit in said if 0 < unit != beats}:  # 2/2 and 8/8 are as long as 4/4
        yield f"its metre is {', '.join(sorted(metres))}: bars are counted in sixteen sixteenths from its first note"


def _score(midi: bytes) -> ScoreTick:
    """A file as symusic reads it once its tracks are repaired; Dropped says why it cannot be read."""
    if midi.startswith(b"RIFF"):  # around a MIDI file
        midi = midi[max(0, midi.find(b"MThd")) :]
    demand(Dropped, b"MThd".startswith(midi[:4]), "unreadable: MThd not found")
    demand(Dropped, len(midi) >= 14, CUT_OFF)
    demand(Dropped, midi[8:10] != b"\0\2", "unreadable: MIDI type 2, whose tracks are pieces of their own")
    demand(Dropped, 0 < int.from_bytes(midi[12:14]) < 0x8000, "unreadable: its times are not counted in beats")
    # a longer header is cut to its six bytes, and promises more tracks than there can be
    parts, at = [b"MThd\0\0\0\6", midi[8:10], b"\xff\xff", midi[12:14]], 8 + int.from_bytes(midi[4:8])
    try:
        while at < len(midi):
            kind, begin, at = midi[at : at + 4], at + 8, at + 8 + int.from_bytes(midi[at + 4 : at + 8])
            if kind == b"MTrk" and begin <= len(midi):
                demand(Dropped, at <= len(midi), CUT_OFF)
                track = _repaired(bytearray(midi[begin:at]), begin, int.from_bytes(midi[12:14]) // STEPS_PER_QUARTER)
                parts += [kind, len(track).to_bytes(4), bytes(track)]
        return ScoreTick.from_midi(b"".join(parts))
    except Dropped:
        raise
    except Exception as error:  # symusic promises no kind
        said = f"unreadable: {printable(error).removeprefix('MiniMidi: ')[:100]}"
        raise Dropped(CUT_OFF if isinstance(error, IndexError) or "EOF" in said else said) from error


def _repaired(data: bytearray, place: int, sixteenth: int) -> bytearray:
    """A track, from a place of the file on, with values of at most 127 and notes that end with it; or Dropped."""
    at, status, sounding, timed = 0, 0, Counter[tuple[int, int]](), False
    while at < len(data):
        at = _number(data, at)[1]  # the time
        if timed := data[at : at + 2] == b"\xff\x2f":
            break
        if data[at] in (0xF0, 0xF7, 0xFF):  # what is no music says how long it is
            size, at = _number(data, at + 1 + (data[at] == 0xFF))
            at += size
            continue
        if data[at] > 0xF0:  # of the system, with as many values
            at += 1 + {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(data[at], 0)
            continue
        if data[at] & 0x80:
            status, at = data[at], at + 1
        kind, values = status & 0xF0, 1 if status & 0xE0 == 0xC0 else 2
        last = at + values - 1  # above 127 it is clipped, unless it ends a note that none began: then bytes are lost
        begun = kind != 0x80 or (status & 0x0F, data[at]) in sounding
        if begun and max(data[at:last], default=0) < 0x80 <= data[last]:
            data[last] = 0x7F
        if not status or max(data[at : at + values]) > 0x7F:
            raise Dropped(f"unreadable: byte {place + at} is none of an event's")
        if kind == 0x90 and data[at + 1]:
            sounding[status & 0x0F, data[at]] += 1
        elif kind in (0x80, 0x90):  # the first end of a pitch ends all that sound
            sounding.pop((status & 0x0F, data[at]), None)
        at += values
    demand(Dropped, at <= len(data), CUT_OFF)
    ends = [bytes((0x80 | channel, pitch, 0, 0)) for channel, pitch in sounding.elements()]
    # each ends with the time of the next event; before them an empty text, and a sixteenth
    wait = b"\0" * (not timed) + bytes((0xFF, 1, 0, 0x80 | sixteenth >> 7 & 0x7F, sixteenth & 0x7F))
    data[at:at] = wait * bool(ends) + b"".join(ends)[: None if timed else -1]
    return data


def _number(data: bytearray, at: int) -> tuple[int, int]:
    """A number of at most four bytes, and where the next begins."""
    value = 0
    while data[at] & 0x80 and value < 1 << 21:  # symusic refuses more
        value, at = (value | data[at] & 0x7F) << 7, at + 1
    return value | data[at], at + 1


def _notes(track: TrackTick, ticks_per_quarter: int) -> np.ndarray:
    notes = {name: column.astype(np.int64) for name, column in track.notes.numpy().items()}
    begins, ends, pitches = notes["time"], notes["time"] + notes["duration"], notes["pitch"]
    inside = not begins.size or (begins.min() >= 0 and ends.max() <= MOST_TICKS)
    demand(Dropped, inside, f"unreadable: it has a note beyond {MOST_TICKS} ticks")
    # The first end of a pitch ends all its notes that sound; symusic pairs beginnings and ends in order instead.
    at, sounding = pitches << 32, ends > begins
    all_ends = np.sort(at + ends)
    begins, pitches, at = begins[sounding], pitches[sounding], at[sounding]
    ends = all_ends[np.searchsorted(all_ends, at + begins, side="right")] - at
    steps = (2 * STEPS_PER_QUARTER * np.stack([begins, ends]) + ticks_per_quarter) // (2 * ticks_per_quarter)
    return np.vstack([steps, pitches, begins])  # (4, N): steps at which notes begin and end, MIDI pitches, ticks


def _likeness(voice: np.ndarray) -> tuple[float, float]:
    # The share of overlapping notes, the least first; of voices equal to a tenth the highest, or a bass would win.
    begins, ends, pitches = voice[:3, voice[0].argsort(kind="stable")]
    overlapping = (begins[1:] < np.maximum.accumulate(np.maximum(ends, begins + 1))[:-1]).sum()
    return round(overlapping / len(begins), 1), -float(pitches.mean())


def _events(voice: np.ndarray, minimum_events: int, minimum_pitches: int) -> np.ndarray:
    voice = voice[:, np.lexsort((-voice[2], voice[0]))]
    begins, highest = np.unique(voice[0], return_index=True)  # of notes that begin together
    ends, pitches = np.maximum(voice[1, highest], begins + 1), voice[2, highest]
    ends[:-1] = np.minimum(ends[:-1], begins[1:])
    moved = begins[0] + np.append(0, np.cumsum(np.maximum(begins[1:] - ends[:-1] - MOST_SILENCE, 0)))
    inside = begins - moved < MOST_EVENTS
    begins, ends, pitches = np.stack([begins - moved, np.minimum(ends - moved, MOST_EVENTS), pitches])[:, inside]
    demand(Dropped, ends[-1] >= minimum_events, "too short")
    demand(Dropped, len(np.unique(pitches)) >= minimum_pitches, "few pitches")
    return from_notes(begins, ends, in_range(in_c(pitches)))
