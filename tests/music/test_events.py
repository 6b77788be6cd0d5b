"""Events: what a melody keeps as MIDI and as audio, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings, strategies as st

from repro.music import events
from repro.music.events import FIRST_PITCH, HOLD, REST

MELODIES = st.lists(
    st.one_of(st.sampled_from([REST, HOLD]), st.integers(FIRST_PITCH, events.NUM_EVENTS - 1)), min_size=1, max_size=48
)


@settings(max_examples=60, deadline=None)
@given(melody=MELODIES)
def test_midi_round_trip(tmp_path_factory: pytest.TempPathFactory, melody: list[int]) -> None:
    """Protects from MIDI that loses a note, its length, a repeated pitch, or silence at either end."""
    path = tmp_path_factory.mktemp("midi") / "melody.mid"
    events.to_midi(melody, path)
    np.testing.assert_array_equal(events.from_midi(path), events.canonical(melody))


@given(melody=MELODIES)
def test_canonical_sounds_the_same(melody: list[int]) -> None:
    """Protects from a canonical form that changes the notes, the length, or is not final."""
    form = events.canonical(melody)
    assert len(form) == len(melody)
    np.testing.assert_array_equal(events.canonical(form), form)
    for before, after in zip(events.notes(melody), events.notes(form), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("melody", "form"),
    [
        ([1, 1, 14, 1], [0, 1, 14, 1]),
        ([0, 0, 14, 0, 0, 1], [0, 1, 14, 0, 1, 1]),
        ([14, 14, 1, 16], [14, 14, 1, 16]),
        ([1], [0]),
    ],
)
def test_canonical_by_hand(melody: list[int], form: list[int]) -> None:
    """Protects the convention that a silence is one rest and then holds."""
    assert events.canonical(melody).tolist() == form


def test_notes_by_hand() -> None:
    """Protects the meaning of events: 2 is MIDI pitch 48, and a rest or a strike ends a note but a hold does not."""
    begins, ends, pitches = events.notes([1, 2, 1, 37, 0, 1, 14])
    assert (begins.tolist(), ends.tolist(), pitches.tolist()) == ([1, 3, 6], [3, 4, 7], [48, 83, 60])


def test_midi_as_others_read_it(tmp_path: Path) -> None:
    """Protects tempo and step length, which a round trip through our own reader cannot see."""
    events.to_midi([14, 1, 1, 1, 21, 0], tmp_path / "a.mid")
    notes = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid")).instruments[0].notes
    found = [(note.pitch, note.start, note.end) for note in sorted(notes, key=lambda note: note.start)]
    assert found == [(60, 0.0, pytest.approx(0.75)), (67, pytest.approx(0.75), pytest.approx(0.9375))]


def test_midi_bytes_are_the_melody_s(tmp_path: Path) -> None:
    """Protects committed MIDI files from changing when nothing changed."""
    for name in ("a.mid", "b.mid"):
        events.to_midi([14, 1, 21, 0], tmp_path / name)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_midi_of_others(tmp_path: Path) -> None:
    """Protects the reading of foreign files: another tempo, chords, overlaps, drums, notes a little off the grid."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120.0, resolution=480)
    drums, piano = pretty_midi.Instrument(0, is_drum=True), pretty_midi.Instrument(0)
    drums.notes = [pretty_midi.Note(90, 36, 0.0, 0.1)]
    piano.notes = [
        pretty_midi.Note(90, pitch, start, end)
        for pitch, start, end in [(60, 0.0, 1.0), (64, 0.004, 1.0), (67, 0.25, 0.37), (65, 0.496, 0.75)]
    ]
    midi.instruments = [drums, piano]
    midi.write(str(tmp_path / "a.mid"))
    expected = [FIRST_PITCH + 16, HOLD, FIRST_PITCH + 19, REST, FIRST_PITCH + 17, HOLD]
    assert events.from_midi(tmp_path / "a.mid").tolist()[:6] == expected


