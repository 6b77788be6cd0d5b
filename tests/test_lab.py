"""JupyterLab for real: every notebook is opened in a browser, and one is run to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import browser
import nbformat
import pytest
from lab import Lab

from repro.settings import ROOT

pytestmark = pytest.mark.xdist_group("lab")  # one JupyterLab for all of them
SOURCES = sorted(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = sorted(
    f"results/laptop/notebooks/{path.name}" for path in (ROOT / "results" / "laptop" / "notebooks").glob("*.ipynb")
)
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a copy of the repository, with its browser."""
    started = Lab(tmp_path_factory.mktemp("lab"))
    yield started
    started.close()


def looked_at(lab: Lab, path: str, run: bool = False) -> list[str]:
    """Opens a notebook, runs it if so told, closes it, and returns what was wrong."""
    with lab.opened(path, kernel=run):
        if run:
            lab.run()
        return lab.faults(path, executed=run)


def made(lab: Lab, name: str, *cells: nbformat.NotebookNode) -> str:
    """Writes a notebook into the copy, and returns its path there."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells), metadata=metadata), lab.root / name)
    return name


def code(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source)


def prose(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def test_every_notebook_opens(lab: Lab) -> None:
    """Protects whoever opens the repository in JupyterLab: all cells and pictures of all notebooks are shown."""
    faults = [fault for path in SOURCES + EXECUTED for fault in looked_at(lab, path)]
    assert SOURCES and EXECUTED and not faults, "\n".join(faults)


def test_a_notebook_runs_to_its_end(lab: Lab) -> None:
    """Protects the first thing that people do: set preset to smoke, run all cells; the repository stays as it was."""
    before = tree()
    path = "notebooks/00_start_here.ipynb"
    given = (lab.root / path).read_text(encoding="utf-8")
    changed = given.replace("preset = None", "preset = 'smoke'")
    assert changed != given
    (lab.root / path).write_text(changed, encoding="utf-8")
    with lab.opened(path, kernel=True):
        lab.run()
        faults, images = lab.faults(path, executed=True), lab.images()
    assert not faults, "\n".join(faults)
    assert images and tree() == before


def tree() -> str:
    """What differs from the last commit."""
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_cell_that_fails_is_found_out(lab: Lab) -> None:
    """Protects the tests above: an error output, and the cell that was not executed after it, are told."""
    error, unexecuted = looked_at(lab, made(lab, "error.ipynb", code("1 / 0"), code("2")), run=True)
    assert error == "error.ipynb, cell 1 (1 / 0): the output is an error, ZeroDivisionError: division by zero"
    assert unexecuted == "error.ipynb, cell 2 (2): it was not executed"


def test_a_kernel_that_dies_is_found_out(lab: Lab) -> None:
    """Protects the tests above: a kernel that ends in the middle is told, though Jupyter starts another."""
    faults = looked_at(lab, made(lab, "dead.ipynb", code("import os; os._exit(1)")), run=True)
    assert faults[0].startswith("dead.ipynb: its kernel died")


def test_a_broken_image_is_found_out(lab: Lab) -> None:
    """Protects the tests above: a missing attachment, a missing file and damaged data are told, a good one is not."""
    shown = nbformat.v4.new_output("display_data", {"image/png": "AAAA"})
    path = made(
        lab, "images.ipynb", prose(f"![good]({PIXEL})"), prose("![a](attachment:gone.png)"), prose("![b](gone.png)"),
        nbformat.v4.new_code_cell("f()", outputs=[shown], execution_count=1),
    )  # fmt: skip
    faults = looked_at(lab, path)
    assert [fault.split(":")[0] for fault in faults] == [
        "images.ipynb, cell 2 (![a](attachment", "images.ipynb, cell 3 (![b](gone.png))", "images.ipynb, cell 4 (f())"
    ]  # fmt: skip
    assert all("an image is broken or missing" in fault for fault in faults)


def test_a_missing_browser_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects CI: where there is no Chromium these tests are skipped with a reason, but in CI they fail."""
    monkeypatch.setattr(browser, "CHROMIUM", None)
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="there is no chromium here"):
        browser.need_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="there is no chromium"):
        browser.need_chromium()
