"""KL-control that is stable on long sequences: a policy and a value network whose sum is Psi.

At the optimum of E[r / c] - KL(pi || p) with gamma = 1,

    F_t = V(s_t) + sum_{k<t} ( r_k + log p(a_k|s_k) - log pi(a_k|s_k) )

is the same number at every step of every path: log pi(a|s) = Psi(s, a) - V(s) with V(s) = log sum_a exp Psi(s, a), and
Psi(s, a) = r + log p(a|s) + V(s'). The paper's plain form regresses the one number Psi(s, a) of the action taken and
has to learn the level of all others from rare visits; here Psi = log pi + V is split in two, so that V = logsumexp Psi
holds by construction, and the step-by-step errors

    delta_t = r_t + log p_t - log pi_t + V_{t+1} - V_t        (V = 0 after the end)

are summed along the path as in TD(lambda): d_t = delta_t + lambda d_{t+1}. The loss moves Psi_t towards Psi_t + d_t.
For G the same, with logits log p + g and G = log pi - log p + V. For Q the next value is V + max_a log pi, the hard
maximum. Without log p - log pi the same loss is the policy gradient of plain reinforcement learning, RL only.

F_t is constant along every path, whoever played it: earlier sequences are trained on beside new ones (`repro.memory`).
The reward's weight may rise from 0 to 1 while the policy learns, so that it follows p(x) exp(beta r(x) / c) / Z(beta)
from the prior to the optimum, and leaves fewer sequences behind on the way.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from repro import kl_control
from repro.domain import Domain
from repro.episodes import HalfStepper, alive, end_token, last_steps, play_to_end
from repro.hyperparameters import DuelingSettings, PriorSettings
from repro.memory import Episodes, Memory
from repro.prior import precision
from repro.rnn import SequenceRNN, Stepper, shifted
from repro.tutor import Tuned, players, start_from


class Value(nn.Module):
    """V(s): reads the sequence with an LSTM of its own, beside the policy's state; its last layer starts at zero.

    The policy's state is made to tell the next token. On molecules a layer on it alone explains 15 % of the variance of
    what a path still earns, with the second LSTM 40 %.
    """

    def __init__(self, vocabulary: int, cells: int, hidden: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(vocabulary, hidden, batch_first=True)
            self.beside, self.first, self.last = (
                nn.Linear(cells, hidden),
                nn.Linear(2 * hidden, hidden),
                nn.Linear(hidden, 1),
            )
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """One-hot inputs (B, T, V) and the policy's states (B, T, cells) -> (B, T)."""
        read, _ = self.lstm(tokens)
        both = torch.cat([read, self.beside(hidden).tanh()], dim=-1)
        return self.last(self.first(both).tanh()).squeeze(-1)


def path_errors(delta: Tensor, trace: float) -> Tensor:
    """d_t = delta_t + gamma lambda d_{t+1} along every path, (B, T) -> (B, T); `trace` is gamma lambda."""
    errors = torch.empty_like(delta)
    following = torch.zeros_like(delta[:, 0])
    for step in range(delta.shape[1] - 1, -1, -1):
        # d_t = delta_t + gamma lambda d_{t+1}
        following = delta[:, step] + trace * following
        errors[:, step] = following
    return errors


def step_errors(
    method: str, reward: Tensor, log_prior: Tensor, log_policy: Tensor, best: Tensor, value: Tensor, gamma: float
) -> Tensor:
    """delta_t of every step, (B, T) each; what lies after the end has to be zero in all arguments.

    Args:
        method: q, psi, g or rl_only.
        reward: r_t / c, less the centre at the end.
        log_prior: log p of the actions taken.
        log_policy: log pi of the actions taken.
        best: max_a log pi(a|s).
        value: V(s).
        gamma: discount of what follows.
    """
    following = torch.zeros_like(value)
    # V(s') = log sum_a exp Psi(s', a); for Q: max_a' Q(s', a') = V(s') + max_a' log pi(a'|s')
    following[:, :-1] = (value + best if method == "q" else value)[:, 1:]
    # delta_t = r_t + log p_t - log pi_t + gamma V_{t+1} - V_t
    kept = 0.0 if method == "rl_only" else log_prior - log_policy
    return reward + kept + gamma * following - value


