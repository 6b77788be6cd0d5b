"""The MOSES data: what is not its wheel is refused, and nothing half-made remains. No test goes to the network."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from repro.molecules import moses
from repro.molecules.moses import CorpusError


def small(path: Path) -> Path:
    """Writes a wheel with two molecules a split; those of train have a second column."""
    tables = {
        "train": "SMILES,SPLIT\nCCO,train\nc1ccccc1,train\n",
        "test": "SMILES\nCN\nN\n",
        "test_scaffolds": "S\nO\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for split, text in tables.items():
            archive.writestr(f"moses/dataset/data/{split}.csv.gz", gzip.compress(text.encode(), mtime=0))
    return path


def pip(monkeypatch: pytest.MonkeyPatch, brings: bytes | None, said: str = "") -> list[list[str]]:
    """Puts a made-up pip in the place of the real one; returns the list of its calls."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        calls.append(command)
        if brings is not None:
            (Path(command[-2]) / moses.WHEEL).write_bytes(brings)
        return subprocess.CompletedProcess(command, int(brings is None), "", said)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_a_wheel_that_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects from other data: the sentence names both digests, deletes nothing and says how to supply the file."""
    path, calls = small(tmp_path / moses.WHEEL), pip(monkeypatch, None)
    with pytest.raises(CorpusError, match=r"not 7f4450e3ebec\.\.\.: delete it, and put the file .* by hand, or name"):
        moses.wheel(tmp_path)
    assert path.exists() and not calls


@pytest.mark.parametrize(
    ("said", "reason"), [("long talk\nERROR: no network\n", "ERROR: no network"), ("", "pip said nothing")]
)
def test_a_failed_download_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    """Protects users without a network: pip's reason, the file that is needed and the folder; nothing is left."""
    folder = tmp_path / "data"
    pip(monkeypatch, None, said)
    with pytest.raises(CorpusError, match=rf"\({reason}\): put the file {moses.WHEEL} .* into {folder} by hand"):
        moses.wheel(folder)
    assert list(folder.iterdir()) == []


def test_a_wrong_download_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the cache: what pip brought is checked before it gets its name."""
    pip(monkeypatch, b"another file")
    with pytest.raises(CorpusError, match="delete it"):
        moses.wheel(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_is_fetched_once_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the way from pip to strings: no requirements, one download, header and other columns left out."""
    content = small(tmp_path / "source.whl").read_bytes()
    monkeypatch.setattr(moses, "SHA256", hashlib.sha256(content).hexdigest())
    calls = pip(monkeypatch, content)
    path = moses.wheel(tmp_path / "data")
    assert moses.wheel(tmp_path / "data") == path and list(path.parent.iterdir()) == [path]
    assert len(calls) == 1 and "--no-deps" in calls[0] and moses.PACKAGE in calls[0]
    assert [moses.read(path, split) for split in moses.SPLITS] == [["CCO", "c1ccccc1"], ["CN", "N"], ["O"]]
