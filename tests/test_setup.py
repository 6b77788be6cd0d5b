"""Set-up: one list of dependencies, told three times without contradiction, and a script that any shell can run."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from repro import ROOT

TOLD = ("run_all.sh", ".ci/run", "pyproject.toml", "constraints.txt", "environment.yml")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in TOLD}
PROJECT = tomllib.loads(TEXTS["pyproject.toml"])["project"]
NEEDED, TESTING = PROJECT["dependencies"], PROJECT["optional-dependencies"]["test"]
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "ipython": "IPython"}  # where a package and its module differ
# Started, or used through another: the kernel, JupyterLab, tqdm's bars in it, pandas' parquet, music21's tune files.
NOT_IMPORTED = {"ipykernel", "jupyterlab", "ipywidgets", "pyarrow", "music21", "mypy", "pytest-xdist", "ruff"}


def test_pins() -> None:
    """Protects: two people who install a year apart get the same versions, also through conda and on any platform."""
    pins = [line for line in TEXTS["constraints.txt"].splitlines() if not line.startswith("#")]
    names = [re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins]
    assert {re.sub(r"[-_.]+", "-", name) for name in NEEDED + TESTING} <= set(names)
    assert all(re.fullmatch(r"[\w.-]+==\d[A-Za-z\d.]*", pin) for pin in pins)
    assert not [name for name in names if re.match("nvidia|cuda|triton|pip$|sequence-tutor", name)]
    conda = yaml.safe_load(TEXTS["environment.yml"])["dependencies"]
    assert conda == ["python=3.11", "pip", {"pip": ["-c constraints.txt", "-e ."]}]


def test_what_is_declared_is_what_is_imported() -> None:
    """Protects set-up from half a gigabyte that nothing needs, and users from an import of what is not declared."""
    cells = [cell for path in (ROOT / "notebooks").glob("*.ipynb") for cell in json.loads(path.read_text())["cells"]]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code += [path.read_text(encoding="utf-8") for room in ("repro", "tests") for path in (ROOT / room).rglob("*.py")]
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    ours = {"repro", *(path.stem for path in (ROOT / "tests").glob("*.py"))}
    imported = {name.split(".")[0] for name in names} - sys.stdlib_module_names - ours
    assert imported == {MODULES.get(name, name) for name in {*NEEDED, *TESTING} - NOT_IMPORTED}


def test_the_script_is_portable() -> None:
    """Protects: macOS, whose bash is 3.2 and whose tools are not GNU's."""
    newer = r"declare -[An]|local -n|mapfile|readarray|coproc|wait -n|&>>|\|&|;;&|\$\{\w+(,,|\^\^|@)|printf '%\("
    gnu = r"readlink -f|realpath|sed -i|sed -r|grep -P|stat -c|date -d|nproc|md5sum|sha\d+sum|timeout |seq |xargs -r"
    assert not re.findall(f"{newer}|{gnu}", TEXTS["run_all.sh"])


def test_a_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    """Protects `pip install` of a wheel: all modules and templates, nothing else. It is built in a copy, offline."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "repro", tmp_path / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    here = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "repro").rglob("*") if path.is_file()}
    build = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "."]
    subprocess.run(build, cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob(f"*-{PROJECT['version']}-*.whl")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == here


# Stands for a Python: answers questions as the real one, writes the rest down, and makes an environment that holds
# another of its kind. An install fails while the file `offline` exists.
STAND_IN = f"""
case "$*" in
    *--check* | *--list* | *--help* | -c*) exec '{sys.executable}' "$@" ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *"pip --version") exit 0 ;;
esac
echo "$@" >>calls
case "$*" in
    *"pip install"*) echo Looking; [ ! -e offline ] || {{ echo ERROR: no network >&2; exit 1; }} ;;
    *repro.pipeline*) exit 5 ;;
