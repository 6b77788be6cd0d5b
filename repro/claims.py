"""The ledger: each claim of the paper as one number a seed, a threshold, and a verdict.

The verdict's rule is the same for all rows: "reproduced" when the number passes its threshold in every seed, "partly"
when it does in more than half of them, else "not reproduced". A claim whose numbers in the paper are unverified is
judged by its direction alone, and at most "partly". What cannot be tested says why. The thresholds were
committed before the reported seeds (100 and up) were first run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from pandas.io.formats.style import Styler

from repro.stats import mean_interval

UNVERIFIED = "U"
Values = Callable[[str, str], float]  # (method, metric) -> the value of one seed; the prior's is the same for all seeds


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and how it is tested."""

    id: str
    sentence: str  # what the paper says, in our words
    source: str  # where it says so
    trust: str  # the mark of that source, see repro.paper.MARKS
    paper: str  # the paper's numbers
    quantity: str = ""  # our number, in words
    number: Callable[[Values], float] | None = None
    at_least: float = -math.inf
    at_most: float = math.inf
    untestable: str = ""  # why it cannot be tested, where it cannot
    notebook: str = "04_music_rules"

    @property
    def rule(self) -> str:
        """The threshold in words."""
        bounds = [f"at least {self.at_least:g}"] if self.at_least > -math.inf else []
        bounds += [f"at most {self.at_most:g}"] if self.at_most < math.inf else []
        return f"{self.quantity}: {' and '.join(bounds)} in every seed" if bounds else "no test"

    def passes(self, value: float) -> bool:
        """Whether one seed's number passes."""
        return self.at_least <= value <= self.at_most


def gain(metric: str) -> Callable[[Values], float]:
    """How far the worse of Q and Psi lies above the prior."""
    return lambda value: min(value("q", metric), value("psi", metric)) - value("prior", metric)


def worst(metric: str) -> Callable[[Values], float]:
    """The larger of Q's and Psi's value."""
    return lambda value: max(value("q", metric), value("psi", metric))


def closest_to_rl_only(value: Values) -> float:
    """How far the lowest log p of Q, Psi and G lies above that of RL only."""
    return min(value(method, "log_p") for method in ("q", "psi", "g")) - value("rl_only", "log_p")


def lag_1_reduced(value: Values) -> float:
    """The size of the prior's autocorrelation at lag 1, less the larger size of Q and Psi."""
    worst_lag = max(abs(value(method, "autocorrelation_1")) for method in ("q", "psi"))
    return abs(value("prior", "autocorrelation_1")) - worst_lag


MUSIC = (
    Claim("repetition", "RL removes excessively repeated notes", "Table 1", "P", "63.3 % -> 0.0 / .02 %",
          "share of notes excessively repeated, the larger of Q and Psi", worst("repeated"), at_most=0.001),
    Claim("key", "Q and Psi stay in key", "Table 1 and text", "P", ".1 % -> 1.0 / .6 %",
          "share of notes not in key, the larger of Q and Psi", worst("not_in_key"), at_most=0.01),
    Claim("tonic", "RL starts more melodies with the tonic", "Table 1", "P", ".9 % -> 28.8 / 28.7 %",
          "gain over the Note RNN, the smaller of Q and Psi", gain("starts_with_tonic"), at_least=0.1),
    Claim("leaps", "RL resolves more leaps", "Table 1 and text", "P", "77.2 % -> 91.1 / 90.0 %",
          "gain over the Note RNN, the smaller of Q and Psi", gain("leaps_resolved"), at_least=0.0),
    Claim("motifs", "RL plays more motifs", "Table 1 and text", "P", "5.9 % -> 75.7 / 73.8 %",
          "gain over the Note RNN, the smaller of Q and Psi", gain("in_motif"), at_least=0.1),
    Claim("repeated_motifs", "RL repeats more motifs", "Table 1", "P", ".007 % -> .11 / .09 %",
          "gain over the Note RNN, the smaller of Q and Psi", gain("in_repeated_motif"), at_least=0.0),
    Claim("autocorrelation", "RL lowers the autocorrelation at lag 1", "Table 1", "P", "-.16 -> -.11 / -.10",
          "size of the Note RNN's minus the larger size of Q and Psi", lag_1_reduced, at_least=0.0),
    Claim("unique_min", "RL makes the lowest note unique more often", "Table 1", "P", "49.4 % -> 51.9 / 58.3 %",
          "gain over the Note RNN, the smaller of Q and Psi", gain("unique_min"), at_least=0.0),
    Claim("unique_max", "RL makes the highest note unique less often", "Table 1", "P", "64.7 % -> 56.4 / 59.4 %",
          "gain over the Note RNN, the larger of Q and Psi",
          lambda value: worst("unique_max")(value) - value("prior", "unique_max"), at_most=0.0),
    Claim("log_p", "every KL-controlled model keeps a higher log p than RL only", "Figure 2a and text", "D",
          "-2.41, -2.46, -1.64 against -3.68", "log p a note above RL only, the smallest of Q, Psi and G",
          closest_to_rl_only, at_least=0.1, notebook="03_music_training"),
    Claim("rl_only_uniform", "without the prior, log p falls to that of uniform play", "text", "P",
          "-3.65, uniform -3.64",
          "log p a note of RL only", lambda value: value("rl_only", "log_p"), at_least=-3.85, at_most=-3.45,
          notebook="03_music_training"),
    Claim("g_log_p", "G keeps the highest log p", "Figure 2a and text", "P", "-1.64 against -2.41 and -2.46",
          "log p a note of G above the better of Q and Psi",
          lambda value: value("g", "log_p") - worst("log_p")(value), at_least=0.0, notebook="03_music_training"),
    Claim("g_reward", "G pays for it with a lower task reward", "text", "P", "no numbers",
          "r_MT a melody of G below the worse of Q and Psi",
          lambda value: min(value("q", "task_reward"), value("psi", "task_reward")) - value("g", "task_reward"),
          at_least=0.0, notebook="03_music_training"),
    Claim("rl_only_reward", "RL only earns the highest task reward", "Figure 2b and text", "P", "no numbers",
          "r_MT a melody of RL only above the best of Q, Psi and G",
          lambda value: value("rl_only", "task_reward") - max(value(m, "task_reward") for m in ("q", "psi", "g")),
          at_least=0.0, notebook="03_music_training"),
    Claim("note_rnn", "the Note RNN predicts 92 % of events at .2536 nats", "text", "I", "92 %, .2536",
          untestable="its corpus of 30,000 MIDI songs is private", notebook="02_note_rnn"),
)  # fmt: skip


