"""What Jaques et al. (ICML 2017, arXiv 1611.02796) and MOSES report, with sources, and the names of the methods."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

METHOD_NAMES = {"prior": "Note RNN", "q": "Q", "psi": "Psi", "g": "G", "rl_only": "RL only"}  # always in this order
MOLECULE_NAMES = METHOD_NAMES | {"prior": "SMILES RNN"}

MARKS = {  # how far a source is trusted; a letter stands in the comment above every number below
    "P": "text of the ICLR 2017 submission, read in full: trust high",
    "I": "sentences of the ICML 2017 version, read verbatim: trust high",
    "C": "the authors' public code and its history: trust high, though which run the paper printed is not always known",
    "N": "outputs saved in the authors' notebooks: trust high that they were printed",
    "D": "digitised from the authors' published figure: about +-0.03",
    "U": "recalled and not checked against the document: shown as unverified, never as a fact",
    "O": "ours: the paper does not say it",
    "B": "the published table of a benchmark: trust high; their runs and their metrics, not ours",
}

# fmt: off
# P: Table 1 in its order, 100,000 compositions per model: our words; what music theory asks for, "0" (as near to zero
# as can be) or "up"; Note RNN, Q, Psi, G. Fractions lie in [0, 1], autocorrelations in [-1, 1].
TABLE_1_ROWS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "repeated":          ("notes excessively repeated",        "0",  (0.633,   0.0,    0.0002, 0.0003)),
    "autocorrelation_1": ("mean autocorrelation, lag 1",       "0",  (-0.16,   -0.11,  -0.10,  0.55)),
    "autocorrelation_2": ("mean autocorrelation, lag 2",       "0",  (0.14,    0.03,   -0.01,  0.31)),
    "autocorrelation_3": ("mean autocorrelation, lag 3",       "0",  (-0.13,   0.03,   0.01,   0.17)),
    "not_in_key":        ("notes not in key",                  "0",  (0.001,   0.01,   0.006,  0.287)),
    "starts_with_tonic": ("compositions starting with tonic",  "up", (0.009,   0.288,  0.287,  0.0)),
    "leaps_resolved":    ("leaps resolved",                    "up", (0.772,   0.911,  0.900,  0.522)),
    "unique_max":        ("compositions with unique max note", "up", (0.647,   0.564,  0.594,  0.371)),
    "unique_min":        ("compositions with unique min note", "up", (0.494,   0.519,  0.583,  0.565)),
    "in_motif":          ("notes in motif",                    "up", (0.059,   0.757,  0.738,  0.693)),
    "in_repeated_motif": ("notes in repeated motif",           "up", (0.00007, 0.0011, 0.0009, 0.0001)),
}
TABLE_1 = {metric: dict(zip(("prior", "q", "psi", "g"), row[2], strict=True)) for metric, row in TABLE_1_ROWS.items()}
TABLE_1_NAMES = {metric: row[0] for metric, row in TABLE_1_ROWS.items()}
TABLE_1_WANTED = {metric: row[1] for metric, row in TABLE_1_ROWS.items()}

# N: at gamma .5 and c = 1, Q on 100 melodies, Psi on 1,000.
AUTHORS_C_1 = {
    "q": {"repeated": 0.0, "autocorrelation_1": -0.331, "autocorrelation_2": 0.108, "autocorrelation_3": -0.056,
          "not_in_key": 0.0181, "starts_with_tonic": 0.05, "leaps_resolved": 0.627, "unique_max": 0.63,
          "unique_min": 0.63, "in_motif": 0.66},
    "psi": {"repeated": 0.0, "autocorrelation_1": -0.286, "autocorrelation_2": 0.051, "autocorrelation_3": -0.019,
            "not_in_key": 0.0209, "starts_with_tonic": 0.032, "leaps_resolved": 0.684, "unique_max": 0.739,
            "unique_min": 0.724, "in_motif": 0.648},
}

# D: means of the points of Figure 2a from 500,000 steps on, nats per note.
FIGURE_2A_MEANS = {"q": -2.41, "psi": -2.46, "g": -1.64, "rl_only": -3.68}
# I: the log-perplexity is read as nats per event; the sentence that we have names no base.
PRIOR_VALIDATION = {"validation_accuracy": 0.92, "validation_nll": 0.2536}

# U: Table 2, means over valid molecules. Which of Q, Psi and G the paper's "Sequence Tutor" is, we do not know. The SA
# score runs from 1 (easy) to 10, the paper prints minus the score; valid is a share in [0, 1].
TABLE_2 = {
    "valid": {"prior": 0.303, "sequence_tutor": 0.358}, "logp": {"prior": 2.07, "sequence_tutor": 4.21},
    "qed": {"prior": 0.678, "sequence_tutor": 0.417}, "sa": {"prior": 2.77, "sequence_tutor": 1.79},
    "ring_penalty": {"prior": -0.096, "sequence_tutor": -0.001},
}
# B: Polykovskiy et al. 2020 (MOSES), CharRNN: shares in [0, 1], but for diversity, 1 - the mean similarity of pairs.
MOSES_CHAR_RNN = {"valid": 0.975, "unique_10k": 0.999, "novel": 0.842, "diversity": 0.856}

# D: by SMILES, what the paper shows the molecule for: inferred, for the caption was not seen.
DRAWN = {
    "SNCc1ccccc1": "best SA (inferred)",
    "O=C(Nc1ccc(CNc2ccccc2C(F)F)cc1)c1cc2ccccc2o1": "best logP (inferred)",
    "Cc1ccc(NC(=O)C2CCN(C(=O)c3ccon3)CC2)cc1C": "best QED (inferred)",
}
# fmt: on


def figure_2a() -> pd.DataFrame:
    """D: the digitised points of Figure 2a: columns method, environment_steps, log_p (nats per note).

    Their evaluation keeps the last step of each composition; where another curve hides a point there is none.
    """
    return pd.read_csv(Path(__file__).with_name("figure_2a.csv"))


def methods_in(values: Iterable[str]) -> list[str]:
    """The methods among values, in the order of METHOD_NAMES, others last."""
    found = set(values)
    return [method for method in METHOD_NAMES if method in found] + sorted(found - METHOD_NAMES.keys())


def method_name(method: str, names: dict[str, str] | None = None) -> str:
    """What readers see: names goes before METHOD_NAMES; a method in neither keeps its own name."""
    return (METHOD_NAMES | (names or {})).get(method, method)
