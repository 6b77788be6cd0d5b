"""The experiment that watches policies forget: it must not change what it watches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.episodes import play_to_end
from repro.experiments import forgetting as forgetting_experiment, music as experiments
from repro.forgetting import held_out_nll
from repro.rnn import SequenceRNN, play
from repro.settings import Study, TutorSettings, study
from repro.tutor import Tutor, train

SETTINGS = TutorSettings(rounds=3, games=32, replay_episodes=64, evaluate_every=2, evaluation_games=16)
REAL = [np.array([14, 1, 16, 1, 21]), np.array([2, 37, 0])]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path))
    monkeypatch.setenv("REPRO_JOBS", "1")
    monkeypatch.setenv("REPRO_NO_BARS", "1")


def prior() -> SequenceRNN:
    return SequenceRNN(38, 8, seed=3).eval()


def small() -> Study:
    return study("smoke", rounds=2, games=32, replay_episodes=64, evaluate_every=1, evaluation_games=16, results="x")


@pytest.mark.parametrize("method", ["psi", "g"])
def test_a_watched_run_is_the_reported_run(method: str) -> None:
    """Protects the comparison: curve and weights are those of `tutor.train` to the last bit, and forgetting beside."""
    settings = TutorSettings(**{**SETTINGS.__dict__, "method": method})
    watched, curve = forgetting_experiment.watch(prior(), settings, 7, lambda t: forgetting_experiment.looked(t, REAL))
    plain = train(experiments.MUSIC, prior(), settings, 7)
    assert curve["environment_steps"].tolist() == [0, 2 * 32 * 32, 3 * 32 * 32]
    assert curve[plain.curve.columns].equals(plain.curve)
    for name, weight in watched.policy.state_dict().items():
        assert torch.equal(weight, plain.policy.state_dict()[name])
    expected = held_out_nll(watched.method, watched.policy, watched.prior, REAL)
    assert curve["held_out_nll"].iloc[-1] == expected != curve["held_out_nll"].iloc[0]


def test_distinct_games_are_counted_among_those_of_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects `unique`: the games are the ones that `evaluate` has played, and a game counts once."""
    tutor = Tutor(experiments.MUSIC, prior(), SETTINGS, 0)
    played = []

    def recorded(play: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def once(*arguments: object) -> torch.Tensor:
            played.append(play(*arguments))
            return played[-1]

        return once

    monkeypatch.setattr("repro.tutor.play_to_end", recorded(play_to_end))
    tutor.evaluate()
    monkeypatch.setattr("repro.experiments.forgetting.play", recorded(play))
    assert forgetting_experiment.looked(tutor, REAL)["unique"] == 1.0
    assert torch.equal(*played)
    one = torch.zeros(16, 32, dtype=torch.int64)
    monkeypatch.setattr("repro.experiments.forgetting.play", lambda *_: one)
    assert forgetting_experiment.looked(tutor, REAL)["unique"] == 1 / 16


def test_runs_are_found_again_and_tabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the ledger's input: a row a run, its last evaluation; a second call trains nothing."""
    monkeypatch.setattr(forgetting_experiment, "real_tunes", lambda study: REAL)
    monkeypatch.setattr(forgetting_experiment, "TUNES", len(REAL))  # names other runs than those that are committed
    found = forgetting_experiment.forgetting(small())
    monkeypatch.setattr(forgetting_experiment, "watch", None)
    again = forgetting_experiment.forgetting(small())
    assert again.curves().equals(found.curves()) and again.digests() == found.digests()
    table = again.table()
    assert table["method"].tolist() == ["prior", "q", "psi", "g", "rl_only"]
    assert set(table["experiment"]) == {"forgetting"} and table["c"].isna().tolist() == [True] + [False] * 4
    curves = again.curves()
    final = curves[(curves["method"] == "psi") & (curves["environment_steps"] == curves["environment_steps"].max())]
    assert table.set_index("method")["value"]["psi"] == final["held_out_nll"].item()
    rnn = experiments.note_rnn(small()).rnn()
    assert table.set_index("method")["value"]["prior"] == round(held_out_nll(None, rnn, rnn, REAL), 6)
    # before any update Q, Psi and RL only are the prior
    first = curves[curves["environment_steps"] == 0].set_index("method")["held_out_nll"]
    assert first["q"] == first["psi"] == first["rl_only"] == pytest.approx(table.set_index("method")["value"]["prior"])
    # the policy's name is part of the run's: other settings are other runs
    other = study("smoke", rounds=3, games=32, replay_episodes=64, evaluate_every=1, evaluation_games=16, results="x")
    monkeypatch.setattr(forgetting_experiment, "watch", lambda *_: (None, found.curves().iloc[:1]))
    assert not set(forgetting_experiment.forgetting(other).digests()) <= set(found.digests())


def test_the_same_tunes_are_read_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the comparison between models: which tunes and how much of them does not depend on the run."""

    class Tunes:
        @staticmethod
        def of(split: str) -> list[np.ndarray]:
            assert split == "test"  # neither what the Note RNN learned from nor what its training looked at
            return [np.full(50 + number, number) for number in range(300)]

    monkeypatch.setattr(experiments, "tunes", lambda study: Tunes)
    read = forgetting_experiment.real_tunes(small())
    assert len(read) == 200 and max(map(len, read)) == 64
    assert len({tune[0] for tune in read}) == 200
    assert all(np.array_equal(a, b) for a, b in zip(read, forgetting_experiment.real_tunes(small()), strict=True))
