"""Molecules of the user's own: a file of SMILES strings.

A .smi file has one molecule a line, and a name may follow it; a .csv file has a header. Either may be compressed (.gz).

    own = read("molecules.csv.gz")          # Own: smiles, canonical, refused, duplicates
    split(own, "regex", 250_000, 5_000)     # Molecules: train, validation, test

A SMILES RNN learns from RDKit's canonical strings, as from those of MOSES: a sampled molecule is novel if its canonical
string is not among them, however the file spells it.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import hashlib
import io
import json
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rdkit import Chem

from repro.molecules import tokens
from repro.molecules.corpus import Molecules
from repro.molecules.moses import CorpusError
from repro.molecules.scores import parse

DELIMITERS = ",;\t"  # of a .csv file; none of them is part of a SMILES string
FEWEST = 20  # ours: molecules that a file must give
HELD_OUT = 0.05  # ours: the share of either held-out split (authors: none)
MOST_TOKENS = 255  # beside the end token: a token is a byte
LISTED = 3  # refused lines that a sentence names
SHOWN = 60  # characters of a string that are shown


@dataclass(frozen=True)
class Own:
    """What a file gives: its valid molecules, each once, in its order."""

    smiles: tuple[str, ...]  # as the file has them; of a molecule that it has twice, the first
    canonical: tuple[str, ...]  # the same molecules as RDKit writes them
    refused: pd.DataFrame  # one row a line that is no molecule: line, text (shortened), reason
    duplicates: int  # lines with a molecule that an earlier line has


def kind(path: Path) -> str:
    """How a file is laid out, by the end of its name: .smi or .csv; another is a CorpusError."""
    found = Path(path.name.lower().removesuffix(".gz")).suffix
    if found not in (".smi", ".csv"):
        raise CorpusError(f"{path}: smiles_file must name a .smi or .csv file, or one of them compressed as .gz")
    return found


def source_digest(path: Path) -> str:
    """The sha256 of a file's bytes."""
    return hashlib.sha256(_content(path)).hexdigest()


def read(path: str | Path) -> Own:
    """The molecules of a file; lines that are none are named in a warning.

    Raises:
        CorpusError: the file cannot be read, or gives too few molecules; the sentence says why.
    """
    path = Path(path)
    lines = _csv_lines(path) if kind(path) == ".csv" else _smi_lines(path)
    found: dict[str, str] = {}
    refused, duplicates = [], 0
    for number, text in lines:
        smiles = text.split()[0] if text.strip() else ""
        molecule, reason = parse(smiles)
        if molecule is None:
            refused.append((number, smiles[:SHOWN], reason))
        else:
            canonical = Chem.MolToSmiles(molecule)
            duplicates += canonical in found
            found.setdefault(canonical, smiles)
    named = [f"line {line} {text!r} ({why})" for line, text, why in refused[:LISTED]]
    listed = ", ".join([f"refused lines: {len(refused)}", *named, *["..."] * (len(refused) > LISTED)])
    if len(found) < FEWEST:
        counts = f"{len(found)} different valid molecules (duplicates: {duplicates}; {listed})"
        raise CorpusError(f"{path} gives {counts}: at least {FEWEST} are needed")
    if refused:
        warnings.warn(f"{path}: {listed}", stacklevel=2)
    table = pd.DataFrame(refused, columns=["line", "text", "reason"])
    return Own(tuple(found.values()), tuple(found), table, duplicates)


def split(own: Own, tokeniser: str, count: int, held_out: int) -> Molecules:
    """Splits at most `count` molecules into about 90, 5 and 5 %, `held_out` at most; their order does not matter.

    Raises:
        CorpusError: too many different tokens, or too few molecules whose tokens others have too.
    """
    ordered = sorted(own.canonical, key=lambda string: hashlib.sha256(string.encode()).digest())[:count]
    known: set[str] = set()
    firsts: list[str] = []  # those that bring a token: they are trained on, for training molecules make the vocabulary
    others: list[str] = []
    for string in ordered:
        its = set(tokens.split(string, tokeniser))
        (others if its <= known else firsts).append(string)
        known |= its
    if len(known) > MOST_TOKENS:
        raise CorpusError(f"{len(known)} different tokens, more than {MOST_TOKENS}: set tokeniser to 'characters'")
    if len(others) < 2:
        raise CorpusError(f"{len(others)} of {len(ordered)} molecules can be held out, and 2 must be: add molecules")
    size = min(held_out, max(1, round(HELD_OUT * len(others))))
    return Molecules((*firsts, *others[2 * size :]), tuple(others[:size]), tuple(others[size : 2 * size]))


def save(molecules: Molecules, path: Path) -> None:
    """Writes split molecules, so that no other process has to read the file again."""
    path.write_text(json.dumps(dataclasses.asdict(molecules)), encoding="ascii")


def load(path: Path) -> Molecules:
    """Molecules as `save` wrote them; a damaged file is a ValueError."""
    return Molecules(**{name: tuple(strings) for name, strings in json.loads(path.read_bytes()).items()})


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}): smiles_file must name a file that can") from None


def _text(path: Path) -> str:
    content = _content(path)
    try:
        plain = gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} is no whole gzip file ({error}): compress it again, or name it unpacked") from None
    try:
        text = plain.decode("utf-8-sig")  # spreadsheets begin with a byte order mark
    except UnicodeDecodeError as error:
        line = plain.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{path} is not UTF-8 in line {line}: save it as UTF-8 text") from None
    if not text.strip():
        raise CorpusError(f"{path} is empty: it must hold at least {FEWEST} molecules")
    return text


def _smi_lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip())


def _csv_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The line on which each row begins, and its SMILES string; a row too short for one gives none."""
    text = _text(path)
    first = text.lstrip("\r\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    try:
        column = _column(next(filter(None, reader)), path)
        line = reader.line_num + 1
        for row in reader:
            if any(row):
                yield line, "".join(row[column : column + 1])
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{path} is no csv file in line {reader.line_num} ({error}): mend that line") from None


def _column(header: list[str], path: Path) -> int:
    """Which column has the SMILES strings: the one of that name, or the only one."""
    names = [name.strip().lower() for name in header]
    if "smiles" in names:
        return names.index("smiles")
    if len(names) > 1:
        columns = ", ".join(name[:SHOWN] for name in header)
        raise CorpusError(f"{path} has no column smiles, but {columns}: rename the one with the SMILES strings")
    if parse(header[0])[0] is not None:
        raise CorpusError(f"{path} begins with the molecule {header[0][:SHOWN]}: write the header smiles above it")
    return 0
