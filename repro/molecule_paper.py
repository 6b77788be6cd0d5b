"""What the paper and the MOSES benchmark report for molecules, as data; see `repro.paper` for music.

Every constant's source and trust mark stand in SOURCES.
"""

from __future__ import annotations

from repro import paper
from repro.paper import Source

MARKS = paper.MARKS | {"B": "the published table of a benchmark: trust high; their runs and their metrics, not ours"}

SOURCES = {
    "TABLE_2": Source("U", "Table 2; means over valid molecules"),
    "MOSES_CHAR_RNN": Source("B", "Polykovskiy et al. 2020, Molecular Sets (MOSES), tables of metrics, CharRNN"),
    "DRAWN": Source("D", "the figure of molecules, read off the drawing"),
}

# Which of Q, Psi and G the paper's "Sequence Tutor" is, we do not know. The SA score runs from 1 (easy) to 10; it
# prints minus the score. valid is a share in [0, 1].
TABLE_2 = {
    "valid": {"prior": 0.303, "sequence_tutor": 0.358},
    "logp": {"prior": 2.07, "sequence_tutor": 4.21},
    "qed": {"prior": 0.678, "sequence_tutor": 0.417},
    "sa": {"prior": 2.77, "sequence_tutor": 1.79},
    "ring_penalty": {"prior": -0.096, "sequence_tutor": -0.001},
}
UNVERIFIED = "paper, unverified"
SEQUENCE_TUTOR = "Sequence Tutor"

# Shares in [0, 1], but for diversity, 1 - the mean similarity of pairs. Trained on 1.58 million MOSES molecules.
MOSES_CHAR_RNN = {"valid": 0.975, "unique_10k": 0.999, "novel": 0.842, "diversity": 0.856}

# By SMILES, what the paper shows the molecule for: inferred, for the caption was not seen.
DRAWN = {
    "SNCc1ccccc1": "best SA (inferred)",
    "O=C(Nc1ccc(CNc2ccccc2C(F)F)cc1)c1cc2ccccc2o1": "best logP (inferred)",
    "Cc1ccc(NC(=O)C2CCN(C(=O)c3ccon3)CC2)cc1C": "best QED (inferred)",
}
