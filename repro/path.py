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

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from repro.domain import Domain, alive, rewards
from repro.kl_control import Policy, kl_divergence, path_errors, step_errors
from repro.rnn import SequenceRNN, last_steps, play, shifted
from repro.settings import PathSettings, half
from repro.tutor import Learner, Row, learning, start_from

Episodes = dict[str, Tensor]  # inputs, actions, alive, reward (B, T), log_prior (B, T, V)
MOST = 12.0  # ours: times as likely as the median, so that no sequence is remembered in every step


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
            self.beside, self.first = nn.Linear(cells, hidden), nn.Linear(2 * hidden, hidden)
            self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """One-hot inputs (B, T, V) and the policy's states (B, T, cells) -> (B, T)."""
        read, _ = self.lstm(tokens)
        both = torch.cat([read, self.beside(hidden).tanh()], dim=-1)
        return self.last(self.first(both).tanh()).squeeze(-1)


class Memory:
    """The latest `size` sequences without their padding, each with log w, w(x) = p(x) exp(r(x) / c) / pi(x).

    A sequence that the optimum would play more often than the policy does has a large w. A policy that learns from its
    own play alone rarely meets those again and repeats itself: they are drawn in proportion to w ** priority, capped, w
    as it was when last trained on. Prioritised replay as in Schaul et al. (2016), who rank by the error's size.
    """

    def __init__(self, size: int, priority: float, generator: np.random.Generator) -> None:
        self.size, self.priority, self.generator = size, priority, generator
        self.sequences: list[Episodes] = []
        self.log_weights = np.zeros(0)

    def add(self, episodes: Episodes, log_weights: np.ndarray) -> None:
        """Keeps new sequences; the oldest make room for them."""
        for row, length in enumerate(episodes["alive"].sum(dim=1).tolist()):
            # a copy: a view would keep the whole padded batch in memory
            self.sequences.append({name: tensor[row, :length].clone() for name, tensor in episodes.items()})
        self.sequences = self.sequences[-self.size :]
        self.log_weights = np.concatenate([self.log_weights, log_weights])[-self.size :]

    def draw(self, count: int) -> np.ndarray:
        """Places of `count` different sequences, or of all where there are fewer."""
        count = min(count, len(self.sequences))
        if count == 0:
            return np.zeros(0, dtype=np.int64)
        # P(x) in proportion to min( (w(x) / median w) ** priority, MOST )
        excess = self.priority * (self.log_weights - np.median(self.log_weights))
        chance = np.exp(np.minimum(excess, np.log(MOST)))
        return self.generator.choice(len(self.sequences), count, replace=False, p=chance / chance.sum())

    def beside(self, episodes: Episodes, places: np.ndarray) -> Episodes:
        """New episodes with remembered ones below them, all padded to the longest; padding is not alive."""
        old = [self.sequences[place] for place in places]
        return {name: pad_sequence([*tensor, *(sequence[name] for sequence in old)], batch_first=True)
                for name, tensor in episodes.items()}  # fmt: skip


