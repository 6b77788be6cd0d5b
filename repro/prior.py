"""Maximum likelihood: training the prior on sequences, and how well it predicts sequences it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from repro.rnn import SequenceRNN
from repro.settings import PriorSettings

PADDING = -100  # PyTorch's label of a position that does not count
POOL = 64  # batches of whole sequences that are sorted by length together
PROBE = Path("/proc/cpuinfo")  # where Linux lists what a processor can do


@dataclass(frozen=True)
class Trained:
    """A prior and how it got there."""

    rnn: SequenceRNN
    curve: pd.DataFrame  # step, train_nll, validation_nll (nats an event), validation_accuracy


class Wholes:
    """Whole sequences, each once an epoch, in batches of nearly equal lengths, so that little of a batch is padding.

    The loss is a mean over the tokens of a batch: every sequence weighs about the same, whatever its length.
    """

    def __init__(self, sequences: Sequence[np.ndarray]) -> None:
        """Lays all sequences end to end."""
        self.sizes = np.array([len(sequence) for sequence in sequences])
        self.starts = np.cumsum(self.sizes) - self.sizes
        longest = int(self.sizes.max())
        self.flat = torch.from_numpy(np.concatenate([*sequences, np.zeros(longest)]).astype(np.int64))
        self.batches: list[np.ndarray] = []

    def draw(self, count: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The next batch of an epoch: inputs (count, T) and labels, padded; T is the longest of the batch."""
        if not self.batches:
            # shuffled, then sorted by length within pools of so many batches, then shuffled batch by batch
            pools = np.split(
                generator.permutation(len(self.sizes)), np.arange(POOL * count, len(self.sizes), POOL * count)
            )
            ordered = [pool[np.argsort(self.sizes[pool], kind="stable")] for pool in pools]
            parts = [pool[first : first + count] for pool in ordered for first in range(0, len(pool), count)]
            self.batches = [parts[place] for place in generator.permutation(len(parts))]
        chosen = self.batches.pop()
        offsets = np.arange(self.sizes[chosen].max())
        tokens = self.flat[torch.from_numpy(self.starts[chosen, None] + offsets)]
        beyond = torch.from_numpy(offsets[None, 1:] >= self.sizes[chosen, None])
        return tokens[:, :-1], tokens[:, 1:].masked_fill(beyond, PADDING)


class Windows:
    """Random windows of a corpus; every event of it is equally likely to be covered."""

    def __init__(self, sequences: Sequence[np.ndarray], length: int) -> None:
        """Lays all sequences end to end, so that a window is one slice."""
        self.length = length
        sizes = np.array([len(sequence) for sequence in sequences])
        ends = np.cumsum(sizes)
        self.flat = torch.from_numpy(np.concatenate([*sequences, np.zeros(length + 1)]).astype(np.int64))
        # a window of length + 1 tokens starts anywhere in a sequence that leaves it room, else at the start
        spans = np.maximum(sizes - length, 1)
        self.starts = np.concatenate(
            [end - size + np.arange(span) for end, size, span in zip(ends, sizes, spans, strict=True)]
        )
        self.room = np.repeat(np.minimum(sizes, length + 1), spans)

    def draw(self, count: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws windows with replacement: inputs (count, length) and labels, padded where a sequence is shorter."""
        chosen = generator.integers(len(self.starts), size=count)
        offsets = np.arange(self.length + 1)
        tokens = self.flat[torch.from_numpy(self.starts[chosen, None] + offsets)]
        beyond = torch.from_numpy(offsets[None, 1:] >= self.room[chosen, None])
        return tokens[:, :-1], tokens[:, 1:].masked_fill(beyond, PADDING)


def precision(settings: PriorSettings) -> str:
    """The precision that the RNN's products have on this machine: float32 or bfloat16."""
    if settings.precision != "auto":
        return settings.precision
    flags = PROBE.read_text(encoding="utf-8") if PROBE.exists() else ""
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"


def train(
    sequences: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    vocabulary: int,
    settings: PriorSettings,
    on_step: Callable[[], object] | None = None,
) -> Trained:
    """Trains an RNN to predict the next token; the same seed gives the same bytes.

    Args:
        sequences: token arrays of any lengths >= 2, to learn from.
        held_out: others, for the curve only; nothing is chosen by them.
        vocabulary: V.
        settings: every hyperparameter.
        on_step: called after each step, for a progress bar.

    Raises:
        ValueError: no sequences.
    """
    if not len(sequences) or not len(held_out):
        raise ValueError("there are no sequences to train on or to hold out: keep more tunes or name more collections")
    torch.set_num_threads(1)
    numbers = np.random.default_rng(settings.seed)
    windows = Windows(sequences, settings.window_events) if settings.window_events else Wholes(sequences)
    half = precision(settings) == "bfloat16"
    rnn = SequenceRNN(vocabulary, settings.cells, seed=settings.seed).train()
    weights = [weight for weight in rnn.parameters() if weight.requires_grad]
    adam = torch.optim.Adam(weights, lr=settings.learning_rate, fused=True)
    rows, recent = [], []
    for step in range(settings.steps):
        inputs, labels = windows.draw(settings.windows, numbers)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = rnn(inputs)
        loss = cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=PADDING)
        penalty = sum(weight.square().sum() for weight in weights)
        adam.zero_grad()
        # authors' code: half the squared norm, as TensorFlow's l2_loss
        (loss + 0.5 * settings.l2 * penalty).backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.clip)
        adam.param_groups[0]["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        adam.step()
        recent.append(loss.item())
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            scores = held_out_scores(rnn, held_out)
            rows.append({
                "step": step + 1,
                "train_nll": float(np.mean(recent)),
                "validation_nll": scores["nll"],
                "validation_accuracy": scores["accuracy"],
            })  # fmt: skip
            recent = []
        if on_step is not None:
            on_step()
    return Trained(rnn.eval(), pd.DataFrame(rows))


@torch.no_grad()
def held_out_scores(
    rnn: SequenceRNN, sequences: Sequence[np.ndarray], skip: int = 0, batch: int = 256
) -> dict[str, float]:
    """How well the RNN predicts whole sequences from their first token on.

    Args:
        rnn: the prior, or a tuned policy.
        sequences: token arrays of any lengths.
        skip: tokens at the start of each sequence that are read but not counted (the paper leaves out the first).
        batch: sequences at a time.

    Returns:
        nll: mean negative log-likelihood in nats an event; accuracy: share of events that are the likeliest one;
        events: how many were counted.
    """
    ordered = sorted(sequences, key=len)
    nll, correct, events = 0.0, 0, 0
    for first in range(0, len(ordered), batch):
        part = ordered[first : first + batch]
        tokens = torch.full((len(part), len(part[-1])), PADDING)
        for row, sequence in enumerate(part):
            tokens[row, : len(sequence)] = torch.from_numpy(np.asarray(sequence, dtype=np.int64))
        logits = rnn(tokens[:, :-1].clamp_min(0))
        labels = tokens[:, 1:].clone()
        labels[:, :skip] = PADDING
        nll += cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PADDING, reduction="sum").item()
        correct += int((logits.argmax(dim=-1) == labels).sum())
        events += int((labels != PADDING).sum())
    if events == 0:
        return {"nll": math.nan, "accuracy": math.nan, "events": 0}
    return {"nll": nll / events, "accuracy": correct / events, "events": events}
