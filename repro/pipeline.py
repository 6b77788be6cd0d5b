"""Runs the notebooks in order, through papermill: `bash run_all.sh` ends here. Executed copies name no machine.

Exit codes: 0 all ran, 1 some failed (all others ran), 2 bad input (nothing ran), 130 interrupted. Only the
standard library is imported at the top: run_all.sh has the options checked before anything is installed.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from repro import PARAMETER, PRESETS, ROOT, SettingsError, own_results, results_folder


class Notebook(NamedTuple):
    """A source notebook, its first heading, and the names assigned in its cell tagged `parameters`."""

    path: Path
    title: str
    parameters: tuple[str, ...]


def refuse(sentence: str) -> NoReturn:
    """Ends the command before anything ran, with one sentence."""
    print(f"run_all: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def read_notebook(path: Path) -> Notebook:
    """Reads what the command line needs to know of a notebook, with the standard library alone."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    title = "".join(re.findall(r"^#+\s*(.+)$", prose, re.MULTILINE)[:1])
    tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return Notebook(path, title, tuple(PARAMETER.findall("\n".join(tagged[:1]))))


def find_notebooks(only: str | None = None) -> list[Notebook]:
    """The numbered notebooks, in order: all, or those whose names start with an entry of `only`, "01,02"."""
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]*.ipynb"))
    if not paths:
        refuse(f"there are no notebooks in {ROOT / 'notebooks'}: they belong to the repository, not to a wheel.")
    chosen = set(paths if only is None else ())
    for entry in only.split(",") if only is not None else ():
        start = entry.strip().removesuffix(".ipynb").zfill(2)
        matches = {path for path in paths if entry.strip() and path.stem.startswith(start)}
        if not matches:
            refuse(f"--only {entry!r} matches no notebook; there are {', '.join(path.stem for path in paths)}.")
        chosen |= matches
    return [read_notebook(path) for path in sorted(chosen)]


def make_plan(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[Notebook], dict[str, str], Path]:
    """Reads and checks the command line: options, notebooks to run, parameters for those that have them, results."""
    parser = argparse.ArgumentParser("bash run_all.sh", description="Runs the notebooks in order.", allow_abbrev=False)
    # argparse, but an error is one sentence
    parser.error = lambda message: refuse(f"{message}; --help lists the options.")  # type: ignore[method-assign]
    add = parser.add_argument
    add("--preset", dest="given", action="append", default=[], type=lambda name: ("preset", name), metavar="NAME",
        help="smoke, laptop (default) or paper")  # fmt: skip
    add("--only", action="append", metavar="NN", help="only those that start so: 02, or 01,02; may be repeated")
    add("--jobs", metavar="N", help="processes at a time (default: all cores)")
    add("--scheduler", metavar="ADDRESS", help="the Dask scheduler whose workers make the runs (see INSTALL.md)")
    add("-p", dest="given", nargs=2, action="append", metavar=("NAME", "VALUE"),
        help="a parameter for every notebook that has it; may be repeated")  # fmt: skip
    add("--results", dest="given", action="append", type=lambda folder: ("results", folder), metavar="DIR",
        help="where results go (default: results/PRESET, or one of results/own with -p)")  # fmt: skip
    add("--fresh", action="store_true", help="ignore finished runs")
    add("--train-priors", action="store_true", help="ignore the shipped priors")
    add("--lab", action="store_true", help="open JupyterLab instead of running the notebooks")
    add("--test", action="store_true", help="run the tests instead")
    add("--conda", action="store_true", help="set up from environment.yml through mamba, micromamba or conda")
    add("--list", action="store_true", help="list the notebooks with their parameters and stop")
    add("--check", action="store_true", help="check the other options and stop")
    options = parser.parse_args(arguments)
    parameters = dict(options.given)
    names = [name for name, _ in options.given]  # --preset and --results are parameters too
    if twice := [name for name in parameters if names.count(name) > 1]:
        refuse(f"{twice[0]} is given {names.count(twice[0])} times: give it once, by -p or by an option of its own.")
    preset = parameters.setdefault("preset", "laptop")
    if preset not in PRESETS:
        refuse(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}.")
    if options.jobs is not None and not re.fullmatch("0*[1-9][0-9]{0,5}", options.jobs):
        refuse(f"--jobs must be a whole number from 1 to 999999, not {options.jobs!r}.")
    notebooks = find_notebooks(options.only and ",".join(options.only))
    known = sorted({name for notebook in notebooks for name in notebook.parameters})
    if unknown := [name for name in parameters if name not in (*known, "preset", "results")]:
        refuse(f"no notebook chosen here has a parameter {unknown[0]!r}; there are {', '.join(known) or 'none'}.")
    if parameters.keys() - {"preset"}:  # changed settings go elsewhere, as in studies
        parameters.setdefault("results", own_results(parameters))
    try:
        results = results_folder(parameters.get("results", f"results/{preset}"), ROOT)
        if not options.list:
            results.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=results).close()
    except SettingsError as error:
        refuse(f"{error}.")
    except OSError as error:
        refuse(f"the results folder {results} cannot be written: {error.strerror}.")
    return options, notebooks, parameters, results


