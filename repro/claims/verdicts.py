"""From a sentence of the paper and a table of results to a verdict.

One rule judges every row. A seed is one whole replication, so a claim is *reproduced* only when its number passes the
threshold in every seed; and since few seeds may agree by chance, the 95 % interval of their mean must lie inside the
threshold too. It is *partly* reproduced when more than half of the seeds pass, and when the interval or the paper's
own number is too uncertain for more: a number that nobody has checked against the paper is judged by its direction
alone. Everything else is *not reproduced*. What cannot be tested says why, and what was fitted has no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from repro.claims.tables import compact, number
from repro.stats import mean_interval

REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly", "not reproduced"
FITTED = "fitted, no verdict"
UNTESTABLE, NOT_TESTED = "cannot be tested", "not tested here"  # each is followed by ": why"
UNVERIFIED = "U"  # the mark of numbers that nobody has checked, see repro.paper.MARKS

# The commit with which the thresholds of a set of claims came, before their reported seeds were first run or, where a
# claim says `after_runs`, before they were first judged. The interval's part of the rule came with the last of them;
# it can only lower a verdict.
RULES_COMMITS = {
    "music": "db5d189 Rules, measures, corpus, KL-control and its training loop",
    "molecules": "87d6ba5 Molecules: corpus, dueling form, episodes that end, experiments and the rules of their "
    "verdicts; MIDI and SMILES files of one's own; the exact optimum",
    "ledger": "f8f5754 The rules of the verdicts: what is judged, by which threshold, over music, molecules and exact "
    "problems",
}


class Values(Protocol):
    """The value of a metric of a method in one seed; the prior's is the same for all seeds. Another c on request."""

    def __call__(self, method: str, metric: str, c: float | None = None) -> float:
        """Raises KeyError if there is none."""


class Number(Protocol):
    """What a claim makes of the values of one seed."""

    def __call__(self, value: Values, /) -> float:
        """One number, which the claim holds against its threshold."""


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and how it is tested."""

    id: str
    sentence: str  # what the paper says, in our words
    source: str  # where it says so
    trust: str  # the mark of that source, see repro.paper.MARKS
    paper: str  # the paper's numbers
    quantity: str = ""  # our number, in words
    number: Number | None = None
    at_least: float = -math.inf
    at_most: float = math.inf
    untestable: str = ""  # why it cannot be tested, where it cannot
    notebook: str = "04_music_rules"
    domain: str = "music"  # its table: tables/DOMAIN.csv
    experiment: str = "as_notated"  # its rows there
    second_c: float | None = None  # another temperature that the number needs: only seeds that have both count
    fitted: bool = False  # our number was fitted to the paper's, so that agreement proves nothing
    rules: str = "ledger"  # which of RULES_COMMITS set the threshold
    after_runs: bool = False  # runs of the experiment had been seen when the threshold was set
    unit: str = ""  # "%" shows a share as percent
    levels: tuple[str, str] = ("", "")  # a metric, and a sentence of its means by method that compares with `paper`

    @property
    def rule(self) -> str:
        """The threshold in words."""
        bounds = [f"at least {self._bound(self.at_least)}"] if self.at_least > -math.inf else []
        bounds += [f"at most {self._bound(self.at_most)}"] if self.at_most < math.inf else []
        return f"{self.quantity}: {' and '.join(bounds)} in every seed" if bounds else self.quantity or "no test"

    def _bound(self, value: float) -> str:
        return f"{100 * value:g} %" if self.unit == "%" and value else f"{value:g}"

    def passes(self, value: float) -> bool:
        """Whether one seed's number passes."""
        return self.at_least <= value <= self.at_most

    def encloses(self, low: float, high: float) -> bool:
        """Whether an interval lies inside the threshold; a missing one (a single seed) does not.

        A threshold of 0 asks for a direction, so that an interval that touches it says nothing.
        """
        no_direction = self.at_least == low == 0 or self.at_most == high == 0
        return self.at_least <= low and high <= self.at_most and not no_direction


