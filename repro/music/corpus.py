"""Real tunes: four ABC collections that music21 installs, as melodies of 38 events in C major or A minor.

The paper trains on 30,000 MIDI songs that were never published; these 12,762 folk tunes are what anyone can install.
Nothing is downloaded and nothing is committed (the Essen collection is licensed for non-commercial use only).

How a tune becomes a melody:

1. `repro.music.abc` strips its text to the notes, each part once, and symusic plays it.
2. Each note begins on the nearest sixteenth: a triplet of eighths becomes 1-2-1 sixteenths. Where a note would be lost
   (runs in thirty-seconds, say), or more than a quarter of the notes would move, rounding would write another rhythm,
   and the tune is dropped. No note is ever lost, and none moves by more than half a sixteenth.
3. It moves to the transposition that has most notes in C major; K: only settles ties, because Essen writes many minor
   tunes under the parallel major. The octave is the one that brings the mean pitch nearest to the middle of C3 to B5.
4. It is kept with at least 95 % of its notes in key. (98.5 % of every melody would leave fewer than 11,000 melodies;
   the corpus as a whole has more than 99 % of its notes in key.) Of melodies equal event by event the first is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from repro.music.abc import Dropped, Played, played
from repro.music.events import C_MAJOR, FIRST_PITCH, HIGHEST_MIDI, HORIZON, LOWEST_MIDI, from_notes
from repro.settings import COLLECTIONS

SPLITS: tuple[str, ...] = ("train", "validation", "test")
REASONS: tuple[str, ...] = (
    "unparsable", "polyphonic", "off the grid", "too short", "out of key", "range too wide", "duplicate",
)  # fmt: skip
MOST_MOVED = 0.25  # ours: the share of a tune's notes that rounding may move

_IN_C = np.isin(np.arange(12), C_MAJOR)


@dataclass(frozen=True)
class Tunes:
    """Melodies in the order of the collections' files; entry i of each field belongs to melody i.

    Attributes:
        events: uint8 arrays, one a melody, of at least `minimum_events` events 0..37.
        collection: the collection that each melody is from.
        title: the first T: of its tune.
        split: array of 'train', 'validation' and 'test', about 90, 5 and 5 %. Melodies that open alike or share their
            intervals are in the same split.
        dropped: one row a collection: collection, read, a count for each of REASONS, kept.
    """

    events: tuple[np.ndarray, ...]
    collection: tuple[str, ...]
    title: tuple[str, ...]
    split: np.ndarray
    dropped: pd.DataFrame

    def of(self, split: str) -> list[np.ndarray]:
        """Returns the melodies of one split."""
        if split not in SPLITS:
            raise ValueError(f"no split is called {split!r}: choose from {', '.join(SPLITS)}")
        return [events for events, its in zip(self.events, self.split, strict=True) if its == split]


def read(
    collections: Sequence[str] = COLLECTIONS, minimum_in_key: float = 0.95, minimum_events: int = HORIZON
) -> Tunes:
    """Converts collections; the same input gives the same melodies, order and split.

    Args:
        collections: names from COLLECTIONS.
        minimum_in_key: the share of a melody's notes that must be in C major.
        minimum_events: the fewest sixteenths a melody may have.

    Raises:
        ValueError: a collection that is not known.
        FileNotFoundError: music21 is not installed.
    """
    found: dict[bytes, tuple[np.ndarray, str, str]] = {}
    counts = {collection: Counter[str]() for collection in collections}
    tunes = [(name, tune) for name, file in _files(collections) for tune in _tunes_in(_decoded(file.read_bytes()))]
    for (collection, tune), notes in zip(tunes, played([tune for _, tune in tunes]), strict=True):
        counts[collection]["read"] += 1
        try:
            events = _melody(notes, minimum_in_key, minimum_events)
            if events.tobytes() in found:
                raise Dropped("duplicate")
        except Dropped as dropped:
            counts[collection][dropped.reason] += 1
            continue
        counts[collection]["kept"] += 1
        title = re.search(r"(?m)^T:[ \t]*(.*)", tune)
        found[events.tobytes()] = events, collection, title.group(1).strip() if title else ""
    melodies = tuple(events for events, _, _ in found.values())
    names, titles = tuple(name for _, name, _ in found.values()), tuple(title for _, _, title in found.values())
    columns = ("read", *REASONS, "kept")
    table = pd.DataFrame([{"collection": name, **{key: its[key] for key in columns}} for name, its in counts.items()])
    return Tunes(melodies, names, titles, split(melodies), table)


def melody(tune: str, minimum_in_key: float = 0.95, minimum_events: int = HORIZON) -> np.ndarray:
    """Returns one ABC tune as a uint8 array of events.

    Raises:
        Dropped: it cannot be one; the reason is one of REASONS but 'duplicate'.
    """
    return _melody(played([tune])[0], minimum_in_key, minimum_events)


def _melody(notes: Played | Dropped, minimum_in_key: float, minimum_events: int) -> np.ndarray:
    if isinstance(notes, Dropped):
        raise notes
    begins, ends, pitches, sharps = notes
    steps = np.floor(begins + 0.5).astype(int)
    moved = np.abs(begins - steps) > 0.05
    if (np.diff(steps) == 0).any() or moved.mean() > MOST_MOVED:
        raise Dropped("off the grid")
    ends = np.maximum(np.floor(ends + 0.5).astype(int), steps + 1)
    if ends.max() - steps[0] < minimum_events:
        raise Dropped("too short")
    pitches = in_c(pitches, sharps)
    if _IN_C[pitches % 12].mean() < minimum_in_key:
        raise Dropped("out of key")
    pitches = in_range(pitches)
    return from_notes(steps - steps[0], ends - steps[0], pitches).astype(np.uint8)


def in_c(pitches: np.ndarray, sharps: int) -> np.ndarray:
    """Transposes to the most notes in C major; of equally good keys to the one nearest to K: in fifths."""
    fits = _IN_C[(pitches[None] + np.arange(12)[:, None]) % 12].sum(axis=1)
    fifths = (7 * np.arange(12) + sharps) % 12  # between the key that this shift takes to C, and K:
    apart = np.minimum(fifths, 12 - fifths)
    return pitches + int(np.lexsort((fifths, apart, -fits))[0])


def in_range(pitches: np.ndarray) -> np.ndarray:
    """Moves by octaves to the mean nearest to the range's middle. Most tunes so have their tonic at middle C."""
    octaves = pitches + 12 * np.arange(-10, 11)[:, None]
    fitting = octaves[(octaves.min(axis=1) >= LOWEST_MIDI) & (octaves.max(axis=1) <= HIGHEST_MIDI)]
    if not len(fitting):
        raise Dropped("range too wide")
    return fitting[np.abs(fitting.mean(axis=1) - (LOWEST_MIDI + HIGHEST_MIDI) / 2).argmin()]


