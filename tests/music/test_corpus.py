"""Tunes: hand-written ABC with its notes and events, one real collection, and windows of the rebuilt corpus."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.music import corpus
from repro.music.corpus import struck_again, window, windows, with_silences
from repro.music.events import FIRST_PITCH, HOLD, NUM_EVENTS, REST, Dropped, slowed, swap_rest_and_hold
from repro.settings import RebuiltSettings, TuneSettings

C, D, E, F, G, A = 14, 16, 18, 19, 21, 23  # the events that strike C4 to A4
HEADER = "X:1\nT:made up\nM:4/4\nL:1/16\nK:C\n"
SCALE = "CDEFGABcBAGFEDC2"  # keeps a tune in C major and long enough, whatever stands before it


def midi(music: str, header: str = HEADER) -> tuple[list[float], list[float], list[int]]:
    """Returns beginnings, ends (sixteenths) and pitches before any rounding or transposition."""
    begins, ends, pitches, _ = corpus.notes(corpus.played([header + music + "\n"])[0])
    return begins.tolist(), np.round(ends, 3).tolist(), pitches.tolist()


def test_notes_are_as_written() -> None:
    """Protects from repeats that double phrases, and from two endings in a row; from abc2midi's own swing of hornpipes;
    the staff's rule: an accidental holds for its octave until the bar line, K: and inline fields change.
    """
    assert midi("|: C D E F :|: G A G A :|") == midi("C D E F | G A G A")
    assert midi("C D |1 E F :|2 G A || C C") == midi("C D [1 E F :|[2 G A |] C C") == midi("C D | G A | C C")
    assert midi("C D :: E F |[1 G :|[2 A :|") == midi("C D | E F | A")
    assert midi("C D |1 E F :|\nG A") == midi("C D | E F | G A")
    assert midi("C2>D2", HEADER.replace("M:", "R:hornpipe\nM:"))[0] == [0, 3]
    assert midi("^c c C c' | c")[2] == [73, 73, 60, 84, 72]
    assert midi("_B B\nB | B")[2] == [70, 70, 70, 71]
    assert midi("f [K:G] f [K:C]f\nK:D\nf")[2] == [77, 78, 77, 78]
    assert midi("C [L:1/8] D [M:2/4][L:1/16] E F")[0] == [0, 1, 3, 4]


KEYS = {"G": 78, "A Minor": 77, "Ador": 78, "D Mixolydian": 78, "F#m": 78, "C % not G": 77}
FIELDS = {"M:4/4\nL:1/8": 2, "M:4/4": 2, "M:6/8": 2, "M:2/4": 1, "M:C|": 2, "M:none\nL:1/4": 4, "M:FREI4/4": 2}


def test_keys_and_unit_lengths() -> None:
    """Protects the reading of K: in the spellings of the collections (f is sharp in some and natural in others), and
    durations where L: is missing (ABC takes it from the meter) or M: is no fraction.
    """
    for key, pitch in KEYS.items():
        assert midi("f", HEADER.replace("K:C", f"K:{key}"))[2] == [pitch], key
    for fields, length in FIELDS.items():
        assert midi("CD", f"X:1\n{fields}\nK:C\n")[0] == [0, length], fields


def test_a_wrong_tune_spoils_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    """Protects the order of results, and good tunes in a batch with bad ones; notebooks from abc2midi's complaints."""
    good, bad = HEADER + "CDEF", HEADER + "C D ))] {E"
    silent, voices = HEADER + "z4", HEADER + "V:1\nC\nV:2\nE"
    tunes = [good, bad, voices, "X:1\nC", good.replace("CD", "GA"), bad, silent] + [good] * 70  # three processes
    scores = corpus.played(tunes)
    assert [place for place, score in enumerate(scores) if score is None] == [1, 3, 5]
    found = [corpus.notes(score)[2].tolist() for score in (scores[0], scores[4], *scores[7:])]
    assert found == [[60, 62, 64, 65], [67, 69, 64, 65]] + [[60, 62, 64, 65]] * 70 and corpus.played([]) == []
    for score, reason in ((scores[2], "polyphonic"), (scores[6], "unparsable")):
        with pytest.raises(Dropped, match=reason):
            corpus.notes(score)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C2 D E4 z3 G", [C, HOLD, D, E, HOLD, HOLD, HOLD, REST, HOLD, HOLD, G]),
        ("z4 C D z4", [C, D]),
        ("C2 > D2 E2-|E2 F- F", [C, HOLD, HOLD, D, E, HOLD, HOLD, HOLD, F, HOLD]),
        ("C2>D2 E2<F2", [C, 1, 1, D, E, F, 1, 1]),
        ("C2-C2-|C D", [C, 1, 1, 1, 1, D]),
        ("C2-D2", [C, 1, D, 1]),
        ("C C D D", [C, C, D, D]),
        ('"Am"C{ef}D !trill!E ~F "^slow"G.A', [C, D, E, F, G, A]),
        ("(CD) TE vuF yG HA", [C, D, E, F, G, A]),
        ("[CE]2 [EGC]2", [E, 1, G, 1]),
        ("C`D\\\nE % a comment with CDE\nw: la la la\nP:B\nF x G", [C, D, E, F, REST, G]),
        ("(3C2D2E2 FGAGF", [C, D, HOLD, E, F, G, A, G, F]),
        ("CD_EFG_A_Bc", [11, 13, 14, 16, 18, 19, 21, 23]),  # C minor under K:C, as Essen writes it: A3 to A4
    ],
)
def test_events_by_hand(music: str, expected: list[int]) -> None:
    """Protects the coding: rests, ties, slurs, broken rhythm, ornaments, chords, triplets; notes set the key."""
    assert corpus.melody(HEADER + music + "\n", minimum_in_key=0, minimum_events=1).tolist() == expected


