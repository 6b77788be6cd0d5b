"""What a claim is, the rule of the verdict, and the claims themselves, read from `claims.toml`.

The rule leads from a claim and a table of results to one entry of the ledger. *Reproduced*: three seeds or more, the
number of every one passes the threshold, and so does the 95 % interval of their mean. *Partly*: more than half of the
seeds pass; the verdict says what is missing. *Size* is a question of its own: whether the paper's number lies where one
further seed of ours would lie.
"""

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from repro.bench import ON_MOLECULES
from repro.book.paper import METHOD_NAMES, TABLE_1, TABLE_1_WANTED, data
from repro.book.tables import mean_interval, number, prediction_interval
from repro.music.events import NUM_EVENTS
from repro.studies import ROAD_NAMES

Values = Callable[..., float]  # value(method, metric, c) of one seed; left out: the claim's metric, the main c
Number = Callable[[Values], float]  # what a claim makes of the values of one seed
KL_CONTROL = ("q", "psi", "g")
ORDER = ("reproduced", "partly", "not reproduced", "fitted, no verdict", "cannot be tested", "not tested here")
REPRODUCED, PARTLY, NOT_REPRODUCED, FITTED, UNTESTABLE, NOT_TESTED = ORDER  # ": why" follows the 2nd and the last two
COMPOSITIONS = 100_000  # on which the paper measured the shares of its Table 1
LEDGER = data("ledger")
RULES_COMMITS: dict[str, str] = LEDGER["commits"]
BEFORE = {name: {"verdict": verdict, "ours": was} for verdict, rows in LEDGER["first_verdicts"].items()
          for name, was in rows.items()}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and how it is tested."""

    id: str
    sentence: str  # what the paper says, in our words
    paper: str  # the paper's numbers
    metric: str = ""
    words: str = "no test"  # what our number is
    number: Number | None = None
    levels: str = ""  # a sentence of the means of the metric, by method, that compares with the paper's numbers
    at_least: float = -math.inf
    at_most: float = math.inf
    source: str = "Table 1"  # where the paper says so
    trust: str = "P"  # the mark of that source, see paper.MARKS
    untestable: str = ""  # why it cannot be tested, where it cannot
    notebook: str = "04_music_rules"
    domain: str = "music"  # its table: tables/DOMAIN.csv
    experiment: str = "as_notated"  # its rows there
    c: float | None = None  # the temperature where it is judged, if not that of its domain
    second_c: float | None = None  # another temperature that the number needs: only seeds that have both count
    fitted: bool = False  # our number was fitted to the paper's, so that agreement proves nothing
    rules: str = "ledger"  # which of RULES_COMMITS set the threshold
    after_runs: bool = False  # runs of the experiment had been seen when the threshold was set
    unit: str = ""  # "%": a share; "points": a difference of shares, in percentage points
    bounded: bool = True  # shares lie in [0, 1], their differences in [-1, 1]; False: a ratio that can lie anywhere
    says: str = ""  # the id of the first row with the same sentence; "" for the first row itself
    of_rl_only: bool = False  # a sentence about RL only: nobody else can pass in its place
    comment: str = ""  # what readers of the verdict have to know

    @property
    def rule(self) -> str:
        """The threshold in words."""
        bounds = []
        for name, limit in (("at least", self.at_least), ("at most", self.at_most)):
            if math.isfinite(limit):
                bounds.append(f"{name} {100 * limit:g} {self.unit}" if self.unit and limit else f"{name} {limit:g}")
        return f"{self.words}: {' and '.join(bounds)} in every seed" if bounds else self.words

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values our number can lie."""
        if not self.unit or not self.bounded:
            return -math.inf, math.inf
        return (0.0 if self.unit == "%" else -1.0), 1.0

    def margin(self, value: float) -> float:
        """How far a value lies inside the threshold; below 0 it misses it."""
        return min(value - self.at_least, self.at_most - value)


