"""README.md: every command in it is run, here with smaller settings or by a test that is named here."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repro.pipeline import read_notebook
from repro.settings import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("bash", "pip", "papermill", "python", ".venv/bin/")


def commands(text: str) -> list[str]:
    """Every command of a text once: the lines of its fenced bash blocks, and what stands in backquotes in its prose."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.strip()]
    spans = [span for span in re.findall(r"`([^`]+)`", prose) if span.startswith(PROGRAMS) and " " in span]
    return list(dict.fromkeys(lines + spans))


@dataclass(frozen=True)
class Covered:
    """A command that another test runs: "file.py::name"."""

    by: str


@dataclass(frozen=True)
class Smaller:
    """A command that is run here as it stands, but for `instead`, words that are replaced, and words added at its end.

    Every one of them gets a results folder and a cache of its own.
    """

    instead: Mapping[str, str] = field(default_factory=dict)
    added: str = ""


PIPELINE = "bash run_all.sh"  # what follows goes to repro.pipeline, as tests/test_setup.py shows
MIDI_FOLDER = "chorales"
RUN: dict[str, Covered | Smaller] = {
    PIPELINE: Covered("test_notebooks.py::test_all_run_under_smoke_and_change_nothing_that_is_committed"),
    "bash run_all.sh --preset smoke": Covered(
        "test_notebooks.py::test_all_run_under_smoke_and_change_nothing_that_is_committed"
    ),
    "bash run_all.sh --lab": Covered("test_setup.py::test_lab_opens_jupyterlab"),
    "bash run_all.sh --test": Covered("test_setup.py::test_the_tests_are_pytests_own"),
    "bash run_all.sh --help": Covered("test_setup.py::test_help_names_every_option"),
    "bash run_all.sh --fresh": Covered("test_pipeline.py::test_kernels_are_ours_and_steered"),
    "bash run_all.sh --fresh --train-priors": Covered("test_pipeline.py::test_kernels_are_ours_and_steered"),
    "pip install -e .": Covered("test_setup.py::test_setup_is_done_once_and_taken_up_again"),
    "python -m repro.benchmark": Covered("test_benchmark.py::test_the_command_writes_every_row"),
    "bash run_all.sh --only 05 -p smiles_file my.smi": Covered(
        "molecules/test_smiles_file.py::test_the_experiments_read_it"
    ),
}


def test_every_command_is_run() -> None:
    """Protects readers from a command that nobody tried: a new one in README.md needs an entry, an old one goes."""
    assert set(RUN) == set(commands(README))


def test_commands_are_found() -> None:
    """Protects the test above: blocks, long lines and prose count; names of files and options alone do not."""
    text = "Run `bash a.sh -x` or `python -m b`, see `c.py`, `python`.\n\n```bash\npip install c\nd \\\n e\n```\n`bash a.sh -x`"
    assert commands(text) == ["pip install c", "d  e", "bash a.sh -x", "python -m b"]


@pytest.mark.parametrize("covered", sorted({how.by for how in RUN.values() if isinstance(how, Covered)}))
def test_the_named_tests_exist(covered: str) -> None:
    """Protects the entries of RUN that point elsewhere."""
    file, _, name = covered.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
