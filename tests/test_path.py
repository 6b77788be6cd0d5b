"""The path-consistent form: what its gradients reach, its schedules, what it remembers, and what it learns."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import Bandit, Ending

from repro import experiments, studies
from repro.domain import Domain
from repro.kl_control import path_errors
from repro.path import MOST, Memory, PathSettings, PathTutor
from repro.rnn import SequenceRNN


def learner(domain: Domain | None = None, cells: int = 4, **changes: object) -> PathTutor:
    settings = PathSettings(**changes)  # type: ignore[arg-type]
    return PathTutor(domain or Bandit(), SequenceRNN(3, cells, seed=1), settings, seed=0)


@pytest.mark.parametrize(("gamma", "trace"), [(1.0, 1.0), (0.5, 0.8)])
def test_the_policy_learns_by_its_error_and_the_value_leaves_the_network_alone(gamma: float, trace: float) -> None:
    """Protects the loss: its gradient is -d grad(log pi), none of V's reaches it; what follows is discounted."""
    run, again = (learner(clip=1e9, gamma=gamma, trace=trace, centre_rate=0.0) for _ in range(2))
    played = run.play()
    run.centre = 0.3
    run.update(played, new=len(played["actions"]))
    taken = played["actions"].unsqueeze(-1)
    log_pi = again.policy(played["inputs"]).log_softmax(-1).gather(-1, taken).squeeze(-1)
    log_p = played["log_prior"].gather(-1, taken).squeeze(-1)
    delta = played["reward"] + log_p - log_pi.detach() - 0.3  # V is zero before the first step
    delta[:, :-1] += 0.3 * gamma
    (-(path_errors(delta, gamma * trace) * log_pi).sum(dim=1).mean() / 10).backward()
    ours = dict(run.policy.named_parameters())
    for name, weight in again.policy.named_parameters():
        if weight.requires_grad:
            assert torch.allclose(ours[name].grad, weight.grad, atol=1e-6), name


@pytest.mark.parametrize("method", ["psi", "g"])
def test_it_follows_the_reward_s_weight_to_the_optimum(method: str) -> None:
    """Protects the whole: half of the way up the policy is p exp(beta r / c) / Z(beta); the centre ends at log Z."""
    rates = {"learning_rate": 2e-2, "value_learning_rate": 2e-2, "head_learning_rate": 2e-2}
    run = learner(cells=8, method=method, c=1.0, steps=600, episodes=64, annealed=0.9, **rates)
    inputs = torch.tensor([[0, first] for first in range(3)])
    log_p = run.prior(inputs).log_softmax(-1).detach().double()
    goals = [(log_p[:, 1] + beta * torch.from_numpy(Bandit.worth)).softmax(-1) for beta in (271 / 540, 1.0)]
    for _ in range(270):
        run.step()
    apart = [(run.acting.log_probabilities(inputs)[:, 1].exp() - goal).abs().max() for goal in goals]
    assert apart[0] < 0.04 < apart[1]
    for _ in range(330):
        run.step()
    assert (run.acting.log_probabilities(inputs)[:, 1].exp() - goals[1]).abs().max() < 0.02
    z = (log_p[0, 0].exp() * (log_p[:, 1].exp() * torch.from_numpy(np.exp(Bandit.worth))).sum(-1)).sum()
    assert run.centre == pytest.approx(math.log(z), abs=0.02)


def test_schedules() -> None:
    """Protects three rates, each of its own part, held and then along a half cosine, and the reward's weight."""
    given = {"learning_rate": 1e-3, "head_learning_rate": 2e-2, "value_learning_rate": 4e-3}
    run = learner(steps=8, episodes=8, held=0.5, annealed=0.5, **given)
    before = {name: weight.detach().clone() for name, weight in run.policy.named_parameters()}
    rates, betas = [], []
    for step in range(8):
        betas.append(run.beta())
        run.step()
        rates.append([group["lr"] for group in run.adam.param_groups])
        if step == 0:  # Adam's first step is as long as the rate
            moved = {name: float((w.detach() - before[name]).abs().max()) for name, w in run.policy.named_parameters()}
    cosine = [1, 1, 1, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert np.allclose(rates, np.outer(cosine, list(given.values())))
    assert moved["head.bias"] == pytest.approx(2e-2, rel=1e-2)
    assert moved["lstm.bias_ih_l0"] == pytest.approx(1e-3, rel=1e-2)
    assert betas == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1] and learner(annealed=0.0).beta() == 1.0