class PathTutor(Learner):
    """One run in the path-consistent form; a step plays and makes one gradient step."""

    first_row = 1  # the first batch, which the prior itself has played

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: PathSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.steps, self.half, self.centre = settings.steps, half(settings.precision), math.nan
        self.prior = copy.deepcopy(prior).eval().requires_grad_(False)
        self.policy = start_from(self.prior, "zero_head" if self.method.plays_with_prior else "prior_logits")
        self.acting = Policy(self.policy, self.prior, self.method)
        self.value = Value(prior.vocabulary, prior.cells, settings.value_cells, seed)
        parts = learning(self.policy.lstm), learning(self.policy.head), learning(self.value)
        self.rates = settings.learning_rate, settings.head_learning_rate, settings.value_learning_rate
        groups = [{"params": part, "lr": rate} for part, rate in zip(parts, self.rates, strict=True)]
        # ours, betas: gradients change faster than Adam's default second moment follows
        self.adam = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)
        self.memory = Memory(settings.remembered, settings.priority, self.replay_numbers)
        self.recent: list[Row] = []

    def step(self) -> None:
        """Plays, and makes one gradient step on new and remembered sequences."""
        played = self.play()
        new = len(played["actions"])
        places = self.memory.draw(self.settings.replayed)
        row, log_weights = self.update(self.memory.beside(played, places), new)
        self.memory.log_weights[places] = log_weights[new:]
        if self.settings.replayed:
            self.memory.add(played, log_weights[:new])
        self.gradient_steps += 1
        self.recent.append(row | self.domain.watch(self.games))

    def play(self) -> Episodes:
        """Plays `episodes` sequences with the current policy: inputs (B, T), actions, alive, reward / c, log prior."""
        settings, domain = self.settings, self.domain
        first = domain.first_inputs(settings.episodes, self.play_numbers)
        logits_of_prior: list[Tensor] | None = [] if self.method.plays_with_prior else None
        tokens = play(self.acting.players(), first, domain.horizon, domain.end, self.play_numbers,
                      half=self.half, last_logits=logits_of_prior)  # fmt: skip
        self.games = tokens.numpy()
        belongs = alive(tokens, domain.end)
        longest = int(belongs.sum(dim=1).max())
        inputs = shifted(first, tokens)[:, :longest]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # where the prior has played too, what it said is known
            logits = self.prior(inputs) if logits_of_prior is None else torch.stack(logits_of_prior, dim=1)
        dtype = self.policy.head.weight.dtype
        reward = torch.from_numpy(rewards(domain, self.games)).to(dtype) / settings.c
        self.sequences += len(tokens)
        return {
            "inputs": inputs, "actions": tokens[:, :longest], "alive": belongs[:, :longest],
            "reward": reward[:, :longest], "log_prior": logits.to(dtype).log_softmax(dim=-1),
        }  # fmt: skip

    def update(self, episodes: Episodes, new: int) -> tuple[Row, np.ndarray]:
        """One gradient step on whole episodes, of which the first `new` are new: V and the centre follow these alone.

        Returns the means of the new ones, and log w = R / c + sum(log p - log pi) of all.
        """
        settings, mask = self.settings, episodes["alive"]
        taken = episodes["actions"].unsqueeze(-1)
        tokens, hidden, values = self.forward(episodes["inputs"], new)
        log_policy_all = self.method.scores(values, episodes["log_prior"]).log_softmax(dim=-1)
        log_policy = log_policy_all.gather(-1, taken).squeeze(-1) * mask
        with torch.no_grad():
            value_again = self.value(tokens[new:], hidden[new:])
        value = torch.cat([self.value(tokens[:new], hidden[:new]), value_again]) * mask
        with torch.no_grad():
            log_prior = episodes["log_prior"].gather(-1, taken).squeeze(-1) * mask
            beta, earned = self.beta(), episodes["reward"].sum(dim=1)
            # b follows the mean of R / c + sum(log p - log pi), which at the optimum is log Z for every path
            self.follow((beta * earned + self.method.kept(log_prior, log_policy).sum(dim=1))[:new])
            # V of the centred problem is V - b everywhere: b less gamma b at every step but the last
            centred = self.centre * mask * (1 - settings.gamma * ~last_steps(mask))
            best = log_policy_all.amax(dim=-1) * mask
            delta = step_errors(
                self.method, beta * episodes["reward"] - centred, log_prior, log_policy, best, value, settings.gamma
            )
            goal = log_policy + value + path_errors(delta, settings.gamma * settings.trace)
        # L = mean over episodes of sum_t 1/2 ( stopgrad(Psi_t + d_t) - Psi_t )^2 / loss_scale
        self.descend(0.5 * (goal - log_policy - value).square().sum(dim=1).mean() / settings.loss_scale)
        with torch.no_grad():
            log_weights = beta * earned + (log_prior - log_policy).sum(dim=1)
            kl = (kl_divergence(log_policy_all, episodes["log_prior"]) * mask).sum(dim=1)[:new].mean()
        means = {
            "loss": self.loss, "task_reward": float(earned[:new].mean()) * settings.c, "kl": float(kl),
            "log_p": float(log_prior[:new].sum(dim=1).mean()), "objective": float(earned[:new].mean() - kl),
            "centre": self.centre, "length": float(mask[:new].sum(dim=1).to(value.dtype).mean()),
        }  # fmt: skip
        return means, log_weights.double().numpy()

    def forward(self, inputs: Tensor, new: int) -> tuple[Tensor, Tensor, Tensor]:
        """One-hot inputs, the policy's states (without gradient, for V) and its outputs."""
        tokens = self.policy.encoded(inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            # new and remembered ones apart: 40 sequences at once take half as long again as 16 and then 24
            hidden = torch.cat([self.policy.lstm(part)[0] for part in (tokens[:new], tokens[new:]) if len(part)])
            values = self.policy.head(hidden)
        # V's gradient would pull the policy's own network
        return tokens, hidden.detach().to(tokens.dtype), values.to(tokens.dtype)

    def beta(self) -> float:
        """The reward's weight in this step: it rises evenly over the first `annealed` of the steps."""
        rising = self.settings.annealed * self.settings.steps
        return 1.0 if rising == 0 else min(1.0, (self.gradient_steps + 1) / rising)

    def follow(self, totals: Tensor) -> None:
        """Moves the centre towards the mean of what new sequences total."""
        mean, rate = float(totals.mean()), self.settings.centre_rate
        self.centre = mean if math.isnan(self.centre) else (1 - rate) * self.centre + rate * mean

    def descend(self, loss: Tensor) -> None:
        """One step of Adam, gradients clipped; rates are full for the first `held` of the steps, then a half cosine."""
        self.adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning(self.policy), self.settings.clip)
        torch.nn.utils.clip_grad_norm_(self.value.parameters(), self.settings.clip)
        held = self.settings.held * self.settings.steps
        fallen = min(1.0, max(0.0, self.gradient_steps - held) / max(1.0, self.settings.steps - held))
        left = 0.5 * (1 + math.cos(math.pi * fallen))
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * left
        self.adam.step()
        self.loss = loss.item()

    def row(self) -> Row:
        """Means over the sequences played since the last row."""
        means: Row = dict(pd.DataFrame(self.recent).mean())
        self.recent = []
        return means | {"sequences": self.sequences, "step": self.gradient_steps}
