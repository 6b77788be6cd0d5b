"""Problems small enough to write out: the optimum of KL-control without any learning.

All prefixes that have not ended form a tree. With A tokens that go on, level t has A^t of them in lexicographic order:
the child of prefix i by token a is prefix A i + a of level t + 1. A `Table` (values, policies, rewards, priors) holds
one number for every prefix and next token; log pi(x) = sum_t log pi(a_t|s_t) is a sum along a path. Two domains
resemble the paper's: `BRACKETS`, 3,280 strings that may end early, as molecules do, and `TONES`, 15,625 melodies. On
`DAYS`, 111,111 strings, four tokens have to be right before anything is paid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro.domain import Domain, alive, at_the_end
from repro.kl_control import METHODS, Q
from repro.rnn import SequenceRNN, last_steps

Table = list[Tensor]  # level t: (A^t, V), float64


@dataclass(kw_only=True)
class Enumerable(Domain):
    """A domain whose rewards are a function of the tokens, and what its prior learns: sequences of a Markov chain."""

    name: str
    vocabulary: tuple[str, ...]
    horizon: int
    rules: Callable[[np.ndarray], dict[str, np.ndarray]]
    first: int
    chain: tuple[tuple[float, ...], ...] = ()  # p(next token | token), (V, V); a row a token
    end: int | None = None  # the last of the vocabulary

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """The sum of the rules, (B, T)."""
        return sum(self.rules(sequences).values(), start=np.zeros(sequences.shape))

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """The rules by name, each (B, T)."""
        return self.rules(sequences)

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The mean reward of a sequence, rule by rule."""
        return pd.Series({name: part.sum(axis=1).mean() for name, part in self.rules(sequences).items()})

    def text(self, sequence: np.ndarray) -> str:
        """The tokens (T,) up to the end, in letters."""
        return "".join(self.vocabulary[token] for token in sequence[alive(sequence[None], self.end)[0]])

    def corpus(self, count: int, seed: int) -> list[np.ndarray]:
        """Sequences of the chain with their priming token, for the prior to learn from."""
        generator, cumulative = np.random.default_rng(seed), np.cumsum(self.chain, axis=1)
        tokens = np.full((count, self.horizon + 1), self.first)
        for step in range(self.horizon):
            uniform = generator.random((count, 1)) * cumulative[0, -1]
            tokens[:, step + 1] = (cumulative[tokens[:, step]] <= uniform).sum(axis=1)
        lengths = alive(tokens[:, 1:], self.end).sum(axis=1)
        return [row[: length + 1] for row, length in zip(tokens, lengths, strict=True)]


