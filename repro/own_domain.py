"""A domain of yours: strings over an alphabet, a trial of any domain, and a temperature for it."""

import math
from collections.abc import Sequence

import numpy as np

from repro.domain import Domain, DomainError, Reward, alive, must_fit, rewards, worth
from repro.evaluation import evaluate
from repro.kl_control import Policy
from repro.own_prior import Prior

CHECKED = 64  # sequences of the prior on which a domain is tried


class Sequences(Domain):
    """Strings over an alphabet, which an end token ends; a function of B strings says what they are worth."""

    name = "sequences"

    def __init__(self, alphabet: Sequence[str], reward: Reward, horizon: int) -> None:
        """`horizon` counts the end token too; a string that has not ended there is rewarded as it stands."""
        if len(set(alphabet)) < len(alphabet):
            raise DomainError(f"the alphabet is {alphabet!r}: no token may stand there twice")
        self.vocabulary, self.end = (*alphabet, "$"), len(alphabet)
        self.horizon, self.reward = horizon, reward

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """The end token: before a string stands the end of another."""
        return np.full(count, self.end)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """What the whole string is worth, at its last step, (B, T)."""
        last = alive(sequences, self.end).sum(axis=1) - 1
        paid = np.zeros(sequences.shape)
        paid[np.arange(len(paid)), last] = worth(self.reward, [self.text(sequence) for sequence in sequences])
        return paid

    def text(self, sequence: np.ndarray) -> str:
        """The tokens (T,) before the end, joined."""
        return "".join(self.vocabulary[token] for token in sequence[np.cumsum(sequence == self.end) == 0])

    def encode(self, strings: Sequence[str]) -> list[np.ndarray]:
        """Strings as sequences to learn from, each with its first input and its end; tokens are single characters."""
        number = {token: place for place, token in enumerate(self.vocabulary[:-1])}
        for string in strings:
            if unknown := set(string) - number.keys():
                raise DomainError(f"{string!r} has {sorted(unknown)[0]!r}, which is not in the alphabet")
        return [np.array([self.end, *(number[token] for token in string), self.end]) for string in strings]


def check(domain: Domain, prior: Prior) -> None:
    """Tries a domain on sequences of the prior; DomainError: what does not fit, is random or looks at the future."""
    must_fit(domain, prior.rnn.vocabulary)
    _, sample = evaluate(domain, Policy(prior.rnn, prior.rnn), prior.rnn, CHECKED, 0, 1.0)
    paid = rewards(domain, sample.tokens)
    if not np.array_equal(paid, rewards(domain, sample.tokens)):
        raise DomainError(
            f"the reward of the domain {domain.name!r} is another when asked again: it must not be random"
        )
    belongs = alive(sample.tokens, domain.end)
    if np.ptp(paid.sum(axis=1)) == 0:
        raise DomainError(f"every sequence of the prior earns {paid.sum(axis=1)[0]:g}: there is nothing to learn")
    for step in range(1, domain.horizon):
        # the same beginnings with the ends of others; where either has ended before, nothing can be compared
        mixed = np.concatenate([sample.tokens[:, :step], np.roll(sample.tokens[:, step:], 1, axis=0)], axis=1)
        both = belongs[:, step] & alive(mixed, domain.end)[:, step]
        changed = both[:, None] & (rewards(domain, mixed)[:, :step] != paid[:, :step])
        if changed.any():
            row, at = np.argwhere(changed)[0]
            raise DomainError(f"the reward at step {at} of {domain.text(sample.tokens[row])!r} depends on later tokens")


def suggest_c(domain: Domain, prior: Prior, kl: float, samples: int = 2000, seed: int = 0) -> float:
    """The temperature at which the optimum lies `kl` nats per sequence from the prior, KL(p* || p), from its samples.

    DomainError where so few samples say so much that the answer would be a guess.
    """
    _, sample = evaluate(domain, Policy(prior.rnn, prior.rnn), prior.rnn, samples, seed, 1.0)
    reward = sample.task_reward
    low, high = np.log(max(np.ptp(reward), 1e-9)) + np.array([-12.0, 12.0])
    for _ in range(60):
        middle = (low + high) / 2
        far, effective = _distance(reward / math.exp(middle))
        low, high = (middle, high) if far > kl else (low, middle)
    if effective < 20 or abs(far - kl) > 0.1 * kl:
        raise DomainError(f"{samples} samples of the prior do not reach a KL of {kl:g} nats: at most {far:.2f} of them")
    return math.exp(middle)


def _distance(scaled: np.ndarray) -> tuple[float, float]:
    """KL(p* || p) = E_p*[r / c] - log Z from r / c of samples of p, and Kish's number of effective ones."""
    weight = np.exp(scaled - scaled.max())
    log_z = math.log(weight.mean()) + scaled.max()
    weight /= weight.sum()
    return float(weight @ scaled - log_z), float(1 / np.square(weight).sum())
