"""Nobody changes a number unseen: tiny runs of all that makes numbers, in float64, against a committed file.

A renamed variable or a moved function leaves the file as it is; a constant, a sign, an order of updates does not. Runs
are made so that every branch bites: gradients are clipped, rates fall, sequences end, exploration and replay are on. By
hand, from the repository's root: `python tests/test_fingerprints.py` writes the file anew.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro import store
from repro.authors import AuthorsSettings, AuthorsTutor
from repro.domain import Domain
from repro.evaluation import estimated_optimum, evaluate
from repro.exact import BRACKETS, TONES, Enumerable
from repro.kl_control import METHODS, Policy
from repro.molecules import data
from repro.molecules.domain import AuthorsMolecules, Molecules
from repro.music import corpus
from repro.music.domain import Music
from repro.path import PathSettings, PathTutor
from repro.prior import train_prior
from repro.rnn import SequenceRNN
from repro.roads import ROADS, RoadSettings, RoadTutor
from repro.settings import PolicySettings, PriorSettings, RebuiltSettings, TutorSettings
from repro.tutor import Learner, Tutor, train

FILE = Path(__file__).parent / "golden" / "fingerprints.json"
CHANGED = (
    "numbers changed. If that was not meant, find the line that did it. If it was, raise the version in "
    "store.VERSIONS (of a reward: the domain's version, of a measure: its measures_version), renew the file with "
    "`python tests/test_fingerprints.py`, and add a line to CHANGELOG.md"
)
Numbers = Mapping[str, Any]
SMILES = (
    "CC(=O)Nc1ccc(O)cc1", "c1ccc2c(c1)CCCCCC2", "CCCCCCCCCCCCCCCCCC(N)=O", "C[C@H](N)C(=O)O", "CC(C", "C1CC",
    "O=C(NC1CCCCC1)c1ccc(Cl)cc1F", "CN1CCN(Cc2ccc(C(=O)Nc3ccc(C)c(Br)c3)cc2)CC1CCOc1ccncc1S(=O)(=O)N",
)  # fmt: skip
ABC = "X:1\nT:test\nM:4/4\nL:1/8\nK:G\nGABc d2B2|A2F2 G4|(3GAB cd e2d2|B2A2 G4|GABc d2e2|d2B2 A2F2|G8|"


def rnn(domain: Domain, seed: int = 3) -> SequenceRNN:
    return SequenceRNN(len(domain.vocabulary), 8, seed=seed)


def prior(window_events: int) -> Numbers:
    settings = PriorSettings(
        cells=8, steps=12, windows=16, window_events=window_events, learning_rate=1e-2, clip=0.4, l2=0.05,
        evaluate_every=4,
    )  # fmt: skip
    return train_prior(BRACKETS.corpus(200, 0), BRACKETS.corpus(50, 1), 4, settings)[1]


def tuned(learner: Callable[..., Learner], domain: Domain, settings: PolicySettings) -> Numbers:
    return train(learner(domain, rnn(domain), settings, 7))


def evaluated(domain: Domain, method: str | None, trained_prior: bool = False) -> Numbers:
    original, network, acting = (rnn(domain, seed) for seed in (3, 4, 5))
    policy = Policy(network, acting if trained_prior else original, METHODS[method] if method else None)
    numbers, sample = evaluate(domain, policy, original, 300, 5, 0.3, trained_prior)
    best = estimated_optimum(sample, 0.3, {"first": sample.tokens[:, 0]})
    return numbers["metrics"] | {f"optimum, {name}": value for name, value in best.items()}


def melodies() -> np.ndarray:
    """Some of which every rule has something to say: random ones, motifs again and again, slow ones, quiet ones."""
    generator = np.random.default_rng(0)
    again = np.tile(generator.integers(38, size=(60, 8)), 4)
    slow = np.repeat(generator.choice([0, 1, 14, 16, 18, 21], size=(60, 8)), 4, axis=1)
    steps = 14 + np.abs(np.cumsum(generator.integers(-4, 5, size=(60, 32)), axis=1)) % 24
    quiet = np.where(generator.random((60, 32)) < 0.5, generator.integers(2, size=(60, 32)), steps)
    tonic = np.where(np.isin(np.arange(32), (0, 28)), 14, quiet)  # middle C where it is paid, then mostly quiet
    leaps = 2 + np.cumsum(generator.choice([-9, -7, -1, 2, 7, 12], (60, 32)), axis=1) % 36
    return np.concatenate([generator.integers(38, size=(60, 32)), again, slow, steps, quiet, tonic, leaps])


def rewarded(domain: Domain, sequences: np.ndarray) -> Numbers:
    """The reward of every step, part by part, and the measures; first inputs of a few sequences."""
    parts = {f"reward, {name}": part.mean(axis=0) for name, part in domain.reward_parts(sequences).items()}
    first = domain.first_inputs(9, np.random.default_rng(0))
    return parts | dict(domain.measures(sequences)) | domain.watch(sequences) | {"first inputs": first}


def strings(kind: type[Molecules], tokeniser: str) -> Numbers:
    """Of SMILES, valid and not, the last without its end."""
    vocabulary = data.Vocabulary.of(SMILES, tokeniser)
    domain = kind(vocabulary, training=lambda: frozenset(SMILES[:2]))
    rows = np.full((len(SMILES), domain.horizon), data.END_INDEX)
    for row, string in zip(rows, SMILES, strict=True):
        found = [vocabulary.tokens.index(token) for token in data.split(string, tokeniser)]
        row[: len(found)] = found
    rows[-1, len(found) :] = vocabulary.tokens.index("C")
    return rewarded(domain, rows)


def tunes() -> Numbers:
    tune = corpus.melody(ABC)
    drawn = corpus.windows([tune, tune[8:]], 40, RebuiltSettings(), 0)
    return {"melody": tune, "lengths": [len(w) for w in drawn], "means": [w.mean() for w in drawn]}


def cases() -> Iterator[tuple[str, Callable[[], Numbers]]]:
    """By name what makes the numbers."""
    yield from ((f"prior, window of {events}", partial(prior, events)) for events in (4, 0))
    paper = TutorSettings(
        c=0.3, gamma=0.8, eta=0.2, rounds=6, games=16, gradient_steps=2, batch_episodes=8, replay_episodes=48,
        learning_rate=1e-2, clip=0.05, temperature=1.5, evaluate_every=2, evaluation_games=32,
    )  # fmt: skip
    path = PathSettings(
        c=0.3, gamma=0.9, steps=10, episodes=16, replayed=8, remembered=64, priority=1.5, annealed=0.5, trace=0.9,
        held=0.4, learning_rate=1e-2, head_learning_rate=2e-2, value_learning_rate=3e-2, value_cells=8, clip=0.05,
        evaluate_every=4,
    )  # fmt: skip
    authors = AuthorsSettings(
        c=0.3, gamma=0.8, eta=0.2, environment_steps=160, train_every=5, batch=8, replay=60, learning_rate=1e-2,
        clip=0.05, epsilon_steps=100, evaluate_every=40, evaluation_games=32,
    )  # fmt: skip
    greedy = {"play": "epsilon_greedy", "epsilon_steps": 400, "terminal_mask": False, "schedule": "constant"}
    plain = {"annealed": 0.0, "held": 0.0, "gamma": 1.0, "trace": 1.0}
    for method in METHODS:
        start = {"start": "zero_head" if method == "g" else "log_softmax"}
        replayed = {"replayed": 0 if method == "rl_only" else 8}
        runs: tuple[tuple[Callable[..., Learner], Domain, Any, dict[str, Any]], ...] = (
            (Tutor, BRACKETS, paper, start), (Tutor, TONES, paper, greedy), (Tutor, Music(), paper, {}),
            (PathTutor, BRACKETS, path, replayed), (PathTutor, TONES, path, plain | replayed),
            (AuthorsTutor, TONES, authors, {}),
        )  # fmt: skip
        for learner, domain, settings, changes in runs:
            chosen = dataclasses.replace(settings, method=method, **changes)
            yield f"{learner.__name__}, {method}, {domain.name}", partial(tuned, learner, domain, chosen)
    for learner, settings in ((Tutor, paper), (AuthorsTutor, authors)):
        chosen = dataclasses.replace(settings, method="g", train_prior=True)
        yield f"{learner.__name__}, g, tones, prior trained", partial(tuned, learner, TONES, chosen)
    road = RoadSettings(
        c=0.3, steps=10, episodes=16, remembered=64, priority=1.5, annealed=0.5, held=0.4, learning_rate=1e-2,
        head_learning_rate=2e-2, log_z_learning_rate=3e-2, clip=0.05, evaluate_every=4,
    )  # fmt: skip
    for name, way in ROADS.items():
        chosen = dataclasses.replace(road, method=name, replayed=8 * way.from_memory, pool=32 * (way.z == "prior"))
        yield f"RoadTutor, {name}, brackets", partial(tuned, RoadTutor, BRACKETS, chosen)
    for read in (None, "psi", "g"):
        for domain in (Music(), BRACKETS):
            yield f"evaluation, {read or 'prior'}, {domain.name}", partial(evaluated, domain, read)
    yield "evaluation, g, tones, prior trained", partial(evaluated, TONES, "g", True)
    yield "music", lambda: rewarded(Music(), melodies())
    yield "molecules", partial(strings, Molecules, "regex")
    yield "authors_molecules", partial(strings, AuthorsMolecules, "characters")
    yield "corpus", tunes


CASES = dict(cases())
DOMAINS: tuple[type[Domain], ...] = (Music, Molecules, AuthorsMolecules, Enumerable)
VERSIONS = store.VERSIONS | {kind.__name__: [kind.version, kind.measures_version] for kind in DOMAINS}


def digits(case: str) -> dict[str, list[float | None]]:
    """Nine digits of every number, None where there is none."""
    torch.set_default_dtype(torch.float64)
    try:
        made = {str(name): np.ravel(np.asarray(value, float)).tolist() for name, value in CASES[case]().items()}
    finally:
        torch.set_default_dtype(torch.float32)
    return {name: [float(f"{x:.9g}") if math.isfinite(x) else None for x in numbers] for name, numbers in made.items()}


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_the_committed_file(case: str) -> None:
    """Protects finished runs, which are named by versions: what changes their numbers turns this red."""
    ours, theirs = digits(case), json.loads(FILE.read_text(encoding="utf-8"))["cases"].get(case, {})
    pairs = {name: [np.array(side.get(name, []), float) for side in (ours, theirs)] for name in ours.keys() | theirs}
    # but for rounding of the ninth digit, and of what would be 0 without rounding
    other = [name for name, (one, two) in sorted(pairs.items())
             if one.shape != two.shape or not np.allclose(one, two, 1e-8, 1e-10, equal_nan=True)]  # fmt: skip
    assert not other, f"{case}: {', '.join(other)}: {CHANGED}"


def test_the_file_is_of_these_versions() -> None:
    """Protects reviews: a file that was renewed shows beside its numbers which version was raised, or that none was."""
    committed = json.loads(FILE.read_text(encoding="utf-8"))
    assert committed["versions"] == VERSIONS and committed["cases"].keys() == CASES.keys(), CHANGED


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(case)}: {json.dumps(digits(case))}" for case in CASES)
    FILE.write_text(f'{{"versions": {json.dumps(VERSIONS)},\n"cases": {{\n{lines}\n}}}}\n', encoding="utf-8")
