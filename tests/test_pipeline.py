"""The pipeline on made-up notebooks: what runs, what is refused, what is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from repro import ROOT, pipeline
from repro.book import report

OWN = "results/own/c=1.0_preset=smoke"
REPORT = f"""
import os, sys, warnings
import pandas as pd
from pathlib import Path
from ipykernel.kernelapp import IPKernelApp
from repro.book import report
IPKernelApp.instance().log.error("KeyboardInterrupt caught in kernel")
warnings.warn("look")
print("python", os.path.samefile(sys.executable, INTERPRETER))
print("c", repr(c), "preset", preset, "jobs", os.environ["REPRO_JOBS"], "threads", os.environ["OMP_NUM_THREADS"])
print("fresh", float(os.environ["REPRO_FRESH_SINCE"]) > 0, "priors", os.environ["REPRO_TRAIN_PRIORS"])
print("bars", "REPRO_NO_BARS" not in os.environ, "in", os.getcwd())
report.write_frame(Path.cwd() / "{OWN}", "x", pd.DataFrame({{"a": [1]}}))
"""


def write_notebook(path: Path, parameters: str, code: str) -> None:
    """Writes a source notebook with a title, a parameters cell and one cell of code."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell(f"# About {path.stem}"), first, nbformat.v4.new_code_cell(code)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with notebooks of its own, of which the second fails, in a folder with an odd name."""
    root = tmp_path_factory.mktemp("a {brace} and a space")
    shutil.copytree(ROOT / "repro", root / "repro", ignore=shutil.ignore_patterns("__pycache__"))
    report = REPORT.replace("INTERPRETER", repr(sys.executable))
    folder = root / "notebooks"
    write_notebook(folder / "00_report.ipynb", "preset = None\nc: float | None = None  # the temperature", report)
    write_notebook(folder / "01_fails.ipynb", "preset = None", "1 / 0")
    write_notebook(folder / "99_end.ipynb", "preset = None\nresults = None", "print(preset, results)")
    write_notebook(folder / "draft.ipynb", "preset = None", "raise SystemError('a notebook without a number ran')")
    return root


