"""What is recorded about results: true, complete, and the same again when nothing came out differently."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from repro import executed, provenance, report


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def commit(root: Path, *changes: str) -> None:
    for name in changes:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{(root / name).read_text() if (root / name).exists() else ''}more\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose second commit touched no code."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    commit(root, "repro/a.py", "notebooks/b.ipynb")
    return root


def test_only_code_makes_another_commit(repository: Path) -> None:
    """Protects unchanged results: committing them, or prose, leaves the commit; changes that are not committed show."""
    first = provenance.commit(repository)
    assert len(first) == 12
    commit(repository, "results/laptop/x.csv", "README.md")
    assert provenance.commit(repository) == first
    (repository / "notebooks" / "c.ipynb").write_text("new")
    assert provenance.commit(repository) == first + "+changes"
    commit(repository, "repro/a.py")
    assert provenance.commit(repository) not in (first, first + "+changes")


def test_worktrees_shallow_clones_and_folders_without_git(repository: Path, tmp_path: Path) -> None:
    """Protects others: a worktree answers alike, a shallow clone names a commit with this code; else a version."""
    first = provenance.commit(repository)
    commit(repository, "README.md")
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert provenance.commit(tmp_path / "tree") == first
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout
    assert provenance.commit(tmp_path / "shallow") == head[:12]
    (tmp_path / "plain").mkdir()
    assert "version" in provenance.commit(tmp_path / "plain")


def record(
    results: Path, journal: Path, notebook: str, code: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> str:
    """One notebook that writes its experiment into the shared table and a table of its own."""
    journal.unlink(missing_ok=True)
    monkeypatch.setenv("REPRO_JOURNAL", str(journal))
    frame = pd.DataFrame([(notebook, "psi", 0.5, 1, "log_p", value)], columns=[*report.KEY, "value"])
    report.write_table(results, "music", frame)
    report.write_frame(results, f"own_{notebook}", frame)
    report.write_runs_of(results, notebook, {f"digest of {notebook}": {}})
    text = provenance.record(results, notebook, {"preset": "smoke", "results": "here"}, journal, code)
    (results / provenance.INDEX).write_text(text)
    return text


def test_a_row_keeps_the_commit_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the index: every file of every notebook is there; later code renews only the rows that came out new."""
    results, journal = tmp_path / "results", tmp_path / "journal"
    record(results, journal, "03_a", "old", 1.0, monkeypatch)
    before = record(results, journal, "04_b", "old", 2.0, monkeypatch)
    rows = provenance.read(results)
    assert [(row["file"], row["notebook"], row["experiments"], row["parameters"]) for row in rows] == [
        ("runs.json", "03_a", "03_a", "preset=smoke"),
        ("runs.json", "04_b", "04_b", "preset=smoke"),
        ("tables/music.csv", "03_a", "03_a", "preset=smoke"),
        ("tables/music.csv", "04_b", "04_b", "preset=smoke"),
        ("tables/own_03_a.csv", "03_a", "03_a", "preset=smoke"),
        ("tables/own_04_b.csv", "04_b", "04_b", "preset=smoke"),
    ]
    assert all(row["sha256"] == provenance.sha256(results / row["file"]) for row in rows)
    assert record(results, journal, "03_a", "new", 1.0, monkeypatch) == before
    record(results, journal, "04_b", "new", 3.0, monkeypatch)
    renewed = [(row["file"], row["notebook"]) for row in provenance.read(results) if row["commit"] == "new"]
    assert renewed == [("tables/music.csv", "04_b"), ("tables/own_04_b.csv", "04_b")]
    (results / "tables" / "own_03_a.csv").unlink()
    record(results, journal, "04_b", "new", 3.0, monkeypatch)
    assert "tables/own_03_a.csv" not in {row["file"] for row in provenance.read(results)}


def test_nothing_is_noted_without_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects people in JupyterLab: writing a table works where nobody listens."""
    monkeypatch.delenv("REPRO_JOURNAL", raising=False)
    report.write_frame(tmp_path, "x", pd.DataFrame({"a": [1]}))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.csv"]


def test_an_executed_copy_says_what_made_it_and_keeps_it(tmp_path: Path) -> None:
    """Protects executed notebooks: the last cell names commit and parameters; other code alone renews no copy."""
    target = tmp_path / "notebooks" / "04_x.ipynb"
    target.parent.mkdir()

    def run(code: str, text: str) -> str:
        cell = nbformat.v4.new_markdown_cell(text, id="one")
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "executed.ipynb")
        said = provenance.sentence(code, {"preset": "laptop", "results": "/home/me"})
        executed.write_executed(tmp_path / "executed.ipynb", target, tmp_path, said)
        return nbformat.read(target, as_version=4).cells[-1].source

    assert "code of `abc` with preset=laptop." in run("abc", "x")
    assert "`abc`" in run("def+changes", "x") and "`def`" in run("def", "y")
    assert [path.name for path in target.parent.iterdir()] == ["04_x.ipynb"]
