"""What samples of a policy measure: the domain's metrics, the distance from the prior, the probabilities it plays."""

from __future__ import annotations

import numpy as np
import torch

from repro import kl_control
from repro.domain import Domain
from repro.rnn import SequenceRNN, play
from repro.tutor import visited

SAMPLING_SEED = 2_000_003  # samples that are measured draw from other numbers than training
BATCH = 250  # sequences sampled at once: their states stay in the processor's cache
MAPPED = 10_000  # sequences that the mean probabilities are taken over


def evaluate(
    domain: Domain, method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, count: int, seed: int
) -> dict[str, object]:
    """Samples a policy without exploration and measures the samples.

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
    by_step = against_prior(method, network, prior_rnn, first, tokens)
    reward_parts = {name: float(part.sum(axis=1).mean()) for name, part in domain.reward_parts(tokens).items()}
    metrics = dict(domain.measures(tokens)) | {name: value.mean() for name, value in by_step.items()}
    metrics |= {"log_p_last": by_step["log_p"][-1], "task_reward": sum(reward_parts.values())}
    probabilities = mean_probabilities(method, network, prior_rnn, first[:MAPPED], tokens[:MAPPED])
    return {
        "samples": count,
        "metrics": metrics,
        "reward_parts": reward_parts,
        "by_step": {name: value.round(6).tolist() for name, value in by_step.items()},
        "probabilities": probabilities.round(6).tolist(),
    }


def players(method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN) -> list[SequenceRNN]:
    """The networks whose logits add up to the policy's scores; without a method the network is the prior."""
    return [network, prior_rnn] if method is not None and method.plays_with_prior else [network]


def sampled(domain: Domain, networks: list[SequenceRNN], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First inputs (count,) and sequences (count, T), drawn from the policy without exploration."""
    torch.set_num_threads(1)  # sums in another order would draw other melodies
    generator = np.random.default_rng([seed, SAMPLING_SEED])
    first = domain.first_inputs(count, generator)
    tokens = np.empty((count, domain.horizon), dtype=np.int64)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        tokens[part] = play(networks, first[part], domain.horizon, generator).numpy()
    return first, tokens


def against_prior(
    method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, first: np.ndarray, tokens: np.ndarray
) -> dict[str, np.ndarray]:
    """log_p, kl and entropy at every step (T,), in nats, means over the sequences; see `repro.tutor.visited`."""
    sums = {name: np.zeros(tokens.shape[1]) for name in ("log_p", "kl", "entropy")}
    for start in range(0, len(tokens), BATCH):
        part = slice(start, start + BATCH)
        steps = visited(method, network, prior_rnn, first[part], torch.from_numpy(tokens[part]))
        for name, value in steps.items():
            sums[name] += value.double().sum(dim=0).numpy()
    return {name: total / len(tokens) for name, total in sums.items()}


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
