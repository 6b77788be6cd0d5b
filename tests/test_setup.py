"""Set-up: one list of dependencies, told three times without contradiction, and a script that any shell can run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from repro.settings import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TESTING = PROJECT["optional-dependencies"]["test"]
PINS = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
SCRIPT = (ROOT / "run_all.sh").read_text(encoding="utf-8")
OPTIONS = {"--preset", "--only", "--jobs", "-p", "--results", "--fresh", "--train-priors", "--lab", "--test", "--conda",
           "--list", "--help"}  # fmt: skip


def canonical(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bash(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs bash without input and returns what it said."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("REPRO_")} | environment
    return subprocess.run(
        ["bash", *arguments], cwd=cwd, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_every_dependency_is_pinned() -> None:
    """Protects: two people who install a year apart get the same versions of all that is declared."""
    pinned = [canonical(pin.split("==")[0]) for pin in PINS]
    declared = {canonical(name) for name in PROJECT["dependencies"] + TESTING}
    assert declared <= set(pinned)
    assert len(pinned) == len(set(pinned))


def test_the_pins_fit_every_platform() -> None:
    """Protects: the same file installs on a Mac and on a machine with another build of torch."""
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in PINS)
    assert {"torch==2.13.0", "rdkit==2026.9.1"} <= set(PINS)
    assert not [pin for pin in PINS if re.match("nvidia|cuda|triton|pip==|sequence-tutor", pin)]


def test_versions_live_in_the_constraints_alone() -> None:
    """Protects: no second place pins a version that could disagree."""
    assert not [name for name in PROJECT["dependencies"] + TESTING if not re.fullmatch("[A-Za-z0-9_-]+", name)]


def test_environment_yml_agrees() -> None:
    """Protects: the conda way in installs the same list under the same pins."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, installs = environment["dependencies"]
    assert environment["name"] == PROJECT["name"] == "sequence-tutor-repro"
    lowest = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= lowest == (3, 11)
    assert pip == "pip"
    assert installs == {"pip": ["-c constraints.txt", "-e ."]}


@pytest.mark.parametrize("name", ["run_all.sh", ".ci/run", "pyproject.toml", "constraints.txt", "environment.yml"])
def test_no_file_names_a_machine(name: str) -> None:
    """Protects: set-up asks whatever index the user configured, from wherever the repository lies."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|index-url|find-links|/home/|/root|/work|/opt", text)


def test_the_script_is_portable() -> None:
    """Protects: macOS, whose bash is 3.2 and whose tools are not GNU's."""
    assert bash("-n", "run_all.sh").returncode == 0
    newer = r"declare -[An]|local -n|mapfile|readarray|coproc|wait -n|&>>|\|&|;;&|\$\{\w+(,,|\^\^|@)|printf '%\("
    gnu = r"readlink -f|realpath|sed -i|sed -r|grep -P|stat -c|date -d|nproc|md5sum|sha\d+sum|timeout |seq |xargs -r"
    assert not re.findall(newer, SCRIPT)
    assert not re.findall(gnu, SCRIPT)


