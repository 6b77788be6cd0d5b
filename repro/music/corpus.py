"""Tunes as melodies of 38 events: four ABC collections of music21, or your own MIDI files; and the rebuilt corpus.

The paper's 30,000 MIDI songs were never published; these 12,762 folk tunes are what anyone can install.
"""

import hashlib
import importlib.util
import os
import re
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from symusic.core import ScoreTick

from repro import ROOT
from repro.domain import demand
from repro.music import midi

from repro.music.events import (  # isort: skip
    C_MAJOR, FIRST_PITCH, HOLD, HORIZON, REST, STEPS_PER_QUARTER, Dropped, from_notes, in_c, in_range, slowed,
    swap_rest_and_hold)  # fmt: skip
from repro.settings import RebuiltSettings, TuneSettings

SPLITS = ("train", "validation", "test")
REASONS = ("unparsable", "polyphonic", "off the grid", "too short", "out of key", "range too wide", "duplicate")
MOST_MOVED = 0.25  # ours: the share of a tune's notes that rounding may move
LISTED = 10  # files that a sentence names before it only counts
BATCH = 32  # tunes at most per process of abc2midi: few enough that a wrong tune costs little

_FIELD = re.compile(r"[H-Zmrsw+]:|[A-G]:(?![|:\]])")  # a line "A:|" is music
_KEPT_FIELD = re.compile(r"[KLMV]:\s*[^|:\s]")
_DECORATION = re.compile(r'"[^"\n]*"|\{[^}\n]*\}|![^!\s]{1,9}!')
_FIRST_ENDING = re.compile(r"[|\[]\s*\[?1(?!\d)(?:(?![|\[]\s*\[?1(?!\d)).){0,200}?[|\[]\s*\[?2(?!\d)", re.DOTALL)
_ENDING = re.compile(r"(?:[|:]\s*\[?|\[)\s*[1-9](?:[,-][1-9])*")
_BAR = re.compile(r":*\[?\|[|:\]]*|:+")
_NO_NOTE = re.compile(r"\((?!\d)|y\d*|[^]A-Ga-gzZ0-9/,'^_=<>(|:[\s&+-]")  # slurs, spacing, letters for ornaments


def read(settings: TuneSettings) -> pd.DataFrame:
    """One row per tune read, in the order of the files: collection, title, split, events, `dropped` (why, or "")."""
    # MIDI files that are left out or changed are named in a warning; too few melodies in a folder are a ValueError
    rows, seen, left_out, unlike = [], set(), list[str](), list[str]()
    for collection, title, tune in _tunes(settings):
        try:
            if isinstance(tune, Path):
                events, differs = midi.melody(tune, settings.midi_track)
                unlike += [f"{title} ({differs})"] * bool(differs)
            else:
                events = melody(tune, settings.minimum_in_key, settings.minimum_events)
            reason = "duplicate" if events.tobytes() in seen else ""
            seen.add(events.tobytes())
        except Dropped as dropped:
            reason = str(dropped)
        left_out += [f"{title} ({reason})"] * bool(reason)
        rows.append((collection, title, "", np.empty(0, np.uint8) if reason else events, reason))
    table = pd.DataFrame(rows, columns=["collection", "title", "split", "events", "dropped"])
    kept = table["dropped"] == ""
    table.loc[kept, "split"] = split(list(table.loc[kept, "events"]))
    if not settings.midi_folder:
        return table
    said = [f"{table['collection'][0]} gives {kept.sum()} melodies"]
    for what, files in (("files left out", left_out), ("melodies unlike their files", unlike)):
        more = [f"and {len(files) - LISTED} more"] * (len(files) > LISTED)
        said += [", ".join([f"{what}: {len(files)}", *files[:LISTED], *more])] * bool(files)
    if not set(SPLITS) <= set(table["split"]):
        said[0] += ", and at least 3 that open differently are needed, one each to learn from, to validate and to test"
        raise ValueError("; ".join(said))
    if said[1:]:
        warnings.warn("; ".join(said), stacklevel=2)
    return table


def of(tunes: pd.DataFrame, split: str) -> list[np.ndarray]:
    """The melodies of one split, uint8 arrays in the order of the table."""
    demand(ValueError, split in SPLITS, f"no split is called {split!r}: choose from {', '.join(SPLITS)}")
    return [events.copy() for events in tunes.loc[tunes["split"] == split, "events"]]  # parquet's cannot be written to


