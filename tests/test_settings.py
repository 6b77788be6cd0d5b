"""Settings and studies: presets, parameters as text, and what is refused."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small import Coins

from repro import PRESETS, ROOT, own_results, settings, store, studies
from repro.kl_control import METHODS
from repro.path import PathSettings, PathTutor
from repro.prior import train_prior
from repro.rnn import SequenceRNN
from repro.roads import RoadSettings
from repro.settings import PriorSettings, SettingsError, TutorSettings
from repro.studies import MOLECULE_PATHS, STUDIES, known_names, study


@pytest.mark.parametrize("domain", STUDIES)
def test_presets(domain: str) -> None:
    """Protects honesty (seeds 0 to 9 tuned, others are reported), and Table 2: every preset has the same priors."""
    smoke, laptop, paper = (study(preset, domain=domain) for preset in PRESETS)
    assert min(laptop.seeds) == 100 and paper.seeds == tuple(range(100, 110)) and max(smoke.seeds) < 10
    assert domain in ("roads", "own") or smoke.prior == laptop.prior == paper.prior  # roads have those of exact
    assert [made.results for made in (smoke, laptop, paper)] == [ROOT / "results" / preset for preset in PRESETS]
    changed = [study("laptop", domain, seeds=1, results=given).results for given in (None, "results/laptop")]
    # the reference results stay, unless that is asked for
    assert changed == [ROOT / "results/own/preset=laptop_seeds=1", laptop.results]
    assert study(domain=domain, **dict.fromkeys(known_names(STUDIES[domain]))) == laptop  # as in a parameters cell
    # the paper's values are the defaults, and both corpora differ in one rate alone
    tutor, music = TutorSettings(), study("laptop")
    assert (tutor.c, tutor.gamma, tutor.eta, tutor.clip, PriorSettings().cells) == (0.5, 0.5, 0.01, 5.0, 100)
    assert music.tutor == tutor and music.rebuilt_tutor == dataclasses.replace(tutor, learning_rate=3e-3)
    assert [len(study(preset).seeds_at(c)) for preset in ("laptop", "paper") for c in (0.5, 1.0)] == [5, 2, 10, 10]


def test_every_block_of_settings_is_read() -> None:
    """Protects from a slip in studies.toml, which would leave a preset or a part as it was."""
    assert list(studies.VALUES) == list(STUDIES)
    for name, blocks in studies.VALUES.items():
        fields = {field.name: field for field in dataclasses.fields(STUDIES[name])}  # type: ignore[arg-type]
        assert not blocks.keys() - fields.keys() - {*PRESETS}, name
        assert not {key for preset in PRESETS for key in blocks.get(preset, {})} - fields.keys(), name


def test_own_experiments_have_a_folder_each() -> None:
    """Protects own results from one another: other settings, another folder, inside of results/own, whatever is set."""
    one, other = ({"smiles_file": f"../{'x' * 90}/{name}.smi", "c": "1"} for name in "ab")
    folders = [own_results(given) for given in ({"c": 1}, {"c": 2}, {"c": "1/2"}, {"c": "1-2"}, one, other)]
    assert folders[0] == "results/own/c=1" and len(set(folders)) == 6
    assert own_results({"b": 1, "a": "x_y"}) == own_results({"a": "x_y", "b": "1"})  # in any order, text or number
    assert own_results({"a": "x_b=y"}) != own_results({"a": "x", "b": "y"})
    assert all(len(folder) < 110 and folder.count("/") == 2 for folder in folders)


def test_what_no_parameter_of_a_notebook_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `papermill -p sedes 0`, of which papermill only warns: the default seeds would run."""
    cells = ["", "preset: str = None  # which\nseeds: str = None\n", "# Parameters\nseeds = 0\nsedes = 1\n", "study()"]
    shell = SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with pytest.raises(SettingsError, match="unknown parameter sedes; this notebook has preset, seeds"):
        study("laptop")
    cells.append("# Parameters\nseeds = 0\n")  # mended and run again
    assert study("laptop", methods="g").tutor.method == "g" and study("laptop").tutor.method == "psi"