@pytest.mark.parametrize(
    ("tune", "reason"),
    [
        ("X:1\nT:no key\nCDEF", "unparsable"),
        (HEADER, "unparsable"),
        (HEADER + "C D ))] (3 { E >> | /", "unparsable"),
        (HEADER.replace("K:C", "K:Es") + SCALE * 2, "unparsable"),
        (HEADER + f"V:1\n{SCALE}{SCALE}\nV:2\n{SCALE}{SCALE}", "polyphonic"),
        (HEADER + f"[V:1]{SCALE}{SCALE}\n[V:2]{SCALE}{SCALE}", "polyphonic"),
        (HEADER + "C/D/E/F/" + SCALE * 2, "off the grid"),
        (HEADER + "(3CDE (3FGA " + SCALE * 2, "off the grid"),
        (HEADER + "(3C2D2E2" * 8 + SCALE, "off the grid"),
        (HEADER + SCALE, "too short"),
        (HEADER + "C^CD^DEF^FG^GA" * 4, "out of key"),
        (HEADER + "C,,c'c''" + SCALE * 2, "range too wide"),
    ],
)
def test_why_tunes_are_dropped(tune: str, reason: str) -> None:
    """Protects the table of drops: each reason is one that bad or unfit ABC really gets, and none is a crash."""
    with pytest.raises(Dropped, match=f"^{reason}$"):
        corpus.melody(tune)


TWO = TuneSettings(collections=("oneills1850", "airdsAirs"))


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # in the place of music21's
    file, other, second = tmp_path / "one.abc", tmp_path / "two.abc", "EFGABcBAGFEDC4" * 3
    tunes = enumerate((SCALE * 3, second, SCALE * 3, "C"))
    file.write_text("% a heading\n\n" + "".join(f"X:{n}\nT: Tune {n}\nM:4/4\nL:1/16\nK:C\n{t}\n\n" for n, t in tunes))
    # The first tune again in G, in other rhythm, with a Latin-1 title, and Windows' line ends.
    moved = "X:9\nT:Gr\xfcn\nM:4/4\nL:1/8\nK:G\n" + "GABcdefgfedcBAG2" * 3 + "\n"
    other.write_bytes(moved.replace("\n", "\r\n").encode("latin-1"))
    monkeypatch.setattr(corpus, "_files", lambda _: [("oneills1850", "one", file), ("airdsAirs", "two", other)])


def test_read_counts_what_it_drops(own_files: None) -> None:
    """Protects the table and the order: every tune that was read is either kept or has a reason; parquet keeps all."""
    file = io.BytesIO()
    corpus.read(TWO).to_parquet(file)
    tunes = pd.read_parquet(file)
    assert tunes["title"].tolist() == ["Tune 0", "Tune 1", "Tune 2", "Tune 3", "Gr\xfcn"]
    assert tunes["dropped"].tolist() == ["", "", "duplicate", "too short", ""]
    assert sum(len(corpus.of(tunes, split)) for split in corpus.SPLITS) == 3
    assert tunes["collection"].value_counts().to_dict() == {"oneills1850": 4, "airdsAirs": 1}
    assert set(tunes["dropped"]) <= {"", *corpus.REASONS}


def test_versions_of_a_tune_share_a_split(own_files: None) -> None:
    """Protects the held-out likelihood: equal intervals or equal openings never lie on both sides, nor do chains, whose
    first shares its opening with the second, which shares its intervals with the third.
    """
    split = corpus.read(TWO)["split"]
    assert split[0] == split[4]  # the same intervals in another rhythm
    generator = np.random.default_rng(0)
    openings = [generator.integers(2, 20, 40) for _ in range(60)]
    pairs = [np.append(opening, [end] * 9) for opening in openings for end in (3, 5)]
    for moved in (0, 7):  # the second of each pair opens like the first, in another key
        melodies = [(p + moved * (i % 2)).astype(np.uint8) for i, p in enumerate(pairs)]
        split = corpus.split(melodies)
        assert (split[::2] == split[1::2]).all() and set(split) == set(corpus.SPLITS)
        assert (corpus.split(melodies[::-1])[::-1] == split).all()  # the order of the melodies does not matter
    opening, other = [14, 16, 18, 19] * 8, [1, 14, 1, 16, 18, 19] + [14, 16, 18, 19] * 7
    chain = [np.array(one, np.uint8) for one in ([*opening, 21], [*opening, 23], [*other, 23], [*other, 26])]
    assert len(set(corpus.groups(chain))) == 1 and len(set(corpus.groups(chain[::3]))) == 2 and corpus.groups([]) == []


