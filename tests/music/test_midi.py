"""A corpus from a folder: MIDI files made here, note by note, with the events they must give."""

import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pandas as pd
import pretty_midi
import pytest

from repro.music import corpus, midi
from repro.music.events import HOLD, REST, Dropped
from repro.settings import TuneSettings

C, D, E, F = 14, 16, 18, 19  # the events that strike C4 to F4
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
Note = tuple[int, float, float]  # pitch, begin and end in quarter notes


def tune(seed: int = 0, bars: float = 8, up: int = 0, pitches: Sequence[int] = SCALE) -> list[Note]:
    chosen = np.random.default_rng(seed).choice(pitches, int(8 * bars))
    chosen[: min(3, len(chosen))] = pitches[0]  # so that the first interval and octave are always the same
    return [(int(pitch) + up, i / 2, (i + 1) / 2) for i, pitch in enumerate(chosen)]


def score(*tracks: tuple[str, list[Note]], drums: bool = False) -> bytes:
    made, content = pretty_midi.PrettyMIDI(None, 480, 120), io.BytesIO()
    for name, notes in tracks:
        made.instruments.append(pretty_midi.Instrument(0, is_drum=drums, name=name))
        made.instruments[-1].notes = [pretty_midi.Note(90, pitch, a / 2, b / 2) for pitch, a, b in notes]
    made.write(content)
    return content.getvalue()


def solo(notes: list[Note]) -> bytes:  # a MIDI file of one track
    return score(("", notes))


def messages(events: list[Any], kind: int = 1, ticks: int = 480) -> bytes:
    content = io.BytesIO()
    mido.MidiFile(type=kind, ticks_per_beat=ticks, tracks=[mido.MidiTrack(events)]).save(file=content)
    return content.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `events` writes its file, and an empty folder for others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs").mkdir()
    return tmp_path / "songs"


def events(content: bytes, track: str = "", bars: int = 0, pitches: int = 1) -> list[int]:
    """Returns the events of one file, converted without demands unless they are given."""
    Path("one.mid").write_bytes(content)
    return midi.melody(Path("one.mid"), track, (bars * midi.BAR, pitches))[0].tolist()


def filled(folder: Path, count: int = 12) -> Path:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"good {n:02d}.mid").write_bytes(solo(tune(n)))
    return folder


def read(folder: Path, track: str = "") -> pd.DataFrame:
    return corpus.read(TuneSettings(midi_folder=str(folder), midi_track=track))


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([(60, 0, 0.5), (62, 0.5, 0.75), (64, 0.75, 1), (65, 1.5, 2)], [C, HOLD, D, E, REST, HOLD, F, HOLD]),
        ([(60, 3, 3.25), (62, 3.25, 3.5), (64, 3.5, 3.75), (65, 3.75, 4)], [C, D, E, F]),
        ([(48, 0, 2), (60, 0, 1), (62, 1, 2)], [C, HOLD, HOLD, HOLD, D, HOLD, HOLD, HOLD]),
        ([(60, 0, 3), (62, 0.5, 0.75), (64, 0.75, 1), (65, 1, 1.25)], [C, HOLD, D, E, F]),
        ([(60, 0.02, 0.23), (62, 0.27, 0.5), (64, 0.49, 0.8), (65, 0.74, 1)], [C, D, E, F]),
        ([(60, 0, 0.01), (62, 0.5, 0.51), (64, 1, 1.25), (65, 1.25, 1.5)], [C, REST, D, REST, E, F]),
    ],
)
def test_events_by_hand(place: Path, notes: list[Note], expected: list[int]) -> None:
    """Protects the coding: rests, a late start, chords, overlaps, loose playing, and notes shorter than a sixteenth."""
    assert events(solo(notes)) == expected


def test_long_songs_by_hand(place: Path) -> None:
    """Protects the memory and the rests of the corpus: two bars of silence at most, 256 in all, held notes too."""
    late = [(60, 0, 1.0), (62, 1000, 1001.0), (64, 1009, 1010.0), (65, 1010, 1011.0)]
    found = np.array(events(solo(late)))
    assert np.flatnonzero(found > HOLD).tolist() == [0, 4 + 32, 4 + 32 + 4 + 32, 4 + 32 + 4 + 32 + 4]
    assert events(solo(tune(bars=300))) == events(solo(tune(bars=300)[: 256 * 8]))
    assert len(events(solo([(60, 0, 3000.0), (62, 3000, 3001.0)]))) == midi.MOST_EVENTS


