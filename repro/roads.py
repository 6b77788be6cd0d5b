"""Roads: other methods that tune with a KL, each a loss on whole sequences, on the shared training loop.

With S = log pi(x), P = log p(x) of the whole sequence and R its reward divided by c, the optimum is log p* = P + R -
log Z. Five roads ask for S = log p* in squares and differ in where log Z comes from:

    road               1/2 (log Z + S - P - R)^2 with log Z
    tb                 learned beside the policy: trajectory balance (Malkin et al. 2022, 2201.13259) relative to a
                       prior (RTB, 2405.20971), which is Trust-PCL on whole paths (Deleu et al. 2025, 2509.01632)
    tb_var             the batch's mean of P + R - S: the log-variance loss (Richter et al. 2020, 2010.10436)
    tbrm               log sum_a exp(logit) of the first state: the logits are Q / c (Yuan et al. 2025, 2505.15311)
    a2po               log E_p[exp R], from sequences of the prior: optimal advantages (2505.20686)
    reinvent           none, log Z = 0 (Olivecrona et al. 2017, 1704.07555; DAP of REINVENT 4)

On new sequences E[grad S] = 0: log Z is only a baseline there, and all five follow grad KL(pi || p*), tbrm with a term
through V(s_0). Unlike the others, squares can also be taken on old sequences. Two more follow the gradient of a KL to
p*; the last two do not, and end elsewhere:

    reinforce_kl       KL(pi || p*): policy gradient of R - (S - P), the others as baseline (RLOO, 2402.14740)
    dpg                KL(p* || pi): samples weighted by p exp(R) / pi (Khalifa et al. 2021, 2012.11635)
    reinforce_kl_loss  the gradient for R alone, and the estimate k1 = S - P of the KL in the loss
    grpo               R normalised in its group, and the estimate k3 in the loss (DeepSeekMath, 2402.03300)

Ours: settings; in dpg weights normalised in the batch (a bias of order 1 / B, none at p*) and the latest policy as
proposal, with the baseline of Korbak et al. (2022, 2206.00761); log Z per first token where sequences are primed by
several. There what is taken over a batch mixes first tokens: the means of tb_var and reinforce_kl and grpo's group are
baselines then, and dpg weighs a token by its Z.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.domain import Domain, rewards
from repro.kl_control import Psi
from repro.path import Episodes, Episodic
from repro.rnn import SequenceRNN, play
from repro.settings import EpisodicSettings, Rate, Whole, need, one_of, validated
from repro.tutor import Row


class Batch(NamedTuple):
    """B sequences that were played, with the gradient of the policy; what lies after an end is 0."""

    log_pi: Tensor  # (B, T), of the tokens taken, with gradient
    log_p: Tensor  # (B, T), of the prior
    earned: Tensor  # (B,), R = r(x) / c
    alive: Tensor  # (B, T)
    first_value: Tensor  # (B,), log sum_a exp(logit) at the first step, with gradient
    log_z: Tensor  # (B,), of their first tokens, learned beside the policy or known from the prior
    c: float

    @property
    def log_weights(self) -> Tensor:
        """P + R - S, (B,): log Z at the optimum, for every sequence."""
        return self.log_p.sum(dim=1) + self.earned - self.log_pi.sum(dim=1)


def balance(batch: Batch, log_z: Tensor) -> Tensor:
    """Mean over sequences of 1/2 (log Z + S - P - R)^2."""
    return 0.5 * (log_z - batch.log_weights).square().mean()


def reinforce_kl(batch: Batch) -> Tensor:
    """- mean A S with A = (R + P - S) less the mean of the others."""
    return -(advantage(batch.log_weights) * batch.log_pi.sum(dim=1)).mean()


def reinforce_kl_loss(batch: Batch) -> Tensor:
    """- mean A S + mean k1, A from R alone, k1 = S - P. E_pi[grad k1] = 0: no pull to p (2506.09477)."""
    # 1/2 (S - P)^2 in its place would hold exactly (2510.01555)
    log_pi = batch.log_pi.sum(dim=1)
    return -(advantage(batch.earned) * log_pi).mean() + (log_pi - batch.log_p.sum(dim=1)).mean()


def grpo(batch: Batch) -> Tensor:
    """Means over tokens of each sequence of - A log pi + c k3, A = (R - mean) / std, k3 = p / pi - log(p / pi) - 1."""
    # One update per batch, so that the ratio of new to old policy is 1 and nothing is clipped. The gradient of k3 is
    # that of KL(p || pi); for one step and large groups the optimum is p(x) / (1 - A(x) / c), whatever the reward is.
    log_ratio = (batch.log_p - batch.log_pi) * batch.alive
    k3 = log_ratio.exp() - log_ratio - 1
    normalised = (batch.earned - batch.earned.mean()) / (batch.earned.std() + 1e-4)
    each = batch.c * k3 - normalised.unsqueeze(1) * batch.log_pi
    return (each.sum(dim=1) / batch.alive.sum(dim=1)).mean()


def dpg(batch: Batch) -> Tensor:
    """- sum (w - 1 / B) S with w = p exp(R) / pi, normalised to 1 in the batch."""
    weight = batch.log_weights.detach().softmax(dim=0)
    return -((weight - 1 / len(weight)) * batch.log_pi.sum(dim=1)).sum()


def advantage(returns: Tensor) -> Tensor:
    """Returns (B,) less the mean of the others, without gradient."""
    # A_i = G_i - mean_{j != i} G_j = B / (B - 1) (G_i - mean G)
    count = len(returns)
    return (count / (count - 1) * (returns - returns.mean())).detach()


@dataclass(frozen=True)
class Road(Psi):
    """A method whose policy is the softmax of its network."""

    loss: Callable[[Batch], Tensor]
    log_z: Callable[[Batch], Tensor] | None = None  # what it takes log Z to be, if anything
    z: str = ""  # log Z is "learned" beside the policy, or known from the "prior"; "": the loss asks for neither
    from_memory: bool = False  # whether it learns from what earlier policies played, too


ROADS = {
    # squares have their least at p* whoever played, so that they may learn from memory; A*-PO is defined on new play,
    # and REINVENT on both (its replay is called inception), though there its least is elsewhere
    "tb": Road(lambda b: balance(b, b.log_z), lambda b: b.log_z.mean(), "learned", from_memory=True),
    # 1/2 Var[P + R - S], unbiased: its gradient is that of reinforce_kl on every batch
    "tb_var": Road(lambda b: 0.5 * b.log_weights.var(), lambda b: b.log_weights.mean(), from_memory=True),
    # Q / c are the logits: the Bellman residuals of a path add up to this
    "tbrm": Road(lambda b: balance(b, b.first_value), lambda b: b.first_value.mean(), from_memory=True),
    "a2po": Road(lambda b: balance(b, b.log_z), lambda b: b.log_z.mean(), "prior"),
    # on old sequences another target unless log Z is 0; it alone notices a constant added to the reward
    "reinvent": Road(lambda b: balance(b, torch.zeros(())), from_memory=True),
    # gradients are expectations under the policy itself
    "reinforce_kl": Road(reinforce_kl),
    "reinforce_kl_loss": Road(reinforce_kl_loss),
    "grpo": Road(grpo),
    "dpg": Road(dpg, lambda b: b.log_weights.logsumexp(dim=0) - math.log(len(b.log_weights))),
}


@validated
class RoadSettings(EpisodicSettings):
    """How one policy is tuned on a road."""

    method: Annotated[str, one_of(ROADS)] = "tb"
    pool: Whole = 0  # sequences of the prior from which log Z is known, for a road that wants that
    log_z_learning_rate: Rate = 0.1  # of log Z, where it is learned

    def __post_init__(self) -> None:
        alone = f"replayed is {self.replayed}: {self.method} learns from new sequences alone, give 0"
        need(self.replayed == 0 or self.mathematics.from_memory, alone)
        need(self.episodes > 1, "episodes is 1: a road compares sequences, give at least 2")
        known = self.mathematics.z == "prior"
        wanted = "1 or more, for its log Z is known from them" if known else "0, for it asks for none"
        need((self.pool > 0) == known, f"pool is {self.pool}: {self.method} needs {wanted}")

    @property
    def mathematics(self) -> Road:
        """The road."""
        return ROADS[self.method]


class RoadTutor(Episodic):
    """One run on a road."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: RoadSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        learned = settings.mathematics.z == "learned"
        # log Z, learned or known: of every token that may come first, or one number where that is one token
        primed = np.unique(domain.first_inputs(100_000, np.random.default_rng(0)))
        count = len(domain.vocabulary) if len(primed) > 1 else 1
        self.z = self.policy.head.weight.new_zeros(count, requires_grad=learned)
        if settings.pool:
            # V* = log E_p[ exp R ], from sequences that are played once, before training
            enough = f"pool is {settings.pool}: {domain.name} is primed by {len(primed)} tokens, give as many or more"
            need(settings.pool >= len(primed), enough)
            first = np.resize(primed, settings.pool)
            tokens = play([self.prior], first, domain.horizon, domain.end, self.play_numbers).cpu().numpy()
            earned = torch.from_numpy(rewards(domain, tokens).sum(axis=1)) / settings.c
            for token in primed:
                chosen = earned[first == token]
                self.z[token if len(primed) > 1 else 0] = chosen.logsumexp(dim=0) - math.log(len(chosen))
            if len(primed) > 1:  # of tokens that are too rare to be met above: the mean of the others
                self.z[np.setdiff1d(np.arange(count), primed)] = self.z[primed].mean()
            self.sequences += settings.pool
        self.make_optimiser([self.z] if learned else [], settings.log_z_learning_rate)

    def update(self, episodes: Episodes, new: int) -> tuple[Row, np.ndarray]:
        """One gradient step on whole episodes, of which the first `new` are new: means of these, and log w of all."""
        walk = self.walk(episodes, new)
        earned = self.beta() * episodes["reward"].sum(dim=1)
        first = walk.outputs[:, 0].logsumexp(dim=-1)
        log_z = self.z[episodes["inputs"][:, 0]] if len(self.z) > 1 else self.z.expand(len(first))
        batch = Batch(walk.log_pi, walk.log_p, earned, episodes["alive"], first, log_z, self.settings.c)
        road: Road = self.settings.mathematics
        self.descend(road.loss(batch))
        if road.log_z is not None:
            news = {name: value[:new] for name, value in batch._asdict().items() if name != "c"}
            self.log_z = road.log_z(Batch(**news, c=batch.c)).item()
        return self.means(episodes, new, walk), batch.log_weights.detach().double().cpu().numpy()
