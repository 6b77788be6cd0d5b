"""Events: what a melody keeps as MIDI and as audio, and what is refused."""

import io

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
def test_midi_keeps_the_melody(tmp_path_factory: pytest.TempPathFactory, melody: list[int]) -> None:
    """Protects from MIDI that loses a note, its length or a repeated pitch, as another library reads it."""
    path, memory = tmp_path_factory.mktemp("midi") / "melody.mid", io.BytesIO()
    events.to_midi(melody, path)
    events.to_midi(melody, memory)
    assert path.read_bytes() == memory.getvalue()
    (piano,) = pretty_midi.PrettyMIDI(str(path)).instruments or [pretty_midi.Instrument(0)]
    played = np.array(sorted((note.start, note.end, note.pitch) for note in piano.notes)).reshape(-1, 3).T
    begins, ends, pitches = events.notes(melody)
    np.testing.assert_allclose(played, [begins * events.STEP_SECONDS, ends * events.STEP_SECONDS, pitches], atol=1e-3)


@given(melody=MELODIES)
def test_notes_and_back_sound_the_same(melody: list[int]) -> None:
    """Protects the corpus, which is written from notes: none is changed, and a silence is one rest and then holds."""
    notes = events.notes(melody)
    if len(notes[0]):
        form = events.from_notes(*notes)
        assert form.dtype == np.uint8 and len(form) == notes[1][-1]
        assert all((before == after).all() for before, after in zip(notes, events.notes(form), strict=True))
        assert not ((form[1:] == REST) & (form[:-1] == REST)).any() and form[0] != HOLD


def test_events_and_notes_by_hand() -> None:
    """Protects the coding: 2 is MIDI pitch 48 and 14 middle C; a rest or a strike ends a note but a hold does not; a
    late start, a rest, and a note that the next one cuts short; the key and the octave of a tune.
    """
    begins, ends, pitches = events.notes([1, 2, 1, 37, 0, 1, 14])
    assert (begins.tolist(), ends.tolist(), pitches.tolist()) == ([1, 3, 6], [3, 4, 7], [48, 83, 60])
    assert [events.name(event) for event in (0, 1, 2, 14, 20, 37)] == ["rest", "hold", "C3", "C4", "F#4", "B5"]
    # most notes in C; of equal keys the one nearest to the signature; the octave nearest to E4
    assert [events.in_c(np.array([67, 69, 71, 74, 76]), sharps)[0] - 67 for sharps in (0, 1, 2)] == [0, 5, 10]
    assert events.in_range(np.array([20, 24])).tolist() == [68, 72]
    with pytest.raises(events.Dropped, match="range too wide"):
        events.in_range(np.array([20, 60]))
    begins, ends, pitches = np.array([2, 4, 7]), np.array([6, 5, 9]), np.array([60, 62, 64])
    assert events.from_notes(begins, ends, pitches).tolist() == [REST, HOLD, 14, HOLD, 16, REST, HOLD, 18, HOLD]


def test_audio_has_the_pitch_and_the_silence() -> None:
    """Protects from audio of the wrong pitch, length, type or loudness, and from sound during rests; ears: 8 kHz keeps
    99 % of the energy that twice the rate has.
    """
    rate = 16000
    audio = events.to_audio([23, 1, 1, 1, 0, 1, 1, 1], rate)  # A4, then a rest
    assert audio.dtype == np.float32 and len(audio) == round(8 * 0.1875 * rate) and np.abs(audio).max() <= 1
    half = len(audio) // 2
    spectrum = np.abs(np.fft.rfft(audio[:half]))
    assert np.fft.rfftfreq(half, 1 / rate)[spectrum.argmax()] == pytest.approx(440, abs=2)
    assert np.abs(audio[:half]).max() > 0.1 and not audio[half:].any()
    for rate in (4000, 16000):  # no pitch clips
        assert np.abs(events.to_audio(list(range(2, 38)), rate)).max() <= 1
    high = [37, 1, 33, 1, 14, 1, 30, 0] * 4
    samples, finer = events.to_audio(high), events.to_audio(high, 16_000)
    assert events.AUDIO_RATE == 8_000 and samples.shape == (48_000,) and np.abs(samples).max() > 0.03
    assert (samples**2).mean() == pytest.approx((finer**2).mean(), rel=0.01)