class Dueling:
    """One run. `step()` plays and trains; `curve` holds the means of every `evaluate_every` steps of training."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: DuelingSettings, seed: int) -> None:
        self.domain, self.settings = domain, settings
        self.half = precision(PriorSettings(precision=settings.precision)) == "bfloat16"
        self.prior = prior.eval().requires_grad_(False)
        self.method = kl_control.METHODS[settings.method]
        self.policy = start_from(prior, "zero_head" if self.method.plays_with_prior else "prior_logits")
        self.value = Value(prior.vocabulary, prior.cells, settings.value_cells, seed)
        self.weights = [weight for weight in self.policy.parameters() if weight.requires_grad]
        head = list(self.policy.head.parameters())
        lstm = [weight for weight in self.policy.lstm.parameters() if weight.requires_grad]
        betas = (0.9, 0.99)  # ours: gradients change faster than Adam's default second moment follows
        self.adam = torch.optim.Adam(
            [{"params": lstm, "lr": settings.rate()}, {"params": head, "lr": settings.head_rate()},
             {"params": list(self.value.parameters()), "lr": settings.value_learning_rate}], betas=betas, fused=True,
        )  # fmt: skip
        self.rates = [group["lr"] for group in self.adam.param_groups]
        self.play_numbers, self.replay_numbers = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        # what plain reinforcement learning follows is the gradient at the policy's own play, and nothing else
        self.replayed = 0 if settings.method == "rl_only" else settings.replayed
        self.memory = Memory(settings.remembered, settings.priority, self.replay_numbers)
        self.centre, self.steps, self.sequences, self.loss = math.nan, 0, 0, math.nan

    def play(self) -> Episodes:
        """Plays `episodes` sequences with the current policy: inputs (B, T), actions, alive, reward / c, log prior."""
        settings, domain = self.settings, self.domain
        first = domain.first_inputs(settings.episodes, self.play_numbers)
        networks = players(self.method, self.policy, self.prior)
        logits_of_prior: list[Tensor] | None = [] if self.method.plays_with_prior else None
        tokens = play_to_end(networks, first, domain.horizon, end_token(domain), self.play_numbers,
                             stepper=HalfStepper if self.half else Stepper, last_logits=logits_of_prior)  # fmt: skip
        reward = torch.from_numpy(np.asarray(domain.step_rewards(tokens.numpy()))).float() / settings.c
        belongs = alive(tokens, end_token(domain))
        longest = int(belongs.sum(dim=1).max())
        inputs = shifted(torch.from_numpy(first), tokens)[:, :longest]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # where the prior has played too, what it said is known
            logits = self.prior(inputs) if logits_of_prior is None else torch.stack(logits_of_prior, dim=1)
            log_prior = logits.float().log_softmax(dim=-1)
        self.sequences += len(tokens)
        return {
            "inputs": inputs, "actions": tokens[:, :longest], "alive": belongs[:, :longest],
            "reward": reward[:, :longest], "log_prior": log_prior,
        }  # fmt: skip

    def step(self) -> dict[str, float]:
        """Plays, makes one gradient step on new and remembered sequences, and returns the means of the new ones."""
        played = self.play()
        new = len(played["actions"])
        places = self.memory.draw(self.replayed)
        row, log_weights = self.update(self.memory.beside(played, places), new)
        self.memory.correct(places, log_weights[new:])
        if self.replayed:
            self.memory.add(played, log_weights[:new])
        self.steps += 1
        return row

    def update(self, episodes: Episodes, new: int) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step on whole episodes, of which the first `new` are new: V and the centre follow these alone.

        Returns:
            The means of the new ones, and log w = R / c + sum(log p - log pi) of all (the module `memory`).
        """
        settings = self.settings
        mask = episodes["alive"]
        taken = episodes["actions"].unsqueeze(-1)
        tokens = one_hot(episodes["inputs"], self.policy.vocabulary).float()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # new and remembered ones apart: 40 sequences at once take half as long again as 16 and then 24
            parts = [part for part in (tokens[:new], tokens[new:]) if len(part)]
            hidden = torch.cat([self.policy.lstm(part)[0] for part in parts])
            values = self.policy.head(hidden)
        hidden = hidden.float()
        scores = self.method.scores(values.float(), episodes["log_prior"])
        log_policy_all = scores.log_softmax(dim=-1)
        log_policy = log_policy_all.gather(-1, taken).squeeze(-1) * mask
        states = hidden.detach()  # V's gradient would pull the policy's own network
        with torch.no_grad():
            value_again = self.value(tokens[new:], states[new:])
        value = torch.cat([self.value(tokens[:new], states[:new]), value_again]) * mask
        with torch.no_grad():
            log_prior = episodes["log_prior"].gather(-1, taken).squeeze(-1) * mask
            earned = episodes["reward"].sum(dim=1)
            weighted = self.beta() * earned
            log_weights = weighted + (log_prior - log_policy).sum(dim=1)
            # b follows the mean of R / c + sum(log p - log pi), which at the optimum is log Z for every path
            self.follow(weighted[:new] if settings.method == "rl_only" else log_weights[:new])
            # V of the centred problem is V - b everywhere: b less gamma b at every step but the last
            centred = self.centre * mask * (1 - settings.gamma * ~last_steps(mask))
            reward = self.beta() * episodes["reward"] - centred
            best = log_policy_all.amax(dim=-1) * mask
            delta = step_errors(settings.method, reward, log_prior, log_policy, best, value, settings.gamma)
            errors = path_errors(delta, settings.gamma * settings.trace)
            goal = log_policy + value + errors
        # L = mean over episodes of sum_t 1/2 ( stopgrad(Psi_t + d_t) - Psi_t )^2 / 10
        loss = 0.5 * (goal - log_policy - value).square().sum(dim=1).mean() / settings.loss_scale
        self.descend(loss)
        kl = kl_control.kl_divergence(log_policy_all.detach(), episodes["log_prior"]) * mask
        earned, kl, log_prior, mask = (tensor[:new] for tensor in (earned, kl, log_prior, mask))
        row = {
            "loss": self.loss,
            "task_reward": float(earned.mean()) * settings.c,
            "kl": float(kl.sum(dim=1).mean()),
            "log_p": float(log_prior.sum(dim=1).mean()),
            "objective": float(earned.mean() - kl.sum(dim=1).mean()),
            "centre": self.centre,
            "length": float(mask.sum(dim=1).float().mean()),
        }
        return row, log_weights.double().numpy()

    def beta(self) -> float:
        """The reward's weight in this step: it rises evenly over the first `annealed` of the steps."""
        rising = self.settings.annealed * self.settings.steps
        return 1.0 if rising == 0 else min(1.0, (self.steps + 1) / rising)

    def follow(self, totals: Tensor) -> None:
        """Moves the centre towards the mean of what new sequences total."""
        mean = float(totals.mean())
        rate = self.settings.centre_rate
        self.centre = mean if math.isnan(self.centre) else (1 - rate) * self.centre + rate * mean

    def descend(self, loss: Tensor) -> None:
        """One step of Adam, gradients clipped."""
        settings = self.settings
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, settings.clip)
        torch.nn.utils.clip_grad_norm_(self.value.parameters(), settings.clip)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.falling()
        self.adam.step()
        self.loss = loss.item()

    def falling(self) -> float:
        """What is left of the learning rates: all for the first `held` of the steps, after them a half cosine."""
        held = self.settings.held * self.settings.steps
        fallen = min(1.0, max(0.0, self.steps - held) / max(1.0, self.settings.steps - held))
        return 0.5 * (1 + math.cos(math.pi * fallen))