def ledger(
    table: pd.DataFrame, c: float, claims: tuple[Claim, ...] = MUSIC, notebook: str | None = None
) -> pd.DataFrame:
    """The verdicts on claims at one temperature.

    Args:
        table: experiment, method, c, seed, metric, value of one experiment, the prior with seed 0 and no c.
        c: the temperature.
        claims: what to judge; a claim whose methods were not run is left untested.
        notebook: only the claims of this notebook.

    Returns:
        One row a claim: id, sentence, source, paper, paper_trust, ours, low, high (mean and 95 % interval over seeds),
        seeds, rule, verdict, notebook.
    """
    models = table[(table["c"] == c) | (table["method"] == "prior")]
    values = models.set_index(["method", "seed", "metric"])["value"].to_dict()
    seeds = sorted(set(models.loc[models["method"] != "prior", "seed"]))
    rows = [judge(claim, values, seeds) for claim in claims if notebook in (None, claim.notebook)]
    return pd.DataFrame(rows)


def judge(claim: Claim, values: dict[tuple[str, int, str], float], seeds: list[int]) -> dict[str, object]:
    """One row of the ledger."""
    numbers: list[float] = []
    verdict = f"cannot be tested: {claim.untestable}"
    if claim.number is not None:
        try:
            numbers = [claim.number(_of_seed(values, seed)) for seed in seeds]
            passed = sum(claim.passes(number) for number in numbers)
            share = passed / len(numbers) if numbers else 0.0
            verdict = "reproduced" if share == 1 else "partly" if share > 0.5 else "not reproduced"
            if verdict == "reproduced" and claim.trust == UNVERIFIED:
                verdict = "partly"  # only the direction of a number that nobody has checked can be judged
        except KeyError as missing:
            verdict = f"not tested here: {missing.args[0][0]} was not run"
    mean, low, high = mean_interval(numbers) if numbers else (math.nan,) * 3
    return {
        "id": claim.id, "sentence": claim.sentence, "source": claim.source, "paper": claim.paper,
        "paper_trust": claim.trust, "ours": mean, "low": low, "high": high, "seeds": len(numbers), "rule": claim.rule,
        "verdict": verdict, "notebook": claim.notebook,
    }  # fmt: skip


def _of_seed(values: dict[tuple[str, int, str], float], seed: int) -> Values:
    return lambda method, metric: values[method, 0 if method == "prior" else seed, metric]


def shown(rows: pd.DataFrame) -> Styler:
    """The ledger as a notebook shows it."""
    if rows.empty:
        return rows.style
    ours = [_text(row.ours, row.low, row.high) for row in rows.itertuples()]
    columns = rows[["sentence", "paper", "rule", "verdict"]].assign(ours=ours)
    order = ["sentence", "paper", "ours", "rule", "verdict"]
    return columns[order].style.hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})


def _text(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.3g}" if math.isnan(low) else f"{mean:.3g} [{low:.3g}, {high:.3g}]"
