"""What samples of a policy measure: the domain's metrics, the distance from the prior, the probabilities it plays.

Samples are drawn without exploration. One walk along them compares policy and prior at every step (`against_prior`);
melodies, which have one length, are averaged step by step (`evaluate`), sequences that end are summed whole
(`evaluate_to_end`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.episodes import alive, end_token, play_to_end
from repro.rnn import SequenceRNN
from repro.tutor import players, visited

SAMPLING_SEED = 2_000_003  # samples that are measured draw from other numbers than training
BATCH = 250  # sequences sampled at once: their states stay in the processor's cache
MAPPED = 10_000  # sequences that the mean probabilities are taken over
COMPARED = ("log_p", "kl", "entropy")  # what of `against_prior` is a metric


def evaluate(
    domain: Domain, method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, count: int, seed: int
) -> dict[str, object]:
    """Samples a policy and measures the samples, step by step; for domains whose sequences fill the horizon.

    Args:
        domain: what is played and what it is worth.
        method: how the policy is read off the network; None for the prior itself.
        network: the tuned network, or the prior.
        prior_rnn: the prior.
        count: how many sequences.
        seed: of their priming tokens and draws.

    Returns:
        `metrics` (the domain's and log_p, log_p_last, task_reward, kl, entropy; nats), `reward_parts` (means per
        sequence), `by_step` (log_p, kl and entropy at each step) and `probabilities` (V, T).
    """
    first, tokens = sampled(domain, players(method, network, prior_rnn), count, seed)
    sums = {name: np.zeros(domain.horizon) for name in COMPARED}
    for steps in against_prior(domain, method, network, prior_rnn, first, tokens):
        for name in COMPARED:
            sums[name] += steps[name].sum(dim=0).numpy()
    by_step = {name: total / count for name, total in sums.items()}
    probabilities = mean_probabilities(method, network, prior_rnn, first[:MAPPED], tokens[:MAPPED])
    return measured(domain, tokens, by_step, probabilities)


def measured(
    domain: Domain, tokens: np.ndarray, by_step: dict[str, np.ndarray], probabilities: np.ndarray
) -> dict[str, object]:
    """The numbers of `evaluate`, from samples (B, T) and what was seen along them."""
    reward_parts = {name: float(part.sum(axis=1).mean()) for name, part in domain.reward_parts(tokens).items()}
    metrics = dict(domain.measures(tokens)) | {name: value.mean() for name, value in by_step.items()}
    metrics |= {"log_p_last": by_step["log_p"][-1], "task_reward": sum(reward_parts.values())}
    return {
        "samples": len(tokens),
        "metrics": metrics,
        "reward_parts": reward_parts,
        "by_step": {name: value.round(6).tolist() for name, value in by_step.items()},
        "probabilities": probabilities.round(6).tolist(),
    }


@dataclass(frozen=True)
class Sample:
    """Sequences that a policy has played, and what each is worth."""

    tokens: np.ndarray  # (B, T)
    log_p: np.ndarray  # (B,), log p(x) under the prior, nats
    log_pi: np.ndarray  # (B,), log pi(x), nats
    task_reward: np.ndarray  # (B,), r(x)


def evaluate_to_end(
    domain: Domain,
    method: kl_control.Q | None,
    network: SequenceRNN,
    prior_rnn: SequenceRNN,
    count: int,
    seed: int,
    c: float,
) -> tuple[dict[str, object], Sample]:
    """Samples a policy and measures the samples as whole sequences, each to its own end.

    Args:
        domain: what is played and what it is worth.
        method: how the policy is read off the network; None for the prior itself.
        network: the tuned network, or the prior.
        prior_rnn: the prior.
        count: how many sequences.
        seed: of their priming tokens and draws.
        c: the temperature of the objective J = E[r / c] - KL(pi || p).

    Returns:
        `metrics` (the domain's; log_p, kl, entropy in nats and task_reward, means a sequence; objective, J) and
        `reward_parts` (means a sequence); and the sample itself.
    """
    first, tokens = sampled(domain, players(method, network, prior_rnn), count, seed)
    steps = list(against_prior(domain, method, network, prior_rnn, first, tokens))
    sums = {name: np.concatenate([part[name].sum(dim=1).numpy() for part in steps]) for name in steps[0]}
    means = {name: float(sums[name].mean()) for name in COMPARED}
    parts = domain.reward_parts(tokens)
    reward_parts = {name: float(part.sum(axis=1).mean()) for name, part in parts.items()}
    reward = sum(reward_parts.values())
    # J(pi) = E_pi[r / c] - KL(pi || p)
    metrics = dict(domain.measures(tokens)) | means | {"task_reward": reward, "objective": reward / c - means["kl"]}
    earned = np.sum(list(parts.values()), axis=0).sum(axis=1)
    numbers = {"samples": count, "metrics": metrics, "reward_parts": reward_parts}
    return numbers, Sample(tokens, sums["log_p"], sums["log_pi"], earned)


def sampled(domain: Domain, networks: list[SequenceRNN], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First inputs (count,) and sequences (count, T), drawn from the policy without exploration."""
    torch.set_num_threads(1)  # sums in another order would draw other sequences
    generator = np.random.default_rng([seed, SAMPLING_SEED])
    first = domain.first_inputs(count, generator)
    tokens = np.empty((count, domain.horizon), dtype=np.int64)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        tokens[part] = play_to_end(networks, first[part], domain.horizon, end_token(domain), generator).numpy()
    return first, tokens


def against_prior(
    domain: Domain,
    method: kl_control.Q | None,
    network: SequenceRNN,
    prior_rnn: SequenceRNN,
    first: np.ndarray,
    tokens: np.ndarray,
) -> Iterator[dict[str, Tensor]]:
    """Policy against prior along sequences, BATCH at a time, in nats: what `repro.tutor.visited` returns.

    Yields:
        log_p, log_pi, kl and entropy, each (b, t) in double precision, up to the end of the longest of the b
        sequences, and 0 after the end of each.
    """
    for start in range(0, len(tokens), BATCH):
        part = torch.from_numpy(tokens[start : start + BATCH])
        belongs = alive(part, end_token(domain))
        longest = int(belongs.sum(dim=1).max())
        steps = visited(method, network, prior_rnn, first[start : start + BATCH], part[:, :longest])
        yield {name: value.double() * belongs[:, :longest] for name, value in steps.items()}


@torch.no_grad()
def mean_probabilities(
    method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, first: np.ndarray, tokens: np.ndarray
) -> np.ndarray:
    """The policy's probability of every token at every step, averaged over the sequences: (V, T)."""
    inputs = torch.from_numpy(np.concatenate([first[:, None], tokens[:, :-1]], axis=1))
    total = torch.zeros(network.vocabulary, tokens.shape[1], dtype=torch.float64)
    for part in inputs.split(BATCH):
        values = network(part)
        scores = values if method is None else method.scores(values, prior_rnn(part))
        total += scores.softmax(dim=-1).sum(dim=0).T
    return (total / len(tokens)).numpy()