def ledger(table: pd.DataFrame, c: float, claims: Sequence[Claim], notebook: str | None = None) -> pd.DataFrame:
    """The verdicts on the claims about a table's experiments, and on those that nothing can test.

    Args:
        table: experiment, method, c, seed, metric, value; the prior with seed 0 and no c.
        c: the temperature.
        claims: what to judge; one whose methods were not run is left untested.
        notebook: only the claims of this notebook.

    Returns:
        One row a claim: id, domain, experiment, sentence, source, paper, paper_trust, ours, low, high (mean and 95 %
        interval over seeds), unit, levels (our means in words), seeds, rule, rules_commit, rule_before_runs, verdict,
        notebook.
    """
    there = set(table["experiment"])
    chosen = [claim for claim in claims if notebook in (None, claim.notebook)]
    return pd.DataFrame([
        judge(claim, table[table["experiment"] == claim.experiment], c)
        for claim in chosen if claim.untestable or claim.experiment in there
    ])  # fmt: skip


def judge(claim: Claim, table: pd.DataFrame, c: float) -> dict[str, object]:
    """One row of the ledger, from the table of the claim's experiment alone."""
    numbers: list[float] = []
    verdict = f"{UNTESTABLE}: {claim.untestable}"
    if claim.number is not None and table.empty:
        verdict = f"{NOT_TESTED}: there are no results of the experiment {claim.experiment}"
    elif claim.number is not None:
        try:
            numbers = _numbers(claim, table, c)
            verdict = _verdict(claim, numbers)
        except KeyError as missing:
            verdict = f"{NOT_TESTED}: {_missing(missing.args[0], table)}"
    mean, low, high = mean_interval(numbers) if numbers else (math.nan,) * 3
    return {
        "id": claim.id, "domain": claim.domain, "experiment": claim.experiment if claim.number else "",
        "sentence": claim.sentence, "source": claim.source, "paper": claim.paper, "paper_trust": claim.trust,
        "ours": mean, "low": low, "high": high, "unit": claim.unit, "levels": _levels(claim, table, c, mean),
        "seeds": len(numbers), "rule": claim.rule, "rules_commit": RULES_COMMITS[claim.rules],
        "rule_before_runs": not claim.after_runs, "verdict": verdict, "notebook": claim.notebook,
    }  # fmt: skip


def _levels(claim: Claim, table: pd.DataFrame, c: float, mean: float) -> str:
    """Our means by method in the claim's words; nothing where a number is missing."""
    metric, words = claim.levels
    rows = table[(table["metric"] == metric) & ((table["c"] == c) | (table["method"] == "prior"))]
    means = rows.groupby("method")["value"].mean().to_dict() | {"ours": mean}
    named = {str(method): number(value, claim.unit) for method, value in means.items()}
    try:
        return "" if math.isnan(mean) else compact(words.format_map(named))
    except KeyError:
        return ""


def _numbers(claim: Claim, table: pd.DataFrame, main_c: float) -> list[float]:
    """The claim's number in every seed; a seed without a second temperature is left out if the claim needs one."""
    assert claim.number is not None
    values = {
        (method, None if method == "prior" else at, seed, metric): value
        for _, method, at, seed, metric, value in table.itertuples(index=False)
    }

    def of(seed: int) -> Values:
        def value(method: str, metric: str, c: float | None = None) -> float:
            at = main_c if c is None else c
            return values[(method, None, 0, metric) if method == "prior" else (method, at, seed, metric)]

        return value

    tuned = table[table["method"] != "prior"]
    seeds = set(tuned.loc[tuned["c"] == main_c, "seed"])
    if claim.second_c is not None:
        seeds &= set(tuned.loc[tuned["c"] == claim.second_c, "seed"])
    if claim.fitted:
        seeds = {0}  # about the prior alone
    if not seeds:
        raise KeyError(("any tuned model", claim.second_c or main_c, 0, ""))
    return [claim.number(of(seed)) for seed in sorted(seeds)]


def _missing(key: tuple[str, float | None, int, str], table: pd.DataFrame) -> str:
    method, c, seed, metric = key
    if not ((table["method"] == method) & ((table["c"] == c) | (method == "prior"))).any():
        return f"{method} was not run" + ("" if c is None else f" at c = {c:g}")
    return f"{metric} of {method} was not measured" + (f" in seed {seed}" if (table["metric"] == metric).any() else "")


def _verdict(claim: Claim, numbers: Sequence[float]) -> str:
    if claim.fitted:
        return FITTED
    if any(math.isnan(number) for number in numbers):
        return NOT_REPRODUCED  # a share of nothing, as the scores of a policy that writes no valid molecule
    share = sum(claim.passes(number) for number in numbers) / len(numbers)
    _, low, high = mean_interval(numbers)
    if share == 1 and claim.encloses(low, high) and claim.trust != UNVERIFIED:
        return REPRODUCED
    return PARTLY if share > 0.5 else NOT_REPRODUCED