def test_help_names_every_option() -> None:
    """Protects: what the script can do is found without reading it."""
    told = bash("run_all.sh", "--help")
    assert told.returncode == 0
    assert set(re.findall(r"^  (--?[a-z-]+)", told.stdout, re.MULTILINE)) == OPTIONS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tests"], "there is no option '--tests'"),
        (["smoke"], "there is no option 'smoke'"),
        (["--preset"], "--preset needs a value."),
        (["-p", "c"], "-p needs a name and a value."),
        (["--test", "--jobs", "two"], "--jobs must be a positive whole number, not 'two'."),
        (["--jobs", "0"], "--jobs must be a positive whole number, not '0'."),
    ],
)
def test_bad_options_are_refused_at_once(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """Protects: a slip is told before anything is installed; here there is not even a Python."""
    told = bash("run_all.sh", *arguments, cwd=copy_of_setup(tmp_path), PATH=str(tools(tmp_path)))
    assert (told.returncode, told.stdout) == (2, "")
    assert len(told.stderr.splitlines()) == 1
    assert sentence in told.stderr
    if "no option" in sentence:
        assert set(re.findall(r"(?<=[ ,])--?[a-z-]+", told.stderr.split("the options are")[1])) == OPTIONS


def copy_of_setup(folder: Path) -> Path:
    """Copies what set-up needs to a folder whose name has a space, with one notebook; returns the folder."""
    root = folder / "a repository"
    (root / "repro").mkdir(parents=True)
    for name in ("run_all.sh", "pyproject.toml", "constraints.txt", "environment.yml"):
        shutil.copy(ROOT / name, root / name)
    for name in ("__init__.py", "pipeline.py", "settings.py"):
        shutil.copy(ROOT / "repro" / name, root / "repro" / name)
    (root / "notebooks").mkdir()
    (root / "notebooks" / "00_one.ipynb").write_text('{"cells": []}', encoding="utf-8")
    return root


def tools(folder: Path, **scripts: str) -> Path:
    """Makes a folder that can be the whole PATH: the POSIX tools of the script and the given shell scripts."""
    path = folder / "bin"
    path.mkdir()
    for name in ("bash", "sh", "dirname", "cat", "cksum", "rm", "mkdir", "chmod", "cp"):
        (path / name).symlink_to(str(shutil.which(name)))
    for name, script in scripts.items():
        (path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (path / name).chmod(0o755)
    return path


# Stands for a Python: answers `-c` and `--check` as the real one, writes the rest down, and makes an environment that
# holds another of its kind. An install fails while the file `offline` exists.
STAND_IN = f"""
case "$*" in
    *--check* | -c*) exec '{sys.executable}' "$@" ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *"pip --version") exit 0 ;;
esac
echo "$@" >>calls
case "$*" in
    *"pip install"*) [ ! -e offline ] ;;
esac
"""


def calls(root: Path) -> list[str]:
    """What was asked of the stand-in since the last call."""
    lines = (root / "calls").read_text(encoding="utf-8").splitlines()
    (root / "calls").unlink()
    return lines


INSTALL = "-m pip install -c constraints.txt -e .[test]"


def test_setup_is_done_once_and_taken_up_again(tmp_path: Path) -> None:
    """Protects: a second start works offline and at once; a broken-off or outdated set-up is repaired by itself."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=STAND_IN))
    run = ["-m repro.pipeline --preset smoke"]

    def start() -> subprocess.CompletedProcess[str]:
        return bash(str(root / "run_all.sh"), "--preset", "smoke", cwd=tmp_path, PATH=path)

    (root / "offline").touch()
    told = start()
    assert told.returncode == 1
    assert "the installation failed" in told.stderr
    assert calls(root) == ["-m venv --clear .venv", INSTALL]
    (root / "offline").unlink()
    assert start().returncode == 0
    assert calls(root) == [INSTALL, *run]
    assert start().returncode == 0
    assert calls(root) == run
    (root / "offline").touch()
    (root / "constraints.txt").write_text("torch==2.14.0\n", encoding="utf-8")
    assert start().returncode == 1
    assert calls(root) == [INSTALL]
    (root / "offline").unlink()
    shutil.copy(ROOT / "constraints.txt", root / "constraints.txt")  # Half of the other list may be installed by now.
    assert start().returncode == 0
    assert calls(root) == [INSTALL, *run]
    (root / ".venv" / "bin" / "python").unlink()
    assert start().returncode == 0
    assert calls(root) == ["-m venv --clear .venv", INSTALL, *run]


def test_the_first_line_says_what_it_costs(tmp_path: Path) -> None:
    """Protects: nobody starts a download of gigabytes or hours of work unawares."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=STAND_IN))
    first = bash("run_all.sh", cwd=root, PATH=path).stdout.splitlines()[0]
    assert all(word in first for word in ("minutes", "GB", "--preset smoke takes five minutes"))


def test_bad_values_are_refused_before_the_installation(tmp_path: Path) -> None:
    """Protects: a mistyped preset does not wait for the installation to be told."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=STAND_IN))
    told = bash("run_all.sh", "--preset", "smok", cwd=root, PATH=path)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "run_all: there is no preset 'smok'; there are smoke, laptop, paper.\n"
    assert not (root / ".venv").exists()


def test_a_missing_venv_module_is_told(tmp_path: Path) -> None:
    """Protects: Debian and Ubuntu, whose Python comes without venv; the sentence names the package."""
    lacking = 'case "$*" in *ensurepip*) exit 1 ;; esac' + STAND_IN
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=lacking))
    told = bash("run_all.sh", cwd=root, PATH=path)
    assert told.returncode == 1
    assert "install the package python3-venv (Debian/Ubuntu: apt-get install python3-venv)" in told.stderr
    assert not (root / ".venv").exists()


def test_an_old_python_is_not_used(tmp_path: Path) -> None:
    """Protects: a machine whose python3 is too old hears so, in place of a syntax error."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3="exit 1"))
    told = bash("run_all.sh", cwd=root, PATH=path)
    assert told.returncode == 1
    assert "no Python 3.11 or newer was found" in told.stderr


def test_conda_makes_its_own_environment(tmp_path: Path) -> None:
    """Protects: --conda goes through environment.yml and leaves .venv alone."""
    conda = f'echo "$@" >>calls; mkdir -p .conda/bin; cp "{tmp_path}/bin/python3" .conda/bin/python'
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, micromamba=conda, python3=STAND_IN))
    assert bash("run_all.sh", "--conda", "--fresh", cwd=root, PATH=path).returncode == 0
    create = f"create -p {root}/.conda -f environment.yml"
    assert calls(root) == [create, INSTALL, "-m repro.pipeline --conda --fresh"]
    assert not (root / ".venv").exists()
    assert bash("run_all.sh", "--conda", cwd=root, PATH=path).returncode == 0
    assert calls(root) == ["-m repro.pipeline --conda"]