def judge(claim: Claim, table: pd.DataFrame, c: float) -> dict[str, Any]:
    """One entry of the ledger, from a table that may hold other experiments too: mean, interval, rule, verdict."""
    c = claim.c or c
    own, verdict = table[table["experiment"] == claim.experiment], f"{UNTESTABLE}: {claim.untestable}"
    numbers, asked = list[float](), set[str]()
    try:
        numbers, asked = measured(claim, own, c)
    except KeyError as missing:
        verdict = f"{NOT_TESTED}: {missing.args[0]}"
    mean = low = high = math.nan
    if numbers and not math.isnan(sum(numbers)):
        mean, low, high = mean_interval(numbers, claim.limits)
    if numbers:
        verdict = _verdict(claim, numbers, low, high)
    predicted = _predicted(claim, own, c, asked)
    # whether the paper's number of every method that was judged lies where one further seed of ours would; an interval
    # from 0 to 1 excludes nothing
    told = [0.0, 1.0] not in [[round(end, 3) for end in interval] for interval in predicted.values()]
    within = all(low <= TABLE_1[claim.metric][method] <= high for method, (low, high) in predicted.items())
    passes_too = _passes_too(claim, own, c, asked) if verdict.startswith((REPRODUCED, PARTLY)) else []
    # `before`: with the first settings, where they were changed after reported seeds had been seen; `confirmed`: the
    # same claim on seeds that no setting has seen
    before, fresh, confirmed = BEFORE.get(claim.id, {}), f"{claim.experiment}_fresh", {}
    if before and ((table["experiment"] == fresh) & (table["method"] != "prior")).any():
        entry = judge(replace(claim, experiment=fresh), table, c)
        confirmed = {key: entry[key] for key in ("verdict", "ours", "low", "high", "seeds")}
    return {
        "id": claim.id, "says": claim.says or claim.id, "domain": claim.domain,
        "experiment": claim.experiment if claim.number else "", "sentence": claim.sentence, "source": claim.source,
        "paper": claim.paper, "paper_trust": claim.trust, "ours": mean, "low": low, "high": high, "unit": claim.unit,
        "levels": _levels(claim, own, c, mean), "seeds": len(numbers), "rule": claim.rule,
        "rules_commit": RULES_COMMITS[claim.rules], "rule_before_runs": not claim.after_runs, "verdict": verdict,
        "size": ("within" if within else "outside") if predicted and told else "not judged", "predicted": predicted,
        "passes_too": passes_too, "before": before, "confirmed": confirmed, "notebook": claim.notebook,
        "comment": claim.comment,
    }  # fmt: skip


def _verdict(claim: Claim, numbers: Sequence[float], low: float, high: float) -> str:
    """The rule itself: numbers by seed and the interval of their mean against the threshold."""
    if claim.fitted:
        return FITTED
    passed = [claim.margin(number) >= 0 for number in numbers]
    if math.isnan(sum(numbers)) or sum(passed) <= len(passed) / 2:  # NaN: a share of nothing
        return NOT_REPRODUCED
    touches = claim.at_least == low == 0 or claim.at_most == high == 0  # "more" or "less" that may be "the same"
    missing = {
        "seeds disagree": not all(passed), f"too few seeds ({len(numbers)})": len(numbers) < 3,
        "interval crosses": touches or claim.margin(low) < 0 or claim.margin(high) < 0,
        "direction agrees, the paper's number is unverified": claim.trust == "U",
    }  # fmt: skip
    return next((f"{PARTLY}: {what}" for what, is_missing in missing.items() if is_missing), REPRODUCED)


def measured(claim: Claim, table: pd.DataFrame, main_c: float, instead: str = "") -> tuple[list[float], set[str]]:
    """The claim's number in every seed, and the methods that it asks for; a KeyError says what is missing."""
    # instead: a method whose values stand for those of Q, Psi and G; seeds are those that have both c, if it needs two
    if claim.number is None:
        return [], set()
    if table.empty:
        raise KeyError(f"there are no results of the experiment {claim.experiment}")
    asked: set[str] = set()
    rows = table.fillna({"c": 0})  # the prior has no c
    values = rows.set_index(["method", "c", "seed", "metric"])["value"].to_dict()

    def of(seed: int, method: str, metric: str = claim.metric, c: float = main_c) -> float:
        asked.add(method)
        if instead and method in KL_CONTROL:
            method = instead
        key = (method, 0, 0, metric) if method == "prior" else (method, c, seed, metric)
        if key in values:
            return values[key]
        if not any(known[:2] == key[:2] for known in values):
            raise KeyError(f"{method} was not run" + ("" if method == "prior" else f" at c = {c:g}"))
        where = f" in seed {key[2]}" if any(known[3] == metric for known in values) else ""
        raise KeyError(f"{metric} of {method} was not measured{where}")

    def tuned_at(c: float) -> set[int]:
        return {seed for method, at, seed, _ in values if method != "prior" and at == c}

    other_c = claim.second_c or main_c
    seeds = {0} if claim.fitted else tuned_at(main_c) & tuned_at(other_c)  # fitted: about the prior, which has seed 0
    if not seeds:
        raise KeyError(f"no tuned model was run at c = {other_c:g}")
    return [claim.number(partial(of, seed)) for seed in sorted(seeds)], asked


def _passes_too(claim: Claim, table: pd.DataFrame, c: float, asked: set[str]) -> list[str]:
    """Who else would pass in every seed, put in the place of Q, Psi and G: the untuned prior, RL only."""
    if claim.of_rl_only or asked.isdisjoint(KL_CONTROL):
        return []  # a sentence about others
    found = []
    for other in ("prior",) if "rl_only" in asked else ("prior", "rl_only"):  # a sentence may compare with RL only
        with suppress(KeyError):  # it was not run or not measured
            numbers, _ = measured(claim, table, c, instead=other)
            same = 0 in (claim.at_least, claim.at_most) and 0 in numbers  # no difference is no direction
            if not same and all(claim.margin(number) >= 0 for number in numbers):
                found.append(other)
    return found


