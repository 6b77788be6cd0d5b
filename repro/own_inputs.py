"""What you bring: a prior, strings with a reward; a trial of any domain, and a temperature for it."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from repro import ROOT, processes, store

from repro.domain import (  # isort: skip
    INVALID, Domain, DomainError, Reward, alive, at_the_end, digest, earned, must, must_fit, must_name, rewards, told,
)  # fmt: skip
from repro.evaluation import importance, sampled
from repro.kl_control import Policy
from repro.prior import train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, changed, need

SHIPPED = {"music": "music-as_notated", "molecules": "molecules-regex"}  # short names
KEPT_BACK = 0.05  # ours: the share of own sequences that a prior does not learn from
CHECKED, CUTS = 64, 8  # sequences of the prior on which a domain is tried, and steps after which they are mixed
FEWEST = 20  # effective samples below which a temperature would be a guess


class Prior(NamedTuple):
    """A sequence RNN that has learned from data, and the tokens that it knows."""

    rnn: SequenceRNN
    vocabulary: tuple[str, ...]
    tokeniser: str = ""  # of molecules: how strings are cut into tokens
    curve: pd.DataFrame | None = None  # of its training, where it was trained here

    def __repr__(self) -> str:
        return f"Prior({self.rnn.cells} cells, {len(self.vocabulary)} tokens)"

    @property
    def policy(self) -> Policy:
        """The prior as the policy that it is."""
        return Policy(self.rnn, self.rnn)


def must_know(domain: Domain, prior: Prior) -> None:
    """DomainError unless a prior is one, of one LSTM layer, and its tokens are those of a domain that can be used."""
    must(isinstance(prior, Prior), f"prior is {type(prior).__name__}: give what load_prior, fit or from_lstm returned")
    lstm = getattr(prior.rnn, "lstm", None)
    plain = isinstance(prior.rnn, SequenceRNN) and isinstance(lstm, nn.LSTM) and lstm.num_layers == 1 and lstm.bias
    must(plain, f"the prior's network is a {type(prior.rnn).__name__}: it must be a SequenceRNN of one LSTM layer")
    finite = all(weight.isfinite().all() for weight in prior.rnn.parameters())
    must(finite, "the prior has weights that are no finite numbers: train it again, or mask a token by its reward")
    must_fit(domain, prior.rnn.vocabulary)
    must_name("the prior's vocabulary", prior.vocabulary)
    unlike = [f"{a!r} and {b!r}" for a, b in zip(domain.vocabulary, prior.vocabulary, strict=True) if a != b]
    must(not unlike, f"{domain.name!r} and its prior have different tokens, {', '.join(unlike[:1])}: give the prior's")


def load_prior(name: str) -> Prior:
    """A shipped prior: "music" (folk tunes), "molecules" (MOSES), or a name in results/priors, which an error lists."""
    record = store.read_record(ROOT / "results" / "priors" / str(SHIPPED.get(name, name)))
    return Prior(record.rnn(), tuple(record.numbers["vocabulary"]), record.numbers["spec"]["data"].get("tokeniser", ""))


def fit(domain: Domain, sequences: Sequence[Any], steps: int = 1000, **settings: Any) -> Prior:
    """A prior of your own sequences: strings where the domain can `encode` them, else arrays, the first token priming.

    `settings` are those of `PriorSettings`; one sequence of twenty is kept back for the curve.
    """
    must_fit(domain)
    many = isinstance(sequences, Iterable) and not isinstance(sequences, (str, Mapping, Set, pd.DataFrame))
    must(many, f"the sequences to learn from are {sequences!r:.60}: give a list of them")
    base = changed(PriorSettings(), {"steps": steps})
    encode, tokens, sequences = getattr(domain, "encode", None), len(domain.vocabulary), list(sequences)
    if encode and (unlike := [each for each in sequences if not isinstance(each, str)]):
        raise DomainError(f"the sequences to learn from have {unlike[0]!r:.60}: give strings, which the domain encodes")
    rows = [np.asarray(row) for row in (encode(sequences) if encode else sequences)]
    must(len(rows) >= 2, f"there are {len(rows)} sequences to learn from: at least two are needed")
    wanted = f"2 to {domain.horizon + 1} tokens in 0 to {tokens - 1}, the first of them priming"
    wanted += ", one of them the end" if domain.end is not None else f", {len(rows[0])} as sequence 0: there is no end"
    for place, row in enumerate(rows):
        fits = row.ndim == 1 and row.dtype.kind in "iu" and 2 <= len(row) <= domain.horizon + 1
        fits = fits and 0 <= row.min() <= row.max() < tokens and (domain.end is not None or len(row) == len(rows[0]))
        must(fits, f"sequence {place} is {sequences[place]!r}: it must become {wanted}")
    order = np.random.default_rng(0).permutation(len(rows))
    learned, kept_back = np.split(order, [len(rows) - max(1, round(KEPT_BACK * len(rows)))])
    chosen = {"windows": 128, "window_events": 0, "l2": 0.0, "evaluate_every": max(1, base.steps // 10)} | settings
    made = changed(base, chosen)
    with processes.progress(base.steps, "training a prior") as bar:
        rnn, curve = train_prior([rows[i] for i in learned], [rows[i] for i in kept_back], tokens, made, bar.update)
    return Prior(rnn, tuple(domain.vocabulary), domain.tokeniser, curve)


def from_lstm(lstm: nn.LSTM, linear: nn.Linear, vocabulary: Sequence[str], embedding: nn.Embedding | None = None,
              tokeniser: str = "") -> Prior:  # fmt: skip
    """A prior from parts of PyTorch: one LSTM layer over one-hot tokens or an embedding, and a linear head."""
    plain = isinstance(lstm, nn.LSTM) and lstm.num_layers == 1 and not lstm.bidirectional and not lstm.proj_size
    must(plain, f"the network is {lstm}: a prior is one LSTM layer in one direction")
    must_name("the vocabulary", vocabulary)
    must(isinstance(linear, nn.Linear), f"the head is a {type(linear).__name__}: it must be an nn.Linear")
    tokens, cells = len(vocabulary), lstm.hidden_size
    read, width = (lstm.input_size,) * 2 if embedding is None else embedding.weight.shape
    for what, given, wanted in (
        ("reads so many tokens", read, tokens), ("embeds into so many numbers", width, lstm.input_size),
        ("scores so many tokens", linear.out_features, tokens),
        ("has a head over so many cells", linear.in_features, cells),
    ):  # fmt: skip
        must(given == wanted, f"the network {what}: {given}; it must be {wanted}")
    rnn, weights = SequenceRNN(tokens, cells), dict(lstm.named_parameters())
    inputs = weights["weight_ih_l0"] if embedding is None else weights["weight_ih_l0"] @ embedding.weight.T
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"] if lstm.bias else torch.zeros(4 * cells)
    with torch.no_grad():
        for mine, theirs in zip(rnn.lstm.all_weights[0][:3], (inputs, weights["weight_hh_l0"], bias), strict=True):
            mine.copy_(theirs)
        rnn.head.weight.copy_(linear.weight)
        rnn.head.bias.copy_(torch.zeros(tokens) if linear.bias is None else linear.bias)
    return Prior(rnn.eval(), tuple(vocabulary), tokeniser)


class Sequences(Domain):
    """Strings over an alphabet, which an end token ends; a function of B strings says what they are worth."""

    name = "sequences"

    def __init__(self, alphabet: Sequence[str], reward: Reward, horizon: int, invalid: float = INVALID) -> None:
        """`horizon` counts the end token too; a string that has not ended there earns `invalid`."""
        must_name("the alphabet", alphabet)
        single = len({*alphabet, "$"}) > len(alphabet) and max(map(len, alphabet)) == 1
        must(single, f"the alphabet is {alphabet!r}: it must be different single characters, without $")
        self.vocabulary, self.end = (*alphabet, "$"), len(alphabet)
        self.first = self.end  # before a string stands the end of another
        self.horizon, self.reward, self.invalid = horizon, reward, invalid

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """What the whole string is worth, at its last step, (B, T)."""
        strings, whole = [self.text(sequence) for sequence in sequences], (sequences == self.end).any(axis=1)
        return at_the_end(earned(self.reward, strings, whole, self.invalid), sequences, self.end)

    def encode(self, strings: Sequence[str]) -> list[np.ndarray]:
        """Strings as sequences to learn from, each with its first input and its end."""
        number = {token: place for place, token in enumerate(self.vocabulary[:-1])}
        for string in strings:
            if unknown := sorted(set(string) - number.keys()):
                raise DomainError(f"{string!r} has {unknown[0]!r}, which is not in the alphabet")
        return [np.array([self.end, *(number[token] for token in string), self.end]) for string in strings]

    def spec(self) -> dict[str, object]:
        """What of the domain determines a run; `reward` is None for a function without a name (`digest`)."""
        mine = {"tokens": list(self.vocabulary), "horizon": self.horizon, "invalid": self.invalid}
        return super().spec() | mine | {"reward": digest(self.reward)}


def whole(name: str, number: Any, least: int = 1) -> int:
    """A whole number that was asked for by name, or a SettingsError."""
    fits = str(number).isdecimal() and least <= int(number) < 2**63
    need(fits, f"{name} is {number!r:.60}: it must be a whole number from {least} on, below 2**63")
    return int(number)


def tried(domain: Domain, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
    """Some sequences of the prior (B, T), and what each step of them earns; DomainError: the domain cannot be used."""
    must_know(domain, prior)
    tokens = sampled(domain, prior.policy, CHECKED, 0)[1]
    for what in ("watch", "measures", "reward_parts"):
        told(domain, what, tokens)
    return tokens, rewards(domain, tokens)


def check(domain: Domain, prior: Prior) -> None:
    """Tries a domain on sequences of the prior; DomainError: what does not fit, is random or looks at the future."""
    tokens, paid = tried(domain, prior)
    name, belongs = domain.name, alive(tokens, domain.end)
    again = np.array_equal(paid, rewards(domain, tokens))
    must(again, f"the reward of the domain {name!r} changed when it was asked again: it must not be random")
    unlike = ~np.isclose(rewards(domain, tokens[: CHECKED // 2]), paid[: CHECKED // 2]).all(axis=1)
    beside = f"the reward of {domain.text(tokens[unlike.argmax()])!r} is another beside other sequences"
    must(not unlike.any(), f"{beside}: it must depend on that sequence alone")
    total = sum(np.where(belongs, part, 0) for part in told(domain, "reward_parts", tokens).values())
    must(np.allclose(total, paid), f"the reward_parts of the domain {name!r} do not add up to its step_rewards")
    stricter = copy.copy(domain)
    stricter.invalid = domain.invalid - 1  # changes what invalid strings earn, and them alone
    sums = paid.sum(axis=1)[(rewards(stricter, tokens) == paid).all(axis=1)]
    must(len(sums), f"all of {CHECKED} sequences of the prior are invalid or unfinished: nothing can be learned")
    same = f"all of {len(sums)} valid sequences of the prior earn {sums[0]:g}"
    must(len(sums) == 1 or np.ptp(sums) > 0, f"{same}: a reward that is always the same, or so rare, teaches nothing")
    most = np.median(sums)
    more = f"an invalid or unfinished string earns {domain.invalid:g}, more than most others ({most:g})"
    must(domain.invalid <= most, f"{more}: give `invalid` a number below what others earn")
    for step in np.unique(np.linspace(1, domain.horizon - 1, CUTS).astype(int)) if domain.horizon > 1 else ():
        # the same beginnings with the ends of others
        mixed = np.concatenate([tokens[:, :step], np.roll(tokens[:, step:], 1, axis=0)], axis=1)
        other = ~np.isclose(rewards(domain, mixed)[:, :step], paid[:, :step]) & belongs[:, [step]]
        for row, at in np.argwhere(other):
            raise DomainError(f"the reward at step {at} of {domain.text(tokens[row])!r} depends on later tokens")


def suggest_c(domain: Domain, prior: Prior, kl: float, samples: int = 2000, seed: int = 0) -> float:
    """The temperature at which the optimum lies `kl` nats per sequence from the prior, KL(p* || p), by its samples."""
    must_know(domain, prior)
    must(isinstance(kl, Real) and kl > 0, f"kl is {kl!r}: it must be a number above 0")
    samples, seed = whole("samples", samples), whole("seed", seed, 0)
    reward = rewards(domain, sampled(domain, prior.policy, samples, seed)[1]).sum(axis=1)
    must(np.ptp(reward) > 0, f"all of {samples} sequences of the prior earn {reward[0]:g}: no temperature moves it")
    low, high = np.log(np.ptp(reward)) + np.array([-12.0, 12.0])
    for _ in range(60):
        middle = (low + high) / 2
        log_z, weight, effective = importance(reward / math.exp(middle))
        # KL(p* || p) = E_p*[r / c] - log Z
        distance = float(weight @ reward) / math.exp(middle) - log_z
        low, high = (middle, high) if distance > kl else (low, middle)
    must(distance >= 0.9 * kl, f"{samples} samples of the prior show a KL of {distance:.2f} nats at most: ask for less")
    counted = f"at a KL of {kl:g} nats {samples} samples of the prior count as {effective:.0f}"
    must(effective >= FEWEST, f"{counted}: ask for less, or take more")  # the answer would be a guess
    return math.exp(middle)
