"""The claims as data, the rule of the verdict, what is said beside it, and the history of verdicts."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from typing import Any

import pandas as pd
import pytest
from small import of_seeds

from repro import ROOT, experiments
from repro.book import claims
from repro.book.claims import BEFORE, CLAIMS, RULES_COMMITS, Claim, judge
from repro.book.paper import MARKS, TABLE_1
from repro.evaluation import uniform_log_p
from repro.studies import study

GAIN: dict[str, Any] = {"words": "gain", "number": lambda v: v("psi") - v("prior"), "levels": "{prior} -> {psi}"}
CLAIM = Claim("x", "psi beats the prior", "1", "log_p", **GAIN, at_least=1.0, trust="P")
TONIC = Claim("tonic", "more tonic", "1", "starts_with_tonic", **GAIN, at_least=0.1, unit="points")


def tonic(**values: list[float]) -> pd.DataFrame:
    return of_seeds({"prior": [0.01], **values}, "starts_with_tonic")


@pytest.mark.parametrize(
    ("changed", "values", "verdict"),
    [
        ({}, [3.0, 3.1, 3.2], "reproduced"), ({}, [3.0, 3.1, 0.0], "partly: seeds disagree"),
        ({}, [3.0, 0.0], "not reproduced"), ({}, [3.0, 3.01], "partly: too few seeds (2)"),
        ({}, [3.0, 0.0, 0.0], "not reproduced"),
        ({}, [2.0, 3.0, 4.0], "partly: interval crosses"),  # 1, 2, 3 has 2 +- 2.48: it may be chance
        ({}, [3.0], "partly: too few seeds (1)"),  # one seed has no interval
        ({"at_least": 0.0}, [1.0, 1.0, 1.0], "partly: interval crosses"),  # no difference is no direction
        ({"at_least": 0.0}, [1.1, 1.1, 1.1], "reproduced"),
        ({}, [2.0, 2.0, 2.0], "reproduced"),  # any other threshold may be met
        ({"trust": "U"}, [3.0, 3.1, 3.2], "partly: direction agrees, the paper's number is unverified"),
        ({"trust": "U"}, [3.0, 3.1, 0.0], "partly: seeds disagree"),
        ({"trust": "U"}, [0.0, 0.1], "not reproduced"),
        ({}, [3.0, math.nan], "not reproduced"),  # a share of nothing
        ({"fitted": True, "number": lambda v: v("prior")}, [3.0], "fitted, no verdict"),
    ],
)  # fmt: skip
def test_the_rule(changed: dict[str, Any], values: list[float], verdict: str) -> None:
    """Protects the one rule where the prior has 1: all seeds and the interval, more than half of the seeds, or not."""
    claim = dataclasses.replace(CLAIM, **changed)
    assert judge(claim, of_seeds({"prior": [1.0], "psi": values}), 0.5)["verdict"] == verdict


def test_an_entry_holds_mean_interval_levels_and_rule() -> None:
    """Protects the numbers behind a verdict, and the rule in words; shares from an interval that ends at 104 %."""
    row = judge(CLAIM, of_seeds({"prior": [1.0], "psi": [3.0, 3.1, 3.2]}), 0.5)
    assert row["ours"] == pytest.approx(2.1) and row["low"] < 2.1 < row["high"] and row["seeds"] == 3
    assert row["levels"] == "1 -> 3.10" and row["rule"] == "gain: at least 1 in every seed"
    both = dataclasses.replace(CLAIM, at_least=0.1, at_most=0.25, unit="points")
    assert both.rule == "gain: at least 10 points and at most 25 points in every seed"
    row = judge(TONIC, tonic(psi=[0.55, 0.75, 0.97]), 0.5)
    assert -1 < row["low"] < row["ours"] < row["high"] < 1 and row["low"] < 0.3
    share = dataclasses.replace(TONIC, number=lambda v: v("psi"), unit="%")
    same = judge(share, tonic(psi=[1.0, 1.0, 1.0]), 0.5)
    assert (same["low"], same["ours"], same["high"]) == (1.0, 1.0, 1.0) and same["verdict"] == "reproduced"
    assert judge(share, tonic(psi=[0.0, 0.0, 0.01]), 0.5)["low"] > 0


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (of_seeds({"prior": [1.0], "q": [2.0]}), "psi was not run at c = 0.5"),
        (of_seeds({"prior": [1.0], "psi": [2.0]}, "kl"), "log_p of psi was not measured"),
        (of_seeds({"prior": [1.0], "psi": [2.0], "q": [2.0, 3.0]}), "log_p of psi was not measured in seed 1"),
        (of_seeds({"psi": [2.0]}), "prior was not run"),
        (of_seeds({"prior": [1.0], "psi": [2.0]}, c=2.0), "no tuned model was run at c = 0.5"),
        (of_seeds({}), "there are no results of the experiment as_notated"),
    ],
)
def test_what_is_missing_is_no_verdict(table: pd.DataFrame, words: str) -> None:
    """Protects readers of a run with fewer methods, temperatures or measures from a verdict on what was not done."""
    row = judge(CLAIM, table, 0.5)
    assert row["verdict"] == f"not tested here: {words}" and math.isnan(row["ours"])


def test_temperatures_stay_apart() -> None:
    """Protects the main table from the runs at c = 1, and a claim about both from seeds that have one alone."""
    table = pd.concat([of_seeds({"prior": [1.0], "psi": [2.5, 3.5, 9.0]}), of_seeds({"psi": [4.0, 5.0]}, c=1.0)])
    assert judge(CLAIM, table, 0.5)["ours"] == pytest.approx(4.0)
    warmer = dataclasses.replace(CLAIM, number=lambda v: v("psi", c=1.0) - v("psi"), second_c=1.0)
    row = judge(warmer, table, 0.5)
    assert row["ours"] == 1.5 and row["seeds"] == 2 and row["verdict"] == "partly: too few seeds (2)"


def test_size_is_judged_apart_from_direction() -> None:
    """Protects readers who take "reproduced" for agreement in size; a prediction interval needs two seeds."""
    wide, near, one = (judge(TONIC, tonic(psi=seeds), 0.5) for seeds in ([0.2, 0.4, 0.3], [0.84, 0.85, 0.86], [0.3]))
    assert [row["size"] for row in (wide, near, one)] == ["within", "outside", "not judged"]
    low, high = wide["predicted"]["psi"]
    assert 0 <= low < TABLE_1["starts_with_tonic"]["psi"] < high <= 1 and near["verdict"] == "reproduced"
    assert judge(TONIC, tonic(psi=[0.05, 0.5, 0.95]), 0.5)["size"] == "not judged"  # from 0 to 1: it excludes nothing
    both = dataclasses.replace(TONIC, number=lambda v: min(v("q"), v("psi")) - v("prior"))
    row = judge(both, tonic(psi=[0.2, 0.4, 0.3], q=[0.84, 0.85, 0.86]), 0.5)
    assert row["size"] == "outside" and set(row["predicted"]) == {"q", "psi"}  # the number of every method, or none
    assert judge(CLAIM, of_seeds({"prior": [1.0], "psi": [3.0, 3.1, 3.2]}), 0.5)["size"] == "not judged"


def test_who_passes_too() -> None:
    """Protects from credit for KL-control where the untuned prior or RL only would pass; "more" than itself is none."""
    table = tonic(psi=[0.5, 0.6, 0.55], rl_only=[0.8, 0.9, 0.7])
    assert judge(TONIC, table, 0.5)["passes_too"] == ["rl_only"]
    few = dataclasses.replace(TONIC, number=lambda v: v("psi"), at_least=-math.inf, at_most=0.7)
    assert judge(few, table, 0.5)["passes_too"] == ["prior"]
    more = dataclasses.replace(TONIC, at_least=0.0)
    assert judge(more, tonic(psi=[0.5, 0.6, 0.55]), 0.5)["passes_too"] == []
    against = dataclasses.replace(few, number=lambda v: v("psi") - v("rl_only"), at_most=0.0)
    assert judge(against, table, 0.5)["passes_too"] == ["prior"]
    assert judge(dataclasses.replace(against, of_rl_only=True), table, 0.5)["passes_too"] == []


def test_uniform_play_is_where_the_ledger_and_readme_say() -> None:
    """Protects the sentences on random play: log p of a uniform player under both shipped Note RNNs."""
    assert "a uniform player's log p is below -5.6" in (ROOT / "README.md").read_text(encoding="utf-8")
    laptop, said = study("laptop"), {one.id: one.comment for one in CLAIMS if one.id.endswith("rl_only_uniform")}
    for name, record in (
        ("rl_only_uniform", experiments.note_rnn(laptop)),
        ("rebuilt_rl_only_uniform", experiments.rebuilt_note_rnn(laptop)),
    ):
        measured = uniform_log_p(experiments.MUSIC, record.rnn(), 1_000, seed=0)
        assert measured < -5.6 and abs(measured - float(said[name].partition("uniform play is ")[2].split()[0])) < 0.015


def test_fresh_seeds_confirm_a_marked_row() -> None:
    """Protects rows whose settings were changed in sight of their seeds: what fresh seeds say stands beside them."""
    claim = next(one for one in CLAIMS if one.id == "rebuilt_tonic")
    values = {"prior": [0.01], "q": [0.5, 0.6, 0.55], "psi": [0.5, 0.6, 0.55]}
    old = of_seeds(values, "starts_with_tonic").assign(experiment="rebuilt")
    new = old.assign(experiment="rebuilt_fresh", value=0.01)
    alone, both = judge(claim, old, 0.5), judge(claim, pd.concat([old, new]), 0.5)
    assert alone["before"] == {"verdict": "reproduced", "ours": 0.573} and alone["confirmed"] == {}
    assert both["verdict"] == alone["verdict"] == "reproduced" and both["confirmed"]["seeds"] == 3
    assert both["confirmed"]["verdict"] == "not reproduced" and both["ours"] == alone["ours"]
    assert judge(TONIC, pd.concat([old, new]).assign(experiment="as_notated_fresh"), 0.5)["confirmed"] == {}


def history(*words: str) -> str:
    told = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("there is no history here: " + told.stderr.strip()[:80])
    return told.stdout


def test_the_first_verdicts_are_those_of_the_history() -> None:
    """Protects the verdicts before: each is the first that claims.json of this history gave, with its number; and the
    claim that thresholds came first: each commit named is one of this history, with its subject.
    """
    for commit in RULES_COMMITS.values():
        assert history("log", "-1", "--format=%h %s", commit[:7]).strip() == commit
    first = dict[str, tuple[str, float]]()
    for commit in ("7006439", "495a6d0", "bdccd0a", "f5de7ef"):
        for row in json.loads(history("show", f"{commit}:results/laptop/claims.json")):
            if row["seeds"]:
                first.setdefault(row["id"], (row["verdict"], float(f"{row['ours']:.3g}")))
    first["rebuilt_rl_only_log_p"] = first.pop("rebuilt_rl_only_uniform")  # what that row was called
    ours = {name: (row["verdict"], row["ours"]) for name, row in BEFORE.items()}
    later = {name for name in ours if name not in first}  # rows that were added after their first runs
    added = {"rebuilt_rl_only_uniform", "rebuilt_almost_all", "rebuilt_nearer", "molecule_nearer"}
    assert later == added | {name for name in ours if name.startswith("plain_")}
    assert {name: first[name] for name in ours if name not in later} == {n: ours[n] for n in ours if n not in later}
    changed = {claim.id for claim in CLAIMS if claim.experiment in ("rebuilt", "terminal", "terminal_plain", "exact")}
    assert set(ours) == {name for name in changed if not name.startswith("fitted_")}


def test_the_claims_are_complete() -> None:
    """Protects the rules as data: unique ids, a threshold or a reason each, sources with a mark, a commit; and the
    threshold of "almost all": nine of eleven is what the published Table 1 itself shows.
    """
    assert claims.corrected(lambda method, metric: TABLE_1[metric][method]) == 9
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) >= 30
    for claim in CLAIMS:
        bounded = claim.at_least > -math.inf or claim.at_most < math.inf
        assert bool(claim.untestable) + claim.fitted + bounded == 1, claim.id
        assert bool(claim.number) != bool(claim.untestable) and claim.trust in MARKS, claim.id
        assert claim.sentence and claim.source and claim.paper and claim.rules in RULES_COMMITS, claim.id
        assert claim.trust != "U" or {claim.at_least, claim.at_most} <= {0.0, math.inf, -math.inf}, claim.id


def test_first_thresholds_stand_as_they_were_committed() -> None:
    """Protects from thresholds that move after their runs were seen."""
    up = math.inf
    thresholds = {
        "repetition": (-up, 0.001), "key": (-up, 0.01), "tonic": (0.1, up), "leaps": (0.0, up), "motifs": (0.1, up),
        "repeated_motifs": (0.0, up), "autocorrelation": (0.0, up), "unique_min": (0.0, up), "unique_max": (-up, 0.0),
        "log_p": (0.1, up), "rl_only_log_p": (-3.85, -3.45), "g_log_p": (0.0, up), "g_reward": (0.0, up),
        "rl_only_reward": (0.0, up), "valid": (0.0, up), "logp": (0.0, up), "sa": (-up, 0.0), "rings": (0.0, up),
        "qed": (-up, 0.0), "exploits": (-up, -0.2), "molecule_log_p": (1.0, up), "diversity": (0.95, up),
    }  # fmt: skip
    first = [claim for claim in CLAIMS if claim.id in thresholds]
    assert {claim.id: (claim.at_least, claim.at_most) for claim in first} == thresholds
    assert not any(claim.after_runs for claim in first) and {claim.rules for claim in first} == {"music", "molecules"}
