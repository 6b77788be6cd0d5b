"""What is written: sorted, unique, the same bytes for the same content, nothing of others lost."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from scipy.io import wavfile

from repro import ROOT
from repro.book import report
from repro.music import events
from repro.studies import study


def rows(experiment: str, value: float) -> pd.DataFrame:
    models = [("psi", 1.0, 1), ("psi", 0.5, 2), ("prior", np.nan, 0)]
    return pd.DataFrame([(experiment, *model, "log_p", value) for model in models], columns=[*report.KEY, "value"])


class Made(NamedTuple):
    """An experiment with runs."""

    name: str
    runs: Mapping[str, Mapping[str, Any]]

    def numbers(self) -> Mapping[str, Mapping[str, Any]]:
        return self.runs


def test_runs_that_experiments_share_do_not_depend_on_their_order(tmp_path: Path) -> None:
    """Protects runs.json: a shared run belongs to both, whoever is written last, and stays while one of them has it."""
    first, second = Made("terminal", {"shared": {"n": 1}, "a": {"n": 2}}), Made("plain", {"shared": {"n": 1}, "b": {}})
    path = report.write_runs(tmp_path / "one", first, second, first)
    report.write_runs(tmp_path / "other", second)
    assert path.read_bytes() == report.write_runs(tmp_path / "other", first).read_bytes()
    assert json.loads(path.read_text())["shared"] == {"n": 1, "experiments": ["plain", "terminal"]}
    assert set(json.loads(report.write_runs(tmp_path / "one", Made("terminal", {})).read_text())) == {"shared", "b"}


def test_a_table_keeps_other_experiments(tmp_path: Path) -> None:
    """Protects what other notebooks wrote: an experiment replaces its own rows and no others; order is fixed."""
    for experiment, value in (("as_notated", 1.0), ("rebuilt", 2.0), ("as_notated", 3.0)):
        path = report.write_table(tmp_path, "music", rows(experiment, value))
    table = pd.read_csv(path)
    assert list(table.columns) == ["experiment", "method", "c", "seed", "metric", "value"]
    assert table.groupby("experiment")["value"].unique().map(list).to_dict() == {"as_notated": [3.0], "rebuilt": [2.0]}
    assert table["seed"].tolist() == [0, 2, 1] * 2
    before = path.read_bytes()
    assert report.write_table(tmp_path, "music", rows("rebuilt", 2.0)).read_bytes() == before
    with pytest.raises(ValueError, match="as_notated.*twice"):
        report.write_table(tmp_path, "music", pd.concat([rows("as_notated", 1.0)] * 2))
    assert path.read_bytes() == before and len(list(tmp_path.rglob("*"))) == 2


def test_a_missing_number_is_null(tmp_path: Path) -> None:
    """Protects readers of claims.json: NaN becomes null, as JSON wants it."""
    path = report.write_ledger(tmp_path, [{"id": "key", "ours": float("nan"), "verdict": "partly"}])
    assert json.loads(path.read_text()) == [{"id": "key", "ours": None, "verdict": "partly"}]


def figure() -> Figure:
    """Bands of many colours, a curve, a few pixels of a colour that nothing else has, a label with digits."""
    drawn, ax = plt.subplots(figsize=(10, 4))
    plt.close(drawn)
    ax.imshow(np.linspace(0, 1, 400).reshape(4, 100), aspect="auto", cmap="viridis", extent=(0, 1, 0, 0.5))
    ax.plot(np.linspace(0, 1, 50), np.linspace(0.6, 0.9, 50) ** 2, color="#0072B2")
    ax.plot([0.5], [0.95], "s", color="#ff0000", ms=2)
    ax.set(ylim=(0, 1), xlabel="x = 0.12345")
    return drawn


def test_figures_are_small_sharp_and_the_same_every_time(tmp_path: Path) -> None:
    """Protects what is seen (colours, white, twice the page's column) and the repository: no needless digit or byte."""
    drawn, buffer = figure(), io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=report.WIDTH / 10)
    pictures = [report.write_figure(tmp_path / folder, "f", figure()).data for folder in ("one", "two")]
    files = [(tmp_path / "one" / "figures" / name, tmp_path / "two" / "figures" / name) for name in ("f.png", "f.svg")]
    assert all(one.read_bytes() == two.read_bytes() for one, two in files)
    assert pictures[0] == files[0][0].read_bytes() and len(pictures[0]) < 0.7 * len(buffer.getvalue())
    before, after = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
                     for png in (buffer.getvalue(), pictures[0]))  # fmt: skip
    assert before.shape == after.shape and after.shape[1] == report.WIDTH and (after[0, 0] == 255).all()
    assert np.abs(before - after).max() <= 40 and np.abs(before - after).mean() < 2
    svg = files[1][0].read_text(encoding="utf-8")
    assert not re.search(r' d="[^"]*\.\d{3}', svg) and "0.12345" in svg and "figures/f, settings and commit" in svg


