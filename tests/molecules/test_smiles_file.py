"""The user's own molecules: every kind of file, every kind of bad file, and the split."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from rdkit import Chem

from repro import runs
from repro.experiments import molecules as molecule_experiments
from repro.hyperparameters import MoleculeSettings
from repro.molecules import corpus, moses, smiles_file
from repro.molecules.moses import CorpusError
from repro.molecules.tokens import Vocabulary, split

CHAINS = ["C" * size + end for size in range(1, 21) for end in ("O", "N")]  # 40 different molecules
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of a name and text, compressed if its name says so."""

    def written(name: str, text: str) -> Path:
        content = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return tmp_path / name

    return written


def zinc(smiles: list[str]) -> str:
    """The layout of the paper's 250k_rndm_zinc_drugs_clean_3.csv."""
    return "smiles,logP,qed,SAS\n" + "".join(f'"{string}\n",5.05,0.7,2.08\n' for string in smiles)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.smi", "\n".join(CHAINS)),
        ("a.SMI.gz", "\n".join(f"{string}\tZINC{place} x" for place, string in enumerate(CHAINS))),
        ("a.csv", zinc(CHAINS)),
        ("a.csv.gz", zinc(CHAINS)),
        ("a.csv", "\ufeffname;SMILES\r\n" + "".join(f"x;{string}\r\n" for string in CHAINS)),
        ("a.csv", "molecule\n" + "\n".join(CHAINS)),
    ],
)
def test_every_kind_of_file_gives_the_same(write: Write, name: str, text: str) -> None:
    """Protects users' files: names, columns, quotes, line ends, byte order mark, compression; the paper's as it is."""
    own = smiles_file.read(write(name, text))
    assert own.smiles == own.canonical == tuple(map(Chem.CanonSmiles, CHAINS))
    assert own.refused.empty and own.duplicates == 0


def test_bad_lines_are_listed_and_duplicates_are_counted(write: Write) -> None:
    """Protects from silent loss: each refused line has its number and RDKit's reason; of duplicates the first stays."""
    with pytest.warns(UserWarning, match=r"refused lines: 2, line 3 'C1C' \(unclosed ring\), line 45 'é{60}' "):
        own = smiles_file.read(write("a.smi", "\n".join(["OC", "", "C1C", "CO again", *CHAINS, "é" * 100])))
    assert own.smiles[0] == "OC" and own.canonical[0] == "CO"
    assert len(own.smiles) == len(CHAINS) and own.duplicates == 2
    assert own.refused["line"].tolist() == [3, 45]
    assert own.refused["text"].str.len().tolist() == [3, smiles_file.SHOWN] and own.refused["reason"].all()


