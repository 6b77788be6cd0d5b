"""The pipeline on made-up notebooks: what runs, what is refused, what is left behind."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from repro import executed, pipeline

# The tests share one run of four notebooks, so they belong on one worker.
pytestmark = pytest.mark.xdist_group("pipeline")

REPORT = """
import os, sys, warnings
warnings.warn("look")
print("python", os.path.samefile(sys.executable, INTERPRETER))
print("c", repr(c), "preset", preset, "jobs", os.environ["REPRO_JOBS"], "threads", os.environ["OMP_NUM_THREADS"])
print("fresh", float(os.environ["REPRO_FRESH_SINCE"]) > 0, "priors", os.environ["REPRO_TRAIN_PRIORS"])
print("in", os.getcwd())
"""


def write_notebook(path: Path, parameters: str, code: str) -> None:
    """Writes a source notebook with a title, a parameters cell and one cell of code."""
    notebook = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# About {path.stem}"), first, nbformat.v4.new_code_cell(code)]
    nbformat.write(notebook, path)


def make_root(root: Path) -> Path:
    """Makes a repository of four notebooks, of which the second fails; returns its root."""
    folder = root / "notebooks"
    folder.mkdir(parents=True)
    report = REPORT.replace("INTERPRETER", repr(sys.executable))
    write_notebook(folder / "00_report.ipynb", "preset = None\nc: float | None = None  # the temperature", report)
    write_notebook(folder / "01_fails.ipynb", "preset = None", "1 / 0")
    write_notebook(folder / "02_plain.ipynb", "preset = None", "print(preset)")
    write_notebook(folder / "99_end.ipynb", "preset = None\nresults = None", "print(results)")
    write_notebook(folder / "draft.ipynb", "preset = None", "raise SystemError('a notebook without a number ran')")
    return root


@dataclass(frozen=True)
class Outcome:
    """What one call of the command line did."""

    code: int
    printed: str
    root: Path

    def text(self, name: str) -> str:
        """The executed copy of a notebook, as it lies on disk."""
        return (self.root / "results" / "own" / "notebooks" / name).read_text(encoding="utf-8")

    def streams(self, name: str) -> str:
        """All that the cells of an executed notebook printed."""
        cells = json.loads(self.text(name))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run of all four notebooks, on a machine with a misleading kernel, after an earlier run that succeeded."""
    root = make_root(tmp_path_factory.mktemp("a {brace} and a space"))
    output = root / "results" / "own" / "notebooks"  # because a parameter is changed
    output.mkdir(parents=True)
    (output / "01_fails.ipynb").write_text("the good copy of yesterday", encoding="utf-8")
    kernel = root / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["false"], "display_name": "Another", "language": "python"}', encoding="utf-8")
    arguments = ["--preset", "smoke", "--jobs", "3", "-p", "c", "1.0", "--fresh", "--train-priors"]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        code = pipeline.main(arguments, root)
    return Outcome(code, printed.getvalue(), root)


def test_a_failure_stops_nothing_and_is_told(outcome: Outcome) -> None:
    """Protects: one broken notebook costs neither the others nor the exit code that a script looks at."""
    assert outcome.code == 1
    table = outcome.printed.partition("\nnotebook ")[2].partition("\n\n")[0].splitlines()
    assert table[0].split() == ["minutes", "state", "output"]
    assert [(line.split()[0], line.split()[2], line.split()[3].split("/")[-1]) for line in table[1:]] == [
        ("00_report", "ok", "00_report.ipynb"),
        ("01_fails", "failed", "01_fails.failed.ipynb"),
        ("02_plain", "ok", "02_plain.ipynb"),
        ("99_end", "ok", "99_end.ipynb"),
    ]
    assert "ZeroDivisionError" in outcome.printed


def test_the_end_tells_verdicts_and_report(outcome: Outcome) -> None:
    """Protects: the last lines are the verdicts and where the report is, also where nothing has been judged."""
    *_, verdicts, report = outcome.printed.strip().split("\n\n")
    assert verdicts == "none yet: run notebook 99" and report == "The report: results/own/report.html"
    assert "About 02_plain" in (outcome.root / "results" / "own" / "report.html").read_text(encoding="utf-8")


