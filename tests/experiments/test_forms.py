"""Both forms of KL-control on music: the runs are named apart, and a small study goes through."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from repro import runs
from repro.experiments import forms as music_forms, music as experiments
from repro.settings import study


def test_the_discount_alone_shortens_the_look_ahead() -> None:
    """Protects the comparison of discounts: lambda stays 1, and the trainer multiplies it by gamma."""
    laptop = study("laptop")
    chosen = [music_forms.settings(laptop, "psi", gamma) for gamma in music_forms.DISCOUNTS]
    assert [(settings.gamma, settings.trace) for settings in chosen] == [(0.5, 1.0), (1.0, 1.0)]


def test_a_small_study_compares_both_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the table: a row a form, discount and method, J from its columns, and a second call trains none."""
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path))
    monkeypatch.setenv("REPRO_JOBS", "1")
    tiny = dataclasses.replace(study("smoke"), melodies=50, dueling_steps=2)
    tiny = dataclasses.replace(
        tiny, methods=("psi", "g"), seeds_at=((0.5, (0,)),),
        tutor=dataclasses.replace(tiny.tutor, rounds=1, games=32, batch_episodes=8, replay_episodes=32),
    )  # fmt: skip
    table = music_forms.compared(tiny)
    names = list(table[["form", "gamma", "method"]].itertuples(index=False, name=None))
    assert names == [("dueling", g, m) for g in (0.5, 1.0) for m in ("psi", "g")] + [
        ("paper", 0.5, m) for m in ("psi", "g")
    ]
    assert (table["J"] - (2 * table["task_reward"] - 32 * table["kl"])).abs().max() < 1e-9
    monkeypatch.setattr("repro.dueling.train", lambda *_: pytest.fail("a policy was trained again"))
    assert len(music_forms.dueling_music(tiny)) == 4


def test_reported_runs_are_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the clone that opens in seconds: no policy of the laptop preset is trained for notebook 06."""
    monkeypatch.setenv("REPRO_JOBS", "1")
    monkeypatch.setattr("repro.dueling.train", lambda *_: pytest.fail("a policy was trained"))
    laptop = study("laptop")
    rnn = experiments.note_rnn(laptop).rnn()
    for method in music_forms.METHODS:
        assert runs.find(
            music_forms.finished(rnn, music_forms.settings(laptop, method, 0.5), 100, laptop.melodies).digest
        )