def test_text_becomes_values() -> None:
    """Protects `papermill -p seeds 0,1`, which hands over text."""
    made = study("laptop", seeds="0, 1", c="1", methods="q,psi", gamma="0.9", terminal_mask="false", prior_steps="10")
    assert (made.c, made.seeds, made.seeds_at(1.0), made.methods) == ((1.0,), (0, 1), (0, 1), ("q", "psi"))
    assert (made.tutor.gamma, made.tutor.terminal_mask, made.prior.steps) == (0.9, False, 10)
    assert study(seeds="7,8,9", c="0.5,2").seeds_at(2.0) == (7, 8, 9)  # seeds that are given hold at every c
    weighted = study("laptop", "molecules", weight_qed="3", prior_cells=64, smiles_file="own.smi", molecules="9")
    assert (weighted.reward.qed, weighted.prior.cells, weighted.molecules.molecules) == (3.0, 64, 9)


def test_what_is_given_holds_for_every_method_and_form() -> None:
    """Protects comparisons: each method has its own settings, a parameter is the same for all, a default asked too."""
    laptop = study("laptop", "molecules")
    assert {method: laptop.tuning(method) for method in METHODS} == MOLECULE_PATHS
    given = study("laptop", "molecules", c=0.3, learning_rate=1e-3, trace=PathSettings().trace)
    assert {(s.c, s.learning_rate, s.trace) for s in given.path.values()} == {(0.3, 1e-3, PathSettings().trace)}
    paper = study("laptop", "molecules", form="paper", c=0.3, learning_rate=1e-3)
    assert paper.tuning("g") == dataclasses.replace(laptop.tutor, method="g", c=0.3, learning_rate=1e-3)
    both = study("laptop", learning_rate=0.1)
    assert both.tutor == both.rebuilt_tutor == TutorSettings(learning_rate=0.1)


def test_smoke_is_quick_where_no_prior_is_shipped() -> None:
    """Protects `--preset smoke -p midi_folder my_songs` from minutes of training; other presets train in full."""
    assert study("smoke", methods="psi", seeds="0", c="2").prior == study("laptop").prior  # the shipped one
    for given in ({"midi_folder": "songs"}, {"silences": "0"}, {"prior_cells": "50"}):
        assert [study(preset, **given).prior.steps for preset in ("smoke", "laptop")] == [200, 8000]
    own = study("smoke", "molecules", smiles_file="own.smi", prior_steps=7)
    assert (own.prior.steps, own.authors_prior.steps) == (7, 200)


def test_precision_is_what_the_processor_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects every machine: "auto" is found on all under one name; what a processor cannot do is said at once."""
    monkeypatch.setattr(settings, "PROCESSOR", cpu := tmp_path / "cpuinfo")
    cpu.write_text("flags : sse avx2 fma")
    assert PriorSettings(precision="auto").precision == "auto" and not settings.half("auto")
    with pytest.raises(SettingsError, match="precision is 'bfloat16' on cpu: this one needs 'float32' or 'auto'"):
        settings.half("bfloat16")
    cpu.write_text("flags : sse avx512_bf16 fma")
    assert [settings.half(asked) for asked in ("auto", "bfloat16", "float32")] == [True, True, False]


def test_the_processor_is_the_device_that_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects finished runs from a new name, and from that of another device: "auto" is what is here; a GPU that is
    not here is said where it is needed, so that its finished runs can be read.
    """
    monkeypatch.setattr(settings.torch.cuda, "is_available", lambda: False)
    for kind in (PriorSettings, PathSettings, RoadSettings):
        assert store.plain(kind(device="auto")) == store.plain(kind()) == store.plain(kind(device="cpu"))
        with monkeypatch.context() as patch:
            patch.setattr(settings.torch.cuda, "is_available", lambda: True)
            assert store.plain(kind(device="auto")) == store.plain(kind()) | {"device": "cuda"}
    rnn, says = SequenceRNN(3, 4), "device is 'cuda': torch sees no such GPU here, so it must be 'cpu' or 'auto'"
    corpus = [np.zeros(5, np.int64)] * 2
    for use in (lambda: PathTutor(Coins(), rnn, PathSettings(device="cuda"), 0),
                lambda: train_prior(corpus, corpus, 3, PriorSettings(device="cuda"))):  # fmt: skip
        with pytest.raises(SettingsError, match=says):
            use()