def source_digest(settings: TuneSettings) -> str:
    """The sha256 of the files that `read` would read: their names and bytes."""
    digest = hashlib.sha256()
    for _, name, file in _files(settings):
        try:
            content = midi.content(file)
        except Dropped as reason:
            content = str(reason).encode()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def melody(tune: str | ScoreTick | None, minimum_in_key: float = 0.95, minimum_events: int = HORIZON) -> np.ndarray:
    """One tune, in ABC or `played`, as uint8 events (T,); Dropped says why it cannot be one."""
    begins, ends, pitches, sharps = notes(played([tune])[0] if isinstance(tune, str) else tune)
    steps = np.floor(begins + 0.5).astype(int)  # a triplet of eighths becomes 1-2-1 sixteenths
    moved, lost = np.abs(begins - steps) > 0.05, np.diff(steps) == 0
    demand(Dropped, not lost.any() and moved.mean() <= MOST_MOVED, "off the grid")  # or the rhythm would be another
    ends = np.maximum(np.floor(ends + 0.5).astype(int), steps + 1)
    demand(Dropped, ends.max() - steps[0] >= minimum_events, "too short")
    pitches = in_c(pitches, sharps)  # K: only settles ties: Essen writes many minor tunes under the parallel major
    demand(Dropped, np.isin(pitches % 12, C_MAJOR).mean() >= minimum_in_key, "out of key")
    return from_notes(steps - steps[0], ends - steps[0], in_range(pitches))


