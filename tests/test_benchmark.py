"""The speeds: that the command measures and writes every row, with workloads far smaller than its own."""

from functools import partial
from pathlib import Path

import benchmark
import pandas as pd
import pytest

from repro import ROOT


def test_the_command_writes_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `python tests/benchmark.py` and the committed file: the same rows in the same order, all above zero."""
    monkeypatch.setattr(benchmark, "MELODIES", 20)
    for name in ("music_loop", "growth"):
        monkeypatch.setattr(benchmark, name, partial(getattr(benchmark, name), rounds=1))
    monkeypatch.setattr(benchmark, "molecules", partial(benchmark.molecules, steps=1))
    monkeypatch.setattr(benchmark, "midi_folder", partial(benchmark.midi_folder, files=4))
    benchmark.main(["--repeats", "1", "--output", str(tmp_path / "speeds.csv")])
    measured, committed = pd.read_csv(tmp_path / "speeds.csv"), pd.read_csv(ROOT / "results" / "benchmark.csv")
    assert (measured["value"] > 0).all()
    assert [what.replace(" 4 MIDI", " 500 MIDI") for what in measured["what"]] == committed["what"].tolist()


def test_each_device_has_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `--devices`: what the processor learns, in both ways, whatever the size of the batch."""
    monkeypatch.setattr(benchmark, "devices", partial(benchmark.devices, batches=(1, 3), cells=4))
    benchmark.main(["--devices", "--repeats", "1", "--output", str(tmp_path / "speeds.csv")])
    measured = pd.read_csv(tmp_path / "speeds.csv").query("what.str.startswith('cpu')")
    assert len(measured) == 4 and (measured["value"] > 0).all()