def _predicted(claim: Claim, table: pd.DataFrame, c: float, asked: set[str]) -> dict[str, list[float]]:
    """Where one further seed of each named method would lie, for rows of Table 1: its 95 % prediction interval."""
    if claim.metric not in TABLE_1 or claim.fitted:
        return {}
    trials = None if claim.metric.startswith("autocorrelation") else COMPOSITIONS  # all other rows are shares
    bounds = {}
    for method in KL_CONTROL:
        rows = (table["method"] == method) & (table["metric"] == claim.metric) & (table["c"] == c)
        values = table[rows]["value"].tolist()
        if method in asked and len(values) > 1 and not math.isnan(sum(values)):
            _, low, high = prediction_interval(values, trials)
            bounds[method] = [float(f"{bound:.6g}") for bound in (low, high)]
    return bounds


def _levels(claim: Claim, table: pd.DataFrame, c: float, mean: float) -> str:
    """Our means by method in the form of the paper's numbers; "" where a method of the sentence was not run."""
    if claim.number is None or math.isnan(mean):
        return ""
    rows = table[(table["metric"] == claim.metric) & ((table["c"] == c) | (table["method"] == "prior"))]
    unit = "%" if claim.unit == "points" else claim.unit  # a difference of shares is in points, a share in percent
    texts = {method: number(value, unit) for method, value in rows.groupby("method")["value"].mean().items()}
    with suppress(KeyError):  # shares side by side share a percent sign
        shown = claim.levels.format_map({"ours": number(mean, claim.unit), **texts})
        return re.sub(r" %(?= /| \[|,|\])", "", shown)
    return ""


UNIFORM_NLL = math.log(NUM_EVENTS)  # nats per event that a uniform player pays on any tune


def corrected(value: Values) -> float:
    """How many rows of Table 1 move the wanted way, both for Q and for Psi: eleven at most, nine in the paper."""
    moved = 0
    for metric, wanted in TABLE_1_WANTED.items():
        prior, q, psi = (value(method, metric) for method in ("prior", "q", "psi"))
        moved += max(abs(q), abs(psi)) < abs(prior) if wanted == "0" else min(q, psi) > prior
    return float(moved)


SPECIAL: dict[str, Number] = {
    "corrected": corrected,
    "smaller": lambda v: abs(v("prior")) - max(abs(v("q")), abs(v("psi"))),
    "warmer": lambda v: min(v(method, c=1.0) - v(method) for method in (*KL_CONTROL, "rl_only")),
    "warmer_kl_control": lambda v: min(v(method, c=1.0) - v(method) for method in KL_CONTROL),
    "advance_left": lambda v: (UNIFORM_NLL - max(map(v, KL_CONTROL))) / (UNIFORM_NLL - v("prior")),
    "above_uniform": lambda v: v("rl_only") - UNIFORM_NLL,
    "share_of_prior": lambda v: min(v("psi"), v("g")) / v("prior"),
    "near": lambda v: float(sum(v(road) <= 0.01 for road in ROAD_NAMES)),
    "roads_reach": lambda v: float(sum(v(road, "objective") >= 11.8 and v(road, "valid") >= 0.97
                                       and v(road, "unique_1k") >= 0.98 for road in ON_MOLECULES)),
}  # fmt: skip


def _formula(words: str) -> Number:
    """A name of SPECIAL, or methods' values: "psi", "min q psi" or, with another behind it, "min q psi - prior"."""
    if words in SPECIAL:
        return SPECIAL[words]
    one, *other = map(_chosen, words.split(" - "))
    return lambda value: one(value) - sum(each(value) for each in other)


def _chosen(words: str) -> Number:
    chooser, *methods = words.split() if " " in words else ("max", words)
    if unknown := {*methods} - {*METHOD_NAMES, *ROAD_NAMES}:  # here, so that a slip is no result that is missing
        raise ValueError(f"claims.toml: {words!r} names {', '.join(unknown)}, which is no model")
    return lambda value: {"min": min, "max": max}[chooser](map(value, methods))


_FIELDS = list[dict[str, Any]]()  # of all claims
for _group, _common in data("claims").items():
    for _own in _common.pop("claims"):  # what is left holds for all of the group
        _again = _own.pop("again", "")
        _other = {each["id"]: each for each in _FIELDS}[_again] if _again else {}  # KeyError: none above has this id
        _renamed = {"id": f"{_group}_{_again}", "says": _other.get("says", _again)} if _again else {}
        _FIELDS.append(_other | _common | _renamed | _own)
CLAIMS = tuple(Claim(**each | ({"number": _formula(each["number"])} if "number" in each else {}))
               for each in _FIELDS)  # fmt: skip