def test_midi_that_is_refused(tmp_path: Path) -> None:
    """Protects users from tracebacks of other libraries, and from notes that would silently be moved."""
    (tmp_path / "broken.mid").write_bytes(b"MThd nonsense")
    with pytest.raises(ValueError, match=r"broken\.mid cannot be read"):
        events.from_midi(tmp_path / "broken.mid")
    with pytest.raises(FileNotFoundError):
        events.from_midi(tmp_path / "absent.mid")
    midi = pretty_midi.PrettyMIDI()
    midi.write(str(tmp_path / "empty.mid"))
    with pytest.raises(ValueError, match="no instrument"):
        events.from_midi(tmp_path / "empty.mid")
    midi.instruments = [pretty_midi.Instrument(0)]
    midi.instruments[0].notes = [pretty_midi.Note(90, 90, 0.0, 1.0)]
    midi.write(str(tmp_path / "high.mid"))
    with pytest.raises(ValueError, match="pitch 90"):
        events.from_midi(tmp_path / "high.mid")


def test_audio_has_the_pitch_and_the_silence() -> None:
    """Protects from audio of the wrong pitch, length, type or loudness, and from sound during rests."""
    rate = 16000
    audio = events.to_audio([23, 1, 1, 1, 0, 1, 1, 1], rate)  # A4, then a rest
    assert audio.dtype == np.float32 and len(audio) == round(8 * 0.1875 * rate) and np.abs(audio).max() <= 1
    half = len(audio) // 2
    spectrum = np.abs(np.fft.rfft(audio[:half]))
    assert np.fft.rfftfreq(half, 1 / rate)[spectrum.argmax()] == pytest.approx(440, abs=2)
    assert np.abs(audio[:half]).max() > 0.1 and not audio[half:].any()


def test_audio_never_clips() -> None:
    """Protects ears: every pitch on every step stays within [-1, 1], at low rates as well."""
    for rate in (4000, 16000):
        assert np.abs(events.to_audio(list(range(2, 38)), rate)).max() <= 1


def test_names() -> None:
    """Protects the labels of figures: middle C is C4."""
    assert [events.name(event) for event in (0, 1, 2, 14, 20, 37)] == ["rest", "hold", "C3", "C4", "F#4", "B5"]
    with pytest.raises(ValueError, match="38"):
        events.name(38)


def test_transpose() -> None:
    """Protects rests and holds from being moved, and notes from leaving the range."""
    assert events.transpose([14, 1, 0, 26], 12 - 1).tolist() == [25, 1, 0, 37]
    for semitones in (12, -13):
        with pytest.raises(ValueError, match="no event"):
            events.transpose([14, 1, 0, 26], semitones)


@pytest.mark.parametrize("melody", [[], [[14, 1]], [38], [-1], [1.5], 14])
def test_no_melodies(melody: object) -> None:
    """Protects from arrays that are not one melody being rendered as if they were."""
    for use in (events.canonical, events.to_audio, events.notes):
        with pytest.raises(ValueError, match=r"event|shape"):
            use(melody)


@pytest.mark.parametrize(
    ("melodies", "complaint"),
    [
        ([[1], [1, 2]], "different lengths"),
        ([1, 2], "shape"),
        ([[0.5]], "type"),
        ([[38]], "event 38"),
        ([[-1]], "event -1"),
    ],
)
def test_checked_says_what_is_wrong(melodies: object, complaint: str) -> None:
    """Protects the sentences that users read when they pass something else than a batch."""
    with pytest.raises(ValueError, match=complaint):
        events.checked(melodies)


def test_checked_horizon() -> None:
    """Protects the bit masks of the rules, which hold a bounded number of steps."""
    assert events.checked([[0, 37]], horizon=2).dtype == np.int64
    with pytest.raises(ValueError, match="horizon is 2"):
        events.checked([[0, 1, 2]], horizon=2)