def test_a_damaged_ledger_fails_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Protects: hours of runs end with their own exit code, whatever the report meets."""
    (tmp_path / "claims.json").write_text("[{", encoding="utf-8")
    pipeline.close(tmp_path, tmp_path)
    assert "The report was not written: JSONDecodeError" in capsys.readouterr().out


def test_progress_is_shown(outcome: Outcome) -> None:
    """Protects: somebody who waits for hours sees which notebook is running."""
    assert "[2/4] 01_fails starts" in outcome.printed
    assert "[3/4] 02_plain: ok after" in outcome.printed


def test_a_failure_leaves_the_last_good_copy(outcome: Outcome) -> None:
    """Protects: a bad day does not destroy committed results; the failure itself can be read beside them."""
    assert outcome.text("01_fails.ipynb") == "the good copy of yesterday"
    assert "ZeroDivisionError" in outcome.text("01_fails.failed.ipynb")
    names = sorted(path.name for path in (outcome.root / "results" / "own" / "notebooks").iterdir())
    copies = ["00_report.ipynb", "01_fails.failed.ipynb", "01_fails.ipynb", "02_plain.ipynb", "99_end.ipynb"]
    assert names == copies


def test_parameters_reach_who_has_them(outcome: Outcome) -> None:
    """Protects: -p changes the notebooks that have the parameter, as a string, and leaves the others alone."""
    assert "c '1.0' preset smoke" in outcome.streams("00_report.ipynb")
    assert outcome.streams("02_plain.ipynb") == "smoke\n"
    assert '"c = ' not in outcome.text("02_plain.ipynb")
    assert outcome.streams("99_end.ipynb") == "results/own\n"


def test_kernels_are_ours_and_steered(outcome: Outcome) -> None:
    """Protects: results come from this environment with one thread a process, and options reach `repro.runs`."""
    streams = outcome.streams("00_report.ipynb")
    assert "python True" in streams
    assert "jobs 3 threads 1" in streams
    assert "fresh True priors 1" in streams


def test_executed_notebooks_do_not_name_the_machine(outcome: Outcome) -> None:
    """Protects: committed notebooks differ only where results differ, and do not tell who made them."""
    assert "in .\n" in outcome.streams("00_report.ipynb")
    assert "<cell>:2: UserWarning: look" in outcome.streams("00_report.ipynb")
    for name in ("00_report.ipynb", "01_fails.failed.ipynb"):
        notebook = json.loads(outcome.text(name))
        shown = json.dumps([cell.get("outputs") for cell in notebook["cells"]])
        assert str(outcome.root) not in shown
        assert tempfile.gettempdir() + "/ipykernel" not in shown
        assert "papermill" not in notebook["metadata"]
        assert not any({"papermill", "execution"} & set(cell["metadata"]) for cell in notebook["cells"])
    assert '"id": "injected-parameters"' in outcome.text("00_report.ipynb")


def test_anonymous_spares_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Protects: pictures and sounds, whose base64 can contain what looks like a short path, stay intact."""
    monkeypatch.setattr(executed.Path, "home", lambda: Path("/ab"))
    data = {"image/png": "iVBORw0/ab/cd==", "text/plain": ["\x1b[32m/ab/x.py\x1b[0m", f"File {tmp_path}/y, /ab."]}
    assert executed.anonymous(data, tmp_path) == {
        "image/png": "iVBORw0/ab/cd==",
        "text/plain": ["\x1b[32m~/x.py\x1b[0m", "File ./y, ~."],
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up repository in which nothing may run."""

    def never(*arguments: object) -> pipeline.Row:
        raise AssertionError("a notebook ran")

    monkeypatch.setattr(pipeline, "run_notebook", never)
    return make_root(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bogus"], "--bogus"),
        (["--preset", "tiny"], "there is no preset 'tiny'; there are smoke, laptop, paper."),
        (["-p", "preset", "tiny"], "there is no preset 'tiny'"),
        (["-p", "temperature", "1"], "has a parameter 'temperature'; there are c, preset, results."),
        (["--only", "02", "-p", "c", "1"], "has a parameter 'c'; there are preset."),
        (["--only", "07"], "--only '07' matches no notebook; there are 00_report, 01_fails, 02_plain, 99_end."),
        (["--only", "02,"], "--only '' matches no notebook"),
        (["--jobs", "0"], "--jobs must be a positive whole number, not '0'."),
        (["--jobs", "2.5"], "--jobs must be a positive whole number"),
        (["--jobs", "-1"], "--jobs must be a positive whole number"),
        (["--jobs"], "--jobs"),
        (["-p", "c"], "-p"),
        (["--results", "notebooks/00_report.ipynb"], "cannot be written"),
        (["--notebooks", "nowhere"], "there are no notebooks"),
    ],
)
def test_bad_input_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """Protects: a slip at the terminal costs a second and one sentence, not an hour and a traceback."""
    assert pipeline.main(arguments, root) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert sentence in printed.err


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (None, ["00_report", "01_fails", "02_plain", "99_end"]),
        ("02", ["02_plain"]),
        ("2", ["02_plain"]),
        ("99,00_report.ipynb", ["00_report", "99_end"]),
    ],
)
def test_only(root: Path, only: str | None, names: list[str]) -> None:
    """Protects: --only chooses by number or name and keeps the order; without it every numbered notebook runs."""
    options = pipeline.parse(["--only", only] if only else [])
    assert [notebook.path.stem for notebook in pipeline.make_plan(options, root).notebooks] == names


def test_results_move_together(root: Path) -> None:
    """Protects: the executed notebooks lie in the folder that the notebooks themselves are told to write to."""
    for arguments in (["--results", "elsewhere"], ["-p", "results", "elsewhere"]):
        plan = pipeline.make_plan(pipeline.parse(arguments), root)
        assert plan.output == root / "elsewhere" / "notebooks"
        assert plan.parameters == {"preset": "laptop", "results": "elsewhere"}
    assert pipeline.make_plan(pipeline.parse([]), root).output == root / "results" / "laptop" / "notebooks"
    changed = pipeline.make_plan(pipeline.parse(["-p", "c", "1"]), root)
    assert changed.output == root / "results" / "own" / "notebooks" and changed.parameters["results"] == "results/own"


def test_list_and_check_run_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Protects: looking costs nothing; `root` lets no notebook run."""
    assert pipeline.main(["--list"], root) == 0
    assert "02_plain                About 02_plain  [preset]" in capsys.readouterr().out
    assert not (root / "results").exists()
    assert pipeline.main(["--check"], root) == 0


def test_interruption_shows_the_table_so_far(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protects: Ctrl-C ends with what was done and the exit code that shells expect."""

    def interrupted(notebook: pipeline.Notebook, *rest: object) -> pipeline.Row:
        if notebook.path.stem == "01_fails":
            raise KeyboardInterrupt
        return pipeline.Row(notebook.path.stem, 1.5, "ok", "somewhere")

    monkeypatch.setattr(pipeline, "run_notebook", interrupted)
    assert pipeline.main(["--only", "00,01,02"], root) == 130
    table = capsys.readouterr().out.rsplit("\n\n", 1)[1].splitlines()[1:]
    assert [line.split()[:3] for line in table] == [
        ["00_report", "1.5", "ok"],
        ["01_fails", "0.0", "interrupted"],
        ["02_plain", "0.0", "interrupted"],
    ]


def test_a_second_run_writes_the_same_notebook() -> None:
    """Protects committed notebooks: random names of styled tables and addresses in memory do not make a difference."""
    outputs = [{"data": {"text/html": ["#T_3bfef th.x", "T_3bfef_row0"], "text/plain": "<Styler at 0x7f3c5a>"}}]
    again = [{"data": {"text/html": ["#T_61168 th.x", "T_61168_row0"], "text/plain": "<Styler at 0x7f0000>"}}]
    assert executed.anonymous(outputs, table="T_04-05") == executed.anonymous(again, table="T_04-05")
    assert executed.anonymous("T_3bfef_row0", table="T_04-05") == "T_04-05_row0"
