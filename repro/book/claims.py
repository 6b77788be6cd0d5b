"""The claims, read from `claims.toml`, with the numbers of ours that are more than a difference between methods."""

import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.bench import ON_MOLECULES
from repro.book.paper import METHOD_NAMES, TABLE_1_WANTED
from repro.book.rule import KL_CONTROL, Claim, Number, Values
from repro.music.events import NUM_EVENTS
from repro.studies import ROAD_NAMES

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


def _number(words: str) -> Number:
    """A name of SPECIAL, or methods' values: "psi", "min q psi" or, with another behind it, "min q psi - prior"."""
    one, *other = map(_chosen, words.split(" - "))
    return SPECIAL.get(words) or (lambda value: one(value) - sum(each(value) for each in other))


def _chosen(words: str) -> Number:
    first, *methods = words.split()
    choose = {"min": min, "max": max}[first] if methods else None  # here, so that a slip is no result that is missing
    return lambda value: choose(map(value, methods)) if choose else value(first)


def _claim(fields: dict[str, Any]) -> Claim:
    """A claim of its fields; ValueError: a word of its formula, or of its levels, is no model."""
    if "number" in fields:
        levels, words = fields.get("levels", ""), fields["number"]
        named = re.findall(r"{(\w+)}", levels) + ([] if words in SPECIAL else re.findall(r"[^\s-]+|-(?=\S)", words))
        if unknown := sorted({*named} - {"min", "max", "ours", *METHOD_NAMES, *ROAD_NAMES}):
            raise ValueError(f"claims.toml: {fields['id']} names {unknown[0]!r}, which is no model")
        fields["number"] = _number(words)
    return Claim(**fields)


GROUPS: dict[str, tuple[Claim, ...]] = {}
for _name, _common in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items():
    _listed = _common.pop("claims")  # what is left holds for all of the group
    GROUPS[_name] = tuple(_claim(_common | one) for one in _listed)
FIRST, FIRST_MOLECULES = GROUPS["music_first"], GROUPS["molecules_first"]
ALSO_REBUILT = ("rl_only_uniform", "nearer", "almost_all")  # of those that came later
REBUILT = tuple(
    replace(one, id=f"rebuilt_{one.id}", experiment="rebuilt", notebook="11_paper_against_code",
            says=one.says or one.id, comment=one.comment.replace("-5.85 under our folk", "-5.69 under the rebuilt"))
    for one in (*FIRST, *GROUPS["weak_g"], *(one for one in GROUPS["music_later"] if one.id in ALSO_REBUILT))
)  # fmt: skip
ALSO_PLAIN = ("valid", "diversity", "objective", "molecule_information")  # also asked of the paper's update
PLAIN = tuple(
    replace(one, id=f"plain_{one.id}", experiment="terminal_plain", notebook="06_molecule_training", after_runs=True,
            says=one.says or one.id)
    for one in (*FIRST_MOLECULES, *GROUPS["molecules_later"]) if one.id in ALSO_PLAIN
)  # fmt: skip
_PLACES = GROUPS | {"others": (*REBUILT, *GROUPS["others"]), "exact": (*PLAIN, *GROUPS["exact"])}
CLAIMS = tuple(one for group in _PLACES.values() for one in group)
