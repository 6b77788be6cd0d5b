"""A corpus from a folder of your own MIDI files: one melody a file, in the 38 events that everything else works on.

How a file becomes a melody:

1. Its tempi do not matter: notes begin and end on the nearest sixteenth of the file's own beat, four to a quarter note.
2. The melody is the track (each instrument of a track on its own) in which the fewest notes begin while another sounds.
   Of tracks equal to a tenth in that the highest comes first, or a bass would win; one that is too short, has too few
   pitches or too wide a range makes way for the next. A track that is asked for by name is taken whatever it plays.
   Drums are never a melody. Of notes that begin together the highest is kept, and each ends where the next begins.
3. Silence before the first note is left out, and no later silence lasts more than two bars, since songs let a voice
   pause for a whole verse. What lies beyond 256 bars is cut off: held-out scores run the RNN over whole melodies.
4. It is transposed as the folk tunes are (`repro.music.corpus`). No share of its notes has to be in key: they are your
   files, and a corpus of your own may well modulate. `describe` in `repro.experiments.music` says how many are.

A file that gives no melody is left out with a reason; no content of a file can stop the others from being read.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import pandas as pd
import pretty_midi

from repro.music import corpus
from repro.music.abc import Dropped
from repro.music.corpus import SPLITS, Tunes
from repro.music.events import from_notes

ENDINGS = (".mid", ".midi")
REASONS = ("unreadable", "no notes", "no such track", "too short", "few pitches", "range too wide", "duplicate")
BAR = 16  # sixteenths
MOST_SILENCE = 2 * BAR
MOST_EVENTS = 256 * BAR
MOST_BYTES = 4_000_000  # about 500,000 notes, which take some ten seconds to read
LISTED = 10  # files that a sentence names before it only counts

_EVEN_TEMPO = 500_000  # microseconds a quarter note
_STEPS_PER_SECOND = 8  # at that tempo
_ENDLESS = re.compile(rb"[\x80-\xff]{5000}")  # mido would read it as one number, for minutes


@dataclass(frozen=True)
class Folder:
    """What a folder gave.

    Attributes:
        tunes: the melodies; the collection of each is the folder's name and its title the file's path inside it.
        reasons: one row a file that was left out: file, reason (one of REASONS; after a colon, what was wrong).
    """

    tunes: Tunes
    reasons: pd.DataFrame


def read(folder: str | Path, minimum_bars: int = 7, minimum_pitches: int = 5, track: str = "") -> Folder:
    """Converts the .mid and .midi files of a folder and its sub-folders; equal files give equal melodies and splits.

    Names are shown with characters that cannot be printed escaped. Files that are left out are named in a warning.

    Args:
        folder: where the files are.
        minimum_bars: the fewest bars of 16 sixteenths that a melody may have.
        minimum_pitches: the fewest different pitches that a melody may have.
        track: the name of the track that holds the melody, in every file; capitals do not matter.

    Raises:
        ValueError: there is no such folder, or too few melodies come out of it; the sentence says why, file by file.
    """
    folder = Path(folder)
    found: dict[bytes, tuple[np.ndarray, str]] = {}
    refused: list[tuple[str, str]] = []
    for name, file in _files(folder):
        try:
            events = _melody(_content(file), track, minimum_bars * BAR, minimum_pitches)
            if events.tobytes() in found:
                raise Dropped("duplicate")
            found[events.tobytes()] = events, name
        except Dropped as dropped:
            refused.append((name, dropped.reason))
    melodies = tuple(events for events, _ in found.values())
    split = _split(melodies)
    if split is None:
        need = "at least 3 that open differently are needed, one each to learn from, to validate and to test"
        raise ValueError(f"{_shown(folder)} gives {len(melodies)} melodies, and {need}; {_listed(refused)}")
    if refused:
        warnings.warn(f"{_shown(folder)}: {_listed(refused)}", stacklevel=2)
    collection = _shown(folder.resolve().name)
    counts = Counter(reason.partition(":")[0] for _, reason in refused)
    read_and_why = {"read": len(found) + len(refused)} | {reason: counts[reason] for reason in REASONS}
    table = pd.DataFrame([{"collection": collection, **read_and_why, "kept": len(found)}])
    titles = tuple(name for _, name in found.values())
    tunes = Tunes(melodies, (collection,) * len(melodies), titles, split, table)
    return Folder(tunes, pd.DataFrame(refused, columns=["file", "reason"]))


def source_digest(folder: str | Path) -> str:
    """Returns the sha256 of the files that `read` would read: their names and bytes.

    Raises:
        ValueError: there is no such folder, or no MIDI file in it.
    """
    digest = hashlib.sha256()
    for name, file in _files(Path(folder)):
        try:
            content = _content(file)
        except Dropped as dropped:
            content = dropped.reason.encode()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(folder: Path) -> list[tuple[str, Path]]:
    """All MIDI files below a folder, in the order of their names; symbolic links to folders are not followed."""
    if not folder.is_dir():
        raise ValueError(f"{_shown(folder)} is {'a file, not a folder' if folder.exists() else 'no folder'}")
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    midi = [file for file in files if file.suffix.lower() in ENDINGS and file.is_file()]
    if not midi:
        raise ValueError(f"{_shown(folder)} has no file that ends in {' or '.join(ENDINGS)}")
    return sorted((_shown(file.relative_to(folder).as_posix()), file) for file in midi)


def _shown(name: str | Path) -> str:
    """A name on one line: line ends, control characters and bytes that are no text are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(name))