def split(melodies: Sequence[np.ndarray]) -> np.ndarray:
    """'train', 'validation' or 'test' of each melody, about 90, 5 and 5 %, drawn once per group (`groups`)."""
    names = groups(melodies)
    drawn = [int.from_bytes(group[:8], "big") % 20 for group in names]
    if not {0, 1} < set(drawn) and len(set(names)) >= len(SPLITS):  # a part is empty: the order of groups decides
        few = -(-len(set(names)) // 20)  # 5 %, at least one
        place = {group: i // few for i, group in enumerate(sorted(set(names)))}
        drawn = [place[group] for group in names]
    return np.array([("validation", "test")[n] if n < 2 else "train" for n in drawn], dtype=object)


def groups(melodies: Sequence[np.ndarray]) -> list[bytes]:
    """The name of each melody's group, its least digest: those that open alike in any key, or share all intervals."""
    members = [hashlib.sha256(events.tobytes()).digest() for events in melodies]
    played = [(events, events[events >= FIRST_PITCH]) for events in (melody.astype(np.int8) for melody in melodies)]
    openings = [np.where(e >= FIRST_PITCH, e - struck[0], e + 100)[:HORIZON].tobytes() for e, struck in played]
    intervals = [np.diff(struck).tobytes() for _, struck in played]
    before: list[bytes] = []
    while members != before:  # until the least digest has reached all that are joined
        before = members
        for keys in (openings, intervals):
            least = dict(sorted(zip(keys, members, strict=True), reverse=True))  # the last of each key is its least
            members = [least[key] for key in keys]
    return members


def _files(settings: TuneSettings) -> list[tuple[str, str, Path]]:  # collection, name, place
    if settings.midi_folder:
        folder = ROOT / Path(settings.midi_folder).expanduser()
        return [(midi.printable(folder.resolve().name), name, file) for name, file in midi.files(folder)]
    spec = importlib.util.find_spec("music21")  # finds the package without the seconds that importing it takes
    corpus = Path(spec.origin).with_name("corpus") if spec and spec.origin else Path("music21", "corpus")
    found = [(name, sorted((corpus / name).glob("*.abc"))) for name in settings.collections]
    if missing := [name for name, files in found if not files]:
        raise FileNotFoundError(f"no tunes in {corpus / missing[0]}: they come with the package music21")
    return [(name, f"{name}/{file.name}", file) for name, files in found for file in files]


def _tunes(settings: TuneSettings) -> Iterator[tuple[str, str, Path | ScoreTick | None]]:  # collection, title, tune
    for collection, name, file in _files(settings):
        if settings.midi_folder:
            yield collection, name, file
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            text = file.read_text(encoding="latin-1")
        tunes = re.split(r"(?m)^(?=X:)", text)[1:]
        for tune, score in zip(tunes, played(tunes), strict=True):
            title = re.search(r"(?m)^T:(.*)", tune)
            yield collection, title[1].strip() if title else "", score


def plain(abc: str) -> str:
    """A tune's ABC stripped to M:, L:, K:, V: and lines of notes, rests and bar lines, each part once."""
    # Without R:, by which abc2midi would swing hornpipes two to one of its own accord.
    lines = [re.sub(r"(?<!\\)%.*", "", line).strip() for line in abc.splitlines()]
    key = next((i for i, line in enumerate(lines) if line.startswith("K:")), len(lines))
    header = {line[0]: line[2:].strip() for line in lines[: key + 1] if line[:2] in ("M:", "L:", "K:")}
    # \b keeps Essen's "FREI4/4", which abc2midi refuses, from being read as a meter.
    meter = re.match(r"(\d+)/(\d+)\b|C\|?(?=$|\s)", header.get("M", ""))
    beats = int(meter[1]) / max(int(meter[2]), 1) if meter and meter[1] else 1.0
    unit = header.get("L") or ("1/16" if beats < 0.75 else "1/8")  # the ABC standard's default
    head = ["X:1", f"M:{meter[0] if meter else 'none'}", f"L:{unit}", "%%propagate-accidentals octave",
            "%%MIDI chordattack 0", f"K:{header.get('K', '')}"]  # fmt: skip
    body = "\n".join(line for line in lines[key + 1 :] if _KEPT_FIELD.match(line) or not _FIELD.match(line))
    body = _DECORATION.sub("", body)
    body = re.sub(r"\[([KLMV]:[^\]\n]*)\]", r"\n\1\n", body)  # inline fields, which change what follows
    body = re.sub(r"\[[A-Za-z]:[^\]\n]*\]", "", body)
    for line in _FIRST_ENDING.sub("|", body).splitlines():
        if not _KEPT_FIELD.match(line):
            line = _NO_NOTE.sub("", _BAR.sub("|", _ENDING.sub("|", line)).replace("x", "z"))
        head += [line] if line.strip() else []
    return "\n".join(head) + "\n"


def played(tunes: Sequence[str]) -> list[ScoreTick | None]:
    """ABC tunes (each from X: on) as symusic's abc2midi plays them, None where it finds an error."""
    # `symusic.Score.from_abc` would start a process for each tune, many times the cost, and keep its complaints
    if len(tunes) <= BATCH:
        with tempfile.TemporaryDirectory() as folder:
            numbered = [plain(tune).replace("X:1\n", f"X:{i}\n", 1) for i, tune in enumerate(tunes)]
            Path(folder, "t.abc").write_text("\n".join(numbered), encoding="utf-8")
            # symusic sets the variable when it is imported. "-silent" hides one error: a tie to another pitch, a slur
            command = [os.environ["SYMUSIC_ABC2MIDI"], "t.abc", "-silent"]
            said = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
            files = [Path(folder, f"t{i}.mid") for i in range(len(tunes))]
            if b"Error" not in said and all(file.exists() for file in files):
                return [ScoreTick(file) for file in files]
    half = len(tunes) // 2  # what a wrong tune leaves open spoils the next: hence halves, until it is alone
    return played(tunes[:half]) + played(tunes[half:]) if half else [None] * len(tunes)


def notes(score: ScoreTick | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Begins and ends (in sixteenths, not rounded), pitches and sharps of a tune of one voice; or Dropped."""
    if score is None or not score.note_num():
        raise Dropped("unparsable")
    demand(Dropped, len(score.tracks) == 1, "polyphonic")
    step = score.tpq / STEPS_PER_QUARTER
    # abc2midi begins each note a tick late, so that two notes of one pitch stay apart. The highest of a chord is kept.
    struck = {note.time - 1: note for note in sorted(score.tracks[0].notes, key=lambda note: note.pitch)}
    begins, ends, pitches = np.array([(begin, note.end, note.pitch) for begin, note in sorted(struck.items())]).T
    return begins / step, ends / step, pitches, score.key_signatures[0].key if score.key_signatures else 0


def struck_again(melody: np.ndarray, every: int) -> np.ndarray:
    """A melody (T,) whose held notes are struck again every `every` steps from their beginning."""
    steps = np.arange(len(melody))
    begins = np.maximum.accumulate(np.where(melody != HOLD, steps, 0))  # of what sounds; a first hold is none
    return np.where((melody[begins] >= FIRST_PITCH) & ((steps - begins) % every == 0), melody[begins], melody)


def with_silences(melody: np.ndarray, settings: RebuiltSettings, generator: np.random.Generator) -> np.ndarray:
    """Lets silences into a melody (T,): after every so many steps, perhaps, one note off and then nothing."""
    silence = np.array([REST] + [HOLD] * (settings.silence_events - 1), dtype=melody.dtype)
    parts = []
    for first in range(0, len(melody), settings.silence_every):
        fallen = [silence] if generator.random() < settings.silences else []
        parts += [melody[first : first + settings.silence_every], *fallen]
    return np.concatenate(parts)


def window(tune: np.ndarray, settings: RebuiltSettings, generator: np.random.Generator) -> np.ndarray:
    """One window of a tune, at most `window_events` events: a place, a speed and silences are drawn."""
    on_note = generator.random() < settings.begin_on_note
    start = generator.choice(np.flatnonzero(tune[:-1] >= FIRST_PITCH) if on_note else len(tune) - 1)  # two events left
    times = (1, 2, 4)[generator.choice(3, p=settings.speeds)]
    piece = slowed(tune[start : start + -(-settings.window_events // times)], times)
    if times == 2:
        piece = struck_again(piece, every=2)  # an eighth
    return with_silences(piece, settings, generator)[: settings.window_events]


def windows(tunes: Sequence[np.ndarray], count: int, settings: RebuiltSettings, seed: int) -> list[np.ndarray]:
    """Draws windows of at least two events, in the settings' coding; every event is equally likely to be covered."""
    generator = np.random.default_rng(seed)
    sizes = np.array([len(tune) for tune in tunes], dtype=float)
    chosen = generator.choice(len(tunes), size=count, p=sizes / sizes.sum())
    drawn = [window(tunes[tune], settings, generator) for tune in chosen]
    return [swap_rest_and_hold(piece) for piece in drawn] if settings.event_coding == "authors_code" else drawn
