"""Domains of a few tokens, result tables of a few rows, and what the tests of all that learns share."""

import hashlib
import json
import math
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from repro import ROOT
from repro.domain import Domain
from repro.rnn import SequenceRNN


class Coins(Domain):
    """Four tosses of a three-sided coin; every 2 is worth 1."""

    name, vocabulary, horizon = "coins", ("0", "1", "2"), 4

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(3, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        return (sequences == 2).astype(float)


class Bandit(Domain):
    """Two steps of three tokens; only the last token is worth something."""

    name, vocabulary, horizon = "bandit", ("a", "b", "c"), 2
    worth: ClassVar[np.ndarray] = np.array([0.0, 1.0, 2.0])

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        rewards = np.zeros(sequences.shape)
        rewards[:, -1] = self.worth[sequences[:, -1]]
        return rewards


class Ending(Bandit):
    """The same with longer sequences that token a ends."""

    name, horizon, end = "ending", 5, 0


class Broken(Ending):
    """The same; every token is worth so much that no loss is a number."""

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        return np.full(sequences.shape, 1e30)


def long_table(rows: list[tuple], columns: str = "experiment method c seed metric value") -> pd.DataFrame:
    """Rows in the layout of the result files."""
    return pd.DataFrame(rows, columns=columns.split())


def of_seeds(values: dict[str, list[float]], metric: str = "log_p", c: float = 0.5) -> pd.DataFrame:
    """What the seeds of each method of as_notated have of one metric."""
    places = {method: math.nan if method == "prior" else c for method in values}
    rows = [("as_notated", m, places[m], i, metric, v) for m, vs in values.items() for i, v in enumerate(vs)]
    return long_table(rows)


def uniform_rnn(tokens: int) -> SequenceRNN:
    """An RNN of whose next tokens each is as likely as the others, whatever came before."""
    rnn = SequenceRNN(tokens, 8)
    torch.nn.init.zeros_(rnn.head.weight)
    torch.nn.init.zeros_(rnn.head.bias)
    return rnn


def bytes_of(*rnns: SequenceRNN) -> str:
    """The digest of all weights."""
    weights = [weight.detach().numpy().tobytes() for rnn in rnns for weight in rnn.parameters()]
    return hashlib.sha256(b"".join(weights)).hexdigest()


def run_cells(*ids: str, **space: Any) -> dict[str, Any]:
    """What cells of notebooks define, run in the order of the notebooks."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["id"] in ids:
                exec("".join(cell["source"]), space)
    return space
