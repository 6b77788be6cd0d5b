"""Maximum likelihood: training the prior on sequences, and how well a model predicts sequences it has not seen."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss
from torch.nn.utils.rnn import pad_sequence

from repro.checkpoint import Checkpoints
from repro.kl_control import Policy
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, half

PADDING = -100  # PyTorch's label of a position that does not count
BATCH = 256  # sequences that are scored at once
POOL = 64  # batches of whole sequences that are sorted by length together


class Corpus:
    """All sequences end to end, drawn from as random windows of a length or, where that is 0, whole.

    Of windows every event is equally likely to be covered. Whole sequences come once an epoch, in batches of nearly
    equal lengths, so that little of a batch is padding.
    """

    def __init__(self, sequences: Sequence[np.ndarray], length: int) -> None:
        sizes = np.array([len(sequence) for sequence in sequences])
        begins = np.cumsum(sizes) - sizes
        # a whole sequence is a window as long as the longest: it begins at its start
        self.whole = length == 0
        self.most = int(sizes.max()) if self.whole else length + 1  # tokens: the inputs, and the label of the last
        self.flat = torch.from_numpy(np.concatenate([*sequences, np.zeros(self.most)]).astype(np.int64))
        # a window starts anywhere in a sequence that leaves it room, else at the start
        spans = np.maximum(sizes - self.most + 1, 1)
        self.starts = np.concatenate([begin + np.arange(span) for begin, span in zip(begins, spans, strict=True)])
        self.room = np.repeat(np.minimum(sizes, self.most), spans)
        self.batches: list[np.ndarray] = []  # that are left of an epoch

    def draw(self, count: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch: inputs (count, T) and labels, padded where a sequence is shorter."""
        if self.whole and not self.batches:
            # shuffled, then sorted by length within pools of so many batches, then shuffled batch by batch: the loss is
            # a mean over the tokens of a batch, in which every sequence weighs about the same
            edges = np.arange(POOL * count, len(self.room), POOL * count)
            pools = np.split(generator.permutation(len(self.room)), edges)
            ordered = [pool[np.argsort(self.room[pool], kind="stable")] for pool in pools]
            parts = [pool[first : first + count] for pool in ordered for first in range(0, len(pool), count)]
            self.batches = [parts[place] for place in generator.permutation(len(parts))]
        chosen = self.batches.pop() if self.whole else generator.integers(len(self.starts), size=count)
        offsets = np.arange(self.room[chosen].max() if self.whole else self.most)
        tokens = self.flat[torch.from_numpy(self.starts[chosen][:, None] + offsets)]
        beyond = torch.from_numpy(offsets[1:] >= self.room[chosen][:, None])
        return tokens[:, :-1], tokens[:, 1:].masked_fill(beyond, PADDING)


def train_prior(sequences: Sequence[np.ndarray], held_out: Sequence[np.ndarray], vocabulary: int,
                settings: PriorSettings, on_step: Callable[[], object] = lambda: None,
                checkpoints: Checkpoints | None = None) -> tuple[SequenceRNN, pd.DataFrame]:  # fmt: skip
    """Trains an RNN to predict the next of V tokens; the same seed gives the same bytes.

    `sequences` are token arrays of at least two tokens, the first the priming one (`Domain.first_inputs`), which is not
    predicted; `held_out` are others, for the curve only: nothing is chosen by them.
    Returns the RNN, and the curve: step, train_nll, validation_nll (nats per token), validation_accuracy.
    """
    if not len(sequences) or not len(held_out):
        raise ValueError("there are no sequences to train on or to hold out: keep more tunes or name more collections")
    torch.set_num_threads(1)
    generator, in_half = np.random.default_rng(settings.seed), half(settings.precision, settings.device)
    corpus = Corpus(sequences, settings.window_events)
    rnn = SequenceRNN(vocabulary, settings.cells, seed=settings.seed).to(settings.device).train()
    weights = [weight for weight in rnn.parameters() if weight.requires_grad]
    adam = torch.optim.Adam(weights, lr=settings.learning_rate, fused=True)
    rows, recent = list[tuple[float, ...]](), list[float]()
    held = {"rnn": rnn, "adam": adam, "generator": generator, "corpus": corpus, "rows": rows, "recent": recent}
    for step in (checkpoints or Checkpoints()).over(range(settings.steps), held):
        inputs, labels = (drawn.to(settings.device) for drawn in corpus.draw(settings.windows, generator))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_half):
            logits = rnn(inputs).to(rnn.head.weight.dtype)
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PADDING)
        penalty = sum(weight.square().sum() for weight in weights)
        adam.zero_grad()
        # authors' code: half the squared norm, as TensorFlow's l2_loss
        (loss + 0.5 * settings.l2 * penalty).backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.clip)
        adam.param_groups[0]["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        adam.step()
        recent.append(loss.item())
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            scores = held_out_scores(Policy(rnn, rnn), held_out)
            rows.append((step + 1, float(np.mean(recent)), scores["nll"], scores["accuracy"]))
            recent.clear()
        on_step()
    return rnn.eval().cpu(), pd.DataFrame(rows, columns=["step", "train_nll", "validation_nll", "validation_accuracy"])


@torch.no_grad()
def held_out_scores(policy: Policy, sequences: Sequence[np.ndarray], skip: int = 0) -> dict[str, float]:
    """How well a prior or a policy predicts real sequences; the first token of each is read and not counted.

    Nor are `skip` further ones (the paper leaves out the first 32 events). Returns nll, the mean negative
    log-likelihood in nats per token, accuracy, the share of tokens that are the likeliest, and events, their number.
    """
    torch.set_num_threads(1)  # sums in another order would differ in the last digits
    ordered = sorted((np.asarray(each, dtype=np.int64) for each in sequences if len(each) > 1), key=len)
    nll, correct, events = 0.0, 0, 0
    for first in range(0, len(ordered), BATCH):
        part = [torch.from_numpy(sequence) for sequence in ordered[first : first + BATCH]]
        tokens = pad_sequence(part, batch_first=True, padding_value=PADDING).to(policy.network.head.weight.device)
        labels = tokens[:, 1:].clone()
        labels[:, :skip] = PADDING
        log_policy = policy.log_probabilities(tokens[:, :-1].clamp_min(0))
        nll += nll_loss(log_policy.flatten(0, 1), labels.flatten(), ignore_index=PADDING, reduction="sum").item()
        correct += int((log_policy.argmax(dim=-1) == labels).sum())
        events += int((labels != PADDING).sum())
    among = events or math.nan
    return {"nll": nll / among, "accuracy": correct / among, "events": events}
