"""The MOSES data, read from the wheel of its package.

MOSES (Polykovskiy et al. 2020, MIT licence) is 1.94 million molecules of the ZINC collection, filtered for drug
discovery: 1.58 million to train on, a random test set, and a test set of scaffolds that no training molecule has. The
package `molsets` carries them; its own requirements are stale, so it is never installed: pip downloads the wheel, its
digest is checked, and the files are read out of it.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "molsets==0.3.1"
WHEEL = "molsets-0.3.1-py3-none-any.whl"
SHA256 = "7f4450e3ebecebe79c3a2a55950c93daddee071120daf64a163d03481e811d34"
SPLITS = ("train", "test", "test_scaffolds")
BY_HAND = f"put the file {WHEEL} of the package molsets into {{folder}} by hand, or name your own file in smiles_file"


class CorpusError(RuntimeError):
    """Molecules cannot be had; the sentence says what to do."""


def wheel(folder: Path) -> Path:
    """The wheel with the MOSES data in a folder, downloaded if it is not there.

    Raises:
        CorpusError: it cannot be downloaded, or is not the file that it should be.
    """
    path = folder / WHEEL
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d"]
            done = subprocess.run([*command, scratch, PACKAGE], capture_output=True, text=True, check=False)
            found = Path(scratch) / WHEEL
            if done.returncode or not found.exists():
                reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
                raise CorpusError(f"{PACKAGE} cannot be downloaded ({reason}): {BY_HAND.format(folder=folder)}")
            _check(found, folder)
            found.replace(path)
    _check(path, folder)
    return path


def _check(path: Path, folder: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        by_hand = BY_HAND.format(folder=folder)
        raise CorpusError(f"{path} has the SHA-256 {digest[:12]}..., not {SHA256[:12]}...: delete it, and {by_hand}")


def read(path: Path, split: str) -> list[str]:
    """The SMILES of one split of MOSES: train (1,584,663), test (176,074) or test_scaffolds (176,225)."""
    with zipfile.ZipFile(path) as archive:
        packed = archive.read(f"moses/dataset/data/{split}.csv.gz")
    header, *lines = gzip.decompress(packed).decode("ascii").split()
    return [line.partition(",")[0] for line in lines]
