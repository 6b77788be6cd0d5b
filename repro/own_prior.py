"""A prior of yours: shipped, learned from your own sequences, or an LSTM that you have trained in PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from repro import ROOT, store
from repro.domain import Domain, DomainError
from repro.prior import train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, changed

SHORT = {"music": "music-as_notated", "molecules": "molecules-regex"}  # of shipped priors
TOKENISERS = {"molecules-regex": "regex", "molecules-authors": "characters"}
HELD_OUT = 0.05  # ours: the share of own sequences that a prior does not learn from


class Prior(NamedTuple):
    """A sequence RNN that has learned from data, and the tokens that it knows."""

    rnn: SequenceRNN
    vocabulary: tuple[str, ...]
    tokeniser: str = ""  # of molecules: how strings are cut into tokens
    curve: pd.DataFrame | None = None  # of its training, where it was trained here


def load_prior(name: str) -> Prior:
    """A shipped prior: "music" (folk tunes), "molecules" (MOSES), or a name in results/priors, which an error lists."""
    whole = SHORT.get(name, name)
    record = store.read(ROOT / "results" / "priors" / whole)
    return Prior(record.rnn(), tuple(record.numbers["vocabulary"]), TOKENISERS.get(whole, ""))


def fit(domain: Domain, sequences: Sequence[Any], steps: int = 1000, **settings: Any) -> Prior:
    """A prior of your own sequences: strings where the domain can `encode` them, else arrays, the first token priming.

    `settings` are those of `PriorSettings`; one sequence of twenty is held out for the curve.
    """
    encode: Callable[[Sequence[Any]], list[np.ndarray]] = getattr(domain, "encode", list)
    rows = encode(list(sequences))
    order = np.random.default_rng(0).permutation(len(rows))
    held = max(1, round(HELD_OUT * len(rows)))
    chosen = {"windows": 128, "window_events": 0, "l2": 0.0, "evaluate_every": max(1, steps // 10)} | settings
    made = changed(PriorSettings(steps=steps), chosen)
    with store.progress(steps, "training a prior") as bar:
        rnn, curve = train_prior([rows[i] for i in order[held:]], [rows[i] for i in order[:held]],
                                 len(domain.vocabulary), made, bar.update)  # fmt: skip
    coding = getattr(domain, "coding", None)
    return Prior(rnn, domain.vocabulary, coding.tokeniser if coding else "", curve)


def from_lstm(
    lstm: nn.LSTM, linear: nn.Linear, vocabulary: Sequence[str], embedding: nn.Embedding | None = None
) -> Prior:
    """A prior from parts of PyTorch: one LSTM layer over one-hot tokens or an embedding, and a linear head."""
    if not isinstance(lstm, nn.LSTM) or lstm.num_layers > 1 or lstm.bidirectional or lstm.proj_size:
        raise DomainError(f"the network is {lstm}: a prior is one LSTM layer in one direction")
    tokens, cells = len(vocabulary), lstm.hidden_size
    width = lstm.input_size if embedding is None else embedding.num_embeddings
    if (width, linear.out_features, linear.in_features) != (tokens, tokens, cells):
        raise DomainError(f"the network reads {width} tokens and scores {linear.out_features}: both must be {tokens}")
    rnn, weights = SequenceRNN(tokens, cells), dict(lstm.named_parameters())
    inputs = weights["weight_ih_l0"] if embedding is None else weights["weight_ih_l0"] @ embedding.weight.T
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"] if lstm.bias else torch.zeros(4 * cells)
    with torch.no_grad():
        for mine, theirs in zip(rnn.lstm.all_weights[0][:3], (inputs, weights["weight_hh_l0"], bias), strict=True):
            mine.copy_(theirs)
        rnn.head.weight.copy_(linear.weight)
        rnn.head.bias.copy_(torch.zeros(tokens) if linear.bias is None else linear.bias)
    return Prior(rnn.eval(), tuple(vocabulary))