def test_a_real_collection() -> None:
    """Protects what the prior is trained on: enough melodies, nearly all in key, none leaking between splits."""
    tunes = corpus.read(TuneSettings(collections=("airdsAirs",)))
    parts = [corpus.of(tunes, split) for split in corpus.SPLITS]
    melodies = sum(parts, [])
    assert len(tunes) == 1180 and len(melodies) == (tunes["dropped"] == "").sum() > 1000
    flat = np.concatenate(melodies)
    assert flat.dtype == np.uint8 and flat.max() < NUM_EVENTS
    assert np.isin((flat[flat >= FIRST_PITCH] - FIRST_PITCH) % 12, (0, 2, 4, 5, 7, 9, 11)).mean() >= 0.985
    assert all(len(melody) >= 32 and melody[0] >= FIRST_PITCH for melody in melodies)
    openings = [{melody[:32].tobytes() for melody in part} for part in parts]
    assert len(set.union(*openings)) == sum(map(len, openings)) and 0.85 < len(parts[0]) / len(melodies) < 0.95
    with pytest.raises(ValueError, match="train, validation, test"):
        corpus.of(tunes, "held out")


TUNE = np.array([14, 1, 16, 18, 0, 1, 21, 1, 1, 23] * 8)
MIXED = (0.15, 0.1, 0.75)
PLAIN = RebuiltSettings(event_coding="paper", speeds=(1, 0, 0), silences=0.0, window_events=20)


def test_slowing_striking_again_and_silences() -> None:
    """Protects the music: the same notes in the same order, each as many times as long, in a batch as alone; of the
    half-speed third, notes are struck again every eighth, silence stays silent. Silences come after every 16 steps, 32
    steps long, or never. The authors' coding is the paper's with 0 and 1 exchanged.
    """
    assert slowed(np.array([14, 0, 1, 16]), 3).tolist() == [14, 1, 1, 0, 1, 1, 1, 1, 1, 16, 1, 1]
    assert np.array_equal(slowed(np.stack([TUNE, TUNE[::-1]]), 4)[1], slowed(TUNE[::-1], 4))
    assert struck_again(np.array([1, 14, 1, 1, 1, 1, 0, 1, 1]), 2).tolist() == [1, 14, 1, 14, 1, 14, 0, 1, 1]

    heard = with_silences(np.full(20, 14), RebuiltSettings(silences=1.0), np.random.default_rng(0))
    assert heard.tolist() == [14] * 16 + [REST] + [HOLD] * 31 + [14] * 4 + [REST] + [HOLD] * 31
    assert with_silences(TUNE, RebuiltSettings(silences=0.0), np.random.default_rng(0)).tolist() == TUNE.tolist()
    assert swap_rest_and_hold(np.array([0, 1, 2, 37])).tolist() == [1, 0, 2, 37]


def test_windows_are_drawn_by_the_settings() -> None:
    """Protects the recipe and its ablations: a plain window is a piece of the tune; 90 % of 4,000 begin on a note (more
    by chance), speeds are as asked; a seed draws the same windows, in the authors' coding too.
    """
    pieces, text = windows([TUNE], 50, PLAIN, seed=0), " ".join(map(str, TUNE))
    assert all(" ".join(map(str, piece)) in text for piece in pieces)
    assert {len(piece) for piece in pieces} <= set(range(2, 21)) and max(map(len, pieces)) == 20
    generator, slow, mixed = np.random.default_rng(0), replace(PLAIN, speeds=(0, 0, 1)), replace(PLAIN, speeds=MIXED)
    begins = np.array([window(TUNE, slow, generator)[0] >= 2 for _ in range(4000)])
    assert begins.mean() == pytest.approx(0.9 + 0.1 * (TUNE[:-1] >= 2).mean(), abs=0.02)
    fast = [window(TUNE, mixed, generator) for _ in range(4000)]
    quarter = np.mean([not (piece[1:4] != HOLD).any() for piece in fast if piece[0] >= 2])
    assert quarter == pytest.approx(0.75, abs=0.05)
    paper, authors = RebuiltSettings(event_coding="paper"), RebuiltSettings(event_coding="authors_code")
    drawn, again, swapped = (windows([TUNE, TUNE], 30, coding, seed=3) for coding in (paper, paper, authors))
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
    assert all(np.array_equal(swap_rest_and_hold(one), other) for one, other in zip(drawn, swapped, strict=True))
