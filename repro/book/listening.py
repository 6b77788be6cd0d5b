"""The listening study: a page of blinded pairs that stands alone, and the ratings that come back from it.

Every pair of models is heard equally often, and over two sheets each side of it. A rater hears one sheet, chosen by a
checksum of the rater's code. No file says which clip is whose: it is recomputed from the seed.
"""

import base64
import csv
import hashlib
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pretty_midi

from repro.book.verdicts import TEMPLATES
from repro.domain import demand
from repro.music.events import AUDIO_RATE, FIRST_PITCH, HOLD, HORIZON, LOWEST_MIDI, STEP_SECONDS, notes, to_audio
from repro.music.midi import printable
from repro.settings import need

MELODIES = 32  # of every model: each has a new one whenever it meets another
SHEETS = 4  # of an even number, each has the sides of another exchanged
SOUND_FONT = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")  # comes with pretty_midi
SOUND_FONT_SHA256 = "82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1"  # its piano: piano.csv
PIANO = pd.read_csv(Path(__file__).with_name("piano.csv"))
MOST_BYTES = 1_000_000  # of a file of ratings
FORMS = {  # of the cells of a file of ratings, and how they are asked for
    "rater": ("[A-Za-z0-9_]{1,20}", "1 to 20 letters, digits and _"),
    "preference": (r"(-?[12]|0)([.,]0+)?", "a whole number from -2 (the first is much better) to 2"),
    "seconds": (r"[0-9]{1,9}([.,][0-9]+)?", "a number of seconds"),
}
PAIR = ["pair", "first", "second"]  # what names a pair: its number, and two clips
COLUMNS = ["study", "rater", *PAIR, "preference", "seconds"]


@dataclass(frozen=True)
class Listening:
    """A study: `pairs` (sheet, PAIR, first_model, second_model), and by clip its notes (begin, end, MIDI pitch)."""

    pairs: pd.DataFrame
    clips: dict[str, list[list[int]]]

    @property
    def digest(self) -> str:
        """What names the study in its ratings."""
        heard = self.pairs[["sheet", *PAIR]].to_numpy().tolist()
        return "s" + hashlib.sha256(json.dumps([heard, self.clips]).encode()).hexdigest()[:11]


def study(models: Mapping[str, Any], seed: Any = 0, sheets: Any = SHEETS) -> Listening:
    """Pairs of models, each with its melodies (MELODIES, T); the seed draws clips, sides, order and clips' names."""
    # A sheet has every pair of models once; of an odd number of models each is first equally often. The next sheet has
    # the sides exchanged.
    need(str(seed).isdecimal(), f"seed is {seed!r}: it must be a whole number from 0 on")
    most = min(map(len, models.values())) // (len(models) - 1)  # on each sheet every model meets all others
    known = map(str, range(1, most + 1))
    need(str(sheets) in known, f"sheets is {sheets!r}: it must be a whole number from 1 to {most}")
    rng, rows, places = np.random.default_rng(int(seed)), list[list[Any]](), np.arange(len(models))
    takes = {name: iter(rng.permutation(np.asarray(own))) for name, own in models.items()}
    names = (f"c{number:06x}" for number in rng.choice(16**6, 2 * MELODIES * len(models), replace=False))
    clips: dict[str, list[list[int]]] = {}
    for sheet in range(int(sheets)):
        if sheet % 2 == 0:
            rng.shuffle(places)
        pairs = list(itertools.combinations(range(len(models)), 2))
        for place in rng.permutation(len(pairs)):
            one, other = pairs[place]
            sides = (one, other) if (one + other + sheet) % 2 else (other, one)
            pair = [list(models)[places[side]] for side in sides]
            heard = {clip: model for model, clip in zip(pair, names, strict=False)}
            rows.append([sheet, str(len(rows) + 1), *heard, *pair])
            clips |= {clip: np.transpose(notes(next(takes[model]))).tolist() for clip, model in heard.items()}
    return Listening(pd.DataFrame(rows, columns=["sheet", *PAIR, "first_model", "second_model"]), clips)


def page(made: Listening) -> str:
    """The page as HTML: it plays the notes on the piano of SOUND_FONT, or plucked where there is none."""
    piano = SOUND_FONT.is_file() and hashlib.sha256(SOUND_FONT.read_bytes()).hexdigest() == SOUND_FONT_SHA256
    data = {"study": made.digest, "pairs": made.pairs[["sheet", *PAIR]].to_numpy().tolist(), "clips": made.clips,
            "columns": COLUMNS, "step": STEP_SECONDS, "seconds": HORIZON * STEP_SECONDS + 0.4,
            "bank": list(_tones(piano))}  # fmt: skip
    return TEMPLATES.get_template("listening.html.jinja").render(data=data, piano=piano, rater=FORMS["rater"])


