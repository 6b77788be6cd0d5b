"""A run is its seed: what ran before it in the same process, or beside it in another, changes no byte."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from repro import dueling, ending, tutor
from repro.exact import BRACKETS
from repro.hyperparameters import DuelingSettings, TutorSettings
from repro.music.domain import Music
from repro.rnn import SequenceRNN

SEEDS = (0, 1, 2)
PLAIN = {
    "rounds": 3, "games": 8, "gradient_steps": 2, "batch_episodes": 8, "replay_episodes": 16, "evaluate_every": 2,
    "evaluation_games": 8,
}  # fmt: skip


def note_rnn() -> SequenceRNN:
    return SequenceRNN(38, 12, seed=9)


def music(seed: int) -> tutor.Tuned:
    """The tutor of the music half, in small."""
    return tutor.train(Music(), note_rnn(), TutorSettings(**PLAIN), seed)  # type: ignore[arg-type]


def music_epsilon_greedy(seed: int) -> tutor.Tuned:
    """The same with the paper's exploration, which draws more random numbers, and with G."""
    settings = TutorSettings(method="g", start="zero_head", play="epsilon_greedy", **PLAIN)  # type: ignore[arg-type]
    return tutor.train(Music(), note_rnn(), settings, seed)


def strings(seed: int) -> tutor.Tuned:
    """The dueling form on sequences that end, with its memory of earlier batches."""
    settings = DuelingSettings(steps=5, episodes=16, replayed=8, remembered=40, evaluate_every=2)
    return dueling.train(BRACKETS, SequenceRNN(4, 12, seed=9), settings, seed)


def strings_plain(seed: int) -> tutor.Tuned:
    """The paper's form on sequences that end."""
    return ending.train(BRACKETS, SequenceRNN(4, 12, seed=9), TutorSettings(**PLAIN), seed)  # type: ignore[arg-type]


RUNS: dict[str, Callable[[int], tutor.Tuned]] = {
    run.__name__: run for run in (music, music_epsilon_greedy, strings, strings_plain)
}


def fingerprint(tuned: tutor.Tuned) -> str:
    """The digest of every byte of weights and curve."""
    digest = hashlib.sha256()
    for name, weight in tuned.policy.state_dict().items():
        digest.update(name.encode() + weight.numpy().tobytes())
    digest.update(tuned.curve.to_csv(index=False).encode())  # floats in full
    return digest.hexdigest()


def fingerprints(seeds: tuple[int, ...]) -> dict[str, list[str]]:
    """Every kind of run with every seed, one after the other in this process."""
    return {name: [fingerprint(run(seed)) for seed in seeds] for name, run in RUNS.items()}


@pytest.fixture(scope="module")
def alone() -> list[dict[str, list[str]]]:
    """A process a seed: each knows nothing of the others."""
    command = [sys.executable, __file__]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    results = [
        subprocess.run([*command, str(seed)], env=environment, capture_output=True, text=True, check=True)
        for seed in SEEDS
    ]
    return [json.loads(result.stdout) for result in results]


@pytest.mark.parametrize("name", RUNS)
def test_seeds_in_one_process_give_what_each_gives_in_its_own(name: str, alone: list[dict[str, list[str]]]) -> None:
    """Protects parallel runs and their intervals: no seed leaves a trace in the next, in any order."""
    expected = [result[name][0] for result in alone]
    assert len(set(expected)) == len(SEEDS), "seeds differ, so that equal bytes mean something"
    assert [fingerprint(RUNS[name](seed)) for seed in SEEDS] == expected
    assert [fingerprint(RUNS[name](seed)) for seed in reversed(SEEDS)] == expected[::-1]


@pytest.mark.parametrize("name", RUNS)
def test_global_random_numbers_have_no_say(name: str) -> None:
    """Protects notebooks, where a reader may have drawn anything before: the generators of numpy and torch stand by."""
    np.random.seed(1)
    torch.manual_seed(1)
    one = fingerprint(RUNS[name](0))
    np.random.seed(2)
    torch.manual_seed(2)
    torch.rand(5)
    assert fingerprint(RUNS[name](0)) == one


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(fingerprints((int(sys.argv[1]),))))