@pytest.mark.parametrize("method", ["psi", "g"])
def test_what_the_prior_plays_is_the_first_batch(method: str) -> None:
    """Protects the start: before the first step the policy is the prior, for G with its zero head too."""
    run, inputs = learner(Ending(), method=method), torch.tensor([[0, 1, 2]])
    torch.testing.assert_close(run.acting.log_probabilities(inputs), run.prior(inputs).log_softmax(-1))


def episodes(lengths: list[int]) -> dict[str, torch.Tensor]:
    longest = max(lengths)
    belongs = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    actions = torch.arange(1, len(lengths) + 1)[:, None].expand(-1, longest).clone()
    return {"actions": actions, "alive": belongs, "log_prior": torch.ones(len(lengths), longest, 2)}


def memory(priority: float, size: int = 100) -> Memory:
    return Memory(size, 4, priority, np.random.default_rng(0))


def test_sequences_come_back_as_they_were_padded_to_the_longest() -> None:
    """Protects what is trained on: the steps of a remembered sequence without its old padding, none alive after."""
    kept = memory(0.0)
    kept.add(episodes([2, 4]), np.zeros(2))
    both = kept.beside(episodes([3]), np.array([1, 0]))
    assert both["alive"].sum(dim=1).tolist() == [3, 4, 2]
    assert both["actions"].tolist() == [[1, 1, 1, 0], [2, 2, 2, 2], [1, 1, 0, 0]]
    assert both["log_prior"].shape == (3, 4, 2) and both["log_prior"][2, 2:].abs().sum() == 0


def test_the_oldest_make_room() -> None:
    """Protects the ring: of batches that overlap its end, or are larger, the latest stay, each with its weight."""
    kept = memory(0.0, size=3)
    for lengths, weights in (([1, 2], [1.0, 2.0]), ([3, 4], [3.0, 4.0]), ([1, 1, 2, 3, 4], [5.0, 6.0, 7.0, 8.0, 9.0])):
        kept.add(episodes(lengths), np.array(weights))
        rows = kept.replay.latest(kept.replay.size)
        assert kept.log_weights[rows].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0][: int(weights[-1])][-3:]
        assert kept.replay.at(rows)["alive"].sum(dim=1).tolist() == [1, 2, 3, 4, 1, 1, 2, 3, 4][: int(weights[-1])][-3:]


def test_chances_follow_the_weights() -> None:
    """Protects the formula: (w / median w) ** priority, at most MOST; without priority all alike, none twice. A weight
    below what floating point holds is small, not none, where all are asked for.
    """
    kept, plain = memory(0.5), memory(0.0)
    kept.add(episodes([1, 1, 1, 1, 1]), np.array([-2.0, 0.0, 0.0, 2.0, 50.0]))
    draws = np.concatenate([kept.draw(1) for _ in range(20_000)])
    expected = np.array([np.exp(-1), 1, 1, np.exp(1), MOST])
    # five standard errors of a share of 20,000 draws are at most .018
    assert np.abs(np.bincount(draws, minlength=5) / len(draws) - expected / expected.sum()).max() < 0.018
    assert len(plain.draw(4)) == 0
    plain.add(episodes([1, 1, 1]), np.array([0.0, 9.0, -9.0]))
    far = memory(1.0)
    far.add(episodes([1, 1, 1]), np.array([0.0, 0.0, -2000.0]))
    assert sorted(plain.draw(8)) == sorted(far.draw(3)) == [0, 1, 2]


@pytest.mark.long
def test_half_an_hour_of_training_on_molecules_grows_nothing() -> None:
    """Protects long runs: memory stays within 5 % once the scores of 2**17 molecules are remembered (for a quarter of
    an hour that cache grows), steps per second of the core within 10 %, and no file is left open.
    """
    study = studies.study("laptop", "molecules")
    domain, prior = experiments.of_smiles_rnn(study).runs[0].task.domain, experiments.smiles_rnn(study)[0].rnn()
    run, seen = PathTutor(domain, prior, replace(study.tuning("psi"), steps=10**6), seed=0), []
    began, page = time.monotonic(), os.sysconf("SC_PAGESIZE")
    while (minute := len(seen)) < 30:
        steps, spent = 0, time.process_time()
        while time.monotonic() < began + 60 * (minute + 1):
            run.step()
            steps += 1
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * page / 1e6
        seen.append((resident, steps / (time.process_time() - spent), len(os.listdir("/proc/self/fd"))))
        told = "{:.0f} MB, {:.2f} steps per core-second, {} open files".format(*seen[-1])
        print(f"minute {minute + 1}: {told}", flush=True)
    memory, speed, files = np.array(seen).T
    assert memory[15:].max() / memory[15:].min() < 1.05 and np.ptp(files) == 0
    assert speed[-10:].mean() / speed[:10].mean() == pytest.approx(1, abs=0.1)
