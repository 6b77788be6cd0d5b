"""The training loop of KL-control: games in lockstep, replay of whole episodes, Adam, a slow target network.

A round plays a batch of games with the current policy, asks the domain for their rewards and the frozen prior for its
log-probabilities (both stored with the episode: they never change), and makes a few gradient steps on episodes drawn
from the replay. Every gradient step unrolls the RNN from its initial state, so that all time steps of all drawn
episodes are trained and no stored state is ever stale. Budgets are counted in rounds, never in seconds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.episodes import alive, end_token, last_steps, play_to_end
from repro.rnn import SequenceRNN, draw, epsilon_greedy, shifted
from repro.settings import TutorSettings

EVALUATION_SEED = 1_000_003  # every evaluation of a run plays with fresh numbers that training never draws


@dataclass(frozen=True)
class Tuned:
    """A tuned policy and how it got there."""

    policy: SequenceRNN
    curve: pd.DataFrame  # one row an evaluation: environment_steps, gradient_steps, loss and the columns of `visited`


class Replay:
    """The last `capacity` whole episodes; the oldest are overwritten."""

    def __init__(self, capacity: int, horizon: int, vocabulary: int) -> None:
        self.tensors = {
            "inputs": torch.zeros(capacity, horizon + 1, dtype=torch.int64),  # priming token, then what was played
            "task_reward": torch.zeros(capacity, horizon),  # r_T / c
            "log_prior": torch.zeros(capacity, horizon + 1, vocabulary),  # log p(.|s) of the frozen prior
            "offset": torch.zeros(capacity, horizon + 1, 1),  # what is subtracted from the network's outputs
        }
        self.capacity, self.size, self.next = capacity, 0, 0

    def add(self, **episodes: Tensor) -> None:
        """Stores a batch of episodes, first axis B."""
        count = len(episodes["inputs"])
        rows = torch.arange(self.next, self.next + count) % self.capacity
        for name, tensor in self.tensors.items():
            tensor[rows] = episodes[name]
        self.next = (self.next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def draw(self, count: int, generator: np.random.Generator) -> dict[str, Tensor]:
        """Draws different episodes, all equally likely."""
        rows = torch.from_numpy(generator.choice(self.size, count, replace=False, shuffle=False))
        return {name: tensor[rows] for name, tensor in self.tensors.items()}


class Tutor:
    """One run of KL-control. `round()` trains, `evaluate()` looks; `environment_steps` and `gradient_steps` count."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: TutorSettings, seed: int) -> None:
        self.domain, self.prior, self.settings = domain, prior.eval().requires_grad_(False), settings
        self.method = kl_control.METHODS[settings.method]
        self.policy = start_from(prior, settings.start)
        self.target = copy.deepcopy(self.policy).requires_grad_(False)
        self.trained = [self.policy]  # the networks that the loss moves
        pairs = list(zip(self.policy.parameters(), self.target.parameters(), strict=True))
        self.weights: list[Tensor] = [weight for weight, _ in pairs if weight.requires_grad]
        self.target_weights: list[Tensor] = [follower for weight, follower in pairs if weight.requires_grad]
        # Adam's defaults are the authors': betas .9 and .999, epsilon 1e-8
        self.adam = torch.optim.Adam(self.weights, lr=settings.learning_rate, fused=True)
        self.replay = Replay(settings.replay_episodes, domain.horizon, len(domain.vocabulary))
        self.play_numbers, self.replay_numbers = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        self.seed, self.environment_steps, self.gradient_steps, self.loss = seed, 0, 0, math.nan

    def round(self) -> None:
        """Plays `games` episodes, then makes `gradient_steps` updates."""
        self.play()
        for _ in range(self.settings.gradient_steps):
            self.update(self.replay.draw(self.settings.batch_episodes, self.replay_numbers))

    @torch.no_grad()
    def play(self) -> None:
        """Plays a batch of games with the current policy and stores them with their rewards."""
        settings, domain = self.settings, self.domain
        first = domain.first_inputs(settings.games, self.play_numbers)
        tokens = play_to_end(self.players(), first, domain.horizon, end_token(domain), self.play_numbers, self.choice())
        task_reward = torch.from_numpy(np.asarray(domain.step_rewards(tokens.numpy()))).float() / settings.c
        inputs = shifted(torch.from_numpy(first), tokens)
        logits = self.prior(inputs)
        log_partition = logits.logsumexp(dim=-1, keepdim=True)
        offset = log_partition if settings.start == "log_softmax" else torch.zeros_like(log_partition)
        self.replay.add(inputs=inputs, task_reward=task_reward, log_prior=logits - log_partition, offset=offset)
        self.environment_steps += int(alive(tokens, end_token(domain)).sum())

    def players(self) -> list[SequenceRNN]:
        """The networks that play the policy."""
        return players(self.method, self.policy, self.prior)

    def choice(self) -> Callable[[Tensor, Tensor], Tensor]:
        """How the next token is chosen in play, from scores and uniform numbers."""
        settings = self.settings
        if settings.play == "sample":
            return draw if settings.temperature == 1.0 else lambda scores, u: draw(scores / settings.temperature, u)
        # epsilon falls linearly with the environment steps, evaluations not counted (authors' code counts them)
        done = min(1.0, self.environment_steps / settings.epsilon_steps) if settings.epsilon_steps else 1.0
        epsilon = settings.epsilon_start + done * (settings.epsilon_end - settings.epsilon_start)
        return partial(epsilon_greedy, epsilon=epsilon)

    def update(self, episodes: dict[str, Tensor]) -> None:
        """One gradient step on whole episodes, then one step of the target network's moving average."""
        loss = self.residual(episodes)
        self.adam.zero_grad()
        loss.backward()
        for network in self.trained:
            clip_each(network, self.settings.clip)
        self.adam.param_groups[0]["lr"] = self.learning_rate()
        self.adam.step()
        # theta' <- (1 - eta) theta' + eta theta
        torch._foreach_lerp_(self.target_weights, self.weights, self.settings.eta)
        self.gradient_steps += 1
        self.loss = loss.item()

    def residual(self, episodes: dict[str, Tensor]) -> Tensor:
        """The loss: the squared Bellman residual, averaged over the steps that were played."""
        settings = self.settings
        belongs = alive(episodes["inputs"][:, 1:], end_token(self.domain))
        longest = int(belongs.sum(dim=1).max())
        belongs = belongs[:, :longest]
        inputs, log_prior, offset = (episodes[name][:, : longest + 1] for name in ("inputs", "log_prior", "offset"))
        actions = inputs[:, 1:]
        with torch.no_grad():
            next_values = (self.target(inputs) - offset)[:, 1:]
            taken_log_prior = log_prior[:, :-1].gather(-1, actions.unsqueeze(-1)).squeeze(-1)
            y = kl_control.targets(
                self.method, episodes["task_reward"][:, :longest], taken_log_prior, next_values, log_prior[:, 1:],
                settings.gamma, terminal=last_steps(belongs) if settings.terminal_mask else None,
            )  # fmt: skip
        values = self.policy(inputs[:, :-1]) - offset[:, :-1]
        return kl_control.bellman_loss(values[belongs], actions[belongs], y[belongs])

    def learning_rate(self) -> float:
        """The learning rate of the next gradient step."""
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        total = self.settings.rounds * self.settings.gradient_steps
        return self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, self.gradient_steps / total)))

    def evaluate(self) -> dict[str, float]:
        """Plays fresh games without exploration and averages what `visited` measures; training does not notice."""
        numbers = np.random.default_rng([self.seed, EVALUATION_SEED, self.environment_steps])
        first = self.domain.first_inputs(self.settings.evaluation_games, numbers)
        tokens = play_to_end(self.players(), first, self.domain.horizon, end_token(self.domain), numbers)
        steps = visited(self.method, self.policy, self.prior, first, tokens)
        reward = self.domain.step_rewards(tokens.numpy())
        return {
            "environment_steps": self.environment_steps,
            "gradient_steps": self.gradient_steps,
            "loss": self.loss,
            "log_p": steps["log_p"].mean().item(),
            "log_p_last": steps["log_p"][:, -1].mean().item(),
            "task_reward": float(reward.sum(axis=1).mean()),
            "task_reward_last": float(reward[:, -1].mean()),
            "kl": steps["kl"].mean().item(),
            "entropy": steps["entropy"].mean().item(),
        }


