"""A corpus from a folder: MIDI files made here, note by note, with the events they must give."""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import pandas as pd
import pretty_midi
import pytest

from repro.experiments import music as experiments
from repro.music import corpus, midi
from repro.music.events import HOLD, REST
from repro.settings import ROOT, SettingsError, known_names, study

C, D, E, F, G = 14, 16, 18, 19, 21  # the events that strike C4 to G4
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
BARS = 8

Note = tuple[int, float, float]  # pitch, begin and end in quarter notes


def tune(seed: int = 0, bars: float = BARS, up: int = 0, pitches: Sequence[int] = SCALE) -> list[Note]:
    """Returns eighth notes that walk at random, each sounding for its whole length."""
    chosen = np.random.default_rng(seed).choice(pitches, int(8 * bars))
    chosen[: min(3, len(chosen))] = pitches[0]  # so that the first interval and octave are always the same
    return [(int(pitch) + up, i / 2, (i + 1) / 2) for i, pitch in enumerate(chosen)]


def score(*tracks: tuple[str, list[Note]], tempo: float = 120, resolution: int = 480, drums: bool = False) -> bytes:
    """Returns a MIDI file of named tracks."""
    made = pretty_midi.PrettyMIDI(initial_tempo=tempo, resolution=resolution)
    quarter = 60 / tempo
    for name, notes in tracks:
        made.instruments.append(pretty_midi.Instrument(0, is_drum=drums, name=name))
        made.instruments[-1].notes = [pretty_midi.Note(90, p, a * quarter, b * quarter) for p, a, b in notes]
    content = io.BytesIO()
    made.write(content)
    return content.getvalue()


def solo(notes: list[Note]) -> bytes:
    return score(("", notes))


def messages(events: list[mido.Message | mido.MetaMessage], kind: int = 1, ticks: int = 480) -> bytes:
    """Returns a MIDI file of one track, message by message."""
    content = io.BytesIO()
    mido.MidiFile(type=kind, ticks_per_beat=ticks, tracks=[mido.MidiTrack(events)]).save(file=content)
    return content.getvalue()


def events(content: bytes, track: str = "", bars: int = 0, pitches: int = 1) -> list[int]:
    """Returns the events of one file, converted without demands unless they are given."""
    return midi._melody(content, track, bars * midi.BAR, pitches).tolist()


