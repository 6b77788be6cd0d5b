"""Other roads to the same optimum p*(x) = p(x) exp(R(x) / c) / Z: a loss on whole sequences each, on the shared loop.

With S = log pi(x), P = log p(x) of the whole sequence and R its reward divided by c, log p* = P + R - log Z. The first
five ask for S = log p* in squares and differ in where log Z comes from, the others follow a gradient of a KL:

    road               1/2 (log Z + S - P - R)^2 with log Z
    tb                 learned beside the policy: trajectory balance (Malkin et al. 2022, 2201.13259) relative to a
                       prior (RTB, 2405.20971), which is Trust-PCL on whole paths (Deleu et al. 2025, 2509.01632)
    tb_var             the batch's mean of P + R - S: the log-variance loss (Richter et al. 2020, 2010.10436)
    tbrm               log sum_a exp(logit) of the first state: the logits are Q / c (Yuan et al. 2025, 2505.15311)
    a2po               log E_p[exp R], from sequences of the prior: optimal advantages (2505.20686)
    reinvent           none, log Z = 0 (Olivecrona et al. 2017, 1704.07555; DAP of REINVENT 4)

    reinforce_kl       grad KL(pi || p*): policy gradient of R - (S - P), leave-one-out baseline (RLOO, 2402.14740)
    reinforce_kl_loss  the same with the baseline and the gradient for R alone, and S - P added to the loss
    grpo               group-normalised R, and the estimate k3 of the KL in the loss (DeepSeekMath, 2402.03300)
    dpg                grad KL(p* || pi): samples weighted by p exp(R) / pi (Khalifa et al. 2021, 2012.11635)

Ours: settings, the memory of `repro.path` where a road may learn from what an earlier policy played, and in dpg weights
that are normalised in the batch instead of by a running mean of Z, the latest policy as proposal, a baseline of 1.
"""

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.domain import Domain, rewards
from repro.evaluation import sampled
from repro.kl_control import Policy, Psi
from repro.path import Episodes, Episodic
from repro.rnn import SequenceRNN
from repro.settings import (
    Count,
    NotNegative,
    Positive,
    Precision,
    Rate,
    Share,
    Temperature,
    Tuning,
    Whole,
    need,
    one_of,
    validated,
)  # fmt: skip
from repro.tutor import Row


class Batch(NamedTuple):
    """B sequences that were played, with the gradient of the policy; what lies after an end is 0."""

    log_pi: Tensor  # (B, T), of the tokens taken, with gradient
    log_p: Tensor  # (B, T), of the prior
    earned: Tensor  # (B,), R = r(x) / c
    alive: Tensor  # (B, T)
    first_value: Tensor  # (B,), log sum_a exp(logit) at the first step, with gradient
    log_z: Tensor  # (), learned beside the policy, or known from the prior
    c: float

    @property
    def surplus(self) -> Tensor:
        """P + R - S, (B,): log Z at the optimum, for every sequence."""
        return self.log_p.sum(dim=1) + self.earned - self.log_pi.sum(dim=1)


def balance(batch: Batch, log_z: Tensor) -> Tensor:
    """Mean over sequences of 1/2 (log Z + S - P - R)^2."""
    return 0.5 * (log_z - batch.surplus).square().mean()


def tb(batch: Batch) -> Tensor:
    """Log Z is learned; for a2po it is known."""
    return balance(batch, batch.log_z)


def tb_var(batch: Batch) -> Tensor:
    """1/2 Var[P + R - S], unbiased: on new sequences its gradient is that of reinforce_kl."""
    return 0.5 * batch.surplus.var()


def tbrm(batch: Batch) -> Tensor:
    """Log Z = V(s_0) = log sum_a exp Q(s_0, a), Q the logits: the Bellman residuals of a path add up to this."""
    return balance(batch, batch.first_value)


def reinvent(batch: Batch) -> Tensor:
    """Log Z = 0: on the policy's own sequences a policy gradient without a baseline, elsewhere another target."""
    return balance(batch, torch.zeros(()))


def reinforce_kl(batch: Batch) -> Tensor:
    """- mean A S with A = (R + P - S) less the mean of the others."""
    return -(advantage(batch.surplus) * batch.log_pi.sum(dim=1)).mean()


def reinforce_kl_loss(batch: Batch) -> Tensor:
    """- mean A S + mean (S - P) with A from R alone. E_pi[grad S] = 0: the KL holds nothing (2506.09477)."""
    log_pi = batch.log_pi.sum(dim=1)
    return -(advantage(batch.earned) * log_pi).mean() + (log_pi - batch.log_p.sum(dim=1)).mean()


def grpo(batch: Batch) -> Tensor:
    """Means over the tokens of each sequence of - A log pi + c k3, A = (R - mean) / std, k3 = p / pi - log(p / pi) - 1.

    One update per batch, so that the ratio of new to old policy is 1 and nothing is clipped.
    """
    log_ratio = (batch.log_p - batch.log_pi) * batch.alive
    k3 = log_ratio.exp() - log_ratio - 1
    normalised = (batch.earned - batch.earned.mean()) / (batch.earned.std() + 1e-4)
    each = batch.c * k3 - normalised.unsqueeze(1) * batch.log_pi
    return (each.sum(dim=1) / batch.alive.sum(dim=1)).mean()


