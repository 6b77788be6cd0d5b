"""The paper's form of KL-control on sequences that may end: how its training is looked at, and what becomes of it.

The training is the tutor's (`repro.tutor`): only the action taken is regressed, one step ahead, with a target network,
which collapses or diverges on long sequences. So the curve is over whole sequences, as that of `repro.dueling`, and a
loss that is no number ends a run instead of losing it.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch

from repro.domain import Domain
from repro.episodes import alive, end_token, play_to_end
from repro.rnn import SequenceRNN
from repro.settings import TutorSettings
from repro.tutor import EVALUATION_SEED, Tuned, Tutor, visited


class EndingTutor(Tutor):
    """One run of the paper's form; `curve` rows are those of `repro.dueling` where both have them."""

    def evaluate(self) -> dict[str, float]:
        """Plays fresh games without exploration; means over sequences."""
        numbers = np.random.default_rng([self.seed, EVALUATION_SEED, self.environment_steps])
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
