"""Sequences that may end before the horizon: playing them, and which of their steps count.

A domain whose sequences can end has an attribute `end`, the token that ends one; it belongs to the sequence, and what
stands after it does not. Melodies have none: all their steps count.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from repro.domain import Domain
from repro.rnn import SequenceRNN, Stepper, draw


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
    last_logits: list[Tensor] | None = None,
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
        last_logits: a list to which the logits (B, V) of the last network are added at every step played.

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
        logits = [run(last) for run in steppers]
        if last_logits is not None:
            last_logits.append(logits[-1])
        last = choose(functools.reduce(torch.add, logits), uniform[step])
        if end is not None:
            last = last.masked_fill(ended, end)
            ended |= last == end
        tokens[:, step] = last
        if end is not None and bool(ended.all()):
            break
    return tokens
