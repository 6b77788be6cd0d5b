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


def estimated(
    log_p: np.ndarray,
    log_pi: np.ndarray,
    reward: np.ndarray,
    values: Mapping[str, np.ndarray],
    among: int = 10_000,
) -> dict[str, float]:
    """The optimum from samples of a policy.

    Args:
        log_p: log p(x) of each sample (B,), nats.
        log_pi: log pi(x) of each sample (B,), nats.
        reward: r(x) / c of each sample (B,).
        values: by name, what to average under the optimum, each (B,); NaN is left out, as the scores of no molecule.
        among: how many samples of p* the share of different ones is expected of.

    Returns:
        log_z; effective, the number of effective samples; unique, the expected share of different sequences among
        `among` draws from p*; and the mean of each of `values`.
    """
    log_weight = log_p + reward - log_pi
    largest = log_weight.max()
    weight = np.exp(log_weight - largest)
    # Z = E_pi[ w(x) ]
    log_z = float(np.log(weight.mean()) + largest)
    weight /= weight.sum()
    # n distinct = sum_x 1 - (1 - p*(x))^n = E_p*[ (1 - (1 - p*(x))^n) / p*(x) ]
    optimum = np.exp(np.minimum(log_p + reward - log_z, 0.0))
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