def dpg(batch: Batch) -> Tensor:
    """- sum (w - 1 / B) S with w = p exp(R) / pi, normalised to 1 in the batch."""
    weight = batch.surplus.detach().softmax(dim=0)
    return -((weight - 1 / len(weight)) * batch.log_pi.sum(dim=1)).sum()


def advantage(returns: Tensor) -> Tensor:
    """Returns (B,) less the mean of the others, without gradient."""
    # A_i = G_i - mean_{j != i} G_j = B / (B - 1) (G_i - mean G)
    count = len(returns)
    return (count / (count - 1) * (returns - returns.mean())).detach()


class Road(Psi):
    """A method whose policy is the softmax of its network: its loss, and what it takes log Z to be, if anything."""

    def __init__(
        self, loss: Callable[[Batch], Tensor], log_z: Callable[[Batch], Tensor] | None = None, from_memory: bool = False
    ) -> None:
        """`from_memory`: the loss may be taken on what an earlier policy played."""
        self.loss, self.log_z, self.from_memory = loss, log_z, from_memory


ROADS = {
    "tb": Road(tb, lambda batch: batch.log_z, from_memory=True),
    "tb_var": Road(tb_var, lambda batch: batch.surplus.mean(), from_memory=True),
    "tbrm": Road(tbrm, lambda batch: batch.first_value.mean(), from_memory=True),
    "a2po": Road(tb, lambda batch: batch.log_z),
    "reinvent": Road(reinvent, from_memory=True),
    "reinforce_kl": Road(reinforce_kl),
    "reinforce_kl_loss": Road(reinforce_kl_loss),
    "grpo": Road(grpo),
    "dpg": Road(dpg, lambda batch: batch.surplus.logsumexp(dim=0) - math.log(len(batch.surplus))),
}


@validated
class RoadSettings(Tuning):
    """How one policy is tuned on a road. All values are ours."""

    method: Annotated[str, one_of(ROADS)] = "tb"
    c: Temperature = 0.5  # temperature; task rewards are divided by it
    steps: Count = 200  # one batch of new sequences and one gradient step each
    episodes: Count = 64  # new sequences a step
    replayed: Whole = 0  # earlier sequences trained on again in each step
    remembered: Count = 4096  # latest sequences that these are drawn from
    priority: NotNegative = 1.0  # drawn in proportion to (p exp(r / c) / pi) ** priority, capped; 0: all alike
    pool: Whole = 0  # sequences of the prior from which log Z is known; 0: it is learned where the road asks for it
    annealed: Share = 0.0  # share of the steps over which the reward's weight rises from 0 to 1
    held: Share = 0.0  # share of the steps with full learning rates; over the others they fall to 0 along a half cosine
    learning_rate: Rate = 1e-2  # of the policy's LSTM, at its peak
    head_learning_rate: Rate = 1e-2  # of its head
    log_z_learning_rate: Rate = 0.1  # of log Z, where it is learned
    clip: Positive = 1.0  # gradient norm, of the policy and of log Z apart
    evaluate_every: Count = 5  # steps between two rows of the training curve
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        alone = f"replayed is {self.replayed}: {self.method} learns from new sequences alone, give 0"
        need(self.replayed == 0 or self.rules.from_memory, alone)
        need(self.episodes > 1, "episodes is 1: a road compares sequences, give at least 2")

    @property
    def rules(self) -> Road:
        """The road."""
        return ROADS[self.method]


class RoadTutor(Episodic):
    """One run on a road."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: RoadSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.z = torch.zeros((), dtype=self.policy.head.weight.dtype, requires_grad=settings.pool == 0)
        if settings.pool:
            # V* = log E_p[ exp R ], from sequences that are played once, before training
            tokens = sampled(domain, Policy(self.prior, self.prior), settings.pool, seed)[1]
            earned = torch.from_numpy(rewards(domain, tokens).sum(axis=1)) / settings.c
            self.z += earned.logsumexp(dim=0) - math.log(settings.pool)
            self.sequences += settings.pool
        self.learns([self.z] if self.z.requires_grad else [], settings.log_z_learning_rate)

    def update(self, episodes: Episodes, new: int) -> tuple[Row, np.ndarray]:
        """One gradient step on whole episodes, of which the first `new` are new: means of these, and log w of all."""
        _, _, logits = self.forward(episodes["inputs"], new)
        walk = self.walk(episodes, logits)
        earned = self.beta() * episodes["reward"].sum(dim=1)
        first = logits[:, 0].logsumexp(dim=-1)
        batch = Batch(walk.log_pi, walk.log_p, earned, episodes["alive"], first, self.z, self.settings.c)
        self.descend(self.settings.rules.loss(batch))
        if (said := self.settings.rules.log_z) is not None:
            self.log_z = said(batch).item()
        return self.means(episodes, new, walk), batch.surplus.detach().double().numpy()