def _tones(piano: bool) -> Iterator[dict[str, Any]]:
    """Sampled tones, each for the pitches from `lowest` on: eight bits a sample, in the logarithm (mu-law)."""
    if piano:
        sounds = np.memmap(SOUND_FONT, "<i2", "r") / 32768
        tones = [(*tone, sounds[begin:end]) for *tone, begin, end in PIANO.itertuples(index=False)]
    else:
        tones = [(low, low + 2, AUDIO_RATE, 0, 0, to_audio([low + 2 - LOWEST_MIDI + FIRST_PITCH, *[HOLD] * 7]))
                 for low in range(LOWEST_MIDI, LOWEST_MIDI + 36, 6)]  # fmt: skip
    for lowest, root, rate, *loop, wave in tones:
        coded = np.round(127 * np.sign(wave) * np.log1p(255 * np.abs(wave)) / np.log(256)).astype(np.int8)
        yield {"lowest": lowest, "root": root, "rate": rate, "loop": loop, "wave": base64.b64encode(coded).decode()}


def read_ratings(folder: Path, made: Listening) -> tuple[pd.DataFrame, list[str]]:
    """The ratings in a folder's CSV files (COLUMNS and the models), and a sentence for each file that is left out."""
    # of several files of one rater the one with the most ratings counts; capitals make no other rater
    need(folder.is_dir(), f"ratings is {str(folder)!r}: it must be a folder with the CSV files that the page gave")
    read, left_out = [], []
    for path in sorted(file for file in folder.iterdir() if file.suffix.lower() == ".csv"):
        try:
            read.append((path, _checked(path, made)))
        except ValueError as error:
            left_out.append(f"{printable(path.name)} {error}")
    kept: dict[str, pd.DataFrame] = {}
    for path, frame in sorted(read, key=lambda entry: -len(entry[1])):
        rater = frame["rater"].iloc[0]
        if kept.setdefault(rater.lower(), frame) is not frame:
            left_out.append(f"{printable(path.name)} is a duplicate: the ratings of {rater} are read from another file")
    columns = [*COLUMNS, "sheet", "first_model", "second_model"]
    return pd.concat([pd.DataFrame(columns=columns), *kept.values()], ignore_index=True), left_out


def _checked(path: Path, made: Listening) -> pd.DataFrame:
    """The ratings of one file, of one rater; ValueError: what is wrong with it."""
    demand(ValueError, path.is_file(), "is no file")
    try:
        demand(ValueError, path.stat().st_size <= MOST_BYTES, f"has more than {MOST_BYTES:,} bytes")
        content = path.read_bytes()
        text = io.StringIO(content.decode(json.detect_encoding(content)), newline="")
        frame = pd.read_csv(text, sep=None, engine="python", dtype=str, keep_default_na=False, skipinitialspace=True,
                            index_col=False)  # fmt: skip
    except (OSError, csv.Error, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"cannot be read as CSV ({type(error).__name__})") from None
    frame = frame.rename(columns=lambda name: str(name).strip().lower()).fillna("")  # of a row that is cut off
    frame = frame[(frame != "").any(axis=1)].replace({"pair": r"[.,]0+$"}, {"pair": ""}, regex=True)
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ValueError(f"has no column {missing[0]}: the page gives {', '.join(COLUMNS)}")
    frame = frame[COLUMNS]
    demand(ValueError, len(frame), "has no ratings")
    if len(other := frame.loc[frame["study"] != made.digest, "study"]):
        raise ValueError(f"is of another study, {printable(other.iloc[0])[:20]!r}: this one is {made.digest}")
    for name, (form, words) in FORMS.items():
        if len(bad := frame.loc[~frame[name].str.fullmatch(form), name]):
            raise ValueError(f"has the {name} {printable(bad.iloc[0])[:20]!r}: it must be {words}")
    demand(ValueError, frame["rater"].nunique() == 1, "has several raters: the page gives a file for each")
    known = frame.merge(made.pairs, on=PAIR)
    once = len(known) == len(frame) and frame["pair"].is_unique
    demand(ValueError, once, "has a pair that is not in this study, or one twice")
    numbers = known[["preference", "seconds"]].replace(",", ".", regex=True)  # as some spreadsheets write it
    return known.assign(**numbers.astype(float)).astype({"preference": int})