def split(melodies: Sequence[np.ndarray]) -> np.ndarray:
    """Returns 'train', 'validation' or 'test' for each melody, drawn once for its whole group."""
    drawn = (int.from_bytes(group[:8], "big") % 20 for group in groups(melodies))
    return np.array([("validation", "test")[n] if n < 2 else "train" for n in drawn], dtype="<U10")


def groups(melodies: Sequence[np.ndarray]) -> list[bytes]:
    """Returns the name of each melody's group: those that open alike, up to transposition, or share all intervals."""
    parent = list(range(len(melodies)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first: dict[tuple[str, bytes], int] = {}
    for i, events in enumerate(melodies):
        events = events.astype(np.int8)
        struck = events[events >= FIRST_PITCH]
        opening = np.where(events >= FIRST_PITCH, events - struck[0], events + 100)[:HORIZON]
        for key in (("opening", opening.tobytes()), ("intervals", np.diff(struck).tobytes())):
            parent[root(i)] = root(first.setdefault(key, i))
    digests = [hashlib.sha256(events.tobytes()).digest() for events in melodies]
    member: dict[int, bytes] = {}  # the least digest speaks for its group: the order of melodies does not matter
    for i, digest in enumerate(digests):
        member[root(i)] = min(digest, member.get(root(i), digest))
    return [member[root(i)] for i in range(len(melodies))]


def _files(collections: Sequence[str]) -> Iterator[tuple[str, Path]]:
    unknown = [name for name in collections if name not in COLLECTIONS]
    if unknown:
        raise ValueError(f"no collection is called {unknown[0]!r}: choose from {', '.join(COLLECTIONS)}")
    spec = importlib.util.find_spec("music21")  # finds the package without the seconds that importing it takes
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the tunes come with the package music21, which is not installed")
    for name in collections:
        folder = Path(spec.submodule_search_locations[0]) / "corpus" / name
        files = sorted(folder.glob("*.abc"))
        if not files:
            raise FileNotFoundError(f"this music21 has no tunes in {folder}")
        yield from ((name, file) for file in files)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _tunes_in(text: str) -> list[str]:
    return re.split(r"(?m)^(?=X:)", text.replace("\r\n", "\n").replace("\r", "\n"))[1:]


def source_digest(collections: Sequence[str] = COLLECTIONS) -> str:
    """Returns the sha256 of the installed files that `read` would read: their names and bytes."""
    digest = hashlib.sha256()
    for collection, file in _files(collections):
        content = file.read_bytes()
        digest.update(f"{collection}/{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def save(tunes: Tunes, path: str | Path) -> None:
    """Writes tunes as one compressed npz file."""
    texts = {"collection": tunes.collection, "title": tunes.title, "split": tunes.split.tolist(),
             "dropped": tunes.dropped.to_dict("list")}  # fmt: skip
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            events=np.concatenate([np.empty(0, np.uint8), *tunes.events]),
            lengths=np.array([len(events) for events in tunes.events], dtype=np.int64),
            texts=np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8),
        )


def load(path: str | Path) -> Tunes:
    """Reads what `save` wrote.

    Raises:
        ValueError: the file is cut off, damaged or something else.
        FileNotFoundError: there is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            flat, lengths, texts = file["events"], file["lengths"], json.loads(file["texts"].tobytes())
        events = tuple(np.split(flat, np.cumsum(lengths)[:-1])) if len(lengths) else ()
        tunes = Tunes(events, tuple(texts["collection"]), tuple(texts["title"]), np.array(texts["split"], "<U10"),
                      pd.DataFrame(texts["dropped"]))  # fmt: skip
        if lengths.sum() != len(flat) or {len(tunes.collection), len(tunes.title), len(tunes.split)} != {len(lengths)}:
            raise ValueError("its parts do not fit together")
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged zip files raise a dozen kinds, TokenError and OSError among them
        raise ValueError(f"{path} is not a file of tunes, or is damaged: delete it and convert again") from error
    return tunes