def train(
    domain: Domain,
    prior: SequenceRNN,
    settings: DuelingSettings,
    seed: int,
    on_step: Callable[[], object] | None = None,
    observe: Callable[[SequenceRNN], dict[str, float]] | None = None,
) -> Tuned:
    """Tunes a policy from the prior's weights; the same seed gives the same bytes.

    Args:
        domain: what is played and what it is worth. If it has a method `watch`, the means that this returns for the
            sequences played stand in the curve too.
        prior: the maximum-likelihood RNN; it is not changed.
        settings: every hyperparameter.
        seed: of all random numbers of this run.
        on_step: called after each step, for a progress bar.
        observe: called with the policy at each row of the curve; what it returns stands in that row.

    Returns:
        The policy, and the curve: means over the sequences of every `evaluate_every` steps; the first row is the first
        batch, which the prior itself has played.

    Raises:
        FloatingPointError: the loss is no longer a number; the sentence says what to lower.
    """
    torch.set_num_threads(1)
    run = Dueling(domain, copy.deepcopy(prior), settings, seed)
    watch: Callable[[], dict[str, float]] = getattr(domain, "watch", dict)
    rows: list[dict[str, float]] = []
    recent: list[dict[str, float]] = []
    for number in range(1, settings.steps + 1):
        recent.append(run.step() | watch())
        if not math.isfinite(run.loss):
            raise FloatingPointError(
                f"{settings.method} with seed {seed}: the loss is {run.loss} after {number} steps; a learning_rate "
                f"below {settings.rate()} may help"
            )
        if number == 1 or number % settings.evaluate_every == 0 or number == settings.steps:
            counts: dict[str, float] = {"sequences": run.sequences, "step": number}
            seen = observe(run.policy) if observe is not None else {}
            rows.append(counts | dict(pd.DataFrame(recent).mean()) | seen)
            recent = []
        if on_step is not None:
            on_step()
    return Tuned(run.policy.eval(), pd.DataFrame(rows))
