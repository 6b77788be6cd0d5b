"""The committed results: small enough to clone, and each file with the row that says what made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repro import provenance
from repro.settings import ROOT

RESULTS = ROOT / "results"
COMMITTED = ("laptop", "paper", "policies", "priors")  # what else lies there is git-ignored


def files(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*") if path.is_file())


def test_the_results_are_small() -> None:
    """Protects everybody who clones: 35 MB together, 6 MB a file, 2 MB a notebook, 5.5 MB the report."""
    sizes = {path.relative_to(RESULTS): path.stat().st_size for path in files(*(RESULTS / name for name in COMMITTED))}
    assert sum(sizes.values()) <= 35_000_000
    assert {path.as_posix(): size for path, size in sizes.items() if size > 6_000_000} == {}
    assert {path.as_posix(): size for path, size in sizes.items() if path.suffix == ".ipynb" and size > 2_000_000} == {}
    assert (RESULTS / "laptop" / "report.html").stat().st_size <= 5_500_000


@pytest.mark.parametrize("kind", ["figures", "tables", "audio"])
def test_each_file_has_its_row(kind: str) -> None:
    """Protects readers who ask where a number comes from: each file's row has its digest, and no row lacks its file."""
    laptop = RESULTS / "laptop"
    rows = [row for row in provenance.read(laptop) if row["file"].startswith(f"{kind}/")]
    made = {path.relative_to(laptop).as_posix(): provenance.sha256(path) for path in files(laptop / kind)}
    assert made and {row["file"]: row["sha256"] for row in rows} == made
    assert all((ROOT / "notebooks" / f"{row['notebook']}.ipynb").exists() for row in rows)
    assert {row["parameters"] for row in rows} == {"preset=laptop"}


def test_the_results_name_commits_of_their_code() -> None:
    """Protects the way back: no committed result was made by code that nobody else has."""
    codes = {row["commit"] for row in provenance.read(RESULTS / "laptop")}
    assert codes and not [code for code in codes if code.endswith("+changes") or "version" in code]
