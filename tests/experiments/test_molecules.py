"""The molecule experiments: what is shipped fits the laptop preset, and runs are named by all that determines them."""

from __future__ import annotations

import dataclasses

import pytest

from repro import runs
from repro.experiments import molecules as molecule_experiments
from repro.molecule_settings import molecule_study
from repro.molecules.domain import AuthorsMolecules, Molecules
from repro.molecules.reward import TRAIN, TerminalReward

LAPTOP = molecule_study("laptop")


def test_the_shipped_networks_are_those_of_the_laptop_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the clone that opens in seconds: both SMILES RNNs are found, without molecules and without training."""
    monkeypatch.setattr(molecule_experiments, "molecules", lambda *_: pytest.fail("molecules were asked for"))
    record, vocabulary = molecule_experiments.smiles_rnn(LAPTOP)
    authors, characters = molecule_experiments.authors_smiles_rnn(LAPTOP)
    assert record.folder == authors.folder == runs.PRIORS
    assert (record.rnn().cells, len(vocabulary), vocabulary.tokeniser) == (512, 25, "regex")
    assert (authors.rnn().cells, len(characters), characters.tokeniser) == (100, 27, "characters")


def test_all_reported_numbers_are_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects Table 2 in a clone: no policy of the laptop preset has to be trained or measured to show it."""
    monkeypatch.setenv("REPRO_JOBS", "1")
    for name in ("dueling", "ending"):
        monkeypatch.setattr(f"repro.{name}.train", lambda *_: pytest.fail("a policy was trained"))
    monkeypatch.setattr("repro.evaluation.evaluate_to_end", lambda *_: pytest.fail("samples were measured"))
    for experiment, count in (("terminal", 12), ("terminal_plain", 4), ("authors", 4)):
        tuning = getattr(molecule_experiments, experiment)(LAPTOP)
        assert len(tuning.policies) == count
        assert set(tuning.table()["method"]) == {"prior", "q", "psi", "g", "rl_only"}


def test_runs_are_named_by_reward_form_and_seed() -> None:
    """Protects against numbers of another experiment: whatever changes a policy changes its name."""
    vocabulary = molecule_experiments.smiles_rnn(LAPTOP)[1]
    one, heavier = Molecules(vocabulary), Molecules(vocabulary, TerminalReward(qed=3.0))
    authors, earlier = AuthorsMolecules(vocabulary), AuthorsMolecules(vocabulary, TRAIN)
    keys = [molecule_experiments.policy_key(d, "weights", LAPTOP.dueling, 1) for d in (one, heavier, authors, earlier)]
    keys.append(molecule_experiments.policy_key(one, "weights", LAPTOP.dueling, 2))
    keys.append(molecule_experiments.policy_key(one, "weights", LAPTOP.plain, 1))
    keys.append(molecule_experiments.policy_key(one, "weights", dataclasses.replace(LAPTOP.dueling, trace=0.9), 1))
    assert len(set(keys)) == len(keys)
