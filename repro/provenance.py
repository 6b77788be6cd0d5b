"""Which notebook, parameters and commit made each figure, table and sound: `RESULTS/provenance.csv`.

One row a file and notebook (several notebooks add their experiments to music.csv): the file, its sha256, the notebook,
the parameters that it was given (all others have the preset's values, in `repro.hyperparameters` at that commit), the
experiments of runs.json whose runs it had at hand, and the commit. While a notebook runs, `repro.report` notes what it
writes in the file that REPRO_JOURNAL names; after a success `repro.pipeline` turns the notes into rows.

The commit is the last one that touched repro/ or notebooks/, not HEAD: results that are committed after the code that
made them, or a new sentence in the README, change no row. "+changes" follows it where the two folders hold what is not
committed. A worktree answers as its repository does; a shallow clone that does not reach back far enough names its
oldest commit, which holds the same code. Outside git the version of the package stands there instead.

A row whose file, parameters and experiments have not changed keeps its commit, the first that made these bytes, and an
executed notebook that differs in nothing but the commit keeps its own: running everything again, also with later code
or without git, rewrites only what came out differently. For the same reason no picture holds the commit inside.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

COLUMNS = ("file", "sha256", "notebook", "parameters", "experiments", "commit")
INDEX = "provenance.csv"
CODE = ("repro", "notebooks")  # the folders that decide what comes out
MADE = re.compile(r"Made by the code of `([^`]+)`")


def commit(root: Path) -> str:
    """The last commit that touched the code below `root`, 12 digits; the package's version where git knows none."""
    git = ("git", "--no-optional-locks", "-C", str(root))
    try:
        last, changed = (
            subprocess.run([*git, *question, "--", *CODE], capture_output=True, text=True, check=True).stdout.strip()
            for question in (("log", "-1", "--format=%H"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        last = changed = ""
    if last:
        return last[:12] + ("+changes" if changed else "")
    try:
        return f"version {importlib.metadata.version('sequence-tutor-repro')}"
    except importlib.metadata.PackageNotFoundError:
        return "an unknown version"


def note(**entry: str) -> None:
    """Notes a file (with its results folder) or an experiment for the pipeline; does nothing where none listens."""
    if journal := os.environ.get("REPRO_JOURNAL"):
        with open(journal, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def sentence(code: str, parameters: Mapping[str, str]) -> str:
    """What the end of an executed notebook says, in Markdown."""
    return (
        f"Made by the code of `{code}` with {as_text(parameters) or 'the default parameters'}. Files that this notebook"
        f" wrote, with their digests and experiments, are listed in [{INDEX}](../{INDEX})."
    )


def without_commit(text: str) -> str:
    """An executed notebook as it would be from any commit."""
    return MADE.sub("Made by", text)


def as_text(parameters: Mapping[str, str]) -> str:
    """Parameters as `preset=laptop c=1.0`, without the folder of the results, which changes no number."""
    return " ".join(f"{name}={value}" for name, value in sorted(parameters.items()) if name != "results")


def read(results: Path) -> list[dict[str, str]]:
    """The rows of a results folder; none where nothing has been recorded."""
    path = results / INDEX
    return list(csv.DictReader(path.open(encoding="utf-8", newline=""))) if path.exists() else []


def record(results: Path, notebook: str, parameters: Mapping[str, str], journal: Path, code: str) -> str:
    """Puts what a notebook wrote in place of its earlier rows; rows of files that are gone go too.

    Args:
        results: the results folder; notes of files elsewhere are left out.
        notebook: its name without the ending.
        parameters: those that were given.
        journal: what `note` wrote while it ran; may be missing.
        code: what `commit` returned.

    Returns:
        The new text of provenance.csv, for the caller to write.
    """
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    noted = [json.loads(line) for line in lines]
    experiments = " ".join(sorted({entry["experiment"] for entry in noted if "experiment" in entry}))
    files = {entry["file"] for entry in noted if "file" in entry and Path(entry["results"]) == results}
    before = {(row["file"], row["notebook"]): row for row in read(results)}
    rows = {key: row for key, row in before.items() if row["notebook"] != notebook}
    for file in files:
        rows[file, notebook] = {
            "file": file, "notebook": notebook, "parameters": as_text(parameters), "experiments": experiments,
            "commit": code,
        }  # fmt: skip
    kept = {key: row | {"sha256": sha256(results / row["file"])} for key, row in rows.items() if _lies(results, row)}
    for key, row in kept.items():
        if key in before and before[key] | {"commit": code} == row:
            row["commit"] = before[key]["commit"]
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(kept[key] for key in sorted(kept))
    return text.getvalue()


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lies(results: Path, row: Mapping[str, str]) -> bool:
    return (results / row["file"]).is_file()
