"""What the optimum of KL-control looks like where it cannot be written out: estimates by importance sampling.

Samples x of a tuned policy pi, weighted by

    w(x) = p(x) exp(r(x) / c) / pi(x)

stand for the optimum p*(x) = p(x) exp(r(x) / c) / Z: the mean of w is Z, and means weighted by w are means under p*.
The nearer pi is to p*, the more even the weights and the better the estimates; `effective` says how many samples of p*
itself would tell as much (Kish). For problems small enough to enumerate `repro.exact` has the true numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.episodes import BATCH, alive, end_token
from repro.rnn import SequenceRNN, shifted


@torch.no_grad()
def log_probabilities(
    domain: Domain,
    method: kl_control.Q | None,
    network: SequenceRNN,
    prior_rnn: SequenceRNN,
    first: np.ndarray,
    tokens: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Log p(x) and log pi(x) of whole sequences in nats, each (B,), from first inputs (B,) and tokens (B, T)."""
    prior_parts, policy_parts = [], []
    for start in range(0, len(tokens), BATCH):
        part = torch.from_numpy(tokens[start : start + BATCH])
        belongs = alive(part, end_token(domain))
        longest = int(belongs.sum(dim=1).max())
        part, belongs = part[:, :longest], belongs[:, :longest]
        inputs = shifted(torch.from_numpy(first[start : start + BATCH]), part)[:, :-1]
        log_prior = prior_rnn(inputs).log_softmax(dim=-1)
        log_policy = log_prior
        if method is not None:
            log_policy = method.scores(network(inputs), log_prior).log_softmax(dim=-1)
        prior_parts.append(_along(log_prior, part, belongs))
        policy_parts.append(_along(log_policy, part, belongs))
    return np.concatenate(prior_parts), np.concatenate(policy_parts)


def _along(log_probability: Tensor, tokens: Tensor, belongs: Tensor) -> np.ndarray:
    taken = log_probability.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return (taken.double() * belongs).sum(dim=1).numpy()


def estimated(
    log_prior: np.ndarray,
    log_policy: np.ndarray,
    reward: np.ndarray,
    values: Mapping[str, np.ndarray],
    among: int = 10_000,
) -> dict[str, float]:
    """The optimum from samples of a policy.

    Args:
        log_prior: log p(x) of each sample (B,), nats.
        log_policy: log pi(x) of each sample (B,), nats.
        reward: r(x) / c of each sample (B,).
        values: by name, what to average under the optimum, each (B,); NaN is left out, as the scores of no molecule.
        among: how many samples of p* the share of different ones is expected of.

    Returns:
        log_z; effective, the number of effective samples; unique, the expected share of different sequences among
        `among` draws from p*; and the mean of each of `values`.
    """
    log_weight = log_prior + reward - log_policy
    largest = log_weight.max()
    weight = np.exp(log_weight - largest)
    # Z = E_pi[ w(x) ]
    log_z = float(np.log(weight.mean()) + largest)
    weight /= weight.sum()
    # n distinct = sum_x 1 - (1 - p*(x))^n = E_p*[ (1 - (1 - p*(x))^n) / p*(x) ]
    optimum = np.exp(np.minimum(log_prior + reward - log_z, 0.0))
    distinct = -np.expm1(among * np.log1p(-np.minimum(optimum, 1 - 1e-12))) / np.maximum(optimum, 1e-300)
    means = {}
    for name, value in values.items():
        known = ~np.isnan(np.asarray(value, dtype=float))
        means[name] = float(np.average(np.asarray(value, dtype=float)[known], weights=weight[known]))
    return {
        "log_z": log_z,
        "effective": float(1 / np.square(weight).sum()),
        "unique": float((weight * distinct).sum() / among),
    } | means
