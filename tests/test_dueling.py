"""The dueling form: its errors against worked numbers, what its gradients reach, and what it learns."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pytest
import torch

from repro import dueling
from repro.hyperparameters import METHODS, DuelingSettings
from repro.kl_control import METHODS as OBJECTS
from repro.rnn import SequenceRNN, play


class Bandit:
    """Two steps of three tokens; only the last token is worth something."""

    name, vocabulary, horizon = "bandit", ("a", "b", "c"), 2
    worth: ClassVar[np.ndarray] = np.array([0.0, 1.0, 2.0])

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Always the first token."""
        return np.zeros(count, dtype=np.int64)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The worth of the last token, at the last step."""
        rewards = np.zeros(sequences.shape)
        rewards[:, -1] = self.worth[sequences[:, -1]]
        return rewards


class Ending(Bandit):
    """The same with longer sequences that token a ends."""

    horizon, end = 5, 0


def test_path_errors_are_discounted_sums_to_the_end() -> None:
    """Protects d_t = delta_t + lambda d_{t+1}."""
    delta = torch.tensor([[1.0, 2.0, 4.0]])
    assert dueling.path_errors(delta, 1.0).tolist() == [[7.0, 6.0, 4.0]]
    assert dueling.path_errors(delta, 0.5).tolist() == [[3.0, 4.0, 4.0]]
    assert dueling.path_errors(delta, 0.0).tolist() == [[1.0, 2.0, 4.0]]


def test_step_errors_against_worked_numbers() -> None:
    """Protects the three lines in which the methods differ."""
    reward, log_p = torch.tensor([[0.0, 3.0]]), torch.tensor([[-1.0, -2.0]])
    log_pi, best, value = torch.tensor([[-0.5, -0.25]]), torch.tensor([[-0.5, -0.1]]), torch.tensor([[1.0, 2.0]])

    def errors(method: str, gamma: float = 1.0) -> list[float]:
        return dueling.step_errors(method, reward, log_p, log_pi, best, value, gamma)[0].tolist()

    # psi: 0 - 1 + .5 + 2 - 1 and 3 - 2 + .25 + 0 - 2
    assert errors("psi") == pytest.approx([0.5, -0.75])
    assert errors("g") == pytest.approx([0.5, -0.75])
    # q: the next value is 2 - .1
    assert errors("q") == pytest.approx([0.4, -0.75])
    # rl_only: without log p - log pi
    assert errors("rl_only") == pytest.approx([1.0, 1.0])
    assert errors("psi", gamma=0.5) == pytest.approx([-0.5, -0.75])


def test_the_policy_learns_by_its_error_and_the_value_leaves_the_network_alone() -> None:
    """Protects the loss: its gradient is -d grad(log pi), and none of V's reaches the policy's own weights."""
    run = dueling.Dueling(Bandit(), SequenceRNN(3, 4, seed=1), DuelingSettings(clip=1e9), seed=0)  # type: ignore[arg-type]
    played = run.play()
    run.centre = 0.3
    run.settings = dataclasses.replace(run.settings, centre_rate=0.0)
    run.update(played, new=len(played["actions"]))
    inputs, taken = played["inputs"], played["actions"].unsqueeze(-1)
    again = dueling.Dueling(Bandit(), SequenceRNN(3, 4, seed=1), DuelingSettings(), seed=0)  # type: ignore[arg-type]
    log_pi = again.policy(inputs).log_softmax(-1).gather(-1, taken).squeeze(-1)
    log_p = played["log_prior"].gather(-1, taken).squeeze(-1)
    delta = played["reward"] + log_p - log_pi.detach()
    delta[:, -1] -= 0.3  # V is zero before the first step
    d = dueling.path_errors(delta, 1.0)
    (-(d * log_pi).sum(dim=1).mean() / 10).backward()
    ours = dict(run.policy.named_parameters())
    for name, weight in again.policy.named_parameters():
        if weight.requires_grad:
            assert torch.allclose(ours[name].grad, weight.grad, atol=1e-6), name


def test_errors_are_discounted_by_gamma_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects TD(lambda) with a discount: what lies k steps ahead weighs (gamma lambda) ** k."""
    traces: list[float] = []
    plain = dueling.path_errors

    def seen(delta: torch.Tensor, trace: float) -> torch.Tensor:
        traces.append(trace)
        return plain(delta, trace)

    monkeypatch.setattr(dueling, "path_errors", seen)
    settings = DuelingSettings(gamma=0.5, trace=0.8, episodes=4)
    dueling.Dueling(Bandit(), SequenceRNN(3, 4), settings, seed=0).step()  # type: ignore[arg-type]
    assert traces == [0.4]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bytes(method: str) -> None:
    """Protects determinism, the finite loss of all methods, and the prior, which is not changed."""
    prior = SequenceRNN(3, 4, seed=1)
    before = [weight.clone() for weight in prior.parameters()]
    settings = DuelingSettings(method=method, steps=4, episodes=8, replayed=4, evaluate_every=2)
    one, again = (dueling.train(Ending(), prior, settings, 5) for _ in range(2))  # type: ignore[arg-type]
    for left, right in zip(one.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(left, right)
    assert one.curve.equals(again.curve) and one.curve["loss"].notna().all()
    assert one.curve["step"].tolist() == [1, 2, 4]
    assert one.curve["sequences"].tolist() == [8, 16, 32], "remembered sequences are not played again"
    assert all(torch.equal(old, new) for old, new in zip(before, prior.parameters(), strict=True))


@pytest.mark.parametrize("method", ["psi", "g"])
def test_it_learns_the_optimum(method: str) -> None:
    """Protects the whole: the last token's distribution becomes p exp(r / c) / Z to two decimals."""
    prior = SequenceRNN(3, 8, seed=1)
    settings = DuelingSettings(method=method, c=1.0, steps=250, episodes=64, learning_rate=2e-2,
                               value_learning_rate=2e-2)  # fmt: skip
    tuned = dueling.train(Bandit(), prior, settings, 0)  # type: ignore[arg-type]
    for first in range(3):
        inputs = torch.tensor([[0, first]])
        log_p = prior(inputs).log_softmax(-1)[0, 1].double()
        best = (log_p + torch.from_numpy(Bandit.worth)).softmax(0)
        ours = OBJECTS[method].scores(tuned.policy(inputs), prior(inputs)).softmax(-1)[0, 1]
        assert (ours - best).abs().max() < 0.02
    centre = tuned.curve["centre"].iloc[-1]
    log_z = _log_z(prior)
    assert abs(centre - log_z) < 0.02, "the centre tracks log Z"


def test_the_head_learns_at_a_rate_of_its_own() -> None:
    """Protects both rates: Adam's first step moves the LSTM's weights by one of them and the head's by the other."""
    settings = DuelingSettings(steps=10, episodes=8, learning_rate=1e-3, head_learning_rate=2e-2)
    run = dueling.Dueling(Bandit(), SequenceRNN(3, 4, seed=1), settings, seed=0)  # type: ignore[arg-type]
    before = {name: weight.detach().clone() for name, weight in run.policy.named_parameters()}
    run.step()
    moved = {
        name: float((weight.detach() - before[name]).abs().max()) for name, weight in run.policy.named_parameters()
    }
    assert moved["head.bias"] == pytest.approx(2e-2, rel=1e-2)
    assert moved["lstm.bias_ih_l0"] == pytest.approx(1e-3, rel=1e-2)


def test_learning_rates_are_held_and_then_fall_along_a_half_cosine() -> None:
    """Protects the schedule of all three rates."""
    settings = DuelingSettings(steps=8, episodes=8, held=0.5, learning_rate=1e-3, value_learning_rate=4e-3)
    run = dueling.Dueling(Bandit(), SequenceRNN(3, 4, seed=1), settings, seed=0)  # type: ignore[arg-type]
    rates = []
    for _ in range(8):
        run.step()
        rates.append([group["lr"] for group in run.adam.param_groups])
    cosine = [1, 1, 1, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert np.allclose(rates, np.outer(cosine, [1e-3, 1e-3, 4e-3]))


@pytest.mark.parametrize("method", ["psi", "g"])
def test_the_rewards_weight_rises_and_the_policy_follows(method: str) -> None:
    """Protects annealing: half of the way up, the policy is p exp(beta r / c) / Z(beta), and at the end the optimum."""
    prior = SequenceRNN(3, 8, seed=1)
    settings = DuelingSettings(method=method, c=1.0, steps=600, episodes=64, annealed=1.0, learning_rate=2e-2,
                               value_learning_rate=2e-2)  # fmt: skip
    run = dueling.Dueling(Bandit(), prior, settings, seed=0)  # type: ignore[arg-type]
    assert run.beta() == pytest.approx(1 / 600)
    for _ in range(300):
        run.step()
    assert run.beta() == pytest.approx(301 / 600)
    inputs = torch.tensor([[0, 1]])
    log_p = prior(inputs).log_softmax(-1)[0, 1].double()
    ours = OBJECTS[method].scores(run.policy(inputs), prior(inputs)).softmax(-1)[0, 1]
    half = (log_p + 0.5 * torch.from_numpy(Bandit.worth)).softmax(0)
    full = (log_p + torch.from_numpy(Bandit.worth)).softmax(0)
    assert (ours - half).abs().max() < 0.04 < (ours - full).abs().max()


def test_beta_is_one_without_annealing_and_after_it() -> None:
    """Protects the reward as it is: nothing but the first steps is weighed."""

    def beta(steps_done: int, **changes: object) -> float:
        settings = DuelingSettings(**({"steps": 10, "annealed": 0.5} | changes))  # type: ignore[arg-type]
        run = dueling.Dueling(Bandit(), SequenceRNN(3, 4, seed=1), settings, seed=0)  # type: ignore[arg-type]
        run.steps = steps_done
        return run.beta()

    assert [beta(done) for done in (0, 1, 4, 5, 9)] == pytest.approx([0.2, 0.4, 1.0, 1.0, 1.0])
    assert beta(0, annealed=0.0) == 1.0


def _log_z(prior: SequenceRNN) -> float:
    total = 0.0
    for first in range(3):
        p = prior(torch.tensor([[0, first]])).softmax(-1)[0].detach().numpy().astype(float)
        total += p[0, first] * (p[1] * np.exp(Bandit.worth)).sum()
    return math.log(total)


def test_a_loss_that_is_no_number_is_an_error_that_says_what_to_lower() -> None:
    """Protects users from a policy of NaNs."""

    class Broken(Bandit):
        def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
            return np.full(sequences.shape, np.inf)

    settings = DuelingSettings(steps=2)
    with pytest.raises(FloatingPointError, match=f"learning_rate below {settings.rate()}"):
        dueling.train(Broken(), SequenceRNN(3, 4), settings, 0)  # type: ignore[arg-type]


def test_what_the_prior_plays_is_the_first_batch() -> None:
    """Protects the start: before the first step the policy is the prior, for G with its zero head too."""
    prior = SequenceRNN(3, 4, seed=1)
    for method in ("psi", "g"):
        run = dueling.Dueling(Ending(), prior, DuelingSettings(method=method, episodes=64), seed=3)  # type: ignore[arg-type]
        played = run.play()
        plain = play([prior], np.zeros(64, dtype=np.int64), 5, np.random.default_rng([3, 0]))
        mask = played["alive"]
        assert torch.equal(played["actions"][mask], plain[:, : mask.shape[1]][mask])


def test_what_is_observed_stands_in_the_curve() -> None:
    """Protects the hook that watches a policy while it learns: one call a row, and training does not notice."""
    settings = DuelingSettings(steps=4, episodes=8, evaluate_every=2)
    rnn = SequenceRNN(3, 4, seed=1)
    plain = dueling.train(Bandit(), rnn, settings, seed=0)  # type: ignore[arg-type]
    seen = dueling.train(Bandit(), rnn, settings, seed=0, observe=lambda policy: {"cells": float(policy.cells)})  # type: ignore[arg-type]
    assert seen.curve["cells"].tolist() == [4.0] * len(plain.curve)
    assert seen.curve.drop(columns="cells").equals(plain.curve)
