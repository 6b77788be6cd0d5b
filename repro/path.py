"""KL-control that is stable on long sequences: the path-consistent form, a policy and a value network that sum to Psi.

At the optimum of E[r / c] - KL(pi || p) with gamma = 1,

    F_t = V(s_t) + sum_{k<t} ( r_k + log p(a_k|s_k) - log pi(a_k|s_k) )

is the same number at every step of every path: log pi(a|s) = Psi(s, a) - V(s) with V(s) = log sum_a exp Psi(s, a), and
Psi(s, a) = r + log p(a|s) + V(s'). The paper's form regresses the one number Psi(s, a) of the action taken and has to
learn the level of all others from rare visits; here Psi = log pi + V is split in two, so that V = logsumexp Psi holds
by construction, and the errors of the steps are summed along the path as in TD(lambda): d_t = delta_t + lambda d_{t+1}.
The loss moves Psi_t towards Psi_t + d_t. How the methods differ stands in `repro.kl_control`.
This is path consistency (Nachum et al. 2017, arXiv 1702.08892; Trust-PCL, 1707.01891), with V and a trace.
F_t is constant along every path, whoever played it: earlier sequences are trained on beside new ones. The reward's
weight may rise from 0 to 1 on the way, so that fewer sequences are left behind: p(x) exp(beta r(x) / c) / Z(beta).
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from repro.domain import Domain, alive, rewards, told
from repro.kl_control import Policy, kl_divergence, path_errors, step_errors
from repro.rnn import SequenceRNN, last_steps, play, shifted
from repro.settings import Count, EpisodicSettings, Method, Positive, Rate, Share, half, validated
from repro.tutor import Learner, Replay, Row, learning, start_from

Episodes = dict[str, Tensor]  # inputs, actions, alive, reward (B, T), log_prior (B, T, V)
MOST = 12.0  # ours: times as likely as the median, so that no sequence is remembered in every step


class Walk(NamedTuple):
    """What a policy has read and says along episodes, beside its prior."""

    tokens: Tensor  # one-hot inputs (B, T, V)
    hidden: Tensor  # the policy's states, without gradient
    outputs: Tensor  # of its head (B, T, V); from here on with the policy's gradient
    log_policy: Tensor  # log pi (B, T, V)
    log_pi: Tensor  # of the actions taken (B, T), 0 after the end
    log_p: Tensor  # the same of the prior


class Value(nn.Module):
    """V(s): reads the sequence with an LSTM of its own, beside the policy's state; its last layer starts at zero."""

    # The policy's state is made to tell the next token. On molecules a layer on it alone explains 15 % of the variance
    # of what a path still earns, with the second LSTM 40 %.
    def __init__(self, vocabulary: int, cells: int, hidden: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(vocabulary, hidden, batch_first=True)
            self.beside, self.first = nn.Linear(cells, hidden), nn.Linear(2 * hidden, hidden)
            self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """One-hot inputs (B, T, V) and the policy's states (B, T, cells) -> (B, T)."""
        read, _ = self.lstm(tokens)
        return self.last(self.first(torch.cat([read, self.beside(hidden).tanh()], dim=-1)).tanh()).squeeze(-1)


class Memory:
    """The latest `size` sequences of at most `horizon` steps, each with log w, w(x) = p(x) exp(r(x) / c) / pi(x)."""

    # A sequence that the optimum would play more often than the policy has a large w. A policy that learns from its
    # own play alone rarely meets those again and repeats itself: they are drawn in proportion to w ** priority, capped,
    # w as it was when last trained on. Prioritised replay as in Schaul et al. (2016), who rank by the error's size.
    def __init__(self, size: int, horizon: int, priority: float, generator: np.random.Generator) -> None:
        self.replay, self.horizon, self.priority, self.generator = Replay(size), horizon, priority, generator
        self.log_weights = np.zeros(size)  # by row of the replay

    def add(self, episodes: Episodes, log_weights: np.ndarray) -> None:
        """Keeps new sequences; the oldest make room for them."""
        latest = slice(-self.replay.capacity, None)
        belongs = episodes["alive"][latest]
        self.replay.add(**{name: _filled(tensor[latest], belongs, self.horizon) for name, tensor in episodes.items()})
        self.log_weights[self.replay.latest(len(belongs))] = log_weights[latest]

    def draw(self, count: int) -> np.ndarray:
        """Rows of `count` different sequences, or of all where there are fewer."""
        rows = self.replay.latest(self.replay.size)
        if min(count, len(rows)) == 0:
            return rows[:0]
        log_weights = self.log_weights[rows]
        # P(x) in proportion to min( (w(x) / median w) ** priority, MOST )
        excess = self.priority * (log_weights - np.median(log_weights))
        chance = np.exp(np.clip(excess, -700, np.log(MOST)))  # none is 0, or too few could be drawn
        return rows[self.generator.choice(len(rows), min(count, len(rows)), replace=False, p=chance / chance.sum())]

    def beside(self, episodes: Episodes, rows: np.ndarray) -> Episodes:
        """New episodes with remembered ones below them, all padded to the longest; padding is not alive."""
        if not len(rows):
            return episodes
        new, old = episodes["alive"], self.replay.at(rows)
        longest = max(new.shape[1], int(old["alive"].sum(dim=1).max()))
        return {name: torch.cat([_filled(tensor, torch.ones_like(new), longest), old[name][:, :longest]])
                for name, tensor in episodes.items()}  # fmt: skip


def _filled(tensor: Tensor, belongs: Tensor, length: int) -> Tensor:
    """A tensor (B, T, ...) with zeros where a step does not belong (B, T), and up to `length` steps."""
    filled = tensor.new_zeros(len(tensor), length, *tensor.shape[2:])
    filled[:, : tensor.shape[1]][belongs] = tensor[belongs]
    return filled


class Episodic(Learner):
    """A learner from whole sequences, new and remembered; a step plays and makes one gradient step."""

    # one gradient step on whole episodes, of which the first so many are new: means of these, and log w of all
    update: Callable[[Episodes, int], tuple[Row, np.ndarray]]
    first_row = 1  # the first batch, which the prior itself has played

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: EpisodicSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.steps, self.half = settings.steps, half(settings.precision, settings.device)
        self.prior = copy.deepcopy(prior).eval().requires_grad_(False).to(settings.device)
        self.policy = start_from(self.prior, "zero_head" if self.method.plays_with_prior else "prior_logits")
        self.acting = Policy(self.policy, self.prior, self.method)
        self.memory = Memory(settings.remembered, domain.horizon, settings.priority, self.replay_numbers)
        self.recent: list[Row] = []

    def make_optimiser(self, extra: list[Tensor], extra_rate: float) -> None:
        """Of the policy's LSTM, of its head, and of what else is learned, each at its rate."""
        self.extra, parts = extra, (learning(self.policy.lstm), learning(self.policy.head), extra)
        self.rates = self.settings.learning_rate, self.settings.head_learning_rate, extra_rate
        groups = [{"params": part, "lr": rate} for part, rate in zip(parts, self.rates, strict=True)]
        # ours, betas: gradients change faster than Adam's default second moment follows
        self.adam = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)

    def step(self) -> None:
        """Plays, and makes one gradient step on new and remembered sequences."""
        played = self.play()
        new = len(played["actions"])
        remembered = self.memory.draw(self.settings.replayed)
        row, log_weights = self.update(self.memory.beside(played, remembered), new)
        self.memory.log_weights[remembered] = log_weights[new:]
        if self.settings.replayed:
            self.memory.add(played, log_weights[:new])
        self.gradient_steps += 1
        self.recent.append(row | told(self.domain, "watch", self.games))

    def play(self) -> Episodes:
        """Plays `episodes` sequences with the current policy: inputs (B, T), actions, alive, reward / c, log prior."""
        settings, domain = self.settings, self.domain
        first = domain.first_inputs(settings.episodes, self.play_numbers)
        logits_of_prior: list[Tensor] | None = [] if self.method.plays_with_prior else None
        tokens = play(self.acting.players(), first, domain.horizon, domain.end, self.play_numbers,
                      half=self.half, last_logits=logits_of_prior)  # fmt: skip
        self.games = tokens.cpu().numpy()
        belongs = alive(tokens, domain.end)
        longest = int(belongs.sum(dim=1).max())
        inputs = shifted(first, tokens)[:, :longest]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # where the prior has played too, what it said is known
            logits = self.prior(inputs) if logits_of_prior is None else torch.stack(logits_of_prior, dim=1)
        reward = torch.from_numpy(rewards(domain, self.games)).to(self.policy.head.weight) / settings.c
        self.sequences += len(tokens)
        return {
            "inputs": inputs, "actions": tokens[:, :longest], "alive": belongs[:, :longest],
            "reward": reward[:, :longest], "log_prior": logits.to(reward.dtype).log_softmax(dim=-1),
        }  # fmt: skip

    def walk(self, episodes: Episodes, new: int) -> Walk:
        """What policy and prior say along episodes, of which the first `new` are new."""
        tokens = self.policy.encoded(episodes["inputs"])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # new and remembered ones apart: 40 sequences at once take half as long again as 16 and then 24
            hidden = torch.cat([self.policy.lstm(part)[0] for part in (tokens[:new], tokens[new:]) if len(part)])
            outputs = self.policy.head(hidden).to(tokens.dtype)
        log_policy = self.method.scores(outputs, episodes["log_prior"]).log_softmax(dim=-1)
        taken, mask = episodes["actions"].unsqueeze(-1), episodes["alive"]
        log_pi, log_p = (each.gather(-1, taken).squeeze(-1) * mask for each in (log_policy, episodes["log_prior"]))
        return Walk(tokens, hidden.detach().to(tokens.dtype), outputs, log_policy, log_pi, log_p)

    @torch.no_grad()
    def means(self, episodes: Episodes, new: int, walk: Walk) -> Row:
        """What stands in the curve: means over the new episodes."""
        mask, earned = episodes["alive"], episodes["reward"].sum(dim=1)
        kl = (kl_divergence(walk.log_policy, episodes["log_prior"]) * mask).sum(dim=1)[:new].mean()
        return {
            "loss": self.loss, "task_reward": float(earned[:new].mean()) * self.settings.c, "kl": float(kl),
            "log_p": float(walk.log_p[:new].sum(dim=1).mean()), "objective": float(earned[:new].mean() - kl),
            "length": float(mask[:new].sum(dim=1).to(walk.log_p.dtype).mean()),
        }  # fmt: skip

    def beta(self) -> float:
        """The reward's weight in this step: it rises evenly over the first `annealed` of the steps."""
        rising = self.settings.annealed * self.settings.steps
        return 1.0 if rising == 0 else min(1.0, (self.gradient_steps + 1) / rising)

    def descend(self, loss: Tensor) -> None:
        """One step of Adam, gradients clipped; rates are full for the first `held` of the steps, then a half cosine."""
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning(self.policy), self.settings.clip)
        torch.nn.utils.clip_grad_norm_(self.extra, self.settings.clip)
        held = self.settings.held * self.settings.steps
        fallen = min(1.0, max(0.0, self.gradient_steps - held) / max(1.0, self.settings.steps - held))
        left = 0.5 * (1 + math.cos(math.pi * fallen))
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * left
        self.adam.step()
        self.loss = loss.item()

    def row(self) -> Row:
        """Means over the sequences played since the last row."""
        recent, self.recent = self.recent, []
        return dict(pd.DataFrame(recent).mean()) | {"sequences": self.sequences, "step": self.gradient_steps}