def players(method: kl_control.Q | None, network: SequenceRNN, prior: SequenceRNN) -> list[SequenceRNN]:
    """The networks whose logits add up to the policy's scores; without a method the network is the prior itself."""
    return [network, prior] if method is not None and method.plays_with_prior else [network]


def start_from(prior: SequenceRNN, start: str) -> SequenceRNN:
    """The network before its first update: the prior's weights, with a head of zeros for `zero_head`."""
    policy = copy.deepcopy(prior)
    for name, weight in policy.named_parameters():
        weight.requires_grad_(name != "lstm.bias_hh_l0")  # the unused second bias of PyTorch's LSTM
    if start == "zero_head":
        torch.nn.init.zeros_(policy.head.weight)
        torch.nn.init.zeros_(policy.head.bias)
    return policy.train()


def clip_each(rnn: SequenceRNN, norm: float) -> None:
    """Scales each variable's gradient to at most `norm`; the LSTM's two matrices are one variable (authors' code)."""
    inputs, recurrent, bias, _ = rnn.lstm.all_weights[0]
    for variable in ([inputs, recurrent], [bias], [rnn.head.weight], [rnn.head.bias]):
        torch.nn.utils.clip_grad_norm_(variable, norm)


@torch.no_grad()
def visited(
    method: kl_control.Q | None, policy: SequenceRNN, prior: SequenceRNN, first_inputs: np.ndarray, tokens: Tensor
) -> dict[str, Tensor]:
    """Policy against prior at every state that sequences visit, in nats, each (B, T).

    Args:
        method: how the policy is read off the network; None for the prior itself.
        policy: the tuned network.
        prior: the frozen prior.
        first_inputs: (B,), the priming tokens.
        tokens: (B, T), what was played.

    Returns:
        log_p, log_pi: log p(a|s) and log pi(a|s) of the played tokens; kl: KL(pi(.|s) || p(.|s)), exact over the
        vocabulary; entropy: of pi(.|s).
    """
    inputs = shifted(torch.from_numpy(np.asarray(first_inputs)), tokens)[:, :-1]
    log_prior = prior(inputs).log_softmax(dim=-1)
    log_policy = log_prior if method is None else method.scores(policy(inputs), log_prior).log_softmax(dim=-1)
    return {
        "log_p": log_prior.gather(-1, tokens.unsqueeze(-1)).squeeze(-1),
        "log_pi": log_policy.gather(-1, tokens.unsqueeze(-1)).squeeze(-1),
        "kl": kl_control.kl_divergence(log_policy, log_prior),
        "entropy": kl_control.entropy(log_policy),
    }


def train(
    domain: Domain,
    prior: SequenceRNN,
    settings: TutorSettings,
    seed: int,
    on_round: Callable[[], object] | None = None,
) -> Tuned:
    """Tunes a policy from the prior's weights; the same seed gives the same bytes.

    Args:
        domain: what is played and what it is worth.
        prior: the maximum-likelihood RNN; it is not changed.
        settings: every hyperparameter.
        seed: of all random numbers of this run.
        on_round: called after each round, for a progress bar.

    Raises:
        FloatingPointError: the loss is no longer a number; the sentence says what to lower.
    """
    torch.set_num_threads(1)
    tutor = Tutor(domain, prior, settings, seed)
    rows = [tutor.evaluate()]
    for number in range(1, settings.rounds + 1):
        tutor.round()
        if not math.isfinite(tutor.loss):
            raise FloatingPointError(
                f"{settings.method} with seed {seed}: the loss is {tutor.loss} after {tutor.gradient_steps} gradient "
                f"steps; a learning_rate below {settings.learning_rate} may help"
            )
        if number % settings.evaluate_every == 0 or number == settings.rounds:
            rows.append(tutor.evaluate())
        if on_round is not None:
            on_round()
    return Tuned(tutor.policy.eval(), pd.DataFrame(rows))