def test_melodies_can_be_heard(tmp_path: Path) -> None:
    """Protects audio and MIDI: 16 kHz mono of two bars at 80 quarter notes a minute, and both are the melody's."""
    melody = np.array([14, 1, 1, 1, 18, 1, 21, 0] * 4)
    path = report.write_melody(tmp_path, "psi_1", melody)
    rate, samples = wavfile.read(path)
    assert rate == 16_000 and samples.dtype == np.int16 and samples.shape == (96_000,) and np.abs(samples).max() > 1000
    events.to_midi(melody, tmp_path / "again.mid")
    assert path.with_suffix(".mid").read_bytes() == (tmp_path / "again.mid").read_bytes()


def test_each_file_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects provenance.csv: notebooks share files, others' rows stay, a row keeps the commit that made its bytes,
    lost files go; where no pipeline listens, writing works all the same.
    """
    results, journal = tmp_path / "results", tmp_path / "journal"

    def made(notebook: str, value: float, commit: str) -> dict[tuple[str, str], tuple[str, ...]]:
        journal.unlink(missing_ok=True)
        monkeypatch.setenv("REPRO_JOURNAL", str(journal))
        report.write_table(results, "music", rows(notebook, value))
        report.write_frame(results, f"own_{notebook}", rows(notebook, value))
        report.write_runs(results, Made(notebook, {f"key of {notebook}": {}}))
        report.record(results, notebook, "preset=smoke", journal, commit)
        told = report.provenance(results)
        assert [(row["file"], row["notebook"]) for row in told] == sorted(
            (row["file"], row["notebook"]) for row in told
        )
        return {(row["file"], row["notebook"]): (row["parameters"], row["experiments"], row["commit"]) for row in told}

    made("03_a", 1.0, "old")
    before = made("04_b", 1.0, "old")
    files = ("runs.json", "tables/music.csv")
    assert before == {
        (file, name): ("preset=smoke", name, "old")
        for name in ("03_a", "04_b") for file in (*files, f"tables/own_{name}.csv")
    }  # fmt: skip
    assert made("03_a", 1.0, "new") == before
    after = made("04_b", 3.0, "new")
    assert {key for key in after if after[key][2] == "new"} == {
        ("tables/music.csv", "04_b"),
        ("tables/own_04_b.csv", "04_b"),
    }
    (results / "tables" / "own_03_a.csv").unlink()
    assert ("tables/own_03_a.csv", "03_a") not in made("04_b", 3.0, "new")
    monkeypatch.delenv("REPRO_JOURNAL")
    report.write_frame(results, "alone", rows("x", 1.0))
    assert (results / "tables" / "alone.csv").exists()


def test_readme_says_what_the_results_say() -> None:
    """Protects README.md: its tables and tagged numbers are those of results/laptop; a change by hand is found."""
    laptop, readme = study("laptop"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == report.renewed_readme(readme, laptop.results, laptop.c[0]), "run python -m repro.book.report"
    changed = readme.replace("| reproduced |", "| partly |", 1) + "<!-- claim tonic ours -->9 %<!-- / -->"
    renewed = report.renewed_readme(changed, laptop.results, laptop.c[0])
    assert not changed.startswith(readme) and renewed.startswith(readme) and not renewed.endswith("-->9 %<!-- / -->")