def test_line_numbers_of_a_csv_file_are_those_of_the_file(write: Write) -> None:
    """Protects the list of refused lines where a quoted field runs over two lines or a row is too short."""
    with pytest.warns(UserWarning, match="refused lines: 2"):
        own = smiles_file.read(
            write("a.csv", "n,smiles\n" + "".join(f'1,"{s}\n"\n' for s in [*CHAINS, "X"]) + "short\n")
        )
    assert own.refused[["line", "reason"]].iloc[1].tolist() == [2 + 2 * 41, "no atoms"]
    assert own.refused["line"].iloc[0] == 2 + 2 * 40


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.smi", None, "a.smi cannot be read .No such file or directory.: smiles_file must name"),
        ("a.txt", b"CO", r"a.txt: smiles_file must name a .smi or .csv file"),
        ("a.smi", b" \n", "a.smi is empty: it must hold at least 20"),
        ("a.smi", b"CO\nC\xe9\n", "a.smi is not UTF-8 in line 2: save it"),
        (
            "a.smi",
            b"CC(\nC1C\n",
            r"gives 0 different valid molecules .*line 1 'CC\(' \(syntax error\), line 2 'C1C' \(unclosed ring\)",
        ),
        ("a.smi", b"CO\nOC\n", r"gives 1 different valid molecules \(duplicates: 1; .*: at least 20 are needed"),
        ("a.csv", b"canonical,logP\nCO,1\n", "has no column smiles, but canonical, logP: rename"),
        ("a.csv", b"CO\nCN\n", "begins with the molecule CO: write the header smiles above it"),
        ("a.csv", b'smiles\n"' + b"C" * 140_000, "is no csv file in line 2 .field larger than field limit"),
        ("a.smi.gz", b"CO\n", "is no whole gzip file .Not a gzipped file"),
        ("a.smi.gz", gzip.compress(b"CO\nCN\n", mtime=0)[:-9], "is no whole gzip file .Compressed file ended"),
    ],
)
def test_a_bad_file_gets_a_clear_sentence(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    """Protects users: what is wrong, with which file and line, and what would be right."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        smiles_file.read(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Protects users who name a folder, whatever it is called."""
    (tmp_path / "a.smi").mkdir()
    for path in (tmp_path, tmp_path / "a.smi"):
        with pytest.raises(CorpusError, match="smiles_file must name"):
            smiles_file.read(path)


def test_the_split_is_fixed_whole_and_disjoint(write: Write) -> None:
    """Protects the held-out scores: equal molecules in any order and spelling are split alike; none is lost."""
    own = smiles_file.read(write("a.smi", "\n".join(CHAINS)))
    turned = smiles_file.read(write("b.smi", "\n".join(string[::-1] for string in CHAINS[::-1])))
    parts = smiles_file.split(own, "regex", 250_000, 5_000)
    assert parts == smiles_file.split(turned, "regex", 250_000, 5_000)
    assert sorted(parts.train + parts.validation + parts.test) == sorted(own.canonical)
    assert (len(parts.validation), len(parts.test)) == (2, 2)
    assert [len(part) for part in vars(smiles_file.split(own, "regex", 30, 1)).values()] == [28, 1, 1]


def test_every_held_out_token_is_known(write: Write) -> None:
    """Protects from a training that ends in an unknown token: a molecule with a rare one is always trained on."""
    rare = [f"C[{atom}]" for atom in ("SeH", "SiH3", "GeH3", "AsH2", "Na", "K", "Li", "Rb", "TeH", "SnH3")]
    parts = smiles_file.split(smiles_file.read(write("a.smi", "\n".join(CHAINS[:20] + rare))), "regex", 99, 99)
    known = Vocabulary.of(parts.train, "regex")
    assert {Chem.CanonSmiles(string) for string in rare} <= set(parts.train)
    assert corpus.sequences(parts.validation + parts.test, known)


def test_what_cannot_be_split_says_so(write: Write) -> None:
    """Protects users of exotic files: more tokens than a byte counts, or nothing that could be held out."""
    labelled = [f"[{mass}CH4]" for mass in range(1, 400)]
    own = smiles_file.read(write("a.smi", "\n".join(labelled)))
    with pytest.raises(CorpusError, match="399 different tokens, more than 255: set tokeniser to 'characters'"):
        smiles_file.split(own, "regex", 1000, 10)
    with pytest.raises(CorpusError, match="0 of 200 molecules can be held out"):
        smiles_file.split(own, "regex", 200, 10)
    assert len(set("".join(split(string, "characters")[0] for string in labelled))) == 1
    assert smiles_file.split(own, "characters", 1000, 10).test


def test_the_experiments_read_the_file_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the wiring: an own file is used, kept in the cache, and read again only when its content changes."""
    path = write("a.smi", "\n".join(CHAINS))
    settings = MoleculeSettings(molecules=30, smiles_file=str(path))
    parts = molecule_experiments.molecules(settings)
    assert parts == smiles_file.split(smiles_file.read(path), "regex", 30, settings.held_out)
    with monkeypatch.context() as context:
        context.setattr(smiles_file, "read", None)
        assert molecule_experiments.molecules(settings) == parts
        moved = MoleculeSettings(molecules=30, smiles_file=str(path.rename(path.with_name("b.smi"))))
        assert molecule_experiments.molecules(moved) == parts
    write("b.smi", "\n".join(CHAINS[:25]))
    assert len(molecule_experiments.trained_on(moved)) == 23


def test_the_key_of_the_data_goes_by_content() -> None:
    """Protects finished trainings: without an own file the key is made of MOSES, settings and two modules alone."""
    code = runs.source_digest(("repro.molecules.corpus", "repro.molecules.tokens"))
    expected = runs.digest(collection=moses.SHA256, settings=MoleculeSettings(), code=code)
    assert molecule_experiments._data_key(MoleculeSettings()) == expected
    with pytest.raises(CorpusError, match="cannot be read"):
        molecule_experiments._data_key(MoleculeSettings(smiles_file="no/such.smi"))


def test_digest_of_a_file(write: Write) -> None:
    """Protects the key of a training: it is the sha256 of the file's bytes."""
    assert smiles_file.source_digest(write("a.smi", "CO")) == hashlib.sha256(b"CO").hexdigest()