@pytest.mark.parametrize("resolution", [24, 220, 960])
def test_tempo_and_instruments_do_not_matter(place: Path, resolution: int) -> None:
    """Protects the grid, which is the file's own beat whatever its resolution and tempi, and a melody that is handed
    from one sound to another in its own track.
    """
    made: list[Any] = [mido.MetaMessage("track_name", name="Lead"), mido.MetaMessage("set_tempo", tempo=0)]
    for i, (pitch, begin, end) in enumerate(tune()):
        made.append(mido.MetaMessage("set_tempo", tempo=1_000_000 // (i % 7 + 1), time=0))
        made.append(mido.Message("program_change", program=i // 16))
        made.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        made.append(mido.MetaMessage("set_tempo", tempo=300_000 + i, time=resolution // 5))
        made.append(mido.Message("note_off", note=pitch, time=int((end - begin) * resolution) - resolution // 5))
    assert events(messages(made, ticks=resolution), track="lead", bars=7) == events(solo(tune()))


def test_which_track_is_the_melody(place: Path) -> None:
    """Protects the choice: chords and bass stand back behind the highest single line, a name overrules, drums never."""
    chords = [(pitch + 12 + up, i, i + 1.0) for pitch, i, _ in tune(1) for up in (0, 4, 7)]
    tracks = [("Chords", chords), ("Bass", tune(2, up=-24)), (" Lead\t", tune(3)), ("Effect", [(100, 0, 1.0)])]
    assert events(score(*tracks), bars=7, pitches=5) == events(solo(tune(3)))
    assert events(score(*tracks), track="bass", bars=7) == events(solo(tune(2)))
    assert events(score(*tracks), track="LEAD", bars=7) == events(solo(tune(3)))
    for drums, track, reason in ((False, "Flute", "such track"), (True, "lead", "notes")):
        with pytest.raises(Dropped, match=f"^no {reason}$"):
            events(score(*tracks, drums=drums), track)


def raw(track: bytes, ticks: int = 4, end: bytes = b"\0\xff\x2f\0") -> bytes:
    """A file of one track, byte by byte."""
    track += end
    return b"MThd" + bytes((0, 0, 0, 6, 0, 1, 0, 1, 0, ticks)) + b"MTrk" + len(track).to_bytes(4) + track


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "unreadable: it is cut off"),
    "text": (b"this is a letter, not a song" * 9, "unreadable: MThd not found"),
    "cut": (solo(tune())[:-100], "unreadable: it is cut off"),
    "damaged": (solo(tune())[:60] + b"\xff\xf4\x00\xf9" * 40, "unreadable"),
    "type 2": (messages([mido.Message("note_on", note=60)], kind=2), "unreadable: MIDI type 2"),
    "no ticks": (messages([mido.Message("note_on", note=60)], ticks=0), "unreadable: its times are not"),
    "seconds": (solo(tune())[:12] + b"\xe7\x28" + solo(tune())[14:], "unreadable: its times are not"),
    "endless": (solo(tune())[:22] + b"\xff" * 2_000_000, "unreadable: it is cut off"),
    "endless number": (raw(b"\xff" * 2_000_000), "unreadable"),
    "large": (b"MThd" + bytes(5_000_000), "unreadable: larger than 4 MB"),
    "long number": (raw(b"\x88\x80\x80\x80\0\x90\x3c\x40\x01\x80\x3c\x40"), "unreadable"),
    "far": (raw(b"\xff\xff\xff\x7f\x90\x3c\x40\x01\x80\x3c\x40"), "unreadable: it has a note"),
    "wrapped": (raw(b"\xff\xff\xff\x7f\xff\x01\0" * 9 + b"\0\x90\x3c\x40\x01\x80\x3c\x40", end=b""), "unreadable"),
    "no track": (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x01\xe0", "no notes"),
    "no messages": (raw(b"", end=b""), "no notes"),
    "silent": (solo([]), "no notes"),
    "drums": (score(("kit", tune()), drums=True), "no notes"),
    "short": (solo(tune(bars=6.5)), "too short"),
    "four pitches": (solo(tune(pitches=SCALE[:4])), "few pitches"),
    "wide": (solo(tune(pitches=(24, 36, 50, 65, 80, 91))), "range too wide"),
    "same in D": (solo(tune(3, up=2)), "duplicate"),
}  # fmt: skip


def test_why_files_are_left_out(place: Path) -> None:
    """Protects the rest of the folder from any bad file: each is named with its reason and counted, quickly; and the
    process itself, since the reader is native code: 2,000 files damaged at random are read or refused.
    """
    filled(place)
    for name, (content, _) in BROKEN.items():
        (place / f"{name}.mid").write_bytes(content)
    notes = b"".join(bytes((0, 0x90, 60 + i % 7, 90, 24, 0x80, 60 + i % 7, 0)) for i in range(100_000))  # sixteenths
    (place / "huge.mid").write_bytes(raw(notes, 96))
    (place / "odd.mid").write_bytes(solo(tune(99)).replace(b"\xff\x58\4\4", b"\xff\x58\4\3"))
    began, said = time.process_time(), rf"files left out: {len(BROKEN)}, cut.mid \(unreadable.* and 11 more"
    with pytest.warns(UserWarning, match=rf"{said}; melodies unlike their files: 1, odd.mid \(its metre is 3/4"):
        tunes = read(place)
    assert time.process_time() - began < 5
    reasons = dict(zip(tunes["title"], tunes["dropped"], strict=True))
    for name, (_, reason) in BROKEN.items():
        assert reasons[f"{name}.mid"].startswith(reason), name
    assert len(tunes.set_index("title").loc["huge.mid", "events"]) == midi.MOST_EVENTS
    kinds = tunes["dropped"].str.partition(":")[0].value_counts()
    assert set(tunes["collection"]) == {"songs"} and len(tunes) == 14 + len(BROKEN) and kinds[""] == 14
    assert set(kinds.index) <= {"", *midi.REASONS}
    assert (kinds["unreadable"], kinds["no notes"], kinds["duplicate"]) == (13, 4, 1)
    good, generator = solo(tune()), np.random.default_rng(0)
    for _ in range(2_000):
        content = bytearray(good)
        for at in generator.integers(len(good), size=generator.integers(1, 6)):
            content[at] = generator.integers(256)
        try:
            events(bytes(content[: generator.integers(len(good)) if generator.random() < 0.2 else None]))
        except Dropped as dropped:
            assert str(dropped).partition(":")[0] in midi.REASONS


def test_names_of_files(place: Path) -> None:
    """Protects from hostile names: all are read, in one order, and shown on one line that any file can hold."""
    plain = ["-rf.mid", "\U0001f3b5.midi", "<b>x<b>.Midi", "$(id) {c}.mid"]
    names, wanted = [*map(os.fsencode, plain), b"a\nb.MID", b"\xff.mid"], {*plain, r"a\nb.MID", r"\udcff.mid"}
    (place / "sub" / "x.mid").mkdir(parents=True)
    for n, name in enumerate([*names, b"sub/x.mid/in.mid", b"song.mid.txt", b"mid"]):
        try:
            Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_bytes(solo(tune(n)))
        except OSError:  # not every file system takes bytes that are no text
            wanted.remove(r"\udcff.mid")
    (place / "gone.mid").symlink_to(place / "nowhere")
    os.mkfifo(place / "pipe.mid")  # reading it would wait for ever
    titles = read(place)["title"].tolist()
    assert set(titles) == wanted | {"sub/x.mid/in.mid"} and titles == sorted(titles)


@pytest.mark.parametrize("count", [3, 4, 5, 20, 30])
def test_small_folders_have_every_split(place: Path, count: int) -> None:
    """Protects training from an empty split, most melodies from being held out, and caches from serving melodies of a
    folder that has changed: the digest sees names and bytes of what is read.
    """
    tunes, settings = read(filled(place, count)), TuneSettings(midi_folder=str(place))
    sizes = {split: len(corpus.of(tunes, split)) for split in corpus.SPLITS}
    assert min(sizes.values()) >= 1 and sizes["train"] == max(sizes.values()) and sum(sizes.values()) == count
    digests = [corpus.source_digest(settings)]
    for change in (
        lambda: (place / "notes.txt").write_text("nothing that is read"),
        lambda: (place / "good 00.mid").rename(place / "good 99.mid"),
        lambda: (place / "good 99.mid").write_bytes(solo(tune(9))),
    ):
        change()
        digests.append(corpus.source_digest(settings))
    assert digests[0] == digests[1] and len(set(digests)) == 3
    # too few melodies, and none in the named track (others: test_bad_input)
    with pytest.raises(ValueError, match="two gives 2 melodies, and at least 3 .* are needed"):
        read(filled(place / "two", 2))
    with pytest.raises(ValueError, match=r"good 00.mid \(no such track\)"):
        read(place / "two", "Lead")


STRIKE = tuple(bytes((0, 0x90, pitch, 90)) for pitch in (60, 62, 64))  # at once; what follows begins with its time
END = tuple(bytes((2, 0x80, pitch, 0)) for pitch in (60, 62, 64))  # two ticks, two sixteenths, later
ONE = STRIKE[0] + END[0]
EMPTY = b"MTrk" + bytes((0, 0, 0, 4, 0, 0xFF, 0x2F, 0))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (raw(ONE + STRIKE[1] + END[1]), [C, HOLD, D, HOLD]),
        (raw(b"\0\xb0\7\xff" + ONE + STRIKE[1] + END[1]), [C, HOLD, D, HOLD]),  # mido#63
        (raw(b"\0\x90\x3c\xff" + END[0] + STRIKE[1] + END[1]), [C, HOLD, D, HOLD]),  # velocity, program, aftertouch
        (raw(b"\0\xc0\xff\0\xd0\xc8" + ONE), [C, HOLD]),
        (raw(ONE[:-1] + b"\xc8" + STRIKE[1] + END[1][:-1] + b"\xff"), [C, HOLD, D, HOLD]),  # where notes end
        (raw(b"\0\xff\x59\2\xee\0" + ONE), [C, HOLD]),  # 18 flats: mido#235
        (raw(b"\0\xf0\3abc" + ONE + STRIKE[1]), [C, HOLD, D]),  # the last never ends: music21#600
        (raw(STRIKE[0] + b"\2" + STRIKE[1][1:] + b"\2" + STRIKE[2][1:]), [C, HOLD, D, HOLD, E]),  # none does
        (raw(ONE + STRIKE[1] + b"\0\x90\x40\x5a", end=b""), [C, HOLD, E]),  # nor does the track
        (raw(b"\0\xf8\0\xf1\1\0\xf2\1\2" + ONE), [C, HOLD]),  # of the system
        (raw(STRIKE[0] + b"\2\x3e\x5a" + b"\2\x3e\0" + b"\1\x3c\0"), [C, HOLD, D, HOLD]),  # running status
        # 60 60 | | ends both notes at once: strikes and ends of one pitch are not paired in order
        (raw(STRIKE[0] + b"\2\x90\x3c\x5a\1\x80\x3c\0\2\x90\x40\x5a" + END[0] + b"\1\x80\x40\0"),
         [C, HOLD, C, REST, HOLD, E, HOLD, HOLD]),
        (raw(ONE)[:14] + EMPTY + raw(ONE)[14:], [C, HOLD]),  # a track more than the header knows
        (b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + raw(ONE), [C, HOLD]),
    ],
)  # fmt: skip
def test_broken_events_cost_no_note(place: Path, content: bytes, expected: list[int]) -> None:
    """Protects files after public bug reports: values above 127, keys that there are not, notes and tracks that never
    end, headers that know too few tracks.
    """
    assert events(content) == expected


@pytest.mark.parametrize("broken", [b"\2\x80\xc8\0", b"\2\x80\x48\xc8"])
def test_a_byte_that_is_none_of_an_event_is_named(place: Path, broken: bytes) -> None:
    """Protects users: where a track is broken, counted from the beginning of the file; no pitch, or no note to end."""
    with pytest.raises(Dropped, match="unreadable: byte 28 is none of an event's"):
        events(raw(STRIKE[0] + broken))


def at(begins: np.ndarray) -> bytes:
    return solo([(60 + 2 * (i % 2), begin, begin + 0.1) for i, begin in enumerate(begins.tolist())])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (at(np.arange(160) / 8), "79 of 160 notes begin on a sixteenth that another has, and are dropped"),
        (at(np.arange(48) / 3), "32 of 48 notes begin off the grid of sixteenths, and are moved to it"),  # triplets
        (at(np.arange(64) / 2 + np.tile([0, 1 / 6], 32)), "32 of 64 notes begin off the grid of sixteenths"),  # swing
        (raw(b"\0\xff\x58\4\6\3\x18\x08" + ONE), "its metre is 6/8: bars are counted in sixteen sixteenths"),
    ],
)
def test_what_differs_from_the_file_is_told(place: Path, content: bytes, told: str) -> None:
    """Protects from notes that move or vanish without a word, and from bars that are none in another metre than 4/4."""
    (place / "a.mid").write_bytes(content)
    assert told in midi.melody(place / "a.mid", least=(0, 1))[1]
