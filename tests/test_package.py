"""The package as others get it: how it is cited, what a wheel holds, what the shipped networks ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

from repro import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_citation_and_the_changelog_are_up_to_date() -> None:
    """Protects who cites: the keys that CFF 1.2.0 requires, this version, and the paper with all six authors."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "MIT")
    assert str(cited["version"]) == VERSION and cited["message"] and cited["title"] and cited["authors"]
    (paper,) = cited["references"]
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Jaques", "Gu", "Bahdanau", "Hernández-Lobato", "Turner", "Eck"] and paper["year"] == 2017
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_shipped_network_says_what_it_learned_from() -> None:
    """Protects users from a licence that they were not told: Essen's tunes are for non-commercial use only."""
    told = (ROOT / "results" / "priors" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in told.splitlines() if line.startswith("| `")]
    for prior in (ROOT / "results" / "priors").glob("*.safetensors"):
        (row,) = (row for row in rows if f"`{prior.stem}`" in row)
        assert ("non-commercial" in row) == prior.stem.startswith("music-")


def test_a_wheel_holds_the_whole_package_and_works_elsewhere(tmp_path: Path) -> None:
    """Protects `pip install` of a wheel: all modules and templates and nothing else, rules and scores that work, and a
    pipeline that says what it lacks. It is built without a network in a copy, so that nothing is left in this tree.
    """
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "repro", tmp_path / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    here = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "repro").rglob("*") if path.is_file()}
    site, pip = tmp_path / "site", [sys.executable, "-m", "pip", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", "out", "."], cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "out").glob(f"sequence_tutor_repro-{VERSION}-py3-none-any.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == here and any(name.endswith(".jinja") for name in names)
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(wheel)], check=True)
    code = (
        "import repro, numpy\nfrom repro.music import rules\nfrom repro.molecules import scores\n"
        "print(repro.__file__, rules.total_reward(numpy.full((1, 32), 14)).shape, scores.score(['CCO']).valid.tolist())"
    )
    tried = [
        subprocess.run([sys.executable, *command], cwd=site, env=os.environ | {"PYTHONPATH": str(site)},
                       capture_output=True, text=True, check=False)
        for command in (["-c", code], ["-m", "repro.pipeline", "--list"])
    ]  # fmt: skip
    assert tried[0].stdout == f"{site / 'repro' / '__init__.py'} (1, 32) [True]\n", tried[0].stderr
    assert (tried[1].returncode, tried[1].stdout) == (2, "") and len(tried[1].stderr.splitlines()) == 1
    assert "there are no notebooks" in tried[1].stderr
