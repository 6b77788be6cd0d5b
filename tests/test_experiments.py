"""The experiments by name: everything reported is shipped, and tiny studies go through from start to end."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro import ROOT, bench, experiments as molecules, experiments as music, fronts, store
from repro.music import corpus
from repro.studies import study

MUSIC, MOLECULES = study("laptop"), study("laptop", "molecules")


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_JOBS", "1")


@pytest.mark.parametrize(
    ("experiment", "of", "policies"),
    [
        (music.as_notated, MUSIC, [28]), (music.from_rebuilt, MUSIC, [12]), (music.papers_choices, MUSIC, [4, 4, 4]),
        (music.path_music, MUSIC.first(), [4]), (music.trained_prior, MUSIC, [15]), (music.causes, MUSIC, []),
        (music.trained_prior_one_step, MUSIC, [4]), (music.authors_schedule, study("paper"), [15]),
        (music.held_out_tunes, MUSIC, []), (molecules.of_smiles_rnn, MOLECULES, [0]),
        (partial(molecules.terminal, fresh=True), MOLECULES, [12]), (molecules.terminal_over_c, MOLECULES, [12]),
        (partial(molecules.terminal, fresh=True, paper_form=True), MOLECULES, [12]),
        (molecules.terminal, MOLECULES, [12]), (partial(molecules.terminal, paper_form=True), MOLECULES, [12]),
        (molecules.authors_molecules, MOLECULES, [4]),
        (fronts.melodies, study("laptop", "fronts"), [310]), (bench.learned, study("laptop", "exact"), [70]),
        (bench.on_molecules, study("laptop", "roads"), [33]), (bench.on_melodies, study("laptop", "roads"), [42]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_reported_runs_are_shipped(experiment: Any, of: Any, policies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the clone that opens in seconds: nothing is trained or measured, no tune or molecule is read."""
    for place, name in ((store, "keep"), (music, "tunes"), (molecules, "molecules")):
        monkeypatch.setattr(place, name, lambda *_, name=name: pytest.fail(f"{name} was called: a run is missing"))
    found = experiment(of)
    if policies:
        assert [len(list(each)) for each in (found if isinstance(found, list) else [found])] == policies


def test_the_shipped_networks_are_those_that_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects pictures and sounds of a clone: one policy per method is there, and both SMILES RNNs, with weights."""
    monkeypatch.setattr(store, "keep", lambda *_: pytest.fail("a network was trained again"))
    for experiment in (music.as_notated, music.from_rebuilt):
        samples = experiment(MUSIC.first()).samples(seed=7, count=5)
        assert list(samples) == ["prior", "q", "psi", "g", "rl_only"]
        assert len({drawn.tobytes() for drawn in samples.values()}) == 5
    priors = (molecules.smiles_rnn(MOLECULES), molecules.authors_smiles_rnn(MOLECULES))
    assert [(record.rnn().cells, len(known.tokens), known.tokeniser) for record, known in priors] == [
        (512, 25, "regex"), (100, 27, "characters")]  # fmt: skip


def test_all_models_are_asked_for_the_same_held_out_tunes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the comparison of what is forgotten: which tunes, and how much of each, depends on no run."""
    held_out = {"test": [np.full(50 + number, number) for number in range(300)]}
    monkeypatch.setattr(music, "tunes", lambda _: None)
    monkeypatch.setattr(corpus, "of", lambda tunes, split: held_out[split])
    read, again = ([tune.tolist() for tune in music.real_tunes(MUSIC).read()] for _ in range(2))
    assert len({tune[0] for tune in read}) == 200 and max(map(len, read)) == 64 and read == again


def test_a_small_study_of_own_molecules(tmp_path: Path) -> None:
    """Protects a file of one's own on any processor: all goes through, and another reward names other runs."""
    smiles = [head + tail for head in ("C", "CC", "OC", "NC", "CN") for tail in ("O", "N", "CO", "CCN", "C(C)O", "C=O")]
    (tmp_path / "own.smi").write_text("\n".join(smiles))
    given = {"smiles_file": str(tmp_path / "own.smi"), "prior_cells": 8, "prior_steps": 2, "prior_windows": 4,
             "methods": "psi,g", "steps": 2, "episodes": 4, "replayed": 0, "samples": 20}  # fmt: skip
    one, other = (molecules.terminal(study("smoke", "molecules", **given, **more)) for more in ({}, {"weight_qed": 9}))
    assert set(one.table()["method"]) == {"prior", "psi", "g"} and not set(one.numbers()) & set(other.numbers())
    assert {"valid", "novel", "objective", "held_out_nll"} <= set(one.table()["metric"])


def test_a_small_study_of_exact_problems() -> None:
    """Protects the exact notebook: curves start at step 0, where every policy is still the prior."""
    small = study("smoke", "exact", steps=2)
    curves = bench.learned(small).curves()
    assert len(curves) == 28 and set(curves["step"]) == {0, 2}
    assert (curves[curves["step"] == 0].groupby("domain")["kl"].std() < 1e-4).all()  # all begin as the prior


def test_the_same_bytes_whatever_surrounds_a_run(tmp_path: Path, converted: Path) -> None:
    """Protects comparisons between machines: threads, hash seed, jobs and working folder change no digit."""
    code = (
        "from repro import experiments; from repro.studies import study\n"
        "music, molecules = ({'methods': 'psi', 'seeds': '0,1', name: 200} for name in ('melodies', 'samples'))\n"
        "studies = study('smoke', **music), study('smoke', 'molecules', **molecules)\n"
        "for made in (experiments.as_notated(studies[0]), experiments.terminal(studies[1])):\n"
        "    print(made.table().to_csv(float_format='%.17g'), made.curves().to_csv(float_format='%.17g'))\n"
    )
    told = []
    for threads, hashes, jobs in (("1", "0", "1"), ("4", "7", "2")):
        around = {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": hashes, "REPRO_JOBS": jobs, "PYTHONPATH": str(ROOT)}
        (folder := tmp_path / jobs).mkdir()
        environment = os.environ | around | {"REPRO_CACHE": str(shutil.copytree(converted, folder / "cache"))}
        command = [sys.executable, "-c", code]
        told.append(subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True).stdout)
    assert told[0] == told[1] and len(told[0]) > 10_000
