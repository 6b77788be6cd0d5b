"""What is written: sorted, unique, the same bytes for the same content, nothing of others lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from repro import report
from repro.figures.methods import training_curve
from repro.music.events import canonical, from_midi
from repro.settings import study


def rows(experiment: str, value: float) -> pd.DataFrame:
    models = [("psi", 1.0, 1), ("psi", 0.5, 2), ("prior", np.nan, 0)]
    return pd.DataFrame([(experiment, *model, "log_p", value) for model in models], columns=[*report.KEY, "value"])


def test_runs_of_experiments_that_share_one_do_not_depend_on_their_order(tmp_path: Path) -> None:
    """Protects runs.json: a shared run belongs to both, whoever is written last, and stays while one of them has it."""
    first, second = {"shared": {"n": 1}, "a": {"n": 2}}, {"shared": {"n": 1}, "b": {"n": 3}}
    report.write_runs_of(tmp_path / "one", "terminal", first)
    report.write_runs_of(tmp_path / "one", "terminal_plain", second)
    path = report.write_runs_of(tmp_path / "one", "terminal", first)
    report.write_runs_of(tmp_path / "other", "terminal_plain", second)
    other = report.write_runs_of(tmp_path / "other", "terminal", first)
    assert path.read_bytes() == other.read_bytes()
    assert json.loads(path.read_text())["shared"]["experiments"] == ["terminal", "terminal_plain"]
    assert set(json.loads(report.write_runs_of(tmp_path / "one", "terminal", {}).read_text())) == {"shared", "b"}


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


def test_a_value_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Protects uniqueness of (experiment, method, c, seed, metric); nothing is written."""
    with pytest.raises(ValueError, match="as_notated.*twice"):
        report.write_table(tmp_path, "music", pd.concat([rows("as_notated", 1.0)] * 2))
    assert not list(tmp_path.iterdir())


def test_figures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    """Protects the repository from figures that change without a reason."""
    frame = pd.DataFrame(
        {"step": [1, 2], "train_nll": [2.0, 1.0], "validation_nll": [2.0, 1.5], "validation_accuracy": [0.3, 0.5]}
    )
    for folder in ("one", "two"):
        report.write_figure(tmp_path / folder, "curve", training_curve(frame))
    for name in ("curve.svg", "curve.png"):
        assert (tmp_path / "one" / "figures" / name).read_bytes() == (tmp_path / "two" / "figures" / name).read_bytes()


def test_melodies_can_be_heard(tmp_path: Path) -> None:
    """Protects audio and MIDI: 16 kHz mono of two bars at 80 quarter notes a minute, and the file plays the melody."""
    melody = np.array([14, 1, 1, 1, 18, 1, 21, 0] * 4)
    path = report.write_melody(tmp_path, "psi_1", melody)
    rate, samples = wavfile.read(path)
    assert rate == 16_000 and samples.dtype == np.int16 and samples.shape == (96_000,) and np.abs(samples).max() > 1000
    assert np.array_equal(from_midi(path.with_suffix(".mid")), canonical(melody))


def test_other_claims_stay(tmp_path: Path) -> None:
    """Protects the ledger: a notebook replaces its own rows where they stand; NaN becomes null, as JSON wants it."""
    for id_, verdict, digest in (("key", "partly", "a"), ("tonic", "partly", "b"), ("key", "reproduced", "c")):
        row = {"id": id_, "ours": float("nan"), "verdict": verdict}
        report.write_claims(tmp_path, "molecules", pd.DataFrame([row]), ["x"])
        path = report.write_claims(tmp_path, "music", pd.DataFrame([row]), [digest])
    ledger = json.loads(path.read_text())
    assert [(entry["domain"], entry["id"], entry["verdict"], entry["ours"], entry["runs"]) for entry in ledger] == [
        ("molecules", "key", "reproduced", None, ["x"]),
        ("music", "key", "reproduced", None, ["c"]),
        ("molecules", "tonic", "partly", None, ["x"]),
        ("music", "tonic", "partly", None, ["b"]),
    ]


def test_the_readme_is_that_of_the_results() -> None:
    """Protects readers: the tables, verdicts and tagged numbers of README.md are those that results/laptop holds."""
    readme = (report.runs.ROOT / "README.md").read_text(encoding="utf-8")
    laptop = study("laptop")
    assert readme == report.renewed_readme(readme, laptop.results, laptop.main_c), "run python -m repro.report"
    assert report.VERDICTS_BEGIN in readme


def test_a_readme_that_disagrees_is_found() -> None:
    """Protects the test above: a verdict or number that was changed by hand does not survive a renewal."""
    laptop = study("laptop")
    readme = (report.runs.ROOT / "README.md").read_text(encoding="utf-8") + "<!-- claim tonic ours -->9 %<!-- / -->"
    renewed = report.renewed_readme(readme.replace("| reproduced |", "| partly |", 1), laptop.results, laptop.main_c)
    assert "| partly |" in readme or renewed.count("| reproduced |") == readme.count("| reproduced |")
    assert not renewed.endswith("-->9 %<!-- / -->")