esac
"""
VENV, INSTALL, RUN = "-m venv --clear .venv", "-m pip install -c constraints.txt -e .[test]", "-m repro.pipeline "


class Machine:
    """A copy of what set-up needs, in a folder with a space, and a PATH of POSIX tools and the given scripts alone."""

    def __init__(self, folder: Path, **scripts: str) -> None:
        self.root, self.path = folder / "a repository", folder / "bin"
        self.path.mkdir()
        for name in (*TOLD, "repro/__init__.py", "repro/pipeline.py", "notebooks/00_start_here.ipynb"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for name in ("bash", "sh", "dirname", "cat", "cksum", "rm", "mkdir", "chmod", "cp", "id"):
            (self.path / name).symlink_to(str(shutil.which(name)))
        for name, script in scripts.items():
            (self.path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (self.path / name).chmod(0o755)

    def start(self, *arguments: str, script: str = "run_all.sh") -> tuple[int, list[str], str]:
        """Starts the script from elsewhere; returns its code, what Python was asked, and all that it said."""
        (self.root / "calls").write_text("", encoding="utf-8")
        own = os.environ | {"PATH": str(self.path), "PYTHONPATH": ""}
        command = ["bash", str(self.root / script), *arguments]
        told = subprocess.run(command, cwd=self.path, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return told.returncode, (self.root / "calls").read_text().splitlines(), told.stdout + told.stderr


def test_setup_is_done_once_and_taken_up_again(tmp_path: Path) -> None:
    """Protects: a second start works offline and at once; a broken-off or outdated set-up is repaired by itself; the
    exit code and the options are those of repro.pipeline, also through .ci/run; the first line says what it costs, and
    what pip says goes into a file, but for its errors.
    """
    machine = Machine(tmp_path, python3=STAND_IN)
    offline, run = machine.root / "offline", RUN + "--preset smoke"

    def start() -> tuple[int, list[str]]:
        return machine.start("--preset", "smoke")[:2]

    offline.touch()
    code, calls, said = machine.start("--preset", "smoke")
    assert (code, calls) == (1, [VENV, INSTALL]) and said.endswith("up again.\n")
    first, _, told, last = said.splitlines()
    assert all(word in first for word in ("minutes", "GB", "--preset smoke"))
    assert told == "ERROR: no network" and ".venv/pip.log says why" in last
    assert (machine.root / ".venv" / "pip.log").read_text() == "Looking\nERROR: no network\n"
    offline.unlink()
    assert start() == (5, [INSTALL, run])
    assert start() == (5, [run])
    offline.touch()
    (machine.root / "constraints.txt").write_text("torch==2.14.0\n", encoding="utf-8")
    assert start() == (1, [INSTALL])
    offline.unlink()
    shutil.copy(ROOT / "constraints.txt", machine.root)  # half of the other list may be installed by now
    assert start() == (5, [INSTALL, run])
    (machine.root / ".venv" / "bin" / "python").unlink()
    assert start() == (5, [VENV, INSTALL, run])
    (machine.path / "chromium").symlink_to("cat")
    assert machine.start(script=".ci/run")[:2] == (5, [RUN + "--test"])


def test_a_library_that_the_system_lacks_is_named(tmp_path: Path) -> None:
    """Protects: on a Linux without a desktop, one sentence instead of a traceback of rdkit after the set-up."""
    lacking = "ImportError: libXrender.so.1: cannot open shared object file: No such file or directory"
    broken = f'case "$*" in *rdkit*) [ -e libraries ] || {{ echo "{lacking}" >&2; exit 1; }} ;; esac'
    machine = Machine(tmp_path, python3=broken + STAND_IN)
    code, calls, said = machine.start()
    assert (code, calls) == (1, [VENV, INSTALL]) and "apt-get install libxrender1 libxext6" in said.splitlines()[-1]
    assert lacking in (machine.root / ".venv" / "pip.log").read_text()
    (machine.root / "libraries").touch()
    assert machine.start("--fresh")[:2] == (5, [INSTALL, RUN + "--fresh"])


OLD = "exit 1"  # a Python that is too old
BARE = 'case "$*" in *ensurepip*) exit 1 ;; esac' + STAND_IN
MISTAKES = [
    (STAND_IN, "--preset smok", 2, "there is no preset 'smok'; there are smoke, laptop, paper."),
    (STAND_IN, "--list", 0, "00_start_here"),
    (BARE, "", 1, "install the package python3-venv (Debian/Ubuntu: apt-get install python3-venv)"),
    (OLD, "", 1, "no Python 3.11 or newer was found"),
    (OLD, "--help", 1, "no Python 3.11 or newer was found"),
    (STAND_IN, "--conda", 1, "--conda needs mamba, micromamba or conda on the PATH."),
]


@pytest.mark.parametrize(("python", "arguments", "code", "sentence"), MISTAKES)
def test_questions_and_mistakes_install_nothing(
    tmp_path: Path, python: str, arguments: str, code: int, sentence: str
) -> None:
    """Protects: an answer, or one sentence that says what to do, before anything is installed or run."""
    machine = Machine(tmp_path, python3=python)
    *told, said = machine.start(*arguments.split())
    assert told == [code, []] and sentence in said.splitlines()[-1]
    assert len(said.splitlines()) == 1 + said.startswith("Set-up takes") and not (machine.root / ".venv").exists()


@pytest.mark.parametrize("python", [OLD, STAND_IN])
def test_conda_makes_its_own_environment(tmp_path: Path, python: str) -> None:
    """Protects: --conda goes through environment.yml, leaves .venv alone, and needs no Python beforehand."""
    conda = f'echo "$@" >>calls; mkdir -p .conda/bin; cp "{tmp_path}/bin/own" .conda/bin/python'
    machine = Machine(tmp_path, micromamba=conda, python3=python, own=STAND_IN)
    create = f"create -p {machine.root}/.conda -f environment.yml"
    assert machine.start("--conda", "--fresh")[:2] == (5, [create, INSTALL, RUN + "--conda --fresh"])
    assert machine.start("--conda")[:2] == (5, [RUN + "--conda"]) and not (machine.root / ".venv").exists()
