"""The enumerated domains: dynamic programming against sums over all sequences, networks against both, and learning."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch

from repro import bench
from repro.evaluation import sampled
from repro.exact import BRACKETS, TONES, Exact, Table, bracket_rules, tone_rules
from repro.kl_control import METHODS, Policy
from repro.rnn import SequenceRNN
from repro.roads import RoadSettings
from repro.runs import TRAINERS
from repro.studies import ExactStudy
from repro.tutor import train

C = ExactStudy().c


@pytest.fixture(params=[BRACKETS, TONES], ids=["brackets", "tones"], scope="module")
def truth(request: pytest.FixtureRequest) -> Exact:
    """Each domain, written out."""
    return bench.solved(request.param.name, C)


def brute_force(truth: Exact) -> tuple[torch.Tensor, torch.Tensor]:
    """Log p(x) and r(x) / c of every sequence, by playing the sequences through the network and the rules."""
    tokens = torch.from_numpy(truth.sequences)
    first = torch.from_numpy(truth.domain.first_inputs(len(tokens), np.random.default_rng(0)))
    log_prior = truth.prior(torch.column_stack([first, tokens]))[:, :-1].detach().double().log_softmax(dim=-1)
    log_p = log_prior.gather(-1, tokens[..., None])[..., 0]
    belongs = torch.ones_like(tokens).bool()
    for step in range(1, tokens.shape[1]):
        belongs[:, step] = belongs[:, step - 1] & (tokens[:, step - 1] != (-1 if truth.end is None else truth.end))
    rewards = torch.from_numpy(truth.domain.step_rewards(truth.sequences))
    return (log_p * belongs).sum(dim=1), (rewards * belongs).sum(dim=1) / C


def random_policy(truth: Exact, seed: int) -> Table:
    """Some policy or other."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [level.shape for level in truth.log_prior]
    return [(2 * torch.randn(s, generator=generator, dtype=torch.float64)).log_softmax(dim=1) for s in shapes]


def test_all_sequences_are_there_once(truth: Exact) -> None:
    """Protects the tree: every sequence that the trainers can play, by another enumeration, and a problem worth it."""
    domain, tokens = truth.domain, range(truth.tokens)
    played = {domain.text(np.array(sequence)) for sequence in itertools.product(tokens, repeat=domain.horizon)}
    listed = [domain.text(sequence) for sequence in truth.sequences]
    assert len(listed) == len(set(listed)) == {"brackets": 3280, "tones": 15_625}[domain.name]
    assert set(listed) == played
    assert truth.kl_to_optimum(truth.log_prior) >= 1.5


def test_optimum_is_the_prior_times_exp_reward(truth: Exact) -> None:
    """Protects sums along paths, for which a reward must depend on the past alone, and p(x) exp(r(x) / c) / Z."""
    log_p, reward = brute_force(truth)
    torch.testing.assert_close(truth.along(truth.log_prior), log_p, atol=1e-4, rtol=0)
    torch.testing.assert_close(truth.along(truth.reward), reward)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-5)
    weights = (log_p + reward).exp().numpy()
    for method in ("psi", "g"):
        found = truth.along(truth.policy(method)).exp().numpy()
        np.testing.assert_allclose(found, weights / weights.sum(), atol=1e-6)
        np.testing.assert_allclose(found, truth.log_optimum.exp().numpy(), rtol=1e-10)
        assert truth.kl_to_optimum(truth.policy(method)) == pytest.approx(0, abs=1e-12)
    assert truth.log_z == pytest.approx(np.log(weights.sum()), abs=1e-5)
    # and the hard maximum: max Q* is the largest log p + r / c of any sequence, and exp Q* is not the optimum
    assert float(truth.values("q")[0].max()) == pytest.approx(float((log_p + reward).max()), abs=1e-5)
    assert float(truth.values("rl_only")[0].max()) == pytest.approx(float(reward.max()))
    assert truth.kl_to_optimum(truth.policy("q")) > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95, 1.0])
def test_psi_is_log_p_plus_g(truth: Exact, gamma: float) -> None:
    """Protects the identity of the two forms, and that their policies are one, at every discount."""
    triples = zip(truth.values("psi", gamma), truth.values("g", gamma), truth.log_prior, strict=True)
    assert max(float((psi - log_p - g).abs().max()) for psi, g, log_p in triples) < 1e-12
    pairs = zip(truth.policy("psi", gamma), truth.policy("g", gamma), strict=True)
    assert max(float((psi - g).abs().max()) for psi, g in pairs) < 1e-12


