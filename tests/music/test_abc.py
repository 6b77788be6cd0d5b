"""ABC: what is stripped from a tune's text and how the rest is played, on hand-written tunes."""

from __future__ import annotations

import numpy as np
import pytest

from repro.music import abc

HEADER = "X:1\nT:made up\nM:4/4\nL:1/16\nK:C\n"


def midi(music: str, header: str = HEADER) -> tuple[list[float], list[float], list[int]]:
    """Returns beginnings, ends (sixteenths) and pitches before any rounding or transposition."""
    begins, ends, pitches, _ = abc.played([header + music + "\n"])[0]
    return begins.tolist(), np.round(ends, 3).tolist(), pitches.tolist()


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("|: C D E F :|: G A G A :|", "C D E F | G A G A"),
        ("C D |1 E F :|2 G A || C C", "C D | G A | C C"),
        ("C D [1 E F :|[2 G A |] C C", "C D | G A | C C"),
        ("C D :: E F |[1 G :|[2 A :|", "C D | E F | A"),
        ("C D |1 E F :|\nG A", "C D | E F | G A"),
    ],
)
def test_each_part_is_played_once(music: str, expected: str) -> None:
    """Protects from repeats that double phrases, and from two endings in a row."""
    assert midi(music) == midi(expected)


def test_hornpipes_are_as_written() -> None:
    """Protects from abc2midi's own swing of hornpipes, two to one where three to one is written."""
    header = HEADER.replace("M:", "R:hornpipe\nM:")
    assert midi("C2>D2", header)[0] == [0, 3]


def test_accidentals_last_a_bar_and_an_octave() -> None:
    """Protects the staff's rule: an accidental holds for its octave until the bar line; K: and inline fields change."""
    assert midi("^c c C c' | c")[2] == [73, 73, 60, 84, 72]
    assert midi("_B B\nB | B")[2] == [70, 70, 70, 71]
    assert midi("f [K:G] f [K:C]f\nK:D\nf")[2] == [77, 78, 77, 78]


@pytest.mark.parametrize(
    ("key", "pitch"), [("G", 78), ("A Minor", 77), ("Ador", 78), ("D Mixolydian", 78), ("F#m", 78), ("C % not G", 77)]
)
def test_modes(key: str, pitch: int) -> None:
    """Protects the reading of K: in the spellings of the collections: f is sharp in some and natural in others."""
    assert midi("f", HEADER.replace("K:C", f"K:{key}"))[2] == [pitch]


@pytest.mark.parametrize(
    ("fields", "sixteenths"),
    [
        ("M:4/4\nL:1/8", 2),
        ("M:4/4", 2),
        ("M:6/8", 2),
        ("M:2/4", 1),
        ("M:C|", 2),
        ("M:none\nL:1/4", 4),
        ("M:FREI4/4", 2),
    ],
)
def test_unit_length(fields: str, sixteenths: int) -> None:
    """Protects durations where L: is missing (ABC takes it from the meter) and where M: is no fraction."""
    assert midi("CD", f"X:1\n{fields}\nK:C\n")[0] == [0, sixteenths]


def test_unit_length_changes_inside() -> None:
    """Protects inline fields from being stripped with the endings, whose digits look alike."""
    assert midi("C [L:1/8] D [M:2/4][L:1/16] E F")[0] == [0, 1, 3, 4]


def test_a_wrong_tune_spoils_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    """Protects the order of results, and good tunes in a batch with bad ones; notebooks from abc2midi's complaints."""
    good, bad = HEADER + "CDEF", HEADER + "C D ))] {E"
    silent, voices = HEADER + "z4", HEADER + "V:1\nC\nV:2\nE"
    found = abc.played([good, bad, voices, "X:1\nC", good.replace("CD", "GA"), bad, silent])
    reasons = [one.reason if isinstance(one, abc.Dropped) else one.pitches.tolist() for one in found]
    wrong = "unparsable"
    assert reasons == [[60, 62, 64, 65], wrong, "polyphonic", wrong, [67, 69, 64, 65], wrong, wrong]
    assert capfd.readouterr() == ("", "")
