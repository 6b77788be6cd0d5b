"""The paper's form of KL-control on sequences that may end: the tutor, with what lies after the end left out.

Only the action taken is regressed, one step ahead, with a target network (`repro.tutor`). The differences are the last
step of a sequence, which is the one that ends it, and the mean of the loss, which is over steps that were played.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.episodes import alive, end_token, last_steps, play_to_end
from repro.rnn import SequenceRNN, shifted
from repro.settings import TutorSettings
from repro.tutor import Tuned, Tutor, clip_each, visited


class EndingTutor(Tutor):
    """One run of the paper's form; `curve` rows are those of `repro.dueling` where both have them."""

    @torch.no_grad()
    def play(self) -> None:
        """Plays a batch of games to their ends and stores them with their rewards."""
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

    def update(self, episodes: dict[str, Tensor]) -> None:
        """One gradient step on whole episodes, then one step of the target network's moving average."""
        settings = self.settings
        mask = alive(episodes["inputs"][:, 1:], end_token(self.domain))
        longest = int(mask.sum(dim=1).max())
        mask = mask[:, :longest]
        inputs, log_prior, offset = (episodes[name][:, : longest + 1] for name in ("inputs", "log_prior", "offset"))
        actions = inputs[:, 1:]
        with torch.no_grad():
            next_values = (self.target(inputs) - offset)[:, 1:]
            taken_log_prior = log_prior[:, :-1].gather(-1, actions.unsqueeze(-1)).squeeze(-1)
            y = kl_control.targets(
                self.method, episodes["task_reward"][:, :longest], taken_log_prior, next_values, log_prior[:, 1:],
                settings.gamma, terminal=last_steps(mask) if settings.terminal_mask else None,
            )  # fmt: skip
        values = self.policy(inputs[:, :-1]) - offset[:, :-1]
        # the mean of (f(s, a) - y)^2 over the steps that were played
        loss = kl_control.bellman_loss(values[mask], actions[mask], y[mask])
        self.adam.zero_grad()
        loss.backward()
        clip_each(self.policy, settings.clip)
        self.adam.param_groups[0]["lr"] = self.learning_rate()
        self.adam.step()
        # theta' <- (1 - eta) theta' + eta theta
        torch._foreach_lerp_(self.target_weights, self.weights, settings.eta)
        self.gradient_steps += 1
        self.loss = loss.item()

    def evaluate(self) -> dict[str, float]:
        """Plays fresh games without exploration; means over sequences."""
        numbers = np.random.default_rng([self.seed, 1_000_003, self.environment_steps])
        domain = self.domain
        first = domain.first_inputs(self.settings.evaluation_games, numbers)
        tokens = play_to_end(self.players(), first, domain.horizon, end_token(domain), numbers)
        mask = alive(tokens, end_token(domain))
        steps = {name: (value * mask).sum(dim=1).mean().item()
                 for name, value in visited(self.method, self.policy, self.prior, first, tokens).items()}  # fmt: skip
        reward = float(np.asarray(domain.step_rewards(tokens.numpy())).sum(axis=1).mean())
        return {
            "sequences": self.gradient_steps // self.settings.gradient_steps * self.settings.games,
            "step": self.gradient_steps,
            "environment_steps": self.environment_steps,
            "loss": self.loss,
            "task_reward": reward,
            "kl": steps["kl"],
            "log_p": steps["log_p"],
            "objective": reward / self.settings.c - steps["kl"],
            "length": float(mask.sum(dim=1).float().mean()),
        } | getattr(domain, "watch", dict)()


def train(domain: Domain, prior: SequenceRNN, settings: TutorSettings, seed: int) -> Tuned:
    """Tunes a policy in the paper's form to the last round, or until the loss is no number, which is shown, not hidden.

    Returns:
        The policy and the curve; `diverged` in it is 1 from where the loss was no longer a number.
    """
    torch.set_num_threads(1)
    tutor = EndingTutor(domain, prior, settings, seed)
    rows = [tutor.evaluate() | {"diverged": 0.0}]
    for number in range(1, settings.rounds + 1):
        tutor.round()
        if not math.isfinite(tutor.loss):
            rows.append(rows[-1] | {"sequences": number * settings.games, "diverged": 1.0})
            break
        if number % settings.evaluate_every == 0 or number == settings.rounds:
            rows.append(tutor.evaluate() | {"diverged": 0.0})
    return Tuned(tutor.policy.eval(), pd.DataFrame(rows))
