"""Settings: presets, parameters as text, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from repro.settings import ROOT, PriorSettings, SettingsError, TutorSettings, known_names, study


def test_laptop_reports_seeds_that_tuning_never_used() -> None:
    """Protects the honesty of the numbers: tuning used seeds 0 to 9."""
    for preset, counts in (("laptop", (5, 2)), ("paper", (10, 10))):
        made = study(preset)
        assert [c for c, _ in made.seeds_at] == [0.5, 1.0]
        assert tuple(len(seeds) for _, seeds in made.seeds_at) == counts
        assert min(seed for _, seeds in made.seeds_at for seed in seeds) == 100


def test_the_paper_s_values_are_the_defaults() -> None:
    """Protects the reproduction: what the paper states is not silently changed."""
    tutor = TutorSettings()
    assert (tutor.c, tutor.gamma, tutor.eta, tutor.clip) == (0.5, 0.5, 0.01, 5.0)
    assert PriorSettings().cells == 100 and study().melodies == 100_000


def test_the_rebuilt_corpus_is_tuned_with_settings_of_its_own() -> None:
    """Protects both experiments: one rate differs, and what a parameter changes is changed in both."""
    for preset in ("smoke", "laptop", "paper"):
        made = study(preset)
        assert made.tutor.learning_rate == 1e-2 and made.rebuilt_tutor.learning_rate == 3e-3
        assert dataclasses.replace(made.rebuilt_tutor, learning_rate=1e-2) == made.tutor
    both = study("laptop", gamma=0.9, learning_rate=0.1)
    assert both.tutor == both.rebuilt_tutor and both.tutor.gamma == 0.9


def test_text_becomes_values() -> None:
    """Protects `papermill -p seeds 0,1`, which hands over text."""
    made = study("laptop", seeds="0, 1", c="1", methods="q,psi", gamma="0.9", terminal_mask="false", prior_steps="10")
    assert made.seeds_at == ((1.0, (0, 1)),) and made.methods == ("q", "psi")
    assert made.tutor.gamma == 0.9 and made.tutor.c == 1.0 and made.tutor.terminal_mask is False
    assert made.prior.steps == 10
    assert study(seeds=7).seeds_at[0] == (0.5, (7,))


def test_none_means_the_preset_s_value() -> None:
    """Protects the parameters cell, where every knob is None."""
    assert study(None, seeds=None, c=None, methods=None, results=None) == study("laptop")


def test_smoke_is_quick_where_no_note_rnn_is_shipped() -> None:
    """Protects `--preset smoke -p midi_folder my_songs` from minutes of training; the other presets train in full."""
    assert study("smoke", methods="psi", seeds="0", c="2").prior == study("laptop").prior  # the shipped one
    for given in ({"midi_folder": "songs"}, {"silences": "0"}, {"prior_cells": "50"}):
        assert study("smoke", **given).prior.steps == 200  # type: ignore[arg-type]
        assert study("laptop", **given).prior.steps == 8000  # type: ignore[arg-type]
    assert study("smoke", midi_folder="songs", prior_steps="5").prior.steps == 5


def test_runs_are_every_method_and_seed() -> None:
    """Protects the list of work: no run is left out or done twice."""
    runs = study(methods="g,psi", c="0.5,1", seeds="3,4").runs()
    assert len(runs) == len(set(runs)) == 8
    assert {(settings.method, settings.c, seed) for settings, seed in runs} == {
        (method, c, seed) for method in ("g", "psi") for c in (0.5, 1.0) for seed in (3, 4)
    }


def test_paths_start_from_the_repository() -> None:
    """Protects notebooks, which JupyterLab starts in their own folder."""
    assert study(results="somewhere").results == ROOT / "somewhere"


def test_changed_settings_leave_the_reference_results_alone() -> None:
    """Protects results/laptop from a run with other settings, unless that is asked for."""
    assert study("laptop").results == ROOT / "results" / "laptop"
    assert study("laptop", c=1).results == ROOT / "results" / "own"
    assert study("laptop", c=1, results="results/laptop").results == ROOT / "results" / "laptop"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"preset": "huge"}, "preset is 'huge': it must be one of smoke, laptop, paper"),
        ({"temprature": 1}, "unknown setting temprature; the settings are preset, seeds"),
        ({"c": 0}, "c is 0.0: task rewards are divided by it"),
        ({"c": "-1"}, "c is -1.0"),
        ({"c": "nan"}, "c is nan"),
        ({"c": "cold"}, "c is 'cold': it must be a number"),
        ({"gamma": 1.5}, r"gamma is 1.5: a discount lies in \[0, 1\]"),
        ({"seeds": ""}, "seeds is empty"),
        ({"seeds": "1,1"}, "name one twice"),
        ({"seeds": "-1"}, "seed -1 is below 0"),
        ({"seeds": "1.5"}, "seeds is '1.5': it must be a whole number"),
        ({"methods": "q,dqn"}, "a method is 'dqn': it must be one of q, psi, g, rl_only"),
        ({"collections": "essen"}, "a collection is 'essen': it must be one of essenFolksong"),
        ({"play": "greedy"}, "play is 'greedy'"),
        ({"terminal_mask": "maybe"}, "terminal_mask is 'maybe': it must be true or false"),
        ({"replay_episodes": 5}, "replay_episodes is 5"),
        ({"prior_steps": 0}, "prior steps is 0"),
        ({"rounds": 2.5}, "rounds is 2.5: it must be a whole number"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    """Protects the user from a run that is not the one asked for."""
    with pytest.raises(SettingsError, match=sentence):
        study(**given)


def test_known_names_are_accepted() -> None:
    """Protects the error's list: every name that it shows works."""
    for name in known_names():
        study(**{name: None})
