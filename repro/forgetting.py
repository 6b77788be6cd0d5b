"""Forgetting: how well a tuned policy still predicts the real sequences that its prior learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import nll_loss

from repro import kl_control
from repro.prior import PADDING
from repro.rnn import SequenceRNN


@torch.no_grad()
def held_out_nll(
    method: kl_control.Q | None,
    network: SequenceRNN,
    prior_rnn: SequenceRNN,
    sequences: Sequence[np.ndarray],
    batch: int = 256,
) -> float:
    """Mean negative log-likelihood of real sequences under a policy, in nats a token.

    Args:
        method: how the policy is read off the network; None for the network itself, as the prior.
        network: the tuned network, or the prior.
        prior_rnn: the prior; only G's policy asks for it.
        sequences: token arrays of any lengths; the first token of each is read and not counted.
        batch: sequences at a time.

    Returns:
        The mean over all counted tokens; nan where there are none.
    """
    torch.set_num_threads(1)  # sums in another order would differ in the last digits
    ordered = sorted((np.asarray(each, dtype=np.int64) for each in sequences if len(each) > 1), key=len)
    total, counted = 0.0, 0
    for first in range(0, len(ordered), batch):
        part = ordered[first : first + batch]
        tokens = torch.full((len(part), len(part[-1])), PADDING)
        for row, sequence in enumerate(part):
            tokens[row, : len(sequence)] = torch.from_numpy(sequence)
        inputs, labels = tokens[:, :-1].clamp_min(0), tokens[:, 1:]
        scores = network(inputs)
        if method is not None:
            log_prior = prior_rnn(inputs).log_softmax(dim=-1) if method.plays_with_prior else torch.zeros_like(scores)
            scores = method.scores(scores, log_prior)
        # log pi = scores - log sum exp scores
        log_policy = scores.log_softmax(dim=-1).flatten(0, 1)
        total += nll_loss(log_policy, labels.flatten(), ignore_index=PADDING, reduction="sum").item()
        counted += int((labels != PADDING).sum())
    return total / counted if counted else math.nan
