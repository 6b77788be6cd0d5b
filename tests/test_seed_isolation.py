"""A run is its seed: what ran before it in the same process, beside it in another, or looked at it changes no byte."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small import bytes_of

from repro.authors import AuthorsSettings, AuthorsTutor
from repro.domain import Domain
from repro.exact import BRACKETS, TONES
from repro.music.domain import Music
from repro.path import PathSettings, PathTutor
from repro.rnn import SequenceRNN
from repro.roads import RoadSettings, RoadTutor
from repro.settings import TutorSettings
from repro.tutor import Learner, Tutor, train

PAPER = TutorSettings(
    rounds=3, games=8, gradient_steps=2, batch_episodes=8, replay_episodes=16, evaluate_every=2, evaluation_games=8
)
AUTHORS = AuthorsSettings(environment_steps=80, epsilon_steps=50, replay=60, evaluate_every=50, evaluation_games=8)
RUNS: dict[str, tuple[Callable[..., Learner], Domain, Any]] = {
    "paper's form": (Tutor, Music(), PAPER),
    "epsilon-greedy": (Tutor, Music(), dataclasses.replace(PAPER, method="g", play="epsilon_greedy")),
    "trained prior": (Tutor, TONES, dataclasses.replace(PAPER, method="g", train_prior=True)),
    "strings": (Tutor, BRACKETS, PAPER),
    "path": (PathTutor, BRACKETS, PathSettings(steps=5, episodes=16, replayed=8, remembered=40, evaluate_every=2)),
    "road": (RoadTutor, BRACKETS, RoadSettings(method="a2po", steps=5, episodes=16, pool=20, evaluate_every=2)),
    "authors": (AuthorsTutor, TONES, AUTHORS),
    "authors, trained prior": (AuthorsTutor, TONES, dataclasses.replace(AUTHORS, method="g", train_prior=True)),
}


def made(name: str, seed: int, **changes: int) -> tuple[str, str]:
    """The digests of a run's networks and of its curve; the prior that it starts from must stay as it is."""
    learner, domain, settings = RUNS[name]
    prior = SequenceRNN(len(domain.vocabulary), 12, seed=9)
    before = bytes_of(prior)
    run = train(learner(domain, prior, dataclasses.replace(settings, **changes), seed))
    assert bytes_of(prior) == before
    assert (bytes_of(run.prior) == before) == (not getattr(settings, "train_prior", False))
    return bytes_of(run.policy, run.prior), hashlib.sha256(run.curve.to_csv().encode()).hexdigest()  # floats in full


def test_seeds_in_one_process_give_what_each_gives_in_its_own() -> None:
    """Protects parallel runs and their intervals: no seed leaves a trace in the next, in any order."""
    for seed in (1, 0):
        command, environment = [sys.executable, __file__, str(seed)], os.environ | {"OMP_NUM_THREADS": "2"}
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for name, alone in json.loads(printed).items():
            here, other = made(name, seed), made(name, 1 - seed)
            assert list(here) == alone, name
            assert here[0] != other[0] and here[1] != other[1], "seeds differ, so that equal bytes mean something"


@pytest.mark.parametrize("name", RUNS)
def test_neither_global_random_numbers_nor_a_look_have_a_say(name: str) -> None:
    """Protects notebooks, where a reader may have drawn anything before, and runs from being looked at more often."""
    runs = []
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        runs.append(made(name, 0))
        assert torch.equal(before, torch.get_rng_state())  # nor does a run move them
    assert runs[0] == runs[1] and made(name, 0, evaluate_every=1)[0] == runs[0][0]


if __name__ == "__main__":
    print(json.dumps({name: made(name, int(sys.argv[1])) for name in RUNS}))
