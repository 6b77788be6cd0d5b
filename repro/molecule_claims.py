"""The ledger's rows for molecules: terminal reward, dueling form; Psi and G are the KL-controlled models.

The paper's Table 2 is unverified, so that only directions are judged. Which method its "Sequence Tutor" is, is not
known: a claim has to hold for Psi and for G.
"""

from __future__ import annotations

from collections.abc import Callable

from repro.claims import Claim, Values


def least_gain(metric: str) -> Callable[[Values], float]:
    """How far the lower of Psi and G lies above the prior."""
    return lambda value: min(value("psi", metric), value("g", metric)) - value("prior", metric)


def most_gain(metric: str) -> Callable[[Values], float]:
    """How far the higher of Psi and G lies above the prior."""
    return lambda value: max(value("psi", metric), value("g", metric)) - value("prior", metric)


LEAST, MOST = "gain over the SMILES RNN, the lower of Psi and G", "gain over the SMILES RNN, the higher of Psi and G"
TABLE, NOTEBOOK = "Table 2", "07_molecule_scores"
MOLECULES = (
    Claim("valid", "tuning makes more valid molecules", TABLE, "U", "30.3 % -> 35.8 %",
          LEAST, least_gain("valid"), at_least=0.0, notebook=NOTEBOOK),
    Claim("logp", "tuning raises logP", TABLE, "U", "2.07 -> 4.21",
          LEAST, least_gain("logp"), at_least=0.0, notebook=NOTEBOOK),
    Claim("sa", "tuning makes molecules easier to synthesise", TABLE, "U", "SA score 2.77 -> 1.79",
          MOST, most_gain("sa"), at_most=0.0, notebook=NOTEBOOK),
    Claim("rings", "tuning removes large rings", TABLE, "U", "mean ring penalty -.096 -> -.001",
          LEAST, least_gain("ring_penalty"), at_least=0.0, notebook=NOTEBOOK),
    Claim("qed", "QED falls while the other scores rise", TABLE, "U", ".678 -> .417",
          MOST, most_gain("qed"), at_most=0.0, notebook=NOTEBOOK),
    Claim("exploits", "without the prior, RL exploits the reward", "text and authors' code", "C",
          "patches against short molecules and carbon chains", "QED of RL only, by policy gradient, less the prior's",
          lambda value: value("rl_only", "qed") - value("prior", "qed"), at_most=-0.2, notebook=NOTEBOOK),
    Claim("molecule_log_p", "a KL-controlled model keeps a higher log p than RL only", "text", "P", "no numbers",
          "log p a molecule above RL only, the lower of Psi and G",
          lambda value: min(value("psi", "log_p"), value("g", "log_p")) - value("rl_only", "log_p"), at_least=1.0,
          notebook="06_molecule_training"),
    Claim("diversity", "the diversity of samples is kept", "abstract", "I", "no numbers",
          "distinct molecules among 10,000, the lower of Psi and G",
          lambda value: min(value("psi", "unique_10k"), value("g", "unique_10k")), at_least=0.95, notebook=NOTEBOOK),
)  # fmt: skip
