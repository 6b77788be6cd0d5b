"""README.md and INSTALL.md: every command in them is run, here with smaller settings or by a test named here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repro import ROOT, pipeline, yours

README = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "INSTALL.md"))
PROGRAMS = ("bash ", "pip ", "papermill ", "python ", ".venv/bin/")


def commands(text: str) -> list[str]:
    """Every command of a text once: the lines of its fenced bash blocks, and what stands in backquotes in its prose."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.strip()]
    spans = [span for span in re.findall(r"`([^`]+)`", prose) if span.startswith(PROGRAMS)]
    return list(dict.fromkeys(lines + spans))


CHORALES = (
    ".venv/bin/python -c \"from music21 import corpus; [corpus.parse(p).write('midi', f'.cache/chorales/{p.stem}.mid') "
    "for p in sorted(corpus.getComposer('bach'))[:100]]\""
)
VALUES = "own/tables/music_final_values.csv"
FEW = {"0.5,2,8": "0.5,8", "rounds 100": "rounds 6", "melodies 10000": "melodies 300",
       "prior_steps 1000": "prior_steps 10"}  # fmt: skip
COVERED = {  # by test_notebooks, test_pipeline, test_setup, test_benchmark, test_experiments and test_runs
    "bash run_all.sh --preset paper --scheduler tcp://HOST:8786",
    "pip install -c constraints.txt -e '.[cluster]'", "pip install dask-jobqueue",
    "bash run_all.sh", "bash run_all.sh --preset smoke", "bash run_all.sh --lab", "bash run_all.sh --test",
    "bash run_all.sh --help", "bash run_all.sh --fresh", "bash run_all.sh --fresh --train-priors",
    "bash run_all.sh --only 05 -p smiles_file my.smi", "pip install -e .",
    "python tests/benchmark.py", "python tests/benchmark.py --devices",
    "mkdir -p results/own .cache/chorales",
    CHORALES,  # by the fixture below
}  # fmt: skip
# What is run here under preset smoke: the words that are replaced, and a file that the command leaves.
RUN: dict[str, tuple[dict[str, str], str]] = {
    ".venv/bin/papermill notebooks/03_music_training.ipynb results/own/temperature.ipynb "
    "-p c 0.5,2,8 -p methods psi,rl_only -p seeds 0 -p rounds 100 -p melodies 10000": (FEW, VALUES),
    ".venv/bin/papermill notebooks/03_music_training.ipynb results/own/foresight.ipynb "
    "-p gamma 0 -p methods psi -p seeds 0 -p rounds 100 -p melodies 10000": (FEW, VALUES),
    ".venv/bin/papermill notebooks/02_note_rnn.ipynb results/own/bach.ipynb "
    "-p midi_folder .cache/chorales -p prior_steps 1000 -p melodies 10000": (FEW, "own/tables/note_rnn_scores.csv"),
    "bash run_all.sh --only 03,04 -p c 2 -p seeds 0,1": (
        {"03,04": "03", "-p seeds 0,1": "-p seeds 0,1 -p rounds 6 -p melodies 300 --jobs 2"},
        VALUES,
    ),
    "bash run_all.sh --only 00,02,03,04,11 -p midi_folder my_songs": (
        {"00,02,03,04,11": "02", "my_songs": ".cache/chorales -p melodies 300 -p prior_steps 10"},
        "own/notebooks/02_note_rnn.ipynb",
    ),
}


def test_every_link_leads_somewhere_and_nothing_is_left_open() -> None:
    """Protects readers from files that moved, and from a sentence that waits for its number."""
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert "--><!-- / -->" not in README and not re.search(r"\b(TEXT|TODO|[A-Z]*MINUTES|ROADS)\b", README)


def test_every_command_is_run() -> None:
    """Protects readers from a command that nobody tried: a new one in README.md needs an entry, an old one goes."""
    assert COVERED | set(RUN) == set(commands(README))


def run(command: str, folder: Path, shared: Path) -> None:
    """Runs a command of README.md in bash, with a results folder of its own."""
    python, own = shlex.quote(sys.executable), shlex.quote(str(folder / "own"))
    places = {
        "bash run_all.sh": f"{python} -m repro.pipeline --preset smoke --results {own}",  # as tests/test_setup.py shows
        ".venv/bin/papermill": f"{python} -m papermill -p preset smoke -p results {own}",
        ".venv/bin/python": python,
        "results/own": own,
        ".cache/chorales": shlex.quote(str(shared / "chorales")),
    }
    command = re.sub("|".join(map(re.escape, places)), lambda match: places[match[0]], command)
    environment = os.environ | {"REPRO_CACHE": str(shared / "cache"), "REPRO_JOBS": "1"}
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "unknown parameter" not in done.stderr, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, converted: Path) -> Path:
    """What all commands share, as a reader's do: the chorales, and a cache, in which tunes are converted once."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(converted, folder / "cache")
    (folder / "chorales").mkdir()
    run(CHORALES.replace(":100", ":4"), folder, folder)
    assert (folder / "chorales" / "bwv1.6.mid").stat().st_size > 0
    return folder


@pytest.mark.xdist_group("readme")  # one process, so that what they share is made once
@pytest.mark.parametrize("command", RUN)
def test_it_runs(command: str, shared: Path, tmp_path: Path) -> None:
    """Protects the commands of README.md: each ends well, knows its parameters, and leaves the file it speaks of."""
    (tmp_path / "own").mkdir()
    smaller = command
    for word, other in RUN[command][0].items():
        smaller = smaller.replace(word, other)
    assert smaller != command
    run(smaller, tmp_path, shared)
    assert (tmp_path / RUN[command][1]).stat().st_size > 0


@pytest.mark.parametrize(
    "command", [command for command in sorted(COVERED | set(RUN)) if command.startswith("bash run_all.sh -")]
)
def test_its_options_exist(command: str, tmp_path: Path) -> None:
    """Protects from an option, a notebook or a parameter in README.md that is not there any more."""
    words = command.removeprefix("bash run_all.sh ").replace("--help", "--list").split()
    assert pipeline.main([*words, "--check", "--results", str(tmp_path)]) == 0


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the lines that users copy: they run as they stand, with fewer steps and samples."""
    monkeypatch.setattr(yours, "ROOT", tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for many, few in (("steps=100", "steps=2"), ("compare()", "compare(30)"), ("sample(1000)", "sample(30)")):
        assert many in block
        block = block.replace(many, few)
    exec(block, {})
    assert (tmp_path / "results" / "own" / "policies" / "nitrogen.safetensors").exists()
    assert not yours.load("nitrogen").sample(30)["text"].str.contains(" ").any()  # RDKit would read a part of them