def _listed(refused: list[tuple[str, str]]) -> str:
    named = [f"{name} ({reason})" for name, reason in refused[:LISTED]]
    more = [f"and {len(refused) - LISTED} more"] if len(refused) > LISTED else []
    return ", ".join([f"files left out: {len(refused)}", *named, *more])


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise Dropped(f"unreadable: larger than {MOST_BYTES // 10**6} MB")
        return file.read_bytes()
    except OSError as error:
        raise Dropped(f"unreadable: {error.strerror}") from error


def _melody(content: bytes, track: str, minimum_events: int, minimum_pitches: int) -> np.ndarray:
    """The first of a file's voices that can be a melody, as a uint8 array of events; Dropped says why none can."""
    reasons = []
    for steps, pitches in sorted(_voices(content, track), key=_likeness):
        try:
            return _events(steps, pitches, minimum_events, minimum_pitches)
        except Dropped as dropped:
            reasons.append(dropped)
    raise reasons[0]


def _voices(content: bytes, track: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The notes of each instrument, or of the named track: steps of begin and end (N, 2), MIDI pitches (N,)."""
    played = [instrument for instrument in _played(content).instruments if not instrument.is_drum and instrument.notes]
    if not played:
        raise Dropped("no notes")
    voices = [instrument.notes for instrument in played]
    if track:
        named = [one.notes for one in played if one.name.strip().casefold() == track.strip().casefold()]
        if not named:
            raise Dropped("no such track")
        voices = [list(itertools.chain(*named))]  # a track may change its instrument on the way
    tables = [np.array([(note.start, note.end, note.pitch) for note in notes]) for notes in voices]
    # The thousandth: a time in seconds may fall short of half a step by the last bit of a float.
    return [(np.floor(t[:, :2] * _STEPS_PER_SECOND + 0.501).astype(int), t[:, 2].astype(int)) for t in tables]


def _played(content: bytes) -> pretty_midi.PrettyMIDI:
    """A file with all its tempi made the same, so that seconds count beats; Dropped if it cannot be read."""
    if _ENDLESS.search(content):
        raise Dropped("unreadable: a number in it has no end")
    try:
        score = mido.MidiFile(file=io.BytesIO(content))
    except EOFError as error:
        raise Dropped("unreadable: it is cut off") from error
    except Exception as error:  # mido lets any kind through
        raise _unreadable(error) from error
    if score.type == 2:
        raise Dropped("unreadable: MIDI type 2, whose tracks are pieces of their own")
    if score.ticks_per_beat <= 0:
        raise Dropped("unreadable: its times are not counted in beats")
    score.tracks = [track for track in score.tracks if track]  # pretty_midi fails at an empty one
    if not score.tracks:
        raise Dropped("no notes")
    for message in itertools.chain(*score.tracks):
        if message.type == "set_tempo":
            message.tempo = _EVEN_TEMPO
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tempi stand on other tracks than the first
            return pretty_midi.PrettyMIDI(mido_object=score)  # refuses more than ten million ticks
    except Exception as error:  # so does pretty_midi
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Dropped:
    return Dropped(f"unreadable: {_shown(str(error))[:100] or type(error).__name__}")


def _likeness(voice: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """What voices are sorted by, the likeliest melody first: the share of overlapping notes, then the mean pitch."""
    steps, pitches = voice
    begins, ends = steps[steps[:, 0].argsort(kind="stable")].T
    overlapping = (begins[1:] < np.maximum.accumulate(np.maximum(ends, begins + 1))[:-1]).sum()
    return round(overlapping / len(begins), 1), -float(pitches.mean())


def _events(steps: np.ndarray, pitches: np.ndarray, minimum_events: int, minimum_pitches: int) -> np.ndarray:
    highest_first = np.lexsort((-pitches, steps[:, 0]))
    begins, first = np.unique(steps[highest_first, 0], return_index=True)
    kept = highest_first[first]
    ends = np.maximum(steps[kept, 1], begins + 1)
    ends[:-1] = np.minimum(ends[:-1], begins[1:])
    excess = np.maximum(begins[1:] - ends[:-1] - MOST_SILENCE, 0)
    moved = begins[0] + np.append(0, np.cumsum(excess))
    begins, ends, pitches = begins - moved, np.minimum(ends - moved, MOST_EVENTS), pitches[kept]
    inside = begins < MOST_EVENTS
    begins, ends, pitches = begins[inside], ends[inside], pitches[inside]
    if ends[-1] < minimum_events:
        raise Dropped("too short")
    if len(np.unique(pitches)) < minimum_pitches:
        raise Dropped("few pitches")
    pitches = corpus.in_range(corpus.in_c(pitches, sharps=0))
    return from_notes(begins, ends, pitches).astype(np.uint8)


def _split(melodies: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """As the folk tunes are split; where chance leaves a part empty, by the order of the groups. None for under 3."""
    drawn, groups = corpus.split(melodies), corpus.groups(melodies)
    ordered = sorted(set(groups))
    if len(ordered) < len(SPLITS):
        return None
    if set(drawn) == set(SPLITS):
        return drawn
    few = -(-len(ordered) // 20)  # 5 %, at least one
    place = {group: i // few for i, group in enumerate(ordered)}
    return np.array([("validation", "test")[place[g]] if place[g] < 2 else "train" for g in groups], dtype="<U10")