@validated
class PathSettings(EpisodicSettings):
    """The same in the path-consistent form, Psi = log pi + V."""

    method: Method = "psi"  # q, psi, g, or rl_only, which is the policy gradient without the prior
    gamma: Share = 1.0  # discount: 1 makes the optimum p(x) exp(r(x) / c) / Z (paper: .5 music, .95 molecules)
    trace: Share = 1.0  # lambda: 1 looks to the end of every path, 0 one step ahead
    value_learning_rate: Rate = 3e-3  # of V, at its peak
    value_cells: Count = 128  # hidden units of V, and cells of the LSTM with which it reads the sequence
    centre_rate: Share = 0.2  # of the moving average that is subtracted from the reward at the end
    loss_scale: Positive = 10.0  # the loss is divided by it; with Adam it matters only through the clip


class PathTutor(Episodic):
    """One run in the path-consistent form."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: PathSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.value = Value(prior.vocabulary, prior.cells, settings.value_cells, seed).to(settings.device)
        self.centre = math.nan
        self.make_optimiser(learning(self.value), settings.value_learning_rate)

    def update(self, episodes: Episodes, new: int) -> tuple[Row, np.ndarray]:
        """One gradient step on whole episodes, the first `new` of them new: V and the centre follow these alone."""
        settings, mask, walk = self.settings, episodes["alive"], self.walk(episodes, new)
        with torch.no_grad():  # as V's states are: V leaves the policy's own network alone
            value_again = self.value(walk.tokens[new:], walk.hidden[new:])
        value = torch.cat([self.value(walk.tokens[:new], walk.hidden[:new]), value_again]) * mask
        with torch.no_grad():
            beta, earned = self.beta(), episodes["reward"].sum(dim=1)
            # b follows the mean of R / c + sum(log p - log pi), which at the optimum is log Z for every path
            mean = float((beta * earned + self.method.kept(walk.log_p, walk.log_pi).sum(dim=1))[:new].mean())
            rate = settings.centre_rate
            self.centre = mean if math.isnan(self.centre) else (1 - rate) * self.centre + rate * mean
            # V of the centred problem is V - b everywhere: b less gamma b at every step but the last
            reward = beta * episodes["reward"] - self.centre * mask * (1 - settings.gamma * ~last_steps(mask))
            best = walk.log_policy.amax(dim=-1) * mask
            delta = step_errors(self.method, reward, walk.log_p, walk.log_pi, best, value, settings.gamma)
            goal = walk.log_pi + value + path_errors(delta, settings.gamma * settings.trace)
            # log w = R / c + sum(log p - log pi)
            log_weights = beta * earned + (walk.log_p - walk.log_pi).sum(dim=1)
        # L = mean over episodes of sum_t 1/2 ( stopgrad(Psi_t + d_t) - Psi_t )^2 / loss_scale
        self.descend(0.5 * (goal - walk.log_pi - value).square().sum(dim=1).mean() / settings.loss_scale)
        # log Z = V(s_0) + b
        self.log_z = self.centre + value[:new, 0].mean().item()
        return self.means(episodes, new, walk) | {"centre": self.centre}, log_weights.double().cpu().numpy()
