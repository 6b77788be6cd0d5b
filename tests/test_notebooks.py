"""The notebooks: their form, and all of them run to the end under preset smoke."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from repro import ROOT
from repro.studies import ROAD_NAMES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Two runs, side by side where there are two cores: the two notebooks that take longest, and all others.
LONG = ("11_paper_against_code", "12_poor_g_and_schedule", "99_verdicts")
PARTS = [[path for path in NOTEBOOKS if (path.stem in LONG) == long] for long in (False, True)]
NO_VERDICT = ("00_start_here", "99_verdicts")  # the tour tests no claim; the last one is nothing but verdicts


def prose(cells: list[nbformat.NotebookNode]) -> str:
    """The text of a notebook; a formula counts as a word, tables and displayed formulas as none."""
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"\$[^$]+\$", "x", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL))
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def captioned(cells: list[nbformat.NotebookNode], index: int) -> bool:
    """Whether prose in italics follows the cell."""
    return index + 1 < len(cells) and cells[index + 1].cell_type == "markdown" and cells[index + 1].source[:1] == "*"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path: Path) -> None:
    """Protects readers: prose around short cells, tagged parameters first, every knob None, no stored outputs, at most
    six names of repro; claims and time at the start, what we see and the verdict at the end.
    """
    cells = nbformat.read(path, as_version=4).cells
    code, opening = [cell for cell in cells if cell.cell_type == "code"], cells[0].source
    assert 300 <= len(prose(cells).split()) <= 900 and not re.search(r"\b(TEXT|TODO)", prose(cells))
    assert code[0].metadata.get("tags") == ["parameters"]
    assert all(line.split("#")[0].rstrip().endswith("= None") for line in code[0].source.splitlines())
    assert max(len(cell.source.splitlines()) for cell in code[1:]) <= 15 and len(code[0].source.splitlines()) <= 20
    assert not any(cell.outputs or cell.execution_count for cell in code)
    text = "\n".join(cell.source for cell in code)
    imports = re.findall(r"^ *from repro.* import +(\([^)]+\)|[^#\n]+)", text, re.MULTILINE)
    names = re.findall(r"\w+(?: as \w+)?", " ".join(imports))
    assert len(names) <= 6 and not [name for name in names if " as " in name]
    assert opening.startswith("# ") and "**Time:**" in opening
    assert re.search(r"\*\*(Claim|Question|What stands here)", opening)
    headings = re.findall(r"^## (.+)$", prose(cells), re.MULTILINE)
    ending = headings[next(i for i, heading in enumerate(headings) if heading.startswith("What we see")) :]
    assert len(ending) <= 2 and (path.stem in NO_VERDICT or "verdict" in ending[-1].lower())


@pytest.mark.parametrize("paths", [pytest.param(paths, id=paths[0].stem, marks=pytest.mark.xdist_group(paths[0].stem))
                                   for paths in PARTS])  # fmt: skip
def test_all_run_under_smoke_and_change_nothing_that_is_committed(
    tmp_path: Path, converted: Path, paths: list[Path]
) -> None:
    """Protects `run_all.sh --preset smoke`: each notebook ends, small, without an error; the tree stays as it was."""
    status = ["git", "status", "--porcelain"]
    before = subprocess.check_output(status, cwd=ROOT)
    # with the processes of a second core the other tests would wait; runs in two are those of test_readme
    options = ["--only", ",".join(path.stem for path in paths), "--jobs", "1", "--results", str(tmp_path / "results")]
    command = [sys.executable, "-m", "repro.pipeline", "--preset", "smoke", *options]
    environment = os.environ | {"REPRO_CACHE": str(shutil.copytree(converted, tmp_path / "cache"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = r"\d+ rows .*" if NOTEBOOKS[-1] in paths else "none yet, run notebook 99."
    assert re.search(rf"\nVerdicts: {verdicts}\nThe report: ", done.stdout)
    for source in paths:
        executed = tmp_path / "results" / "notebooks" / source.name
        assert executed.stat().st_size < 2_000_000, source.stem
        cells = nbformat.read(executed, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        for index, cell in enumerate(cells):
            drawn = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
            assert not drawn or captioned(cells, index), (source.stem, cell.source)
        assert outputs and not any(output["output_type"] == "error" for output in outputs)
        assert str(ROOT) not in executed.read_text()
    table = (tmp_path / "results" / "tables" / "music.csv").read_text().splitlines()
    assert table[0] == "experiment,method,c,seed,metric,value"
    methods, own = {line.split(",")[1] for line in table[1:]}, {"prior", "q", "psi", "g", "rl_only"}
    roads = {*ROAD_NAMES} if any("roads_on_melodies" in path.stem for path in paths) else set()
    assert methods == own | roads
    assert subprocess.check_output(status, cwd=ROOT) == before
