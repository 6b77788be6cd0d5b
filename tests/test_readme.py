"""README.md: every command in it is run, here with smaller settings or by a test that is named here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repro import ROOT, experiments, studies
from repro.evaluation import uniform_log_p
from repro.pipeline import read_notebook

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("bash ", "pip ", "papermill ", "python ", ".venv/bin/")


def commands(text: str) -> list[str]:
    """Every command of a text once: the lines of its fenced bash blocks, and what stands in backquotes in its prose."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.strip()]
    spans = [span for span in re.findall(r"`([^`]+)`", prose) if span.startswith(PROGRAMS)]
    return list(dict.fromkeys(lines + spans))


@dataclass(frozen=True)
class Covered:
    """A command that another test runs: "file.py::name"."""

    by: str


@dataclass(frozen=True)
class Smaller:
    """A command that is run here as it stands, but under preset smoke and with some words replaced.

    Attributes:
        instead: the words that are replaced.
        after: a command of README.md that makes what this one needs.
        wrote: a file that it leaves in its results folder.
    """

    instead: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    wrote: str = ""


SMOKE = Covered("test_notebooks.py::test_all_run_under_smoke_and_change_nothing_that_is_committed")
WHOLE = Covered("test_pipeline.py::test_a_whole_run")
OTHER = Covered("test_pipeline.py::test_lab_and_test_become_another_program")
CHORALES = (
    ".venv/bin/python -c \"from music21 import corpus; [corpus.parse(p).write('midi', f'.cache/chorales/{p.stem}.mid') "
    "for p in sorted(corpus.getComposer('bach'))[:100]]\""
)
FEW = {"rounds 100": "rounds 10", "melodies 10000": "melodies 300", "prior_steps 1000": "prior_steps 10"}
FINAL = "tables/music_final_values.csv"
RUN: dict[str, Covered | Smaller] = {
    "bash run_all.sh": SMOKE,
    "bash run_all.sh --preset smoke": SMOKE,
    "bash run_all.sh --lab": OTHER,
    "bash run_all.sh --test": OTHER,
    "bash run_all.sh --help": Covered("test_pipeline.py::test_a_look_runs_nothing_and_is_quick"),
    "bash run_all.sh --fresh": WHOLE,
    "bash run_all.sh --fresh --train-priors": WHOLE,
    "bash run_all.sh --only 05 -p smiles_file my.smi": Covered(
        "test_experiments.py::test_a_small_study_of_own_molecules"
    ),
    "pip install -e .": Covered("test_setup.py::test_setup_is_done_once_and_taken_up_again"),
    "python tests/benchmark.py": Covered("test_benchmark.py::test_the_command_writes_every_row"),
    "mkdir -p results/own .cache/chorales": Smaller(),
    ".venv/bin/papermill notebooks/03_music_training.ipynb results/own/temperature.ipynb "
    "-p c 0.5,2,8 -p methods psi,rl_only -p seeds 0 -p rounds 100 -p melodies 10000": Smaller(FEW, wrote=FINAL),
    ".venv/bin/papermill notebooks/03_music_training.ipynb results/own/foresight.ipynb "
    "-p gamma 0 -p methods psi -p seeds 0 -p rounds 100 -p melodies 10000": Smaller(FEW, wrote=FINAL),
    CHORALES: Smaller({":100": ":4"}),
    ".venv/bin/papermill notebooks/02_note_rnn.ipynb results/own/bach.ipynb "
    "-p midi_folder .cache/chorales -p prior_steps 1000 -p melodies 10000": Smaller(
        FEW, after=CHORALES, wrote="tables/note_rnn_scores.csv"
    ),
    "bash run_all.sh --only 03,04 -p c 2 -p seeds 0,1": Smaller(
        {"03,04": "03", "2 -p seeds 0,1": "2 -p seeds 0,1 -p rounds 10 -p melodies 300"}, wrote=FINAL
    ),
    "bash run_all.sh --only 00,02,03,04,11 -p midi_folder my_songs": Smaller(
        {"00,02,03,04,11": "02", "my_songs": ".cache/chorales -p melodies 300"},
        after=CHORALES,
        wrote="notebooks/02_note_rnn.ipynb",
    ),
}


