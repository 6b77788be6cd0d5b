"""What the paper reports for music, as data. Every constant's source and trust mark stand in SOURCES.

Paper: N. Jaques, S. Gu, D. Bahdanau, J. M. Hernandez-Lobato, R. E. Turner, D. Eck, *Sequence Tutor: Conservative
Fine-Tuning of Sequence Generation Models with KL-control*, ICML 2017, arXiv 1611.02796.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MARKS = {
    "P": "text of the ICLR 2017 submission, read in full: trust high",
    "I": "sentences of the ICML 2017 version, read verbatim: trust high",
    "C": "the authors' public code and its history: trust high, though which run the paper printed is not always known",
    "N": "outputs saved in the authors' notebooks: trust high that they were printed",
    "D": "digitised from the authors' published figure: about +-0.03",
    "U": "recalled and not checked against the document: shown as unverified, never as a fact",
}


@dataclass(frozen=True)
class Source:
    """Where a number comes from: a key of MARKS, and the place in that document."""

    mark: str
    place: str


SOURCES = {
    "TABLE_1": Source("P", "Table 1; 100,000 randomly initialised compositions a model"),
    "FIGURE_2A": Source("D", "Figure 2a, log p(a|s) during training; one point per 100,000 steps"),
    "FIGURE_2A_MEANS": Source("D", "Figure 2a, means of the digitised points from 500,000 steps on"),
    "PRIOR_VALIDATION": Source("I", "training of the Note RNN: validation accuracy 92 %, log-perplexity .2536"),
}

# Fractions lie in [0, 1], autocorrelations in [-1, 1]. The rows are in the paper's order.
TABLE_1 = {
    "repeated": {"prior": 0.633, "q": 0.0, "psi": 0.0002, "g": 0.0003},
    "autocorrelation_1": {"prior": -0.16, "q": -0.11, "psi": -0.10, "g": 0.55},
    "autocorrelation_2": {"prior": 0.14, "q": 0.03, "psi": -0.01, "g": 0.31},
    "autocorrelation_3": {"prior": -0.13, "q": 0.03, "psi": 0.01, "g": 0.17},
    "not_in_key": {"prior": 0.001, "q": 0.01, "psi": 0.006, "g": 0.287},
    "starts_with_tonic": {"prior": 0.009, "q": 0.288, "psi": 0.287, "g": 0.0},
    "leaps_resolved": {"prior": 0.772, "q": 0.911, "psi": 0.900, "g": 0.522},
    "unique_max": {"prior": 0.647, "q": 0.564, "psi": 0.594, "g": 0.371},
    "unique_min": {"prior": 0.494, "q": 0.519, "psi": 0.583, "g": 0.565},
    "in_motif": {"prior": 0.059, "q": 0.757, "psi": 0.738, "g": 0.693},
    "in_repeated_motif": {"prior": 0.00007, "q": 0.0011, "psi": 0.0009, "g": 0.0001},
}

TABLE_1_NAMES = {
    "repeated": "notes excessively repeated",
    "autocorrelation_1": "mean autocorrelation, lag 1",
    "autocorrelation_2": "mean autocorrelation, lag 2",
    "autocorrelation_3": "mean autocorrelation, lag 3",
    "not_in_key": "notes not in key",
    "starts_with_tonic": "compositions starting with tonic",
    "leaps_resolved": "leaps resolved",
    "unique_max": "compositions with unique max note",
    "unique_min": "compositions with unique min note",
    "in_motif": "notes in motif",
    "in_repeated_motif": "notes in repeated motif",
}

# What the rules of music theory ask for: "0" (as near to zero as can be) or "up" (the more, the better).
TABLE_1_WANTED = {
    metric: "0" if metric in ("repeated", "not_in_key") or metric.startswith("autocorrelation") else "up"
    for metric in TABLE_1
}

# log p(a|s), nats per note, at environment steps 0, 100,000, ..., 2,900,000; NaN where another curve hides the point.
# The authors' evaluation keeps the last step of each composition, so the curve is not a mean over all notes.
HIDDEN = np.nan
FIGURE_2A_STEP = 100_000
# fmt: off
FIGURE_2A = {
    "q": (
        -1.13, -2.33, HIDDEN, -2.34, -2.67, -2.69, -2.15, -2.67, HIDDEN, -2.44,
        -2.49, -2.51, -2.44, -2.52, -2.42, -2.51, -2.22, -2.41, -2.53, -2.53,
        -2.43, -2.59, -2.16, -2.34, -2.33, -2.34, -2.33, -2.25, -2.17, -2.28,
    ),
    "psi": (
        -0.95, -0.74, -2.19, -2.71, -2.71, -2.49, -2.49, -2.71, -2.64, -2.33,
        -2.53, -2.62, -2.57, -2.54, -2.37, -2.60, -2.50, -2.57, -2.17, -2.45,
        -2.48, -2.38, -2.57, -2.16, -2.39, -2.46, -2.42, -2.21, -2.29, HIDDEN,
    ),
    "g": (
        -0.13, -0.12, -1.20, -1.42, -1.33, -1.88, -1.45, -2.04, -2.56, -2.19,
        -1.48, -1.65, HIDDEN, -1.66, -1.81, HIDDEN, -2.11, -1.98, HIDDEN, HIDDEN,
        -1.44, -1.38, -1.17, -1.34, -0.74, -1.55, -1.09, -1.14, -1.53, -2.35,
    ),
    "rl_only": (
        -1.37, -3.14, -2.82, -3.32, -3.27, -3.62, -3.72, -3.84, -3.41, -3.86,
        -3.31, -3.70, -3.32, -3.68, -3.60, -3.48, -4.20, -3.83, -3.41, -3.66,
        -3.80, -3.81, -3.78, -4.12, -3.53, -3.99, -3.54, -3.72, -3.55, -3.42,
    ),
}
# fmt: on

FIGURE_2A_MEANS = {"q": -2.41, "psi": -2.46, "g": -1.64, "rl_only": -3.68}  # nats per note, from 500,000 steps on

# The log-perplexity is read as nats per event; the sentence that we have names no base.
PRIOR_VALIDATION = {"validation_accuracy": 0.92, "validation_nll": 0.2536}


def figure_2a() -> pd.DataFrame:
    """The digitised points of Figure 2a: columns method, environment_steps, log_p (nats per note)."""
    points = [
        (method, index * FIGURE_2A_STEP, value)
        for method, values in FIGURE_2A.items()
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(points, columns=["method", "environment_steps", "log_p"]).dropna(ignore_index=True)
