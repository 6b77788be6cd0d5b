"""The claims about music, as data; the rule that judges them is `repro.claims.verdicts`.

Each is judged from tunes as notated, and those whose thresholds were set first also from the rebuilt corpus, which
has the statistics of the paper's own. The paper's Table 1 and Figure 2 are at c = .5.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from repro.claims import verdicts
from repro.claims.tables import estimate
from repro.claims.verdicts import Claim, Number, Values
from repro.music.events import NUM_EVENTS
from repro.paper import TABLE_1_WANTED

__all__ = ["MUSIC", "Claim", "Values", "ledger", "shown"]
KL_CONTROLLED = ("q", "psi", "g")
UNIFORM_NLL = math.log(NUM_EVENTS)  # nats an event that a uniform player pays on any tune


def gain(metric: str) -> Number:
    """How far the worse of Q and Psi lies above the prior."""
    return lambda value: min(value("q", metric), value("psi", metric)) - value("prior", metric)


def worst(metric: str) -> Number:
    """The larger of Q's and Psi's value."""
    return lambda value: max(value("q", metric), value("psi", metric))


def above_rl_only(*methods: str) -> Number:
    """How far the lowest log p of these methods lies above that of RL only."""
    return lambda value: min(value(method, "log_p") for method in methods) - value("rl_only", "log_p")


def smaller(lag: int) -> Number:
    """The size of the prior's autocorrelation at a lag, less the larger size of Q and Psi."""
    metric = f"autocorrelation_{lag}"
    return lambda value: abs(value("prior", metric)) - max(abs(value("q", metric)), abs(value("psi", metric)))


def raised_by_c(*methods: str) -> Number:
    """How far log p at c = 1 lies above that at the main temperature, for the method that gains least."""
    return lambda value: min(value(method, "log_p", 1.0) - value(method, "log_p") for method in methods)


def corrected(value: Values) -> float:
    """How many rows of Table 1 move the wanted way, both for Q and for Psi: eleven at most, nine in the paper."""
    moved = 0
    for metric, wanted in TABLE_1_WANTED.items():
        prior, q, psi = (value(method, metric) for method in ("prior", "q", "psi"))
        moved += max(abs(q), abs(psi)) < abs(prior) if wanted == "0" else min(q, psi) > prior
    return float(moved)


def of_prior(metric: str) -> Number:
    """The prior's own value."""
    return lambda value: value("prior", metric)


def worst_forgetting(value: Values) -> float:
    """The largest held-out loss of Q, Psi and G, nats an event."""
    return max(value(method, "held_out_nll") for method in KL_CONTROLLED)


OF_NOTE_RNN = "gain over the Note RNN, the smaller of Q and Psi"
SMALLER = "size of the Note RNN's minus the larger size of Q and Psi"
TRAINING, CODE, FORGETTING = "03_music_training", "11_paper_against_code", "09_rl_vs_rl_with_prior"

