"""The notebooks: their form, and all of them run to the end under preset smoke."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from repro import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NO_VERDICT = ("00_start_here", "99_verdicts")  # the tour tests no claim; the last one is nothing but verdicts
DRAWS = re.compile(r"write_figure\(")


def prose(cells: list[nbformat.NotebookNode]) -> str:
    """The text of a notebook; a formula counts as a word, tables and displayed formulas as none."""
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"\$[^$]+\$", "x", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL))
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def captioned(cells: list[nbformat.NotebookNode], index: int) -> bool:
    """Whether prose in italics follows the cell."""
    following = cells[index + 1 : index + 2]
    return bool(following) and following[0].cell_type == "markdown" and following[0].source.startswith("*")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path: Path) -> None:
    """Protects readers: prose around short cells, tagged parameters first, every knob None, no stored outputs."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    assert 300 <= len(prose(cells).split()) <= 1150
    assert code[0].metadata.get("tags") == ["parameters"]
    assert all(line.split("#")[0].rstrip().endswith("= None") for line in code[0].source.splitlines())
    assert max(len(cell.source.splitlines()) for cell in code) <= 15
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_skeleton(path: Path) -> None:
    """Protects the order that readers learn to expect: claims and time first, what we see and the verdict last."""
    cells = nbformat.read(path, as_version=4).cells
    opening, headings = cells[0].source, re.findall(r"^## (.+)$", prose(cells), re.MULTILINE)
    assert re.search(r"\*\*(Claim|Question|What stands here)", opening) and "**Time:**" in opening
    ending = headings[next(i for i, heading in enumerate(headings) if heading.startswith("What we see")) :]
    assert len(ending) <= 2
    assert path.stem in NO_VERDICT or "verdict" in ending[-1].lower()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_a_caption(path: Path) -> None:
    """Protects figures from standing alone: a cell that draws is followed by prose in italics that says what it is."""
    cells = nbformat.read(path, as_version=4).cells
    drawing = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and DRAWS.search(cell.source)]
    assert [cells[i].source for i in drawing if not captioned(cells, i)] == []


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
        cells = nbformat.read(executed, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        for index, cell in enumerate(cells):
            pictures = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
            assert not pictures or captioned(cells, index), (source.stem, cell.source)
        assert outputs and not any(output["output_type"] == "error" for output in outputs)
        assert str(ROOT) not in executed.read_text()
    table = (tmp_path / "results" / "tables" / "music.csv").read_text().splitlines()
    assert table[0] == "experiment,method,c,seed,metric,value"
    assert {line.split(",")[1] for line in table[1:]} == {"prior", "q", "psi", "g", "rl_only"}
    after = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert after == before
