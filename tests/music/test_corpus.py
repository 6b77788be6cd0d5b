"""Tunes: hand-written ABC with the events it must give, and one real collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.music import corpus
from repro.music.events import FIRST_PITCH, HOLD, NUM_EVENTS, REST

C, D, E, F, G, A = 14, 16, 18, 19, 21, 23  # the events that strike C4 to A4
HEADER = "X:1\nT:made up\nM:4/4\nL:1/16\nK:C\n"
SCALE = "CDEFGABcBAGFEDC2"  # keeps a tune in C major and long enough, whatever stands before it


def events(music: str, header: str = HEADER) -> list[int]:
    """Returns the first events of a tune, converted without demands on key or length."""
    return corpus.melody(header + music + "\n", minimum_in_key=0, minimum_events=1).tolist()


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
    ],
)
def test_events_by_hand(music: str, expected: list[int]) -> None:
    """Protects the coding: rests, ties, slurs, broken rhythm, ornaments, chords, comments, triplets."""
    assert events(music) == expected


def test_transposition_goes_by_the_notes() -> None:
    """Protects minor tunes that Essen writes under the parallel major: C minor under K:C ends up as A minor."""
    assert events("CD_EFG_A_Bc") == [11, 13, 14, 16, 18, 19, 21, 23]  # A3 to A4


def test_ties_go_to_the_key_signature() -> None:
    """Protects tunes of few notes from an arbitrary key: G A B d e lie in G, C and D; the one nearest to K: wins."""
    for key, first in (("G", C), ("C", G), ("D", F), ("A", F), ("F", G)):
        assert (events("=GA=Bde=g", HEADER.replace("K:C", f"K:{key}"))[0] - first) % 12 == 0


def test_octave_fits_the_range() -> None:
    """Protects from notes outside C3 to B5: very high and very low tunes come out alike."""
    assert events("c'd'e'f'g'") == events("C,D,E,F,G,") == [C, D, E, F, G]


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
    with pytest.raises(corpus.Dropped) as dropped:
        corpus.melody(tune)
    assert dropped.value.reason == reason


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts made-up ABC files in the place of music21's; returns the file of the first collection."""
    file, other = tmp_path / "one.abc", tmp_path / "two.abc"
    first, second = SCALE * 3, "EFGABcBAGFEDC4" * 3
    tunes = [
        f"X:{n}\nT: Tune {n}\nM:4/4\nL:1/16\nK:C\n{music}\n\n" for n, music in enumerate((first, second, first, "C"))
    ]
    file.write_text("% a heading\n\n" + "".join(tunes), encoding="utf-8")
    # The first tune again in G, in other rhythm, with a Latin-1 title, and Windows' line ends.
    moved = "X:9\nT:Gr\xfcn\nM:4/4\nL:1/8\nK:G\n" + "GABcdefgfedcBAG2" * 3 + "\n"
    other.write_bytes(moved.replace("\n", "\r\n").encode("latin-1"))

    def files(collections: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
        yield from zip(collections, (file, other), strict=False)

    monkeypatch.setattr(corpus, "_files", files)
    return file


def test_read_counts_what_it_drops(own_files: Path) -> None:
    """Protects the table and the order: every tune that was read is either kept or has a reason."""
    tunes = corpus.read(("oneills1850", "airdsAirs"))
    assert tunes.title == ("Tune 0", "Tune 1", "Gr\xfcn") and tunes.collection == ("oneills1850",) * 2 + ("airdsAirs",)
    table = tunes.dropped.set_index("collection")
    assert table.loc["oneills1850", ["read", "duplicate", "too short", "kept"]].tolist() == [4, 1, 1, 2]
    assert table.loc["airdsAirs", ["read", "kept"]].tolist() == [1, 1]
    assert (table[[*corpus.REASONS, "kept"]].sum(axis=1) == table["read"]).all()


def test_versions_of_a_tune_share_a_split(own_files: Path) -> None:
    """Protects the held-out likelihood: equal intervals or equal openings never lie on both sides."""
    tunes = corpus.read(("oneills1850", "airdsAirs"))
    assert tunes.split[0] == tunes.split[2]  # the same intervals in another rhythm
    generator = np.random.default_rng(0)
    struck = [generator.integers(2, 20, 40) for _ in range(60)]
    slower = [np.repeat(one + 7, 2) * np.tile([1, 0], 40) + np.tile([0, HOLD], 40) for one in struck]
    split = corpus.split([one.astype(np.uint8) for one in struck + slower])
    assert (split[:60] == split[60:]).all() and set(split) == set(corpus.SPLITS)
    openings = [generator.integers(2, 20, 40) for _ in range(60)]
    pairs = [np.append(opening, [end] * 9) for opening in openings for end in (3, 5)]
    for moved in (0, 7):  # the second of each pair opens like the first, in another key
        split = corpus.split([(p + moved * (i % 2)).astype(np.uint8) for i, p in enumerate(pairs)])
        assert (split[::2] == split[1::2]).all() and set(split) == set(corpus.SPLITS)
        reverse = corpus.split([(p + moved * (i % 2)).astype(np.uint8) for i, p in enumerate(pairs)][::-1])
        assert (reverse[::-1] == split).all()  # the order of the melodies does not matter


def test_digest_sees_every_byte(own_files: Path) -> None:
    """Protects caches from serving melodies of files that have changed."""
    before = corpus.source_digest(("oneills1850",))
    assert corpus.source_digest(("oneills1850",)) == before
    own_files.write_bytes(own_files.read_bytes().replace(b"CDE", b"CDF"))  # of the same length
    assert corpus.source_digest(("oneills1850",)) != before


def test_unknown_names() -> None:
    """Protects users from a typing error in a collection or split that would silently read nothing."""
    for use in (corpus.read, corpus.source_digest):
        with pytest.raises(ValueError, match=r"oneils1850.*essenFolksong, oneills1850, ryansMammoth, airdsAirs"):
            use(("oneils1850",))


@pytest.fixture(scope="module")
def airs() -> corpus.Tunes:
    """Aird's Airs, the real collection that converts fastest."""
    return corpus.read(("airdsAirs",))


def test_a_real_collection(airs: corpus.Tunes) -> None:
    """Protects what the prior is trained on: enough melodies, nearly all in key, none leaking between splits."""
    assert airs.dropped["read"].tolist() == [1180] and len(airs.events) == airs.dropped["kept"][0] > 1000
    flat = np.concatenate(airs.events)
    assert flat.dtype == np.uint8 and flat.max() < NUM_EVENTS
    pitches = (flat[flat >= FIRST_PITCH] - FIRST_PITCH) % 12
    assert np.isin(pitches, (0, 2, 4, 5, 7, 9, 11)).mean() >= 0.985
    assert all(len(melody) >= 32 and melody[0] >= FIRST_PITCH for melody in airs.events)
    parts = [{melody[:32].tobytes() for melody in airs.of(split)} for split in corpus.SPLITS]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert 0.85 < len(airs.of("train")) / len(airs.events) < 0.95
    with pytest.raises(ValueError, match="train, validation, test"):
        airs.of("held out")


def test_save_and_load(airs: corpus.Tunes, tmp_path: Path) -> None:
    """Protects the cache: what is read back is what was written, and a damaged file is named in one sentence."""
    corpus.save(airs, tmp_path / "airs.npz")
    again = corpus.load(tmp_path / "airs.npz")
    assert all((one == other).all() for one, other in zip(airs.events, again.events, strict=True))
    assert again.title == airs.title and again.collection == airs.collection
    assert (again.split == airs.split).all() and again.dropped.equals(airs.dropped)
    content = (tmp_path / "airs.npz").read_bytes()
    for broken in (content[:-100], content[: len(content) // 2], content[:200] + b"?" * 50 + content[250:], b""):
        (tmp_path / "broken.npz").write_bytes(broken)
        with pytest.raises(ValueError, match=r"broken\.npz is not a file of tunes"):
            corpus.load(tmp_path / "broken.npz")
    with pytest.raises(FileNotFoundError):
        corpus.load(tmp_path / "absent.npz")


def test_save_and_load_nothing(tmp_path: Path) -> None:
    """Protects demands so strict that no tune is left from failing in the file format."""
    nothing = corpus.Tunes((), (), (), corpus.split([]), pd.DataFrame({"collection": ["airdsAirs"], "kept": [0]}))
    corpus.save(nothing, tmp_path / "none.npz")
    assert corpus.load(tmp_path / "none.npz").events == ()