FIRST = tuple(dataclasses.replace(claim, rules="music") for claim in (
    Claim("repetition", "RL removes excessively repeated notes", "Table 1", "P", "63.3 % -> 0.0 / .02 %",
          "share of notes excessively repeated, the larger of Q and Psi", worst("repeated"), at_most=0.001,
          unit="%", levels=("repeated", "{prior} -> {q} / {psi}")),
    Claim("key", "Q and Psi stay in key", "Table 1 and text", "P", ".1 % -> 1.0 / .6 %",
          "share of notes not in key, the larger of Q and Psi", worst("not_in_key"), at_most=0.01,
          unit="%", levels=("not_in_key", "{prior} -> {q} / {psi}")),
    Claim("tonic", "RL starts more melodies with the tonic", "Table 1", "P", ".9 % -> 28.8 / 28.7 %",
          OF_NOTE_RNN, gain("starts_with_tonic"), at_least=0.1,
          unit="%", levels=("starts_with_tonic", "{prior} -> {q} / {psi}")),
    Claim("leaps", "RL resolves more leaps", "Table 1 and text", "P", "77.2 % -> 91.1 / 90.0 %",
          OF_NOTE_RNN, gain("leaps_resolved"), at_least=0.0,
          unit="%", levels=("leaps_resolved", "{prior} -> {q} / {psi}")),
    Claim("motifs", "RL plays more motifs", "Table 1 and text", "P", "5.9 % -> 75.7 / 73.8 %",
          OF_NOTE_RNN, gain("in_motif"), at_least=0.1,
          unit="%", levels=("in_motif", "{prior} -> {q} / {psi}")),
    Claim("repeated_motifs", "RL repeats more motifs", "Table 1", "P", ".007 % -> .11 / .09 %",
          OF_NOTE_RNN, gain("in_repeated_motif"), at_least=0.0,
          unit="%", levels=("in_repeated_motif", "{prior} -> {q} / {psi}")),
    Claim("autocorrelation", "RL lowers the autocorrelation at lag 1", "Table 1", "P", "-.16 -> -.11 / -.10",
          SMALLER, smaller(1), at_least=0.0,
          levels=("autocorrelation_1", "{prior} -> {q} / {psi}")),
    Claim("unique_min", "RL makes the lowest note unique more often", "Table 1", "P", "49.4 % -> 51.9 / 58.3 %",
          OF_NOTE_RNN, gain("unique_min"), at_least=0.0,
          unit="%", levels=("unique_min", "{prior} -> {q} / {psi}")),
    Claim("unique_max", "RL makes the highest note unique less often", "Table 1", "P", "64.7 % -> 56.4 / 59.4 %",
          "gain over the Note RNN, the larger of Q and Psi",
          lambda value: worst("unique_max")(value) - value("prior", "unique_max"), at_most=0.0,
          unit="%", levels=("unique_max", "{prior} -> {q} / {psi}")),
    Claim("log_p", "every KL-controlled model keeps a higher log p than RL only", "Figure 2a and text", "D",
          "-2.41, -2.46, -1.64 against -3.68", "log p a note above RL only, the smallest of Q, Psi and G",
          above_rl_only(*KL_CONTROLLED), at_least=0.1, notebook=TRAINING,
          levels=("log_p", "{q}, {psi}, {g} against {rl_only}")),
    Claim("rl_only_uniform", "without the prior, log p falls to that of uniform play", "text", "P",
          "-3.65, uniform -3.64",
          "log p a note of RL only", lambda value: value("rl_only", "log_p"), at_least=-3.85, at_most=-3.45,
          notebook=TRAINING,
          levels=("log_p", "{rl_only}, uniform -3.64")),
    Claim("g_log_p", "G keeps the highest log p", "Figure 2a and text", "P", "-1.64 against -2.41 and -2.46",
          "log p a note of G above the better of Q and Psi",
          lambda value: value("g", "log_p") - worst("log_p")(value), at_least=0.0, notebook=TRAINING,
          levels=("log_p", "{g} against {q} and {psi}")),
    Claim("g_reward", "G pays for it with a lower task reward", "text", "P", "no numbers",
          "r_MT a melody of G below the worse of Q and Psi",
          lambda value: min(value("q", "task_reward"), value("psi", "task_reward")) - value("g", "task_reward"),
          at_least=0.0, notebook=TRAINING,
          levels=("task_reward", "{g} against {q} and {psi}")),
    Claim("rl_only_reward", "RL only earns the highest task reward", "Figure 2b and text", "P", "no numbers",
          "r_MT a melody of RL only above the best of Q, Psi and G",
          lambda value: value("rl_only", "task_reward") - max(value(m, "task_reward") for m in KL_CONTROLLED),
          at_least=0.0, notebook=TRAINING,
          levels=("task_reward", "{rl_only} against {q}, {psi}, {g}")),
))  # fmt: skip

NOTE_RNN = Claim(
    "note_rnn", "the Note RNN predicts 92 % of events at .2536 nats", "text", "I", "92 %, .2536",
    untestable="its corpus of 30,000 MIDI songs is private", notebook="02_note_rnn", rules="music",
)  # fmt: skip

G_POOR = Claim(
    "g_poor", "G is the weak one: its notes leave the key", "Table 1", "P", "28.7 % against 1.0 / .6 %",
    "share of G's notes not in key above the larger of Q and Psi",
    lambda value: value("g", "not_in_key") - worst("not_in_key")(value), at_least=0.1, after_runs=True,
    notebook="14_trained_prior", unit="%", levels=("not_in_key", "{g} against {q} / {psi}"),
)  # fmt: skip

