"""The whole ledger: put together from a results folder, the same in every place that shows it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro import report
from repro.claims import ledger, tables as verdict_tables, verdicts
from repro.settings import ROOT

LAPTOP = ROOT / "results" / "laptop"
TEMPERATURES = {"music": 0.5, "molecules": 0.25, "exact": 0.5}


def test_an_empty_folder_has_a_full_ledger(tmp_path: Path) -> None:
    """Protects readers of a part: every claim is there, and says why it has no verdict."""
    rows = ledger.assemble(tmp_path, TEMPERATURES)
    assert len(rows) == len(ledger.CLAIMS) >= 30
    assert {verdict_tables.short(row["verdict"]) for row in rows} == {"not tested here", "cannot be tested"}
    assert sum(len(group) for group in verdict_tables.grouped(rows).values()) == len(rows)


def test_a_folder_is_judged(tmp_path: Path) -> None:
    """Protects the way from tables and runs to a row: its experiment alone, its runs, the comment on G's prior."""
    rows = [("rebuilt", "prior", None, 0, "not_in_key", 0.001)]
    rows += [("rebuilt", method, 0.5, seed, "not_in_key", 0.002) for method in ("q", "psi", "g") for seed in (100, 101)]
    rows += [("other", method, 0.5, 100, "not_in_key", 0.9) for method in ("q", "psi", "g")]
    frame = pd.DataFrame(rows, columns=ledger.COLUMNS)
    report.write_table(tmp_path, "music", frame)
    trained = pd.DataFrame({"variant": ["prior fixed", "a", "b"], "metric": "not_in_key", "value": [0.0, 0.1, 0.3]})
    report.write_frame(tmp_path, "trained_prior", trained)
    for name in ("rebuilt", "other"):
        report.write_runs_of(tmp_path, name, {f"digest of {name}": {}})
    judged = {row["id"]: row for row in ledger.assemble(tmp_path, TEMPERATURES)}
    assert (
        judged["rebuilt_key"]["verdict"] == "reproduced"
        and judged["rebuilt_key"]["levels"] == "0.10 % -> 0.20 / 0.20 %"
    )
    assert judged["rebuilt_key"]["runs"] == ["digest of rebuilt"] and judged["rebuilt_key"]["seeds"] == 2
    assert judged["rebuilt_g_poor"]["verdict"] == "not reproduced"
    assert (
        "10.0 to 30.0 % of the notes are out of key, 20.0 % on average of 2 runs" in judged["rebuilt_g_poor"]["comment"]
    )
    assert judged["key"]["verdict"] == "not tested here: there are no results of the experiment as_notated"
    assert judged["rebuilt_tonic"]["verdict"] == "not tested here: starts_with_tonic of q was not measured"


def test_the_committed_ledger_is_that_of_the_tables() -> None:
    """Protects claims.json: its numbers and verdicts follow from the committed tables by the committed rules."""
    words = ("id", "verdict", "rule", "levels", "seeds", "comment", "rules_commit", "notebook")
    committed, made = verdict_tables.read(LAPTOP), ledger.assemble(LAPTOP, ledger.temperatures("laptop"))
    assert [[row[word] for word in words] for row in committed] == [[row[word] for word in words] for row in made]
    for number in ("ours", "low", "high"):
        old, new = (np.array([row[number] for row in rows], dtype=float) for rows in (committed, made))
        np.testing.assert_allclose(old, new, rtol=1e-6, atol=1e-12)


def test_the_report_and_the_last_notebook_show_the_ledger() -> None:
    """Protects readers: the table of the report and that of notebook 99 are made from claims.json."""
    table = verdict_tables.as_html(verdict_tables.read(LAPTOP))
    assert table in (LAPTOP / "report.html").read_text(encoding="utf-8")
    notebook = json.loads((LAPTOP / "notebooks" / "99_verdicts.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert table in ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]


def test_the_commits_of_the_rules_exist() -> None:
    """Protects the claim that thresholds came first: each commit named is one of this history, with its subject."""
    for commit in verdicts.RULES_COMMITS.values():
        told = subprocess.run(
            ["git", "log", "-1", "--format=%h %s", commit[:7]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if told.returncode:
            pytest.skip("there is no history here: " + told.stderr.strip()[:80])
        assert told.stdout.strip() == commit
