"""The notebooks: their form, and all of them run to the end under preset smoke."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from repro.settings import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path: Path) -> None:
    """Protects readers: prose around short cells, tagged parameters first, every knob None, no stored outputs."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    assert 500 <= words <= 1300
    assert code[0].metadata.get("tags") == ["parameters"]
    assert all(line.split("#")[0].rstrip().endswith("= None") for line in code[0].source.splitlines())
    assert max(len(cell.source.splitlines()) for cell in code) <= 15
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_all_run_under_smoke_and_change_nothing_that_is_committed(tmp_path: Path) -> None:
    """Protects `run_all.sh --preset smoke`: each notebook ends, small, without an error; the tree stays as it was."""
    before = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    command = [sys.executable, "-m", "repro.pipeline", "--preset", "smoke", "--results", str(tmp_path / "results")]
    environment = os.environ | {"REPRO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for source in NOTEBOOKS:
        executed = tmp_path / "results" / "notebooks" / source.name
        assert executed.stat().st_size < 2_000_000, source.stem
        cells = json.loads(executed.read_text())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert outputs and not any(output["output_type"] == "error" for output in outputs)
        assert str(ROOT) not in executed.read_text()
    table = (tmp_path / "results" / "tables" / "music.csv").read_text().splitlines()
    assert table[0] == "experiment,method,c,seed,metric,value"
    assert {line.split(",")[1] for line in table[1:]} == {"prior", "q", "psi", "g", "rl_only"}
    after = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert after == before
