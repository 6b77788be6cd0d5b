"""What a claim is: a sentence, which number of ours tests it, and by which threshold."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

Values = Callable[..., float]  # value(method, metric, c) of one seed; left out: the claim's metric, the main c
Number = Callable[[Values], float]  # what a claim makes of the values of one seed
KL_CONTROL = ("q", "psi", "g")


class Quantity(NamedTuple):
    """A number of ours."""

    words: str
    number: Number
    levels: str = ""  # a sentence of the means of the claim's metric, by method, that compares with the paper's numbers


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and how it is tested."""

    id: str
    sentence: str  # what the paper says, in our words
    paper: str  # the paper's numbers
    metric: str = ""
    quantity: Quantity | None = None
    at_least: float = -math.inf
    at_most: float = math.inf
    source: str = "Table 1"  # where the paper says so
    trust: str = "P"  # the mark of that source, see paper.MARKS
    untestable: str = ""  # why it cannot be tested, where it cannot
    notebook: str = "04_music_rules"
    domain: str = "music"  # its table: tables/DOMAIN.csv
    experiment: str = "as_notated"  # its rows there
    second_c: float | None = None  # another temperature that the number needs: only seeds that have both count
    fitted: bool = False  # our number was fitted to the paper's, so that agreement proves nothing
    rules: str = "ledger"  # which of rule.RULES_COMMITS set the threshold
    after_runs: bool = False  # runs of the experiment had been seen when the threshold was set
    unit: str = ""  # "%": a share; "points": a difference of shares, in percentage points
    bounded: bool = True  # shares lie in [0, 1], their differences in [-1, 1]; False: a ratio that can lie anywhere
    says: str = ""  # the id of the first row with the same sentence; "" for the first row itself
    of_rl_only: bool = False  # a sentence about RL only: nobody else can pass in its place
    comment: str = ""  # what readers of the verdict have to know

    @property
    def rule(self) -> str:
        """The threshold in words."""
        words = self.quantity.words if self.quantity else "no test"
        bounds = []
        for name, limit in (("at least", self.at_least), ("at most", self.at_most)):
            if math.isfinite(limit):
                bounds.append(f"{name} {100 * limit:g} {self.unit}" if self.unit and limit else f"{name} {limit:g}")
        return f"{words}: {' and '.join(bounds)} in every seed" if bounds else words

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values our number can lie."""
        if not self.unit or not self.bounded:
            return -math.inf, math.inf
        return (0.0 if self.unit == "%" else -1.0), 1.0

    def margin(self, value: float) -> float:
        """How far a value lies inside the threshold; below 0 it misses it."""
        return min(value - self.at_least, self.at_most - value)


def _of(choose: Callable[[Iterable[float]], float], *methods: str) -> Number:
    return lambda value: choose(value(method) for method in methods)


least, most = partial(_of, min), partial(_of, max)  # the lowest and the highest value among methods


def above(words: str, one: Number, other: Number, levels: str = "") -> Quantity:
    """How far one number lies above another."""
    return Quantity(words, lambda value: one(value) - other(value), levels)