def run_one(source: Path, parameters: dict[str, str], results: Path, scratch: Path) -> tuple[str, list[str]]:
    """Executes a notebook; returns why it failed or "", and its warnings; NAME.failed.ipynb leaves the copy alone."""
    import papermill
    from traitlets.config import Config

    from repro import store
    from repro.book import report

    name, made, journal, code = source.stem, scratch / "executed.ipynb", scratch / "journal", commit(ROOT)
    good, bad = (results / "notebooks" / f"{name}{end}.ipynb" for end in ("", ".failed"))
    for old in (made, journal, bad):
        old.unlink(missing_ok=True)
    # No start-up file of the user's IPython takes part; what a killed kernel leaves goes with the scratch folder.
    os.environ |= dict.fromkeys(("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"), str(scratch))
    os.environ["REPRO_JOURNAL"] = str(journal)
    given = " ".join(f"{key}={value}" for key, value in sorted(parameters.items()) if key != "results")
    last = (f"Made by the code of `{code}` with {given or 'the default parameters'}. Files that this notebook wrote, "
            f"with their digests and experiments, are listed in [{report.INDEX}](../{report.INDEX}).")  # fmt: skip
    plain = Config(KernelManager={"transport_encryption": "auto"})  # otherwise each kernel warns of plain text
    quiet = ["--log-level=50"]  # otherwise a kernel that is told to end may log an error
    try:
        # A loaded notebook, not its path: papermill would take braces in a path for parameters to fill in.
        notebook = papermill.iorw.load_notebook_node(str(source))
        papermill.execute_notebook(notebook, made, parameters, cwd=ROOT, kernel_name="python3", extra_arguments=quiet,
                                   language="python", progress_bar=False, start_timeout=300, config=plain)  # fmt: skip
        warnings = write_copy(made, good, last).splitlines()
        report.record(results, name, given, journal, code)
        return "", warnings
    except Exception as error:  # whatever went wrong with this one, the others still run
        message = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or type(error).__name__
        message = message.replace("Kernel died", "its kernel died: it was killed, or there was too little memory")
        if made.exists():
            write_copy(made, bad)
        return f"failed: {message.splitlines()[-1]}", [f"{store.shown(bad)} shows where"] * bad.exists()


def commit(root: Path) -> str:
    """The last commit of the code alone, 12 digits, "+changes" where some are not committed; else its version."""
    how: Any = {"shell": True, "cwd": root, "capture_output": True, "text": True}  # a shell, for there may be no git
    git, asked = "git --no-optional-locks {} -- repro notebooks", ("log -1 --format=%H", "status --porcelain")
    last, changes = (subprocess.run(git.format(words), check=False, **how).stdout for words in asked)
    return last[:12] + "+changes" * bool(changes) if last else f"version {metadata.version('sequence-tutor-repro')}"


def write_copy(executed: Path, target: Path, made: str = "") -> str:
    """Writes papermill's output without what differs by machine or day; returns warnings, which a good copy lacks."""
    # `made` is the last cell of a good copy; if only the commit in it differs, the earlier copy stays
    import nbformat

    from repro import store

    notebook, warnings = nbformat.read(executed, as_version=4), ""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key not in ("papermill", "execution")}
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"  # papermill draws a random one
        if cell.cell_type == "code":
            outputs = anonymous(cell["outputs"], ROOT, f"T_{cell['id']}")
            told = [output for output in outputs if made and output.get("name") == "stderr"]
            warnings += "".join(output["text"] for output in told)
            cell["outputs"] = [output for output in outputs if output not in told]
    if made:
        notebook.cells.append(nbformat.v4.new_markdown_cell(made, id="provenance"))
    text = nbformat.writes(notebook) + "\n"
    earlier = target.read_text(encoding="utf-8") if made and target.exists() else ""
    if len({re.sub(r"Made by the code of `[^`]+`", "", each) for each in (earlier, text)}) > 1:
        store.write(target, text.encode())
    return warnings


def anonymous(value: Any, root: Path, table: str = "T_") -> Any:
    """Outputs (str, or list or dict of them) without paths, addresses in memory and random names of styled tables."""
    if isinstance(value, dict):
        return type(value)({key: anonymous(entry, root, table) for key, entry in value.items()})
    if isinstance(value, list):
        return [anonymous(entry, root, table) for entry in value]
    if not isinstance(value, str):
        return value
    value = re.sub(re.escape(tempfile.gettempdir()) + r"(?:/\w+)?/ipykernel_\d+/\d+\.py", "<cell>", value)
    value = re.sub(r"\bT_[0-9a-f]{5}(?![0-9a-f])", table, re.sub(r" at 0x[0-9a-f]+>", ">", value))
    places = {str(root): ".", sys.prefix: "<environment>", sys.base_prefix: "<python>", str(Path.home()): "~"}
    before = r"(^|[^\w+/=.-]|file://|\x1b\[[\d;]*m)"  # no path is in the middle of a longer word, as of base64
    for place, name in places.items():
        if len(Path(place).parts) > 1:  # a home or prefix of "/" would match every path
            value = re.sub(before + re.escape(place) + r"(?![\w+=-])", rf"\g<1>{name}", value)
    return value


