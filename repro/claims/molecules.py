"""The claims about molecules, as data: terminal reward, dueling form; Psi and G are the KL-controlled models.

The paper's Table 2 is unverified, so that only directions are judged. Which method its "Sequence Tutor" is, is not
known: a claim has to hold for Psi and for G.
"""

from __future__ import annotations

import dataclasses

from repro.claims.verdicts import Claim, Number

TABLE, SCORES, TRAINING = "Table 2", "07_molecule_scores", "06_molecule_training"
LEAST, MOST = "gain over the SMILES RNN, the lower of Psi and G", "gain over the SMILES RNN, the higher of Psi and G"


def least(metric: str) -> Number:
    """The lower of Psi's and G's value."""
    return lambda value: min(value("psi", metric), value("g", metric))


def least_gain(metric: str) -> Number:
    """How far the lower of Psi and G lies above the prior."""
    return lambda value: least(metric)(value) - value("prior", metric)


def most_gain(metric: str) -> Number:
    """How far the higher of Psi and G lies above the prior."""
    return lambda value: max(value("psi", metric), value("g", metric)) - value("prior", metric)


FIRST = tuple(dataclasses.replace(claim, rules="molecules") for claim in (
    Claim("valid", "tuning makes more valid molecules", TABLE, "U", "30.3 % -> 35.8 %",
          LEAST, least_gain("valid"), at_least=0.0,
          unit="%", levels=("valid", "{prior} -> {psi} / {g}")),
    Claim("logp", "tuning raises logP", TABLE, "U", "2.07 -> 4.21",
          LEAST, least_gain("logp"), at_least=0.0,
          levels=("logp", "{prior} -> {psi} / {g}")),
    Claim("sa", "tuning makes molecules easier to synthesise", TABLE, "U", "SA score 2.77 -> 1.79",
          MOST, most_gain("sa"), at_most=0.0,
          levels=("sa", "{prior} -> {psi} / {g}")),
    Claim("rings", "tuning removes large rings", TABLE, "U", "mean ring penalty -.096 -> -.001",
          LEAST, least_gain("ring_penalty"), at_least=0.0,
          levels=("ring_penalty", "{prior} -> {psi} / {g}")),
    Claim("qed", "QED falls while the other scores rise", TABLE, "U", ".678 -> .417",
          MOST, most_gain("qed"), at_most=0.0,
          levels=("qed", "{prior} -> {psi} / {g}")),
    Claim("exploits", "without the prior, RL exploits the reward", "text and authors' code", "C",
          "patches against short molecules and carbon chains", "QED of RL only, by policy gradient, less the prior's",
          lambda value: value("rl_only", "qed") - value("prior", "qed"), at_most=-0.2,
          levels=("qed", "{prior} -> {rl_only}")),
    Claim("molecule_log_p", "a KL-controlled model keeps a higher log p than RL only", "text", "P", "no numbers",
          "log p a molecule above RL only, the lower of Psi and G",
          lambda value: least("log_p")(value) - value("rl_only", "log_p"), at_least=1.0, notebook=TRAINING,
          levels=("log_p", "{psi}, {g} against {rl_only}")),
    Claim("diversity", "the diversity of samples is kept", "abstract", "I", "no numbers",
          "distinct molecules among 10,000, the lower of Psi and G", least("unique_10k"), at_least=0.95,
          unit="%", levels=("unique_10k", "{psi}, {g}")),
))  # fmt: skip

LATER = tuple(dataclasses.replace(claim, after_runs=True) for claim in (
    Claim("rings_of_valid", "fewer valid molecules have a ring above six", TABLE, "U",
          "mean ring penalty -.096 -> -.001", f"valid molecules without a large ring: {LEAST}",
          least_gain("share_without_large_rings_of_valid"), at_least=0.0,
          unit="%", levels=("share_without_large_rings_of_valid", "{prior} -> {psi} / {g}")),
    Claim("rings_of_all", "more strings are molecules without a ring above six", TABLE, "U",
          "mean ring penalty -.096 -> -.001", f"strings that are valid and without a large ring: {LEAST}",
          least_gain("share_without_large_rings"), at_least=0.0,
          unit="%", levels=("share_without_large_rings", "{prior} -> {psi} / {g}")),
    Claim("novel", "tuned models do not recite the data", "abstract", "I", "no numbers",
          "molecules that are not among the training data, the lower of Psi and G", least("novel"), at_least=0.95,
          unit="%", levels=("novel", "{psi}, {g}")),
    Claim("internal_diversity", "molecules stay as different from each other as they were", "abstract", "I",
          "no numbers", "internal diversity as a share of the SMILES RNN's, the lower of Psi and G",
          lambda value: least("diversity")(value) / value("prior", "diversity"), at_least=0.9,
          levels=("diversity", "{prior} -> {psi} / {g}")),
    Claim("objective", "Q, Psi and G raise E[r/c] - KL", "text", "P", "no numbers",
          "J above the SMILES RNN's, nats a molecule, the least of Q, Psi and G",
          lambda value: min(value(m, "objective") for m in ("q", "psi", "g")) - value("prior", "objective"),
          at_least=0.0, notebook=TRAINING,
          levels=("objective", "{prior} -> {q} / {psi} / {g}")),
    Claim("exploits_reward", "without the prior, RL earns the most reward", "text", "P", "no numbers",
          "mean reward of RL only above the best of Q, Psi and G",
          lambda value: value("rl_only", "task_reward") - max(value(m, "task_reward") for m in ("q", "psi", "g")),
          at_least=0.0, notebook=TRAINING,
          levels=("task_reward", "{rl_only} against {q}, {psi}, {g}")),
    Claim("exploits_prior", "and gives up the data for it: E[r/c] - KL falls below the untuned RNN's", "text", "P",
          "no numbers", "J of RL only less the SMILES RNN's, nats a molecule",
          lambda value: value("rl_only", "objective") - value("prior", "objective"), at_most=0.0, notebook=TRAINING,
          levels=("objective", "{prior} -> {rl_only}")),
    Claim("rl_only_repeats", "without the prior, RL repeats itself", "text and authors' code", "C", "no numbers",
          "distinct molecules among 10,000, the lower of Psi and G above RL only",
          lambda value: least("unique_10k")(value) - value("rl_only", "unique_10k"), at_least=0.0,
          unit="%", levels=("unique_10k", "{rl_only} against {psi}, {g}")),
))  # fmt: skip

# Its threshold was set before the forgetting of any policy was measured.
HELD_OUT = Claim(
    "molecule_information", "KL-control keeps more of what was learned from data than RL only", "abstract", "I",
    "no numbers", "held-out loss of RL only above the largest of Q, Psi and G, nats a token",
    lambda value: value("rl_only", "held_out_nll") - max(value(m, "held_out_nll") for m in ("q", "psi", "g")),
    at_least=0.0, notebook="09_rl_vs_rl_with_prior",
    levels=("held_out_nll", "{rl_only} against {q}, {psi}, {g}"),
)  # fmt: skip

MOLECULES = tuple(
    dataclasses.replace(
        claim,
        domain="molecules",
        experiment="terminal",
        notebook=SCORES if claim.notebook == Claim.notebook else claim.notebook,
    )
    for claim in (*FIRST, *LATER, HELD_OUT)
)