LATER = tuple(dataclasses.replace(claim, after_runs=True) for claim in (
    Claim("autocorrelation_2", "RL lowers the autocorrelation at lag 2", "Table 1", "P", ".14 -> .03 / -.01",
          SMALLER, smaller(2), at_least=0.0,
          levels=("autocorrelation_2", "{prior} -> {q} / {psi}")),
    Claim("autocorrelation_3", "RL lowers the autocorrelation at lag 3", "Table 1", "P", "-.13 -> .03 / .01",
          SMALLER, smaller(3), at_least=0.0,
          levels=("autocorrelation_3", "{prior} -> {q} / {psi}")),
    Claim("almost_all", "RL corrects almost all of the bad behaviour that it is aimed at", "text and Table 1", "P",
          "9 of 11 rows move the wanted way", "rows of Table 1 that move the wanted way for Q and for Psi",
          corrected, at_least=9.0,
          levels=("", "{ours} of 11 rows")),
    Claim("log_p_q", "Q keeps a higher log p than RL only", "Figure 2a", "D", "-2.41 against -3.68",
          "log p a note above RL only", above_rl_only("q"), at_least=0.1, notebook=TRAINING,
          levels=("log_p", "{q} against {rl_only}")),
    Claim("log_p_psi", "Psi keeps a higher log p than RL only", "Figure 2a", "D", "-2.46 against -3.68",
          "log p a note above RL only", above_rl_only("psi"), at_least=0.1, notebook=TRAINING,
          levels=("log_p", "{psi} against {rl_only}")),
    Claim("log_p_g", "G keeps a higher log p than RL only", "Figure 2a", "D", "-1.64 against -3.68",
          "log p a note above RL only", above_rl_only("g"), at_least=0.1, notebook=TRAINING,
          levels=("log_p", "{g} against {rl_only}")),
    Claim("temperature", "a larger c raises log p for all models", "text", "P", "no numbers",
          "log p a note at c = 1 above that at c = .5, the smallest of Q, Psi, G and RL only",
          raised_by_c(*KL_CONTROLLED, "rl_only"), at_least=0.0, second_c=1.0, notebook=TRAINING),
    Claim("temperature_kl_control", "a larger c raises log p for the models with KL-control", "text", "P",
          "no numbers", "log p a note at c = 1 above that at c = .5, the smallest of Q, Psi and G",
          raised_by_c(*KL_CONTROLLED), at_least=0.0, second_c=1.0, notebook=TRAINING),
    Claim("diversity_music", "the diversity of samples is kept", "abstract", "I", "no numbers",
          "distinct melodies among 10,000, the least of Q, Psi and G",
          lambda value: min(value(method, "unique") for method in KL_CONTROLLED), at_least=0.95,
          unit="%", levels=("unique", "{q}, {psi}, {g}")),
))  # fmt: skip

# Thresholds set before the forgetting of any policy was measured.
HELD_OUT = tuple(
    dataclasses.replace(claim, experiment="forgetting", notebook=FORGETTING) for claim in (
    Claim("information", "KL-control keeps more of what was learned from data than RL only", "abstract", "I",
          "no numbers", "held-out loss of RL only above the largest of Q, Psi and G, nats an event",
          lambda value: value("rl_only", "held_out_nll") - worst_forgetting(value), at_least=0.0,
          levels=("held_out_nll", "{rl_only} against {q}, {psi}, {g}")),
    Claim("information_half", "what was learned from data is kept", "abstract", "I", "no numbers",
          "share of the Note RNN's advance on uniform play that is left on held-out tunes, the least of Q, Psi and G",
          lambda value: (UNIFORM_NLL - worst_forgetting(value)) / (UNIFORM_NLL - value("prior", "held_out_nll")),
          at_least=0.5,
          unit="%", levels=("", "{ours}")),
    Claim("rl_only_forgets", "without the prior everything learned from data is forgotten", "text", "P",
          "log p -3.65, uniform -3.64", "held-out loss of RL only above that of uniform play, nats an event",
          lambda value: value("rl_only", "held_out_nll") - UNIFORM_NLL, at_least=0.0,
          levels=("held_out_nll", "{rl_only}, uniform 3.64")),
))  # fmt: skip

FITTED = tuple(
    Claim(id_, sentence, "Table 1", "P", paper, "the rebuilt corpus' Note RNN",
          of_prior(metric), experiment="rebuilt", notebook=CODE,
          fitted=True, after_runs=True, unit=unit, levels=(metric, "{prior}"))
    for id_, sentence, paper, metric, unit in (
        ("fitted_repeated", "the Note RNN repeats six notes of ten", "63.3 %", "repeated", "%"),
        ("fitted_motif", "the Note RNN has few notes in motifs", "5.9 %", "in_motif", "%"),
        ("fitted_autocorrelation", "the Note RNN's autocorrelation at lag 1", "-.16", "autocorrelation_1", ""),
    )
)  # fmt: skip

LISTENING = Claim(
    "listening", "listeners prefer Q, Psi and G to the Note RNN, and Q and Psi to G", "Figure 3", "P",
    "H(3) = 109.48; chosen 64, 74 and 41 times against 13", untestable="it needs listeners", notebook="99_verdicts",
)  # fmt: skip

REBUILT = tuple(
    dataclasses.replace(claim, id=f"rebuilt_{claim.id}", experiment="rebuilt", notebook=CODE)
    for claim in (*FIRST, G_POOR)
)
MUSIC = (*FIRST, *LATER, G_POOR, *HELD_OUT, *REBUILT, *FITTED, NOTE_RNN, LISTENING)


def ledger(table: pd.DataFrame, c: float, claims: Sequence[Claim] = MUSIC, notebook: str | None = None) -> pd.DataFrame:
    """The verdicts at one temperature on the claims about a table's experiments: see `repro.claims.verdicts.ledger`."""
    return verdicts.ledger(table, c, claims, notebook)


def shown(rows: pd.DataFrame) -> Styler:
    """The ledger as the notebook of a domain shows it."""
    if rows.empty:
        return rows.style
    columns = rows[["sentence", "paper", "rule", "verdict"]].assign(ours=rows["levels"])
    columns["our number"] = [estimate(row) for row in rows.to_dict("records")]
    order = ["sentence", "paper", "ours", "rule", "our number", "verdict"]
    return columns[order].style.hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})