def test_every_command_is_run() -> None:
    """Protects readers from a command that nobody tried: a new one in README.md needs an entry, an old one goes."""
    assert set(RUN) == set(commands(README))


def test_commands_are_found() -> None:
    """Protects the test above: blocks, long lines and prose count; names of files and options alone do not."""
    text = (
        "Run `bash a.sh -x` or `python -m b`, see `c.py`, `python`.\n\n```bash\npip install c\nd \\\n e\n```\n`pip x`"
    )
    assert commands(text) == ["pip install c", "d  e", "bash a.sh -x", "python -m b", "pip x"]


@pytest.mark.parametrize("covered", sorted({how.by for how in RUN.values() if isinstance(how, Covered)}))
def test_the_named_tests_exist(covered: str) -> None:
    """Protects the entries of RUN that point elsewhere."""
    file, _, name = covered.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def run(command: str, folder: Path) -> None:
    """Runs a command of README.md in bash as its entry says, with a results folder and a cache of its own."""
    how = RUN[command]
    assert isinstance(how, Smaller)
    for word, other in how.instead.items():
        command = command.replace(word, other)
    python, own = shlex.quote(sys.executable), shlex.quote(str(folder / "own"))
    places = {
        "bash run_all.sh": f"{python} -m repro.pipeline --preset smoke --results {own}",  # as tests/test_setup.py shows
        ".venv/bin/papermill": f"{python} -m papermill -p preset smoke -p results {own}",
        ".venv/bin/python": python,
        "results/own": own,
        ".cache/chorales": shlex.quote(str(folder / "chorales")),
    }
    command = re.sub("|".join(map(re.escape, places)), lambda match: places[match[0]], command)
    environment = os.environ | {"REPRO_CACHE": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [command for command, how in RUN.items() if isinstance(how, Smaller)])
def test_it_runs(command: str, tmp_path: Path) -> None:
    """Protects the commands of README.md themselves: each ends well and leaves the file that its text shows."""
    how = RUN[command]
    assert isinstance(how, Smaller)
    run("mkdir -p results/own .cache/chorales", tmp_path)
    if how.after:
        run(how.after, tmp_path)
    run(command, tmp_path)
    assert not how.wrote or (tmp_path / "own" / how.wrote).stat().st_size > 0


@pytest.mark.parametrize("command", [command for command in RUN if re.search(" -p [a-z_]+ [^.]", command)])
def test_its_parameters_exist(command: str) -> None:
    """Protects from a name that papermill would only warn about: some notebook of the command has each parameter."""
    numbers = re.findall(r"notebooks/(\d\d)|--only ([\d,]+)", command)
    chosen = {number for pair in numbers for number in "".join(pair).split(",")}
    notebooks = [read_notebook(path) for number in chosen for path in (ROOT / "notebooks").glob(f"{number}_*.ipynb")]
    assert len(notebooks) == len(chosen)
    known = {name for notebook in notebooks for name in notebook.parameters}
    assert set(re.findall(r" -p (\w+)", command)) <= known


def test_its_table_of_temperatures_adds_up() -> None:
    """Protects the example of prose: log p = -(KL + entropy) to the noise of sampling, J = reward / c - 32 KL."""
    rows = re.findall(r"^\| (psi|rl_only) \|(.+)\|$", README, re.MULTILINE)
    assert len(rows) == 6
    for _, cells in rows:
        c, log_p, kl, entropy, reward, objective = map(float, cells.split("|"))
        assert log_p == pytest.approx(-(kl + entropy), abs=0.006)
        assert objective == pytest.approx(reward / c - 32 * kl, abs=0.07)


def test_uniform_play_is_where_its_prose_says() -> None:
    """Protects the two numbers about uniform play that no row of the ledger has, from both shipped Note RNNs."""
    study = studies.study()
    folk, rebuilt = (uniform_log_p(experiments.MUSIC, prior(study).rnn(), 10_000, seed=0)
                     for prior in (experiments.note_rnn, experiments.rebuilt_note_rnn))  # fmt: skip
    assert f"its log p near {folk:.2f}" in README
    assert "a uniform player's log p is below -5.6" in README and max(folk, rebuilt) < -5.6