def interrupted(scratch: str, go_on: str, *_: object) -> NoReturn:
    """Ends the command at Ctrl-C without waiting for kernels, which end with it within a second."""
    try:  # an error of its own, as of a terminal that is gone, would be one of the notebook, and the run would go on
        os.write(sys.stdout.fileno(), f"\ninterrupted. {go_on}\n".encode())
        shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os._exit(130)  # the exit code that shells expect; to take Python and torch apart takes seconds


def run_all(notebooks: Sequence[Notebook], parameters: dict[str, str], results: Path) -> int:
    """Runs notebooks, a line for each, then tells what was found and where the report is; returns the exit code."""
    from repro import processes, store
    from repro.book import report, verdicts

    since, go_on = processes.environment("REPRO_FRESH_SINCE"), "Finished runs are kept: the same command goes on"
    after = time.strftime(" from %H:%M:%S on", time.localtime(since)) if since else ""
    go_on += f", with REPRO_FRESH_SINCE={since} before it and without --fresh." if since else "."
    tiny = " They are tiny: their numbers mean nothing." * (parameters.get("preset") == "smoke")
    print(f"Notebooks to run: {len(notebooks)}. Results: {store.shown(results)}.", end=" ")
    print(f"Finished runs{after} are read, others made.{tiny}")
    for name in parameters:
        without = [notebook.path.stem for notebook in notebooks if name not in notebook.parameters]
        if without and name not in ("preset", "results"):
            print(f"{name} is no parameter of {', '.join(without)}")
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        signal.signal(signal.SIGINT, partial(interrupted, scratch, go_on))
        for number, notebook in enumerate(notebooks, start=1):
            start, name = time.monotonic(), notebook.path.stem
            print(f"[{number}/{len(notebooks)}] {name:24}", end="", flush=True)
            given = {key: value for key, value in parameters.items() if key in notebook.parameters}
            problem, notes = run_one(notebook.path, given, results, Path(scratch))
            told = problem or (report.finding(notebook.path) if results == report.REFERENCE else "") or notebook.title
            print(f"{(time.monotonic() - start) / 60:5.1f} min  {told}", *notes, sep="\n    ", flush=True)
            failed |= bool(problem)
    try:
        page, rows = report.write_page(results), verdicts.read_ledger(results)
        if failed:
            print(f"\n{go_on}")
        else:
            answers = [*map("\n    ".join, report.found(results, rows).get("answers", {}).items())]
            print("", *answers, sep="\n", end="\n\n" if answers else "\n")
            print(f"Verdicts: {verdicts.counts(rows) if rows else 'none yet, run notebook 99'}.")
            print(f"The report: {store.shown(page)}", flush=True)
    except Exception as error:  # whatever the report meets, it is one line after hours of runs
        print(f"\nThe report was not written: {type(error).__name__}: {error}", flush=True)
        failed = True
    return int(failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, or becomes JupyterLab or pytest, whose code is then the command's."""
    options, notebooks, parameters, results = make_plan(arguments)
    for notebook in notebooks if options.list else ():
        print(f"{notebook.path.stem:24}{notebook.title}  [{', '.join(notebook.parameters)}]")
    if options.list or options.check:
        return 0
    # One thread per process: parallel work is processes, and thread counts change the order of floating-point sums.
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")})
    # The kernel named python3 is the one of this environment, whatever else the user has.
    kernels = [str(Path(sys.prefix, "share", "jupyter")), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, kernels))
    command = ["pytest", "-q", "-n", options.jobs or "auto", "--maxprocesses", options.jobs or "4", "--dist=loadgroup"]
    if options.lab:
        command = ["jupyterlab", *["--allow-root"] * (os.geteuid() == 0)]  # in containers everybody is root
    if options.lab or options.test:
        os.execv(sys.executable, [sys.executable, "-m", *command])
    try:  # now, and not in the first notebook
        from repro import processes, store

        store.cache_folder()
        for name in processes.STEERING:
            processes.environment(name)
        with processes.workers(options.scheduler or os.environ.get("REPRO_SCHEDULER")):
            pass
    except ValueError as error:
        refuse(f"{error}.")
    asked = {
        "REPRO_JOBS": options.jobs, "REPRO_FRESH_SINCE": options.fresh and repr(time.time()), "REPRO_NO_BARS": "1",
        "REPRO_PIPELINE": str(os.getpid()),  # kernels and workers end with this process
        "REPRO_TRAIN_PRIORS": options.train_priors and "1", "REPRO_SCHEDULER": options.scheduler,
        "PYTHONWARNINGS": "ignore:A worker stopped,ignore:resource_tracker",  # joblib starts another, and tidies up
    }  # fmt: skip
    os.environ.update({name: value for name, value in asked.items() if value})
    return run_all(notebooks, parameters, results)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C just ends it while there is nothing to keep
    sys.exit(main())