def start(root: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the command in a copy of the repository."""
    own = os.environ | {"PYTHONPATH": str(root), "REPRO_CACHE": str(root / "cache")} | environment
    command = [sys.executable, "-m", "repro.pipeline", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # tests in the background ignore it
    return subprocess.Popen(command, cwd=root, env=own, start_new_session=True, **pipes)


def test_a_whole_run(repository: Path) -> None:
    """Protects `run_all.sh`: a failure stops nothing and leaves the earlier copy, parameters and options arrive, the
    kernel is ours though the machine has a misleading one, copies tell neither machine nor warnings, which are printed;
    what was written has its row; a notebook is a line, the end says how to go on, and no kernel's log is shown.
    """
    output = repository / OWN / "notebooks"  # because a parameter is changed
    output.mkdir(parents=True)
    (output / "01_fails.ipynb").write_text("the good copy of yesterday", encoding="utf-8")
    kernel = repository / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["false"], "display_name": "Another", "language": "python"}', encoding="utf-8")
    arguments = ["--preset", "smoke", "--jobs", "3", "-p", "c", "1.0", "--fresh", "--train-priors"]
    process = start(repository, *arguments, JUPYTER_PATH=str(repository / "jupyter"))
    printed, errors = process.communicate(timeout=300)

    assert process.returncode == 1
    printed = re.sub(r"(?<=REPRO_FRESH_SINCE=)[\d.]+|(?<=runs from )[\d:]+", "TIME", printed)
    assert re.sub(r" +[\d.]+ min", " MINUTES", printed).splitlines() == [
        f"Notebooks to run: 3. Results: {OWN}. Finished runs from TIME on are read, others made. "
        "They are tiny: their numbers mean nothing.",
        "c is no parameter of 01_fails, 99_end",
        "[1/3] 00_report MINUTES  About 00_report",
        "    <cell>:7: UserWarning: look",
        '      warnings.warn("look")',
        "[2/3] 01_fails MINUTES  failed: ZeroDivisionError: division by zero",
        f"    {OWN}/notebooks/01_fails.failed.ipynb shows where",
        "[3/3] 99_end MINUTES  About 99_end",
        "",
        "Finished runs are kept: the same command goes on, with REPRO_FRESH_SINCE=TIME before it and without --fresh.",
    ]
    assert "caught" not in errors
    assert "About 99_end" in (repository / OWN / "report.html").read_text(encoding="utf-8")

    shown = {path.name: path.read_text(encoding="utf-8") for path in output.iterdir()}
    assert shown.pop("01_fails.ipynb") == "the good copy of yesterday"
    assert sorted(shown) == ["00_report.ipynb", "01_fails.failed.ipynb", "99_end.ipynb"]
    assert "ZeroDivisionError" in shown["01_fails.failed.ipynb"] and f"smoke {OWN}\\n" in shown["99_end.ipynb"]
    said = "".join(json.loads(shown["00_report.ipynb"])["cells"][3]["outputs"][0]["text"])
    assert said == "python True\nc '1.0' preset smoke jobs 3 threads 1\nfresh True priors 1\nbars False in .\n"
    for text in shown.values():
        personal = (str(repository), tempfile.gettempdir(), '"papermill"', '"execution"', "stderr")
        assert not [word for word in personal if word in text.replace(sys.executable, "")]  # stands in the source
    assert "code of `version 0.1.0` with c=1.0 preset=smoke." in shown["00_report.ipynb"]
    row = (repository / OWN / "provenance.csv").read_text(encoding="utf-8").splitlines()[1]
    assert row.startswith("tables/x.csv,") and row.endswith(",00_report,c=1.0 preset=smoke,,version 0.1.0")


@pytest.mark.parametrize(("how", "code", "gone"), [(signal.SIGINT, 130, False), (signal.SIGINT, 130, True),
                                                   (signal.SIGKILL, -9, False)])  # fmt: skip
def test_an_end_in_the_middle_leaves_nothing_half_written(repository: Path, how: int, code: int, gone: bool) -> None:
    """Protects results from Ctrl-C, at once and in a line, also where nobody reads it, as behind a `| tee` that ended
    first, and from power cuts: the earlier copy stays, whole.
    """
    long = "import time; open('begun', 'w').close(); time.sleep(600)"
    write_notebook(repository / "notebooks" / "50_long.ipynb", "preset = None", long)
    copy = repository / "results" / "middle" / "notebooks" / "50_long.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text("the good copy of yesterday", encoding="utf-8")
    process = start(repository, "--only", "50", "--results", "results/middle")
    assert process.stdout is not None and "Finished runs are read, others made." in process.stdout.readline()
    ended = time.monotonic() + 120
    while not (repository / "begun").exists():
        assert time.monotonic() < ended and process.poll() is None, "the notebook did not begin"
        time.sleep(0.1)
    if gone:
        process.stdout.close()
        process.stdout = None
    process.send_signal(how)
    process.wait(timeout=10)
    printed, errors = process.communicate(timeout=20)
    for name in ("notebooks/50_long.ipynb", "begun"):
        (repository / name).unlink()
    assert process.returncode == code and errors == ""
    assert ("interrupted" in (printed or "")) == (printed is not None and code == 130)
    assert list(copy.parent.iterdir()) == [copy] and copy.read_text() == "the good copy of yesterday"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which nothing may run; its results are its own."""
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    monkeypatch.setattr(pipeline, "run_all", lambda *_: pytest.fail("a notebook ran"))
    monkeypatch.setattr(pipeline.os, "execv", lambda *_: pytest.fail("another program started"))
    return tmp_path


def test_only_selects_and_changes_go_elsewhere(root: Path) -> None:
    """Protects `--only`, whose numbers may be short or listed, and reference results from whatever changes a number."""
    for only, count in (("00", 1), ("2", 1), ("02_note_rnn.ipynb, 0", 2)):
        assert len(pipeline.find_notebooks(only)) == count
    for arguments, place in (("", "laptop"), ("-p c 1", "own/c=1_preset=laptop"), ("--preset smoke", "smoke"),
                             ("-p c 1 --results results/mine", "mine")):  # fmt: skip
        assert pipeline.make_plan(arguments.split())[-1] == root / "results" / place


def test_what_no_notebook_could_use_is_refused_before_the_first(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protects from notebooks that all fail alike: a scheduler that is none, a wrong value in the environment."""
    for set_up, arguments, says in (({}, ["--scheduler", "nowhere:"], "REPRO_SCHEDULER is 'nowhere:': it must be the "),
                                    ({"REPRO_SCHEDULER": "none:"}, [], "REPRO_SCHEDULER is 'none:': it must be the "),
                                    ({"REPRO_JOBS": "x"}, [], "REPRO_JOBS is 'x': it must be a whole ")):  # fmt: skip
        with monkeypatch.context() as patch, pytest.raises(SystemExit, match="^2$"):
            patch.setattr(pipeline.os, "environ", dict(os.environ) | set_up)
            pipeline.main(arguments)
        assert capsys.readouterr().err.startswith(f"run_all: {says}")


def test_a_line_tells_what_a_notebook_found(root: Path) -> None:
    """Protects the terminal: the finding is the first sentence under "What we see", whole and without marks."""
    found = {notebook.path.stem: report.finding(notebook.path) for notebook in pipeline.find_notebooks()}
    assert found["01_exact_optimum"] == "Psi and G end at the optimum, in every seed."
    assert found["10_roads"].startswith("At c = .5, on brackets and tones, ")
    assert not [each for each in found.values() if len(each) > 200 or each[-1] not in ".!?" or "*" in each]


def test_lab_and_test_become_another_program(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `--lab` and `--test`: signals and exit codes are the other program's, with one thread per process."""
    monkeypatch.setattr(pipeline.os, "environ", environment := {})
    monkeypatch.setattr(pipeline.os, "execv", lambda path, words: sys.exit(" ".join(words[2:])))
    tests = "pytest -q -n auto --maxprocesses 4 --dist=loadgroup"
    asked = ((1000, "--lab", "jupyterlab"), (0, "--lab", "jupyterlab --allow-root"), (0, "--test", tests))
    for user, option, words in asked:
        monkeypatch.setattr(pipeline.os, "geteuid", lambda user=user: user)
        with pytest.raises(SystemExit, match=f"^{words}$"):
            pipeline.main([option])
    assert environment["OMP_NUM_THREADS"] == "1"


def test_a_look_runs_nothing_needs_nothing_and_is_quick(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Protects `run_all.sh`, which looks before anything is installed: no import but the standard library's."""
    assert pipeline.main(["--list"]) == 0 and not (root / "results").exists()
    assert capsys.readouterr().out.startswith("00_start_here ") and pipeline.main(["--check", "--test"]) == 0
    # 03 alone has melodies: both notebooks are chosen
    checked = ["--check", "--only", "03", "-p", "seeds", "0", "--only", "06", "-p", "melodies", "5"]
    code = "import sys; before = set(sys.modules); import repro.pipeline as p; p.main(['--list']); "
    code += f"print(p.main({checked}), *{{name.split('.')[0] for name in set(sys.modules) - before}}"
    code += " - sys.stdlib_module_names)"
    began = time.monotonic()
    told = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0 repro" and time.monotonic() - began < 1


def test_a_second_run_writes_the_same_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects committed notebooks: random names, addresses and other code alone renew no copy; other outputs do.
    Pictures and sounds, whose base64 can contain what looks like a short path, stay intact.
    """
    target = tmp_path / "04_x.ipynb"

    def copy(commit: str, table: str, value: str) -> str:
        html = {"text/html": f"#{table} th {value}", "text/plain": f"<Styler at 0x{table[2:]}>"}
        cell = nbformat.v4.new_code_cell("f()", outputs=[nbformat.v4.new_output("display_data", html)], id="one")
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "made")
        pipeline.write_copy(tmp_path / "made", target, f"Made by the code of `{commit}` with preset=laptop.")
        return target.read_text(encoding="utf-8")

    first = copy("abc", "T_3bfef", "1")
    assert "#T_one th 1" in first and "<Styler>" in first and "`abc`" in first
    assert copy("def+changes", "T_61168", "1") == first
    assert "`def`" in copy("def", "T_61168", "2")
    monkeypatch.setattr(pipeline.Path, "home", lambda: Path("/ab"))
    data = ["iVBORw0/ab/cd==", "\x1b[32m/ab/x.py\x1b[0m", "File /tmp/root/y, /ab."]
    told = ["iVBORw0/ab/cd==", "\x1b[32m~/x.py\x1b[0m", "File ./y, ~."]
    assert pipeline.anonymous({"text/plain": data}, Path("/tmp/root")) == {"text/plain": told}


def test_only_code_makes_another_commit(tmp_path: Path) -> None:
    """Protects provenance: results or prose leave the commit, changes show, a shallow clone names the same code."""
    root = tmp_path / "repository"

    def git(*words: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(root), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def commit(name: str) -> str:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(time.monotonic()))
        git("add", "-A")
        git("commit", "-q", "-m", name)
        return pipeline.commit(root)

    root.mkdir()
    assert "version" in pipeline.commit(root)
    git("init", "-q")
    first = commit("repro/a.py")
    assert len(first) == 12 and commit("results/x.csv") == first
    git("clone", "-q", "--depth", "1", root.as_uri(), str(tmp_path / "shallow"))
    assert pipeline.commit(tmp_path / "shallow") == git("rev-parse", "HEAD")[:12]
    (root / "repro" / "b.py").write_text("new")
    assert pipeline.commit(root) == first + "+changes"
    assert commit("notebooks/c.ipynb") not in (first, first + "+changes")