def bracket_rules(sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Strings of atoms and brackets (B, T): a bracket without its partner costs 1, a branch around something pays 1."""
    # what stays open costs at the last step; so does a string that does not end
    _, opening, closing, end = range(4)
    belongs = alive(torch.from_numpy(sequences), end)
    last, tokens = last_steps(belongs).numpy(), np.where(belongs.numpy(), sequences, end)
    depth = np.cumsum((tokens == opening).astype(int) - (tokens == closing), axis=1)
    lowest = np.minimum.accumulate(np.minimum(depth, 0), axis=1)
    alone = -np.diff(lowest, axis=1, prepend=0)  # 1 at a closing bracket without an opening one
    return {
        "alone": -1.0 * alone - last * (depth - lowest),
        "branches": 1.0 * ((tokens == closing) & (alone == 0) & (np.roll(tokens, 1, axis=1) != opening)),
        "ends": -1.0 * (last & (tokens != end)),
    }


def tone_rules(sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Melodies (B, T) of five tones: a repeated tone costs, a leap that is turned back and a last tone 0 are paid."""
    parts = {name: np.zeros(sequences.shape) for name in ("repetition", "leaps", "tonic")}
    moves = np.diff(sequences, axis=1)
    parts["repetition"][:, 1:] = -1.0 * (moves == 0)
    parts["leaps"][:, 2:] = (np.abs(moves[:, :-1]) >= 3) & (moves[:, 1:] == -np.sign(moves[:, :-1]))
    parts["tonic"][:, -1] = 1.0 * (sequences[:, -1] == 0)
    return parts


def date_rules(sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Days of 2026 as MMDD and the end token, (B, 5): at the end a Sunday pays 2, what is no day costs 1."""
    days, worth = pd.date_range("2026-01-01", "2026-12-31"), np.full(10_000, -1.0)
    worth[days.month * 100 + days.day] = 2.0 * (days.day_of_week == 6)
    whole = (alive(sequences, 10).sum(axis=1) == 5) & (sequences[:, 4] == 10)
    day = np.where(whole, sequences[:, :4] @ (1000, 100, 10, 1), 0)
    return {"days": at_the_end(worth[day], sequences, 10)}


class Days(Enumerable):
    """The domain of `date_rules`."""

    def corpus(self, count: int, seed: int) -> list[np.ndarray]:
        """Days of the year, all equally likely, with their priming and their end token."""
        days = np.random.default_rng(seed).choice(pd.date_range("2026-01-01", "2026-12-31"), count)
        return [np.array([self.first, *map(int, text), self.end]) for text in pd.DatetimeIndex(days).strftime("%m%d")]


BRACKETS = Enumerable(
    name="brackets", vocabulary=("C", "(", ")", "$"), horizon=7, rules=bracket_rules, first=3, end=3,
    chain=((0.45, 0.25, 0.25, 0.05), (0.75, 0.1, 0.1, 0.05), (0.45, 0.2, 0.25, 0.1), (0.75, 0.15, 0.07, 0.03)),
)  # fmt: skip
TONES = Enumerable(
    name="tones", vocabulary=("C", "D", "E", "G", "A"), horizon=6, rules=tone_rules, first=0,
    chain=((0.45, 0.25, 0.15, 0.1, 0.05), (0.2, 0.4, 0.25, 0.1, 0.05), (0.1, 0.2, 0.4, 0.2, 0.1),
           (0.05, 0.1, 0.25, 0.4, 0.2), (0.05, 0.1, 0.15, 0.25, 0.45)))  # fmt: skip
DAYS = Days(name="days", vocabulary=(*"0123456789", "$"), horizon=5, rules=date_rules, first=10, end=10)
PROBLEMS = (BRACKETS, TONES)  # of notebook 01
EVERY = (*PROBLEMS, DAYS)


class Exact:
    """A domain of one priming token, its prior and a temperature, written out in full."""

    def __init__(self, domain: Domain, prior: SequenceRNN, c: float) -> None:
        self.domain, self.prior, self.tokens, self.end = domain, prior, len(domain.vocabulary), domain.end
        if self.end not in (None, self.tokens - 1):
            raise ValueError(f"the end token of {domain.name} is {self.end}: it must be the last, {self.tokens - 1}")
        self.alive = self.tokens - (self.end is not None)  # A: the tokens that go on
        self.log_prior = self.policy_of(None, prior)
        self.reward = [self._rewards(length) / c for length in range(domain.horizon)]  # r_T / c of every next token

    def prefixes(self, length: int) -> np.ndarray:
        """All prefixes (A^length, length) that have not ended."""
        return np.indices((self.alive,) * length).reshape(length, self.alive**length).T

    @cached_property
    def sequences(self) -> np.ndarray:
        """All sequences (N, T): those that end, by length, then those that reach the horizon."""
        ended = [self._filled(self.prefixes(length)) for length in range(self.domain.horizon) if self.end is not None]
        return np.concatenate([*ended, self.prefixes(self.domain.horizon)])

    @torch.no_grad()
    def policy_of(self, method: str | Q | None, network: SequenceRNN) -> Table:
        """Log pi, read off a network as `method` does; without a method the network is the prior itself."""
        first = self.domain.first_inputs(1, np.random.default_rng(0))[0]
        longest = np.insert(self.prefixes(self.domain.horizon - 1), 0, first, axis=1)
        outputs = network(torch.from_numpy(longest).to(network.head.weight.device)).double().cpu()
        # the prefixes of length t are the beginnings of every A^(T - 1 - t)-th of the longest
        levels = [outputs[:: self.alive ** (outputs.shape[1] - 1 - t), t] for t in range(outputs.shape[1])]
        return [level.log_softmax(dim=1) for level in levels] if method is None else self._normalised(method, levels)

    def values(self, method: str, gamma: float = 1.0) -> Table:
        """Q*, Psi*, G* or those of RL only, by backward dynamic programming; nothing has a value after the end."""
        rules, table = METHODS[method], []
        following = torch.zeros(self.alive**self.domain.horizon, dtype=torch.float64)
        for reward, log_prior in zip(reversed(self.reward), reversed(self.log_prior), strict=True):
            # f*(s, a) = r(s, a) + gamma V*(s'), with V*(s') = 0 after the end
            after = torch.zeros_like(reward)
            after[:, : self.alive] = following.reshape(-1, self.alive)
            table.append(rules.reward(reward, log_prior) + gamma * after)
            following = rules.backup(table[-1], log_prior)
        return table[::-1]

    def policy(self, method: str, gamma: float = 1.0) -> Table:
        """Log pi of the method's exact values: what its learning converges to."""
        return self._normalised(method, self.values(method, gamma))

    def along(self, table: Table) -> Tensor:
        """The sum of a table along every sequence, (N,): log pi(x) of a policy, r(x) / c of the rewards."""
        total, ended = torch.zeros(1, dtype=torch.float64), []
        for level in table:
            sums = total[:, None] + level
            ended.append(sums[:, self.alive :].flatten())
            total = sums[:, : self.alive].flatten()
        return torch.cat([*ended, total])

    @cached_property
    def log_z(self) -> float:
        """Log Z = log sum_x p(x) exp(r(x) / c)."""
        return float((self.along(self.log_prior) + self.along(self.reward)).logsumexp(dim=0))

    @cached_property
    def log_optimum(self) -> Tensor:
        """Log p*(x) of every sequence, (N,), p*(x) = p(x) exp(r(x) / c) / Z, without dynamic programming."""
        return self.along(self.log_prior) + self.along(self.reward) - self.log_z

    def kl_to_optimum(self, policy: Table) -> float:
        """KL(pi || p*) = sum_x pi(x) (log pi(x) - log p*(x)), in nats per sequence."""
        log_policy = self.along(policy)
        return float((log_policy.exp() * (log_policy - self.log_optimum)).sum())

    def kl_from_optimum(self, policy: Table) -> float:
        """KL(p* || pi) in nats per sequence: large where pi leaves out what the optimum plays."""
        return float((self.log_optimum.exp() * (self.log_optimum - self.along(policy))).sum())

    def total_variation(self, policy: Table) -> float:
        """1/2 sum_x |pi(x) - p*(x)|, 0 to 1."""
        return float(0.5 * (self.along(policy).exp() - self.log_optimum.exp()).abs().sum())

    def objective(self, policy: Table) -> float:
        """J(pi) = E[r / c] - KL(pi || p) = sum_x pi(x) (r(x) / c - log pi(x) + log p(x))."""
        log_policy = self.along(policy)
        return float((log_policy.exp() * (self.along(self.reward) - log_policy + self.along(self.log_prior))).sum())

    def _normalised(self, method: str | Q, values: Table) -> Table:
        scores = (METHODS[method] if isinstance(method, str) else method).scores
        return [scores(f, p).log_softmax(dim=1) for f, p in zip(values, self.log_prior, strict=True)]

    def _filled(self, prefixes: np.ndarray) -> np.ndarray:
        """Prefixes (B, t) to the horizon (B, T), with end tokens or, where there are none, with token 0."""
        return np.pad(prefixes, ((0, 0), (0, self.domain.horizon - prefixes.shape[1])), constant_values=self.end or 0)

    def _rewards(self, length: int) -> Tensor:
        """r_T of every token after every prefix of a length, (A^length, V): it depends on no later token."""
        before = np.repeat(self.prefixes(length), self.tokens, axis=0)
        tokens = np.tile(np.arange(self.tokens), self.alive**length)
        rewards = self.domain.step_rewards(self._filled(np.column_stack([before, tokens])))[:, length]
        return torch.from_numpy(np.asarray(rewards, dtype=float)).reshape(-1, self.tokens)
