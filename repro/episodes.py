"""Sequences that may end before the horizon: playing them, which steps count, and what they measure.

A domain whose sequences can end has an attribute `end`, the token that ends one; it belongs to the sequence, and what
stands after it does not. Melodies have none: all their steps count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain
from repro.evaluation import SAMPLING_SEED, players
from repro.rnn import SequenceRNN, Stepper, draw
from repro.tutor import visited

BATCH = 250  # sequences sampled at once


class HalfStepper(Stepper):
    """`Stepper` with its products in bfloat16: four times as fast where the processor has instructions for it."""

    def __init__(self, rnn: SequenceRNN, count: int) -> None:
        super().__init__(rnn, count)
        self.recurrent = self.recurrent.bfloat16()

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Feeds tokens (B,) and returns the logits (B, V) of what follows; states and sums are float32."""
        gates = (self.hidden.bfloat16() @ self.recurrent).float().add_(self.input_rows[tokens])
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        # c = f * c + i * g;  h = o * tanh(c)
        self.cell = forget.sigmoid().mul_(self.cell).addcmul_(enter.sigmoid(), candidate.tanh())
        self.hidden = leave.sigmoid().mul_(self.cell.tanh())
        return torch.addmm(self.bias, self.hidden, self.head)


def end_token(domain: Domain) -> int | None:
    """The token that ends a sequence, or None where all sequences fill the horizon."""
    return getattr(domain, "end", None)


def alive(tokens: Tensor, end: int | None) -> Tensor:
    """Which steps (B, T) of sequences belong to them: those up to the first end token, itself included."""
    if end is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    is_end = (tokens == end).long()
    return is_end.cumsum(dim=1) - is_end == 0


def last_steps(belongs: Tensor) -> Tensor:
    """The last step of every sequence, (B, T), from `alive`."""
    after = torch.zeros_like(belongs)
    after[:, :-1] = belongs[:, 1:]
    return belongs & ~after


@torch.no_grad()
def play_to_end(
    rnns: Sequence[SequenceRNN],
    first_inputs: np.ndarray,
    horizon: int,
    end: int | None,
    generator: np.random.Generator,
    choose: Callable[[Tensor, Tensor], Tensor] = draw,
    stepper: Callable[[SequenceRNN, int], Stepper] = Stepper,
) -> Tensor:
    """Plays B sequences in lockstep until all have ended, or to the horizon.

    Args:
        rnns: the networks whose logits add up to the scores.
        first_inputs: (B,), the priming tokens; they are not part of the result.
        horizon: T, the most tokens of a sequence.
        end: the token that ends a sequence, or None.
        generator: one uniform number a sequence and step is taken from it, whenever the sequences end.
        choose: as in `repro.rnn.play`.
        stepper: how a network is run one token at a time, `HalfStepper` where speed counts more than rounding.

    Returns:
        Tokens (B, T), int64; the end token stands at every step after the end.
    """
    count = len(first_inputs)
    steppers = [stepper(rnn, count) for rnn in rnns]
    uniform = torch.from_numpy(generator.random((horizon, count), dtype=np.float32))
    tokens = torch.full((count, horizon), 0 if end is None else end, dtype=torch.int64)
    last = torch.from_numpy(np.asarray(first_inputs, dtype=np.int64))
    ended = torch.zeros(count, dtype=torch.bool)
    for step in range(horizon):
        scores = steppers[0](last)
        for other in steppers[1:]:
            scores = scores + other(last)
        last = choose(scores, uniform[step])
        if end is not None:
            last = last.masked_fill(ended, end)
            ended |= last == end
        tokens[:, step] = last
        if end is not None and bool(ended.all()):
            break
    return tokens


def sampled(domain: Domain, networks: list[SequenceRNN], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First inputs (count,) and sequences (count, T), drawn from a policy without exploration."""
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
) -> dict[str, np.ndarray]:
    """Policy against prior over whole sequences, in nats, each (B,).

    Returns:
        log_p: log p of the sequence under the prior; kl: the sum over its steps of KL(pi || p), exact over the
        vocabulary; entropy: the sum over its steps of the policy's entropy.
    """
    sums: dict[str, list[np.ndarray]] = {name: [] for name in ("log_p", "kl", "entropy")}
    for start in range(0, len(tokens), BATCH):
        part = torch.from_numpy(tokens[start : start + BATCH])
        belongs = alive(part, end_token(domain))
        longest = int(belongs.sum(dim=1).max())
        steps = visited(method, network, prior_rnn, first[start : start + BATCH], part[:, :longest])
        for name, values in steps.items():
            sums[name].append((values.double() * belongs[:, :longest]).sum(dim=1).numpy())
    return {name: np.concatenate(values) for name, values in sums.items()}


def evaluate(
    domain: Domain,
    method: kl_control.Q | None,
    network: SequenceRNN,
    prior_rnn: SequenceRNN,
    count: int,
    seed: int,
    c: float,
) -> dict[str, object]:
    """Samples a policy without exploration and measures the samples.

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
        `reward_parts` (means a sequence).
    """
    first, tokens = sampled(domain, players(method, network, prior_rnn), count, seed)
    means = {n: float(v.mean()) for n, v in against_prior(domain, method, network, prior_rnn, first, tokens).items()}
    reward_parts = {name: float(part.sum(axis=1).mean()) for name, part in domain.reward_parts(tokens).items()}
    reward = sum(reward_parts.values())
    # J(pi) = E_pi[r / c] - KL(pi || p)
    metrics = dict(domain.measures(tokens)) | means | {"task_reward": reward, "objective": reward / c - means["kl"]}
    return {"samples": count, "metrics": metrics, "reward_parts": reward_parts}
