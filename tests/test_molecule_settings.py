"""Settings of the molecule notebooks: presets, parameters as text, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.hyperparameters import HEAD_RATES, RATES
from repro.molecule_settings import DUELING, PRESETS, molecule_study
from repro.settings import OWN_RESULTS, ROOT, SettingsError


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_starts_from_the_same_prior(preset: str) -> None:
    """Protects Table 2: it always starts from the shipped SMILES RNN."""
    assert molecule_study(preset).prior == molecule_study("laptop").prior
    assert molecule_study(preset).results == ROOT / "results" / preset


def test_parameters_reach_the_settings_and_change_where_results_go() -> None:
    """Protects papermill overrides: text is read as the type of the setting, weights and prior by their prefix."""
    study = molecule_study("smoke", seeds="3,4", c="0.5", trace=0.95, weight_qed="3", prior_cells=64, methods="psi")
    assert (study.seeds, study.methods) == ((3, 4), ("psi",))
    assert (study.dueling.c, study.plain.c, study.temperature) == (0.5, 0.5, 0.5)
    assert (study.dueling.trace, study.reward.qed, study.prior.cells) == (0.95, 3.0, 64)
    assert study.results == ROOT / OWN_RESULTS
    assert [(s.method, s.c, seed) for s, seed in study.runs()] == [("psi", 0.5, 3), ("psi", 0.5, 4)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tokeniser": "words"}, "tokeniser is 'words': it must be one of regex, characters"),
        ({"form": "plain"}, "form is 'plain': it must be one of dueling, paper"),
        ({"weight_beauty": 1}, "unknown setting weight_beauty; the settings are preset, seeds"),
        ({"c": 0}, "c is 0.0: task rewards are divided by it, so it must be above 0"),
        ({"weight_qed": "nan"}, "weight_qed is nan: it must be a finite number"),
        ({"trace": 2}, "trace is 2.0: it lies in"),
        ({"annealed": 2}, "annealed is 2.0: it lies in [0, 1]"),
        ({"held": "-0.5"}, "held is -0.5: it lies in [0, 1]"),
        ({"head_learning_rate": -1}, "head_learning_rate is -1.0: it must be at least 0"),
        ({"molecules": 0}, "molecules is 0: it must be at least 1"),
        ({"seeds": "1,1"}, "name one twice"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    """Protects users from runs of settings that do not exist."""
    with pytest.raises(SettingsError) as refused:
        molecule_study("smoke", **given)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_the_paper_form_is_one_setting() -> None:
    """Protects `form`: the same reward and temperature, learned by regression of the action taken."""
    (settings, _), *_ = molecule_study("laptop", form="paper", c=0.3).runs()
    assert type(settings).__name__ == "TutorSettings" and settings.c == 0.3


def test_smoke_trains_few_steps_of_networks_that_are_not_shipped(tmp_path: Path) -> None:
    """Protects smoke on one's own molecules: seconds, unless steps are asked for; the shipped networks as they are."""
    own = molecule_study("smoke", smiles_file=str(tmp_path / "own.smi"))
    assert (own.prior.steps, own.authors_prior.steps) == (200, 200)
    asked = molecule_study("smoke", prior_steps=7)
    assert (asked.prior.steps, asked.authors_prior.steps) == (7, 200)
    assert molecule_study("smoke").authors_prior == molecule_study("laptop").authors_prior
    assert molecule_study("laptop", molecules=1000).prior.steps == molecule_study("laptop").prior.steps


def test_each_method_has_its_own_rate_and_a_parameter_is_for_all() -> None:
    """Protects what names a run: the learning rates that it really has, not a zero that stands for one."""
    runs = [settings for settings, _ in molecule_study("laptop").runs()]
    assert {settings.method: settings.learning_rate for settings in runs} == RATES
    assert {settings.method: settings.head_learning_rate for settings in runs} == HEAD_RATES
    own = {settings.method: (settings.trace, settings.annealed, settings.held) for settings in runs}
    assert own["q"] == (1.0, 0.0, 0.0) and own["rl_only"][1:] == (0.0, 0.0)
    assert {settings.method: settings.replayed for settings in runs} == dict.fromkeys(RATES, 24) | {"rl_only": 0}
    assert own["psi"] == own["g"] == (DUELING.trace, DUELING.annealed, DUELING.held)
    given = molecule_study("laptop", learning_rate=1e-3, trace=0.5).runs()
    assert {(s.learning_rate, s.head_learning_rate, s.trace) for s, _ in given} == {(1e-3, 1e-3, 0.5)}
    asked = molecule_study("laptop", annealed=DUELING.annealed).runs()  # a default that is asked for is asked for
    assert {s.annealed for s, _ in asked} == {DUELING.annealed}
    (apart, _), *_ = molecule_study("laptop", learning_rate=1e-3, head_learning_rate=2e-3).runs()
    assert (apart.learning_rate, apart.head_learning_rate) == (1e-3, 2e-3)
