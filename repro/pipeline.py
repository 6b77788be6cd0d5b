"""Runs the notebooks through papermill, in order; `run_all.sh` calls it.

    python -m repro.pipeline --preset smoke --only 02 -p c 1.0

A failed notebook does not stop the others. Exit codes: 0 all ran, 1 some failed, 2 bad input (nothing was run), 130
interrupted. Nothing outside the standard library is imported before a notebook runs, so that `run_all.sh` can check the
input and list the notebooks before anything is installed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from repro import provenance
from repro.executed import write_executed
from repro.settings import OWN_RESULTS, PRESETS, ROOT

# One thread a process: parallel work is processes, and thread counts change the order of floating-point sums.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}

INTERRUPTED = 130  # the exit code that shells expect after Ctrl-C


class BadInput(ValueError):
    """Input that is refused before anything runs; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Notebook:
    """A source notebook, its first heading, and the names assigned in its cell tagged `parameters`."""

    path: Path
    title: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What will run: the notebooks, the parameters for whoever has them, and the folder of the executed copies."""

    notebooks: tuple[Notebook, ...]
    parameters: dict[str, str]
    output: Path
    environment: dict[str, str]


@dataclass(frozen=True)
class Row:
    """One line of the final table."""

    notebook: str
    minutes: float
    state: str
    output: str


def find_notebooks(folder: Path) -> tuple[Notebook, ...]:
    """Returns the numbered notebooks of `folder`, in order; raises BadInput if there are none."""
    found = tuple(read_notebook(path) for path in sorted(folder.glob("[0-9][0-9]*.ipynb")))
    if not found:
        raise BadInput(
            f"there are no notebooks (NN_name.ipynb) in {folder}: they belong to the repository, and a wheel holds the "
            "package alone."
        )
    return found


def read_notebook(path: Path) -> Notebook:
    """Reads what the command line needs to know of a notebook, with the standard library alone."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    heading = re.search(r"^#+\s*(.+)$", prose, re.MULTILINE)
    tagged = (cell["source"] for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    names = []
    for statement in ast.parse("".join(next(tagged, ""))).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return Notebook(path, heading[1] if heading else "", tuple(names))


def select(notebooks: Sequence[Notebook], only: str | None) -> tuple[Notebook, ...]:
    """Returns the notebooks that start with an entry of `only`, "01,02"; raises BadInput if an entry has none."""
    if only is None:
        return tuple(notebooks)
    chosen: set[Path] = set()
    for entry in only.split(","):
        start = entry.strip().removesuffix(".ipynb").zfill(2)
        matches = {notebook.path for notebook in notebooks if notebook.path.stem.startswith(start)}
        if not matches or not entry.strip():
            names = ", ".join(notebook.path.stem for notebook in notebooks)
            raise BadInput(f"--only {entry!r} matches no notebook; there are {names}.")
        chosen |= matches
    return tuple(notebook for notebook in notebooks if notebook.path in chosen)


def make_plan(options: argparse.Namespace, root: Path = ROOT) -> Plan:
    """Turns the options into what will run in `root`; raises BadInput if any value cannot be used."""
    parameters = dict(options.given)
    preset = parameters.setdefault("preset", options.preset)
    if preset not in PRESETS:
        raise BadInput(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}.")
    if options.jobs is not None and not re.fullmatch("0*[1-9][0-9]*", options.jobs):
        raise BadInput(f"--jobs must be a positive whole number, not {options.jobs!r}.")
    notebooks = select(find_notebooks(root / options.notebooks), options.only)
    known = sorted({name for notebook in notebooks for name in notebook.parameters})
    for name, _ in options.given:
        if name not in known:
            raise BadInput(f"no notebook chosen here has a parameter {name!r}; there are {', '.join(known) or 'none'}.")
    if options.results is not None:
        parameters.setdefault("results", options.results)
    elif parameters.keys() - {"preset"}:
        parameters.setdefault("results", OWN_RESULTS)  # as repro.settings.study has it
    output = root / parameters.get("results", f"results/{preset}") / "notebooks"
    asked = {
        "REPRO_JOBS": options.jobs,  # Without it, repro.runs takes all cores.
        "REPRO_FRESH_SINCE": options.fresh and repr(time.time()),
        "REPRO_TRAIN_PRIORS": options.train_priors and "1",
    }
    return Plan(notebooks, parameters, output, {name: value for name, value in asked.items() if value})


def require_writable(folder: Path) -> None:
    """Creates `folder` and raises BadInput if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"the results folder {folder} cannot be written: {error.strerror}.") from error


@contextmanager
def kernel_environment(values: dict[str, str], scratch: Path) -> Iterator[None]:
    """Sets the variables that the kernels inherit, and restores the old ones afterwards.

    The kernel named python3 is the one of this environment even where the user's home or JUPYTER_PATH has another of
    that name, and no start-up file of the user's IPython takes part in the results.
    """
    before = dict(os.environ)
    own = str(Path(sys.prefix, "share", "jupyter"))
    jupyter = {"JUPYTER_PATH": os.pathsep.join([own, *filter(None, [before.get("JUPYTER_PATH")])])}
    private = {"IPYTHONDIR": str(scratch / "ipython"), "JUPYTER_RUNTIME_DIR": str(scratch / "runtime")}
    no_bars = {"REPRO_NO_BARS": "1"}  # nobody would see them, and they would stay in the executed copies
    os.environ.update({**ONE_THREAD, **jupyter, **private, **no_bars, **values})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_notebook(notebook: Notebook, plan: Plan, scratch: Path, root: Path) -> Row:
    """Executes one notebook; a failure is a row of the table, not an exception.

    A success replaces the earlier copy; a failure leaves it alone and writes NN_name.failed.ipynb beside it.
    """
    import papermill
    from traitlets.config import Config

    start = time.monotonic()
    name, executed, journal = notebook.path.stem, scratch / "executed.ipynb", scratch / "journal"
    good, bad = plan.output / f"{name}.ipynb", plan.output / f"{name}.failed.ipynb"
    executed.unlink(missing_ok=True)
    journal.unlink(missing_ok=True)
    os.environ["REPRO_JOURNAL"] = str(journal)
    code = provenance.commit(root)
    bad.unlink(missing_ok=True)
    config = Config(KernelManager={"transport_encryption": "auto"})  # Otherwise each kernel warns of plain text.
    options = {"kernel_name": "python3", "language": "python", "progress_bar": False, "start_timeout": 300}
    parameters = {key: value for key, value in plan.parameters.items() if key in notebook.parameters}
    try:
        # A loaded notebook, not its path: papermill would take braces in a path for parameters to fill in.
        source = papermill.iorw.load_notebook_node(str(notebook.path))
        papermill.execute_notebook(source, executed, parameters, cwd=root, config=config, **options)
        write_executed(executed, good, root, provenance.sentence(code, parameters))
        rows = provenance.record(plan.output.parent, name, parameters, journal, code)
        (plan.output.parent / provenance.INDEX).write_text(rows, encoding="utf-8")
        state, output = "ok", good
    except Exception as error:  # Whatever went wrong with this one, the others still run.
        message = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines() or [type(error).__name__]
        print(f"    {name}: {message[-1]}", flush=True)
        if executed.exists():
            write_executed(executed, bad, root)
        state, output = "failed", bad
    place = output.relative_to(root) if output.is_relative_to(root) else output
    return Row(name, (time.monotonic() - start) / 60, state, str(place) if output.exists() else "nothing was written")


def run_all(plan: Plan, root: Path = ROOT) -> int:
    """Runs the plan and prints a line as each notebook starts and ends; then tables and the report's place.

    Returns:
        The exit code.
    """
    rows: list[Row] = []
    count = len(plan.notebooks)
    code = 0
    try:
        with tempfile.TemporaryDirectory() as scratch, kernel_environment(plan.environment, Path(scratch)):
            for number, notebook in enumerate(plan.notebooks, start=1):
                print(f"[{number}/{count}] {notebook.path.stem} starts", flush=True)
                row = run_notebook(notebook, plan, Path(scratch), root)
                rows.append(row)
                print(f"[{number}/{count}] {row.notebook}: {row.state} after {row.minutes:.1f} minutes", flush=True)
        code = int(any(row.state != "ok" for row in rows))
    except KeyboardInterrupt:
        rows += [Row(notebook.path.stem, 0.0, "interrupted", "") for notebook in plan.notebooks[len(rows) :]]
        code = INTERRUPTED
    print(table(rows), flush=True)
    if code != INTERRUPTED:
        close(plan.output.parent, root)
    return code


def close(results: Path, root: Path) -> None:
    """Writes the report and prints the verdicts and the report's place; whatever goes wrong here fails no run."""
    try:
        from repro import html_report
        from repro.claims import tables as verdict_tables

        path = html_report.write(results)
        print(f"\nVerdicts\n\n{verdict_tables.as_text(verdict_tables.read(results)) or 'none yet: run notebook 99'}")
        print(f"\nThe report: {path.relative_to(root) if path.is_relative_to(root) else path}", flush=True)
    except Exception as error:
        print(f"\nThe report was not written: {type(error).__name__}: {error}", flush=True)


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as plain text in aligned columns."""
    width = max(len(row.notebook) for row in rows) + 6
    lines = [f"\n{'notebook':{width}}  minutes  state        output"]
    lines += [f"{row.notebook:{width}}  {row.minutes:7.1f}  {row.state:11}  {row.output}".rstrip() for row in rows]
    return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuses the command line."""
        raise BadInput(f"{message}; --help lists the options.")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; raises BadInput if an option is unknown or lacks its value."""
    parser = Parser(prog="python -m repro.pipeline", description="Run the notebooks in order.", allow_abbrev=False)
    add = parser.add_argument
    add("--preset", default="laptop", help="smoke, laptop or paper (default: laptop)")
    add("--only", metavar="NN", help="only the notebooks whose names start so: 02, or 01,02")
    add("--jobs", metavar="N", help="processes at a time (default: all cores)")
    add("-p", dest="given", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter")
    add("--results", metavar="DIR", help="where results go (default: results/PRESET, or results/own with -p)")
    add("--fresh", action="store_true", help="ignore finished runs")
    add("--train-priors", action="store_true", help="ignore the shipped priors")
    add("--list", action="store_true", help="list the notebooks and stop")
    add("--check", action="store_true", help="check the other options and stop")
    add("--notebooks", default="notebooks", help=argparse.SUPPRESS)
    add("--conda", action="store_true", help=argparse.SUPPRESS)  # run_all.sh has acted on it already.
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line; returns the exit code."""
    try:
        options = parse(arguments)
        plan = make_plan(options, root)
        if options.list:
            for notebook in plan.notebooks:
                print(f"{notebook.path.stem:24}{notebook.title}  [{', '.join(notebook.parameters)}]")
            return 0
        require_writable(plan.output)
    except BadInput as error:
        print(f"run_all: {error}", file=sys.stderr)
        return 2
    return 0 if options.check else run_all(plan, root)


if __name__ == "__main__":
    sys.exit(main())
