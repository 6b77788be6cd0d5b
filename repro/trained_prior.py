"""G-learning that also trains its "fixed" prior, as the authors' code does, through whole episodes.

In the authors' G-learning the target is y = r / c + gamma log sum_a' p(a'|s') exp G(s', a'), its p comes from the
reward RNN without a stop-gradient, and the optimiser takes all variables. So the squared error is also made smaller by
moving the prior, and the prior that the policy p exp G plays with is no longer the Note RNN. The authors do this one
step of the RNN at a time (`repro.authors`); here the same gradient flows through whole episodes of the lockstep tutor.

Two priors have to be told apart: the acting one, which is trained and stands in the policy, and the original one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.episodes import last_steps
from repro.rnn import SequenceRNN, play, shifted
from repro.settings import TutorSettings, known, need
from repro.tutor import EVALUATION_SEED, Tutor, players, start_from


@dataclass(frozen=True)
class PriorTrainingSettings:
    """How G is tuned in lockstep, and whether its prior is trained with it."""

    tutor: TutorSettings = field(default_factory=lambda: TutorSettings(method="g"))  # ours: as every lockstep run
    train_prior_with_g: str = "whole_episodes"  # ours (authors' code: one step); "no" is what the paper describes

    def __post_init__(self) -> None:
        known("train_prior_with_g", self.train_prior_with_g, ("no", "whole_episodes"))
        need(self.tutor.method == "g", f"method is {self.tutor.method!r}: only g has its prior in the target")
        known("start", self.tutor.start, ("prior_logits", "zero_head"))


@dataclass(frozen=True)
class TunedPair:
    """A tuned policy, the prior that it plays with, and how they got there."""

    policy: SequenceRNN
    prior: SequenceRNN  # the acting one: trained, or the original
    curve: pd.DataFrame  # one row an evaluation: environment_steps, gradient_steps, loss and the columns of `look`


class PriorTrainingTutor(Tutor):
    """One run of G-learning; `prior` is the acting prior, which is trained if the settings say so, `original` is not.

    The acting prior starts as a copy of the original. The policy plays, and is evaluated, with the acting one.
    """

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: PriorTrainingSettings, seed: int) -> None:
        super().__init__(domain, prior, settings.tutor, seed)
        self.original, self.trains_prior = prior, settings.train_prior_with_g != "no"
        if self.trains_prior:
            self.prior = start_from(prior, "prior_logits")
            trained = [weight for weight in self.prior.parameters() if weight.requires_grad]
            # the authors' optimiser takes all variables
            self.adam = torch.optim.Adam([*self.weights, *trained], lr=settings.tutor.learning_rate, fused=True)
            self.trained = [self.policy, self.prior]

    def residual(self, episodes: dict[str, Tensor]) -> Tensor:
        """The same loss, whose target moves with the acting prior where that is trained."""
        if not self.trains_prior:
            return super().residual(episodes)
        settings, inputs, task_reward = self.settings, episodes["inputs"], episodes["task_reward"]
        actions = inputs[:, 1:]
        with torch.no_grad():
            next_values = self.target(inputs)[:, 1:]
        # log p(.|s') of the acting prior with its gradient, where the paper's is fixed; G's reward has no log p
        next_log_prior = self.prior(inputs)[:, 1:].log_softmax(dim=-1)
        y = kl_control.targets(
            self.method, task_reward, torch.zeros_like(task_reward), next_values, next_log_prior, settings.gamma,
            terminal=last_steps(torch.ones_like(actions, dtype=torch.bool)) if settings.terminal_mask else None,
        )  # fmt: skip
        return kl_control.bellman_loss(self.policy(inputs[:, :-1]), actions, y)

    def evaluate(self) -> dict[str, float]:
        """Plays fresh games without exploration; training does not notice. The columns are those of `look`."""
        numbers = np.random.default_rng([self.seed, EVALUATION_SEED, self.environment_steps])
        counts = {"environment_steps": self.environment_steps, "gradient_steps": self.gradient_steps, "loss": self.loss}
        count = self.settings.evaluation_games
        return counts | look(self.domain, self.method, self.policy, self.prior, self.original, count, numbers)


@torch.no_grad()
def look(
    domain: Domain,
    method: kl_control.Q,
    policy: SequenceRNN,
    acting: SequenceRNN,
    original: SequenceRNN,
    count: int,
    numbers: np.random.Generator,
) -> dict[str, float]:
    """Plays `count` fresh games of a policy whose prior may have been trained, and averages what they are.

    Returns:
        log_p, log_p_last and kl against the original prior; log_p_trained and kl_trained against the acting one;
        entropy, task_reward, task_reward_last; the domain's own measures.
    """
    first = domain.first_inputs(count, numbers)
    tokens = play(players(method, policy, acting), first, domain.horizon, numbers)
    steps = visited_apart(method, policy, acting, original, first, tokens)
    reward = domain.step_rewards(tokens.numpy())
    return {name: value.mean().item() for name, value in steps.items()} | {
        "log_p_last": steps["log_p"][:, -1].mean().item(),
        "task_reward": float(reward.sum(axis=1).mean()),
        "task_reward_last": float(reward[:, -1].mean()),
        **{str(name): float(value) for name, value in domain.measures(tokens.numpy()).items()},
    }


@torch.no_grad()
def visited_apart(
    method: kl_control.Q,
    policy: SequenceRNN,
    acting: SequenceRNN,
    original: SequenceRNN,
    first_inputs: np.ndarray,
    tokens: Tensor,
) -> dict[str, Tensor]:
    """As `repro.tutor.visited`, with the prior in the policy apart from the one that it is compared with.

    Returns:
        log_p and kl against the original prior, log_p_trained and kl_trained against the acting one, entropy; (B, T).
    """
    inputs = shifted(torch.from_numpy(np.asarray(first_inputs)), tokens)[:, :-1]
    log_acting = acting(inputs).log_softmax(dim=-1)
    log_policy = method.scores(policy(inputs), log_acting).log_softmax(dim=-1)
    steps = {"entropy": kl_control.entropy(log_policy)}
    for suffix, log_prior in (("", original(inputs).log_softmax(dim=-1)), ("_trained", log_acting)):
        steps["log_p" + suffix] = log_prior.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        steps["kl" + suffix] = kl_control.kl_divergence(log_policy, log_prior)
    return steps


def train(
    domain: Domain,
    prior: SequenceRNN,
    settings: PriorTrainingSettings,
    seed: int,
    on_round: Callable[[], object] | None = None,
) -> TunedPair:
    """Tunes G, and its prior with it where the settings say so; the same seed gives the same bytes.

    Args:
        domain: what is played and what it is worth.
        prior: the maximum-likelihood RNN; it is not changed, a copy of it is.
        settings: every hyperparameter.
        seed: of all random numbers of this run.
        on_round: called after each round, for a progress bar.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    torch.set_num_threads(1)
    tutor = PriorTrainingTutor(domain, prior, settings, seed)
    rows = [tutor.evaluate()]
    for number in range(1, settings.tutor.rounds + 1):
        tutor.round()
        if not math.isfinite(tutor.loss):
            raise FloatingPointError(f"seed {seed}: the loss is {tutor.loss} after {tutor.gradient_steps} steps")
        if number % settings.tutor.evaluate_every == 0 or number == settings.tutor.rounds:
            rows.append(tutor.evaluate())
        if on_round is not None:
            on_round()
    return TunedPair(tutor.policy.eval(), tutor.prior.eval(), pd.DataFrame(rows))
