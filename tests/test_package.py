"""The package as others get it: how it is cited, what a wheel holds, what the shipped networks ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from repro.settings import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_citation_is_valid_and_up_to_date() -> None:
    """Protects who cites: the keys that CFF 1.2.0 requires, this version, and the paper with all six authors."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited.keys() >= {"cff-version", "message", "title", "authors"}
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "MIT")
    assert str(cited["version"]) == VERSION
    assert cited["authors"] == [{"name": "The Sequence Tutor reproduction team"}]
    (paper,) = cited["references"]
    assert paper["type"] == "conference-paper" and paper["year"] == 2017
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Jaques", "Gu", "Bahdanau", "Hernández-Lobato", "Turner", "Eck"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert paper["title"] in readme and all(family in readme for family in families)


def test_the_changelog_knows_this_version() -> None:
    """Protects readers of the changelog: the version that is installed has an entry."""
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_shipped_network_says_what_it_learned_from() -> None:
    """Protects users from a licence that they were not told: Essen's tunes are for non-commercial use only."""
    told = (ROOT / "results" / "priors" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in told.splitlines() if line.startswith("| `")]
    for prior in (ROOT / "results" / "priors").glob("*.safetensors"):
        (row,) = (row for row in rows if f"`{prior.stem}`" in row)
        assert ("non-commercial" in row) == prior.stem.startswith("music-")
    kinds = {path.stem.split("-")[0] for path in (ROOT / "results" / "policies").glob("*.safetensors")}
    assert kinds <= {"music", "exact", "molecules"} and "`music-*`" in told


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built without a network in a copy, so that nothing is left in this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "repro", folder / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        "out",
        ".",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "out").glob("*.whl")
    return built


def test_a_wheel_holds_the_whole_package(wheel: Path) -> None:
    """Protects an installation from missing modules or templates, and from tests and results that nobody asked for."""
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "repro").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == here and any(name.endswith(".jinja") for name in names)
    assert wheel.name.startswith(f"sequence_tutor_repro-{VERSION}-py3-none-any")


def test_a_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """Protects `pip install` of the wheel: rules and scores work; without notebooks the pipeline says what it lacks."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = (
        "import repro, numpy\n"
        "from repro.music import rules\n"
        "from repro.molecules import scores\n"
        "print(repro.__file__)\n"
        "print(rules.total_reward(numpy.full((1, 32), 14)).shape, scores.score(['CCO'])['valid'].tolist())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told == [str(site / "repro" / "__init__.py"), "(1, 32) [True]"]
    pipeline = [sys.executable, "-m", "repro.pipeline", "--list"]
    refused = subprocess.run(pipeline, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"run_all: there are no notebooks (NN_name.ipynb) in {site / 'notebooks'}: "
        "they belong to the repository, and a wheel holds the package alone.\n"
    )
