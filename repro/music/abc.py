"""Reading one tune of ABC, the text notation of folk music: stripped to its notes, then played by symusic.

What `plain` takes away, and why: repeats and all endings but the last, so that each part is played once and no phrase
counts twice; grace notes, ornaments, chord symbols, fingerings and words, which are no part of the melody; and R:, for
which abc2midi, the reader inside symusic, would swing hornpipes two to one of its own accord.
Accidentals bind their own octave until the bar line, as on a printed staff. Of notes that begin together the highest is
kept; a tune in voices is refused.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import symusic

from repro.music.events import STEPS_PER_QUARTER

BATCH = 32  # tunes a process of abc2midi: few enough that a wrong tune costs little

_FIELD = re.compile(r"[H-Zmrsw+]:|[A-G]:(?![|:\]])")  # a line "A:|" is music
_KEPT_FIELD = re.compile(r"[KLM]:\s*[^|:\s]")
_DECORATION = re.compile(r'"[^"\n]*"|\{[^}\n]*\}|![^!\s]{1,9}!')
_FIRST_ENDING = re.compile(r"[|\[]\s*\[?1(?!\d)(?:(?![|\[]\s*\[?1(?!\d)).){0,200}?[|\[]\s*\[?2(?!\d)", re.DOTALL)
_ENDING = re.compile(r"(?:[|:]\s*\[?|\[)\s*[1-9](?:[,-][1-9])*")
_BAR = re.compile(r":*\[?\|[|:\]]*|:+")
_NO_NOTE = re.compile(r"\((?!\d)|y\d*|[^]A-Ga-gzZ0-9/,'^_=<>(|:[\s&+-]")  # slurs, spacing, letters for ornaments
_VOICE = re.compile(r"(?m)^V:\s*(\w+)|\[V:\s*(\w+)")


class Dropped(ValueError):
    """A tune that cannot be a melody here; `reason` says why, in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this tune is dropped: {reason}")
        self.reason = reason


class Played(NamedTuple):
    """The notes of a tune: when they begin and end (in sixteenths, not rounded), and their MIDI pitches."""

    begins: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    sharps: int  # of K:; flats are negative


def plain(abc: str) -> str:
    """Returns a tune's ABC stripped to a header of M:, L:, K: and lines of notes, rests and plain bar lines.

    Raises:
        Dropped: there is no K:, which ends an ABC header.
    """
    lines = [re.sub(r"(?<!\\)%.*", "", line).strip() for line in abc.splitlines()]
    key = next((i for i, line in enumerate(lines) if line.startswith("K:")), None)
    if key is None:
        raise Dropped("unparsable")
    header = {line[0]: line[2:].strip() for line in lines[: key + 1] if line[:2] in ("M:", "L:", "K:")}
    # \b keeps Essen's "FREI4/4", which abc2midi refuses, from being read as a meter.
    meter = re.match(r"(\d+)/(\d+)\b|C\|?(?=$|\s)", header.get("M", ""))
    beats = int(meter[1]) / max(int(meter[2]), 1) if meter and meter[1] else 1.0
    unit = header.get("L") or ("1/16" if beats < 0.75 else "1/8")  # the ABC standard's default
    head = ["X:1", f"M:{meter[0] if meter else 'none'}", f"L:{unit}", "%%propagate-accidentals octave",
            "%%MIDI chordattack 0", f"K:{header['K']}"]  # fmt: skip
    return "\n".join(head + _plain_body("\n".join(lines[key + 1 :]))) + "\n"


def _plain_body(body: str) -> list[str]:
    body = _DECORATION.sub("", "\n".join(line for line in body.splitlines() if _is_music(line)))
    body = re.sub(r"\[([KLM]:[^\]\n]*)\]", r"\n\1\n", body)  # inline fields, which change what follows
    body = re.sub(r"\[[A-Za-z]:[^\]\n]*\]", "", body)
    body = _FIRST_ENDING.sub("|", body)
    plain_lines = []
    for line in body.splitlines():
        if not _KEPT_FIELD.match(line):
            line = _BAR.sub("|", _ENDING.sub("|", line)).replace("x", "z")
            line = _NO_NOTE.sub("", line)
        if line.strip():
            plain_lines.append(line)
    return plain_lines


def _is_music(line: str) -> bool:
    return _KEPT_FIELD.match(line) is not None or not _FIELD.match(line)


def played(tunes: Sequence[str]) -> list[Played | Dropped]:
    """Returns the notes of tunes, or why there are none, in the order of the tunes.

    Args:
        tunes: the text of one tune each, from X: on, as it is in a collection.

    Returns:
        `Dropped("unparsable")` for a tune whose ABC is wrong or holds no note, `Dropped("polyphonic")` for voices.
    """
    found: list[Played | Dropped] = [_refused(tune) or Dropped("unparsable") for tune in tunes]
    good = [i for i, tune in enumerate(tunes) if _refused(tune) is None]
    for start in range(0, len(good), BATCH):
        batch = good[start : start + BATCH]
        for i, score in zip(batch, _scores([plain(tunes[i]) for i in batch]), strict=True):
            if score is not None and score.note_num():
                found[i] = Dropped("polyphonic") if len(score.tracks) > 1 else _notes(score)
    return found


def _refused(tune: str) -> Dropped | None:
    if len({first or second for first, second in _VOICE.findall(tune)}) > 1:
        return Dropped("polyphonic")
    return None if re.search(r"(?m)^\s*K:", tune) else Dropped("unparsable")


def _notes(score: Any) -> Played:  # a symusic.Score, which symusic does not declare as a type
    step = score.tpq / STEPS_PER_QUARTER
    # abc2midi begins each note a tick late, so that two notes of one pitch stay apart.
    notes = {note.time - 1: note for note in sorted(score.tracks[0].notes, key=lambda note: note.pitch)}
    begins = sorted(notes)
    ends = np.array([notes[begin].end for begin in begins])
    pitches = np.array([notes[begin].pitch for begin in begins])
    sharps = score.key_signatures[0].key if score.key_signatures else 0
    return Played(np.array(begins) / step, ends / step, pitches, sharps)


def _scores(texts: list[str]) -> list[Any]:
    """Plays tunes by one process of symusic's abc2midi; None where it finds an error.

    `symusic.Score.from_abc` would start a process for each tune, many times the cost, and keep its complaints from us.
    What a wrong tune leaves open, abc2midi carries into the next: hence the halves, until the wrong tune is alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        numbered = [text.replace("X:1\n", f"X:{i}\n", 1) for i, text in enumerate(texts)]
        Path(folder, "t.abc").write_text("\n".join(numbered), encoding="utf-8")
        # symusic sets the variable when it is imported. "-silent", which symusic says too, leaves errors but one: a tie
        # to another pitch, as many slurs are written here.
        command = [os.environ["SYMUSIC_ABC2MIDI"], "t.abc", "-silent"]
        said = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        files = [Path(folder, f"t{i}.mid") for i in range(len(texts))]
        if b"Error" not in said and all(file.exists() for file in files):
            return [symusic.Score(file) for file in files]
    half = len(texts) // 2
    return _scores(texts[:half]) + _scores(texts[half:]) if half else [None]
