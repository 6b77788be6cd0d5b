"""The paper's form on sequences that end: the tutor with a mask, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.ending import EndingTutor, train
from repro.hyperparameters import METHODS, TutorSettings
from repro.rnn import SequenceRNN
from repro.tutor import Tutor

SMALL = TutorSettings(rounds=2, games=8, batch_episodes=4, replay_episodes=16, evaluate_every=1, evaluation_games=8)


class Line:
    """Four tokens, five steps; each token is worth its number."""

    name, vocabulary, horizon = "line", ("a", "b", "c", "d"), 5

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Any token."""
        return generator.integers(4, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The token's number at every step up to the first a."""
        return sequences * (np.cumsum(sequences == 0, axis=1) == 0)


class Ending(Line):
    """The same; token a ends a sequence."""

    end = 0


@pytest.mark.parametrize("method", METHODS)
def test_without_an_end_it_is_the_tutor(method: str) -> None:
    """Protects the paper's form: where nothing ends, weights after two rounds are the same bytes as the tutor's."""
    settings = TutorSettings(**{**SMALL.__dict__, "method": method})
    weights = []
    for kind in (Tutor, EndingTutor):
        tutor = kind(Line(), SequenceRNN(4, 6, seed=1), settings, seed=2)  # type: ignore[arg-type]
        tutor.round()
        tutor.round()
        weights.append([weight.detach().clone() for weight in tutor.policy.parameters()])
    for ours, theirs in zip(*weights, strict=True):
        assert torch.equal(ours, theirs)


def test_what_follows_the_end_changes_nothing() -> None:
    """Protects the mask: other tokens, rewards and log-probabilities after the end leave the update as it is."""
    losses = []
    for filler in (0, 3):
        tutor = EndingTutor(Ending(), SequenceRNN(4, 6, seed=1), SMALL, seed=2)  # type: ignore[arg-type]
        tutor.play()
        episodes = tutor.replay.draw(8, np.random.default_rng(0))
        after = (episodes["inputs"][:, 1:] == 0).cumsum(dim=1) - (episodes["inputs"][:, 1:] == 0).long() > 0
        assert after.any()
        episodes["inputs"][:, 1:][after] = filler
        episodes["task_reward"][after] = float(filler)
        tutor.update(episodes)
        losses.append(tutor.loss)
    assert losses[0] == losses[1]


def test_a_run_that_diverges_is_shown() -> None:
    """Protects honesty: a loss that is no number ends the run with a row that says so instead of an error."""

    class Broken(Ending):
        def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
            return np.full(sequences.shape, np.inf)

    curve = train(Broken(), SequenceRNN(4, 6), SMALL, 0).curve  # type: ignore[arg-type]
    assert curve["diverged"].tolist() == [0.0, 1.0]