def test_the_tests_are_pytests_own(tmp_path: Path) -> None:
    """Protects: `.ci/run` sets up likewise and hands on pytest's exit code."""
    failing = STAND_IN + '\ncase "$*" in *pytest*) exit 5 ;; esac'
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=failing))
    shutil.copytree(ROOT / ".ci", root / ".ci")
    assert bash(str(root / ".ci" / "run"), cwd=tmp_path, PATH=path).returncode == 5
    venv, install, tests = calls(root)
    assert (venv, install) == ("-m venv --clear .venv", INSTALL)
    assert tests.startswith("-m pytest -q -n auto ")


@pytest.mark.parametrize(("user", "options"), [("1000", ""), ("0", " --allow-root")])
def test_lab_opens_jupyterlab(tmp_path: Path, user: str, options: str) -> None:
    """Protects `bash run_all.sh --lab`: it sets up likewise and starts JupyterLab, also as root in a container."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=STAND_IN, id=f"echo {user}"))
    assert bash("run_all.sh", "--lab", cwd=root, PATH=path).returncode == 0
    assert calls(root) == ["-m venv --clear .venv", INSTALL, f"-m jupyterlab{options}"]


def test_list_installs_nothing(tmp_path: Path) -> None:
    """Protects: looking at what there is does not cost an installation."""
    root, path = copy_of_setup(tmp_path), str(tools(tmp_path, python3=f"exec '{sys.executable}' \"$@\""))
    told = bash("run_all.sh", "--list", cwd=root, PATH=path)
    assert (told.returncode, told.stdout.split()[0]) == (0, "00_one")
    assert not (root / ".venv").exists()