def filled(folder: Path, count: int = 12) -> Path:
    """Fills a folder with good files."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"good {n:02d}.mid").write_bytes(solo(tune(n)))
    return folder


def quietly(folder: Path, **settings: object) -> midi.Folder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return midi.read(folder, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([(60, 0, 0.5), (62, 0.5, 0.75), (64, 0.75, 1), (65, 1.5, 2)], [C, HOLD, D, E, REST, HOLD, F, HOLD]),
        ([(60, 3, 3.25), (62, 3.25, 3.5), (64, 3.5, 3.75), (65, 3.75, 4)], [C, D, E, F]),
        (
            [(48, 0, 2), (60, 0, 1), (62, 1, 2), (64, 2, 3), (65, 3, 4)],
            [C, 1, 1, 1, D, 1, 1, 1, E, 1, 1, 1, F, 1, 1, 1],
        ),
        ([(60, 0, 3), (62, 0.5, 0.75), (64, 0.75, 1), (65, 1, 1.25)], [C, HOLD, D, E, F]),
        ([(60, 0.02, 0.23), (62, 0.27, 0.5), (64, 0.49, 0.8), (65, 0.74, 1)], [C, D, E, F]),
        ([(60, 0, 0.01), (62, 0.5, 0.51), (64, 1, 1.25), (65, 1.25, 1.5)], [C, REST, D, REST, E, F]),
    ],
)
def test_events_by_hand(notes: list[Note], expected: list[int]) -> None:
    """Protects the coding: rests, a late start, chords, overlaps, loose playing, and notes shorter than a sixteenth."""
    assert events(solo(notes)) == expected


@pytest.mark.parametrize("resolution", [24, 96, 220, 480, 960])
def test_tempo_and_resolution_do_not_matter(resolution: int) -> None:
    """Protects the grid: it is the file's own beat, so no tempo, change of tempo or resolution moves a note."""
    expected = events(solo(tune()))
    assert events(score(("", tune()), tempo=47, resolution=resolution)) == expected
    made: list[mido.Message | mido.MetaMessage] = []
    for i, (pitch, begin, end) in enumerate(tune()):
        made.append(mido.MetaMessage("set_tempo", tempo=1_000_000 // (i % 7 + 1), time=0))
        made.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        made.append(mido.MetaMessage("set_tempo", tempo=300_000 + i, time=resolution // 5))
        made.append(mido.Message("note_off", note=pitch, time=int((end - begin) * resolution) - resolution // 5))
    assert events(messages(made, ticks=resolution)) == expected
    assert events(messages([mido.MetaMessage("set_tempo", tempo=0), *made], ticks=resolution)) == expected


def test_which_track_is_the_melody() -> None:
    """Protects the choice: chords and bass stand back behind the highest single line, a name overrules, drums never."""
    chords = [(pitch + 12 + up, i, i + 1.0) for pitch, i, _ in tune(1) for up in (0, 4, 7)]
    tracks = [("Chords", chords), ("Bass", tune(2, up=-24)), (" Lead\t", tune(3)), ("Effect", [(100, 0, 1.0)])]
    assert events(score(*tracks), bars=7, pitches=5) == events(solo(tune(3)))
    assert events(score(*tracks), track="bass", bars=7) == events(solo(tune(2)))
    assert events(score(*tracks), track="LEAD", bars=7) == events(solo(tune(3)))
    with pytest.raises(midi.Dropped, match="no such track"):
        events(score(*tracks), track="Flute")
    with pytest.raises(midi.Dropped, match="no notes"):
        events(score(("Lead", tune()), drums=True), track="lead")


def test_a_named_track_may_change_its_instrument() -> None:
    """Protects a melody that is handed from one sound to another in its own track from being cut in two."""
    whole, made = tune(4), [mido.MetaMessage("track_name", name="Lead")]
    for i, (pitch, begin, end) in enumerate(whole):
        made.append(mido.Message("program_change", program=i // 16))
        made.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        made.append(mido.Message("note_off", note=pitch, time=int((end - begin) * 480)))
    assert events(messages(made), track="lead", bars=7) == events(solo(whole))


def test_transposition_needs_no_share_in_key() -> None:
    """Protects the key: any transposition of a tune gives the same melody, and a chromatic one is kept."""
    notes = [(pitch, i / 2, (i + 1) / 2) for i, pitch in enumerate(SCALE * 8)]
    moved = [events(solo([(pitch + up, a, b) for pitch, a, b in notes])) for up in (0, 1, 6, 11, -24)]
    assert all(one == moved[0] for one in moved) and moved[0][:3] == [C, HOLD, D]
    assert len(set(events(solo(tune(pitches=range(60, 72)))))) > 10


def test_long_silences_and_long_songs_are_cut() -> None:
    """Protects memory and the rests of the corpus: two bars of silence at most, 256 bars in all, held notes too."""
    late = [(60, 0, 1.0), (62, 1000, 1001.0), (64, 1009, 1010.0), (65, 1010, 1011.0)]
    found = np.array(events(solo(late)))
    assert np.flatnonzero(found > HOLD).tolist() == [0, 4 + 32, 4 + 32 + 4 + 32, 4 + 32 + 4 + 32 + 4]
    assert events(solo(tune(bars=300))) == events(solo(tune(bars=300)[: 256 * 8]))
    assert len(events(solo([(60, 0, 3000.0), (62, 3000, 3001.0)]))) == midi.MOST_EVENTS


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "unreadable: it is cut off"),
    "text": (b"this is a letter, not a song" * 9, "unreadable: MThd not found"),
    "cut": (solo(tune())[:-100], "unreadable"),
    "damaged": (solo(tune())[:60] + b"\xff\xf4\x00\xf9" * 40, "unreadable"),
    "type 2": (messages([mido.Message("note_on", note=60)], kind=2), "unreadable: MIDI type 2"),
    "no ticks": (messages([mido.Message("note_on", note=60)], ticks=0), "unreadable: its times are not"),
    "seconds": (solo(tune())[:12] + b"\xe7\x28" + solo(tune())[14:], "unreadable: its times are not"),
    "endless": (solo(tune())[:22] + b"\xff" * 2_000_000, "unreadable: a number in it has no end"),
    "large": (b"MThd" + bytes(5_000_000), "unreadable: larger than 4 MB"),
    "no track": (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x01\xe0", "no notes"),
    "no messages": (b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\x00\x00", "no notes"),
    "silent": (solo([]), "no notes"),
    "drums": (score(("kit", tune()), drums=True), "no notes"),
    "short": (solo(tune(bars=6.5)), "too short"),
    "four pitches": (solo(tune(pitches=SCALE[:4])), "few pitches"),
    "wide": (solo(tune(pitches=(24, 36, 50, 65, 80, 91))), "range too wide"),
    "same in D": (solo(tune(3, up=2)), "duplicate"),
}


def test_why_files_are_left_out(tmp_path: Path) -> None:
    """Protects the rest of the folder from any bad file: each is named with its reason and counted, quickly."""
    filled(tmp_path)
    (tmp_path / "far.mid").write_bytes(  # a note that begins at tick 2 ** 31
        b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\x00\x10"
        b"\x88\x80\x80\x80\x00\x90\x3c\x40\x01\x80\x3c\x40\x00\xff\x2f\x00"
    )
    for name, (content, _) in BROKEN.items():
        (tmp_path / f"{name}.mid").write_bytes(content)
    began = time.process_time()
    with pytest.warns(UserWarning, match=rf"files left out: {len(BROKEN) + 1}, cut.mid \(unreadable.* and 8 more"):
        folder = midi.read(tmp_path)
    assert time.process_time() - began < 5
    reasons = dict(zip(folder.reasons["file"], folder.reasons["reason"], strict=True))
    assert reasons.pop("far.mid").startswith("unreadable: MIDI file has a largest tick of 2147483650")
    assert set(reasons) == {f"{name}.mid" for name in BROKEN}
    for name, (_, reason) in BROKEN.items():
        assert reasons[f"{name}.mid"].startswith(reason), name
    row = folder.tunes.dropped.iloc[0]
    assert (row["collection"], row["read"], row["kept"]) == (tmp_path.name, 13 + len(BROKEN), 12)
    assert row[list(midi.REASONS)].sum() + row["kept"] == row["read"]
    assert (row["unreadable"], row["no notes"], row["duplicate"]) == (10, 4, 1)


def test_names_of_files(tmp_path: Path) -> None:
    """Protects from hostile names: all are read, in one order, and shown on one line that any file can hold."""
    names = [
        b"-rf.mid",
        "\U0001f3b5.midi".encode(),
        b"a\nb.MID",
        b"<b>x<b>.Midi",
        b"$(id) 'q' \"q\" {c}.mid",
        b"\xff\xfe.mid",
    ]
    wanted = {"-rf.mid", "\U0001f3b5.midi", r"a\nb.MID", "<b>x<b>.Midi", "$(id) 'q' \"q\" {c}.mid", r"\udcff\udcfe.mid"}
    (tmp_path / "sub" / "x.mid").mkdir(parents=True)
    for n, name in enumerate([*names, b"sub/x.mid/in.mid", b"song.mid.txt", b"mid"]):
        try:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(solo(tune(n)))
        except OSError:  # not every file system takes bytes that are no text
            wanted.remove(r"\udcff\udcfe.mid")
    (tmp_path / "gone.mid").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mid")  # reading it would wait for ever
    tunes = midi.read(tmp_path).tunes
    assert set(tunes.title) == wanted | {"sub/x.mid/in.mid"} and list(tunes.title) == sorted(tunes.title)
    corpus.save(tunes, tmp_path / "tunes.npz")
    assert corpus.load(tmp_path / "tunes.npz").title == tunes.title
    assert "&lt;b&gt;" in pd.DataFrame({"title": tunes.title}).to_html()


def test_many_notes_are_fast(tmp_path: Path) -> None:
    """Protects from files that a sequencer filled: 100,000 notes take seconds, and the melody has an end."""
    filled(tmp_path, 3)
    notes = b"".join(bytes((0, 0x90, 60 + i % 7, 90, 24, 0x80, 60 + i % 7, 0)) for i in range(100_000))  # sixteenths
    header = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60MTrk"
    (tmp_path / "huge.mid").write_bytes(header + len(notes).to_bytes(4, "big") + notes)
    began = time.process_time()
    tunes = midi.read(tmp_path).tunes
    assert time.process_time() - began < 6
    assert len(tunes.events[tunes.title.index("huge.mid")]) == midi.MOST_EVENTS


def test_tunes_work_like_those_of_the_corpus(tmp_path: Path) -> None:
    """Protects the rest of the music half: the same fields, types and splits, whatever the order of reading."""
    tunes = midi.read(filled(tmp_path / "my songs", 120)).tunes
    assert set(tunes.collection) == {"my songs"} and len(tunes.events) == 120
    assert all(melody.dtype == np.uint8 and melody[0] > HOLD and melody.max() < 38 for melody in tunes.events)
    assert set(tunes.split) == set(corpus.SPLITS) and (tunes.split == corpus.split(tunes.events)).all()
    assert len(tunes.of("train")) > 95
    assert experiments.describe(tunes)["melodies"].tolist() == [120, 120]
    corpus.save(tunes, tmp_path / "tunes.npz")
    again = corpus.load(tmp_path / "tunes.npz")
    assert again.title == tunes.title and again.dropped.equals(tunes.dropped)


@pytest.mark.parametrize("count", [3, 4, 5, 19, 20, 21, 30])
def test_small_folders_have_every_split(tmp_path: Path, count: int) -> None:
    """Protects training from an empty split, and most melodies from being held out."""
    tunes = midi.read(filled(tmp_path, count)).tunes
    sizes = {split: len(tunes.of(split)) for split in corpus.SPLITS}
    assert min(sizes.values()) >= 1 and sizes["train"] == max(sizes.values()) and sum(sizes.values()) == count


def test_versions_of_a_song_share_a_split(tmp_path: Path) -> None:
    """Protects the held-out likelihood in small folders too: no split holds a version of another's melody."""
    for n in range(4):
        for version in range(3):
            notes = tune(n)[: 8 * BARS - version]  # equal but for their end
            (tmp_path / f"{n} {version}.mid").write_bytes(solo(notes))
    split = midi.read(tmp_path).tunes.split.reshape(4, 3)
    assert (split == split[:, :1]).all() and set(split[:, 0]) == set(corpus.SPLITS)


def test_folders_that_give_nothing(tmp_path: Path) -> None:
    """Protects the user from guessing: no folder, a file, no MIDI, too few melodies, each said in one sentence."""
    (tmp_path / "song.mid").write_bytes(solo(tune()))
    (tmp_path / "empty").mkdir()
    for use in (midi.read, midi.source_digest):
        for name, sentence in (
            ("absent", "is no folder"),
            ("song.mid", "is a file, not a folder"),
            ("empty", "has no file"),
        ):
            with pytest.raises(ValueError, match=f"{name} {sentence}"):
                use(tmp_path / name)
    with pytest.raises(ValueError, match="gives 2 melodies, and at least 3 .* are needed"):
        midi.read(filled(tmp_path / "two", 2))
    for n in range(13):
        (tmp_path / "empty" / f"bad {n:02d}.mid").write_bytes(b"no music")
    with pytest.raises(
        ValueError, match=r"gives 0 .* left out: 13, bad 00.mid \(unreadable.*bad 09.* and 3 more$"
    ) as found:
        midi.read(tmp_path / "empty")
    assert "bad 10.mid" not in str(found.value) and "\n" not in str(found.value)


def test_digest_sees_names_and_bytes(tmp_path: Path) -> None:
    """Protects caches from serving melodies of a folder that has changed."""
    before = midi.source_digest(filled(tmp_path, 3))
    assert midi.source_digest(tmp_path) == before
    (tmp_path / "notes.txt").write_text("nothing that is read")
    assert midi.source_digest(tmp_path) == before
    (tmp_path / "good 00.mid").rename(tmp_path / "good 09.mid")
    renamed = midi.source_digest(tmp_path)
    (tmp_path / "good 09.mid").write_bytes(solo(tune(9)))
    assert len({before, renamed, midi.source_digest(tmp_path)}) == 3


def test_a_study_learns_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `-p midi_folder my_songs`: the folder's melodies come, cached, and change the Note RNN's key."""
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    own = study("smoke", midi_folder=filled(tmp_path / "songs", 5))
    assert len(experiments.tunes(own).events) == len(experiments.tunes(own).events) == 5
    assert len(list((tmp_path / "cache").iterdir())) == 1
    named = study("smoke", midi_folder=str(tmp_path / "songs"), midi_track="Lead")
    keys = {experiments.note_rnn_key(one) for one in (own, named, study("smoke"))}
    assert len(keys) == 3
    with pytest.raises(ValueError, match=r"good 00.mid \(no such track\)"):
        experiments.tunes(named)
    with pytest.raises(ValueError, match=f"{ROOT.name}/no such songs is no folder"):
        experiments.tunes(study("smoke", midi_folder="no such songs"))
    (tmp_path / "songs" / "good 00.mid").write_bytes(solo(tune(77)))
    assert experiments.note_rnn_key(own) not in keys


def test_settings_of_a_folder() -> None:
    """Protects the parameters: the names are known, and a track without its folder is refused."""
    assert {"midi_folder", "midi_track"} <= set(known_names())
    assert study(midi_folder="absent", midi_track=7).tunes.midi_track == "7"  # the disk is not asked here
    with pytest.raises(SettingsError, match="midi_track is a track in midi_folder's files"):
        study(midi_track="Lead")


def test_the_folk_tunes_do_not_depend_on_this_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the shipped Note RNNs from having to be trained anew when the reading of folders changes."""
    asked: list[str] = []
    monkeypatch.setattr(experiments.runs, "source_digest", lambda modules: asked.extend(modules) or "")
    experiments._tunes_key(study("smoke"))
    assert "repro.music.corpus" in asked and "repro.music.midi" not in asked