def test_objective_is_log_z_less_the_distance_from_the_optimum(truth: Exact) -> None:
    """Protects J(pi) = log Z - KL(pi || p*) for any policy: random ones, the prior, a network's, every method's."""
    network = SequenceRNN(truth.tokens, 8, seed=3)
    policies = [random_policy(truth, seed) for seed in range(3)] + [truth.log_prior]
    policies += [read for method in METHODS for read in (truth.policy_of(method, network), truth.policy(method, 0.7))]
    for policy in policies:
        assert truth.objective(policy) == pytest.approx(truth.log_z - truth.kl_to_optimum(policy), abs=1e-9)
        assert truth.kl_to_optimum(policy) > 1e-3
        assert float(truth.along(policy).exp().sum()) == pytest.approx(1, abs=1e-9)
    # the further a discount from 1, the further from p*
    costs = [truth.kl_to_optimum(truth.policy("psi", gamma)) for gamma in (0.5, 0.95)]
    assert costs[0] > 10 * costs[1] > 0.01


def test_what_is_played_is_what_is_enumerated(truth: Exact) -> None:
    """Protects the link to the trainers: 20,000 sequences of G and prior occur as often as their probabilities say."""
    network, count = SequenceRNN(truth.tokens, 8, seed=3), 20_000
    _, tokens = sampled(truth.domain, Policy(network, truth.prior, METHODS["g"]), count, seed=0)
    rank = {sequence.tobytes(): place for place, sequence in enumerate(truth.sequences.astype(np.int64))}
    seen = np.bincount([rank[sequence.tobytes()] for sequence in tokens], minlength=len(rank))
    probable = truth.along(truth.policy_of("g", network)).exp().numpy()
    likely = count * probable >= 10
    apart = (seen - count * probable)[likely] / np.sqrt(count * probable * (1 - probable))[likely]
    assert np.sqrt(np.mean(apart**2)) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CC", {}),
        ("C(C)", {"branches": [0, 0, 0, 1, 0, 0, 0]}),
        ("C((C))", {"branches": [0, 0, 0, 0, 1, 1, 0]}),
        ("()", {}),
        ("C)(", {"alone": [0, -1, 0, -1, 0, 0, 0]}),
        ("))((", {"alone": [-1, -1, 0, 0, -2, 0, 0]}),
        ("CCCCCCC", {"ends": [0, 0, 0, 0, 0, 0, -1]}),
        ("(CCCCCC", {"alone": [0, 0, 0, 0, 0, 0, -1], "ends": [0, 0, 0, 0, 0, 0, -1]}),
    ],
)
def test_bracket_rules_by_hand(text: str, expected: dict[str, list[float]]) -> None:
    """Protects the reward of strings: alone, hollow, nested, open, without an end."""
    parts = bracket_rules(np.array([[BRACKETS.vocabulary.index(letter) for letter in text.ljust(7, "$")]]))
    assert {name: part[0].tolist() for name, part in parts.items() if part.any()} == expected


def test_tone_rules_by_hand() -> None:
    """Protects the reward of melodies."""
    parts = tone_rules(np.array([[0, 0, 3, 2, 4, 0], [4, 0, 1, 1, 1, 3]]))
    assert parts["repetition"].tolist() == [[0, -1, 0, 0, 0, 0], [0, 0, 0, -1, -1, 0]]
    assert parts["leaps"].tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert parts["tonic"].tolist() == [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("settings", [
    dataclasses.replace(bench.EXACT_PATH, method="psi", steps=400),
    dataclasses.replace(bench.EXACT_PATH, method="g", steps=400),
    RoadSettings(method="tb", c=C, steps=400, episodes=64, replayed=64, learning_rate=0.01, head_learning_rate=0.01),
], ids=lambda settings: settings.method)  # fmt: skip
def test_trainers_learn_the_optimum(settings: Any) -> None:
    """Protects the claim in short, and signs: a fifth of the steps takes path consistency and trajectory balance from
    3 nats to under .1, and their log Z to where it is.
    """
    truth = bench.solved("brackets", C)
    learner = TRAINERS[type(settings)][1](BRACKETS, truth.prior, settings, 0)
    assert truth.kl_to_optimum(truth.policy_of(learner.method, learner.policy)) > 3
    train(learner)
    end = truth.policy_of(learner.method, learner.policy)
    assert learner.log_z == pytest.approx(truth.log_z, abs=0.5) and learner.gradient_steps == 400
    assert truth.kl_to_optimum(end) < 0.1 > truth.kl_from_optimum(end)
