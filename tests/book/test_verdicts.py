"""Verdicts, the whole ledger and how people read it; the alarm for collapsed runs."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from repro import ROOT
from repro.book import verdicts
from repro.book.claims import CLAIMS, Claim, Quantity
from repro.book.paper import TABLE_1

LAPTOP = ROOT / "results" / "laptop"
AT = {"music": 0.5, "molecules": 0.25, "exact": 0.5}
GAIN = Quantity("gain", lambda v: v("psi") - v("prior"), "{prior} -> {psi}")
CLAIM = Claim("x", "psi beats the prior", "1", "log_p", GAIN, at_least=1.0, trust="P")


def long(rows: list[tuple[str, str, float, int, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


def frame(values: dict[str, list[float]], metric: str = "log_p", c: float = 0.5) -> pd.DataFrame:
    places = {method: math.nan if method == "prior" else c for method in values}
    return long([("as_notated", m, places[m], i, metric, v) for m, vs in values.items() for i, v in enumerate(vs)])


@pytest.mark.parametrize(
    ("changed", "values", "verdict"),
    [
        ({}, [3.0, 3.1, 3.2], "reproduced"), ({}, [3.0, 3.1, 0.0], "partly"), ({}, [3.0, 0.0], "not reproduced"),
        ({}, [3.0, 0.0, 0.0], "not reproduced"),
        ({}, [2.0, 3.0, 4.0], "partly"),  # the interval of 1, 2, 3 is 2 +- 2.48: seeds may agree by chance
        ({}, [3.0], "partly"),  # one seed has no interval
        ({"at_least": 0.0}, [1.0, 1.0, 1.0], "partly"),  # no difference is no direction
        ({"at_least": 0.0}, [1.1, 1.1, 1.1], "reproduced"),
        ({}, [2.0, 2.0, 2.0], "reproduced"),  # any other threshold may be met
        ({"trust": "U"}, [3.0, 3.1, 3.2], "partly"),  # nobody has checked the paper's digits
        ({"trust": "U"}, [0.0, 0.1], "not reproduced"),
        ({}, [3.0, math.nan], "not reproduced"),  # a share of nothing
        ({"fitted": True, "quantity": Quantity("own", lambda v: v("prior"))}, [3.0], "fitted, no verdict"),
    ],
)  # fmt: skip
def test_the_rule(changed: dict[str, Any], values: list[float], verdict: str) -> None:
    """Protects the one rule where the prior has 1: all seeds and the interval, more than half of the seeds, or not."""
    claim = dataclasses.replace(CLAIM, **changed)
    assert verdicts.judge(claim, frame({"prior": [1.0], "psi": values}), 0.5)["verdict"] == verdict


def test_an_entry_holds_mean_interval_levels_and_rule() -> None:
    """Protects the numbers behind a verdict, and the rule in words."""
    row = verdicts.judge(CLAIM, frame({"prior": [1.0], "psi": [3.0, 3.1, 3.2]}), 0.5)
    assert row["ours"] == pytest.approx(2.1) and row["low"] < 2.1 < row["high"] and row["seeds"] == 3
    assert row["levels"] == "1 -> 3.10" and row["rule"] == "gain: at least 1 in every seed"
    both = dataclasses.replace(CLAIM, at_most=2.5, unit="%")
    assert both.rule == "gain: at least 100 % and at most 250 % in every seed"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (frame({"prior": [1.0], "q": [2.0]}), "psi was not run at c = 0.5"),
        (frame({"prior": [1.0], "psi": [2.0]}, "kl"), "log_p of psi was not measured"),
        (frame({"prior": [1.0], "psi": [2.0], "q": [2.0, 3.0]}), "log_p of psi was not measured in seed 1"),
        (frame({"psi": [2.0]}), "prior was not run"),
        (frame({"prior": [1.0], "psi": [2.0]}, c=2.0), "any tuned model was not run at c = 0.5"),
        (frame({}), "there are no results of the experiment as_notated"),
    ],
)
def test_what_is_missing_is_no_verdict(table: pd.DataFrame, words: str) -> None:
    """Protects readers of a run with fewer methods, temperatures or measures from a verdict on what was not done."""
    row = verdicts.judge(CLAIM, table, 0.5)
    assert row["verdict"] == f"not tested here: {words}" and math.isnan(row["ours"])


def test_temperatures_stay_apart() -> None:
    """Protects the main table from the runs at c = 1, and a claim about both from seeds that have one alone."""
    table = pd.concat([frame({"prior": [1.0], "psi": [2.5, 3.5, 9.0]}), frame({"psi": [4.0, 5.0]}, c=1.0)])
    assert verdicts.judge(CLAIM, table, 0.5)["ours"] == pytest.approx(4.0)
    warmer = Quantity("", lambda v: v("psi", c=1.0) - v("psi"))
    row = verdicts.judge(dataclasses.replace(CLAIM, quantity=warmer, second_c=1.0), table, 0.5)
    assert row["ours"] == 1.5 and row["seeds"] == 2 and row["verdict"] == "reproduced"


def test_every_claim_on_the_experiments_at_hand_is_judged() -> None:
    """Protects a notebook's rows: what its experiment can test is judged, that of other experiments is not shown."""
    metrics = [*TABLE_1, "log_p", "task_reward", "unique"]
    models = dict.fromkeys(("prior", "q", "psi", "g", "rl_only"), [0.1])
    table = pd.concat([frame(models, metric, c) for metric in metrics for c in (0.5, 1.0)])
    rows = verdicts.ledger(table.drop_duplicates(["method", "c", "seed", "metric"]), 0.5)
    here = [claim for claim in CLAIMS if claim.untestable or claim.experiment == "as_notated"]
    assert rows["id"].tolist() == [one.id for one in here] and not rows["verdict"].str.startswith("not tested").any()
    some = verdicts.ledger(table[:5], 0.5, notebook="03_music_training")
    assert some["id"].tolist() == [claim.id for claim in here if claim.notebook == "03_music_training"]


def test_a_folder_is_judged(tmp_path: Path) -> None:
    """Protects the way from files to entries: experiment, runs, comment; an empty folder says what is missing."""
    empty = verdicts.assemble(tmp_path, AT)
    assert {verdicts.short(row["verdict"]) for row in empty} == {"not tested here", "cannot be tested"}
    assert sum(map(len, verdicts.grouped(empty).values())) == len(empty) == len(CLAIMS)
    rows = [("rebuilt", "prior", math.nan, 0, "not_in_key", 0.001)]
    rows += [("rebuilt", method, 0.5, seed, "not_in_key", 0.002) for method in ("q", "psi", "g") for seed in (100, 101)]
    rows += [("other", method, 0.5, 100, "not_in_key", 0.9) for method in ("q", "psi", "g")]
    (tmp_path / "tables").mkdir()
    long(rows).to_csv(tmp_path / "tables" / "music.csv", index=False)
    trained = pd.DataFrame({"variant": ["prior fixed", "a", "b"], "metric": "not_in_key", "value": [0.0, 0.1, 0.3]})
    trained.to_csv(tmp_path / "tables" / "trained_prior.csv", index=False)
    runs = {f"key of {name}": {"experiments": [name]} for name in ("rebuilt", "other")}
    (tmp_path / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
    entries = {row["id"]: row for row in verdicts.assemble(tmp_path, AT)}
    key, poor = entries["rebuilt_key"], entries["rebuilt_g_poor"]
    assert key["verdict"] == "reproduced" and key["levels"] == "0.10 % -> 0.20 / 0.20 %" and key["seeds"] == 2
    assert key["runs"] == ["key of rebuilt"] and poor["verdict"] == "not reproduced"
    assert "10.0 to 30.0 % of the notes are out of key, 20.0 % on average of 2 runs" in poor["comment"]
    assert entries["key"]["verdict"] == "not tested here: there are no results of the experiment as_notated"
    assert entries["rebuilt_tonic"]["verdict"] == "not tested here: starts_with_tonic of q was not measured"


def test_the_committed_ledger_is_that_of_the_tables() -> None:
    """Protects claims.json: its numbers and verdicts follow from the committed tables by the committed rules."""
    words = ("id", "verdict", "rule", "levels", "seeds", "comment", "rules_commit", "notebook", "runs")
    committed, made = verdicts.read_ledger(LAPTOP), verdicts.assemble(LAPTOP, AT)
    assert [[row[word] for word in words] for row in committed] == [[row[word] for word in words] for row in made]
    old, new = ([[row[number] for number in ("ours", "low", "high")] for row in rows] for rows in (committed, made))
    np.testing.assert_allclose(old, new, rtol=1e-6, atol=1e-12)


ENTRY: dict[str, Any] = {
    "id": "tonic", "domain": "music", "experiment": "as_notated", "sentence": "more tonic | <b>",
    "paper": ".9 % -> 29 %", "paper_trust": "U", "ours": 0.8252, "low": 0.82, "high": 0.83, "unit": "%",
    "levels": "1.3 % -> 84.0 / 84.1 %", "seeds": 5, "rule": "gain over the Note RNN: at least 10 % in every seed",
    "rule_before_runs": False, "verdict": "partly", "comment": "",
}  # fmt: skip
REFUSED = ENTRY | {
    "id": "heard", "domain": "molecules", "experiment": "terminal", "ours": math.nan, "low": math.nan,
    "high": math.nan, "levels": "", "verdict": "cannot be tested: it needs listeners", "rule": "no test",
}  # fmt: skip


def test_numbers_keep_three_digits() -> None:
    """Protects readers from digits that mean nothing, from a small share that prints as zero, and from no number."""
    shares = {0.8252: "82.5 %", 0.00123: "0.12 %", 0.0000076: "0.0008 %", 0.0: "0.0 %"}
    others = {9.0: "9", -2.5: "-2.50", 0.0164: "0.0164", 105.97: "106"}
    assert [verdicts.number(value, "%") for value in shares] == list(shares.values())
    assert [verdicts.number(value) for value in others] == list(others.values())
    entries = (ENTRY, ENTRY | {"low": math.nan, "high": math.nan}, REFUSED)
    assert [verdicts.estimate(entry) for entry in entries] == ["82.5 [82.0, 83.0] %", "82.5 %", ""]


def test_tables_say_the_same() -> None:
    """Protects the terminal, README.md and the report from different verdicts; text from users is escaped."""
    shows = (verdicts.as_text, verdicts.as_markdown, verdicts.as_html)
    text, markdown, html = (show([ENTRY, REFUSED]) for show in shows)
    lines = [line.split()[:2] for line in text.splitlines() if line.startswith(("tonic", "heard"))]
    assert lines == [["tonic", "partly"], ["heard", "cannot"]] and max(map(len, text.splitlines())) <= 120
    assert "| more tonic \\| &lt;b&gt; | partly | .9 % → 29 % (unverified) | 1.3 % → 84.0 / 84.1 % |" in markdown
    assert "gain over the Note RNN: 82.5 [82.0, 83.0] %; at least 10 % in every seed †" in markdown
    assert "more tonic | &lt;b&gt;" in html and '<b class="partly">partly</b>' in html
    assert "cannot be tested</b>: it needs listeners" in html
    assert all(shown.count("1 partly") == shown.count("1 cannot be tested") >= 1 for shown in (markdown, html))


def test_tagged_numbers_in_prose() -> None:
    """Protects sentences: a tagged number is the ledger's, and a tag without a claim is an error."""
    tagged = "x <!-- claim tonic ours -->9 %<!-- / -->, <!-- claim tonic verdict --><!-- / --> y"
    filled = "x <!-- claim tonic ours -->82.5 %<!-- / -->, <!-- claim tonic verdict -->partly<!-- / --> y"
    assert verdicts.with_numbers(tagged, [ENTRY]) == filled
    with pytest.raises(KeyError):
        verdicts.with_numbers(tagged.replace("tonic", "toxic"), [ENTRY])


PRIOR = {"unique": 0.8, "entropy": 20.0, "objective": 5.0, "task_reward": 1.0}
SOUND = {"unique": 0.6, "entropy": 10.0, "objective": 9.0, "task_reward": 3.0}


@pytest.mark.parametrize(
    ("metrics", "prior", "method", "words"),
    [
        (SOUND, PRIOR, "psi", ""), (PRIOR, PRIOR, "psi", ""),
        ({"unique": 0.41, "entropy": 2.1, "objective": 4.6}, PRIOR, "psi", ""),  # just inside each threshold
        (SOUND | {"unique": 0.39}, PRIOR, "psi", "repeats itself: 39.0% distinct, the prior 80.0%"),
        (SOUND | {"valid": 0.0, "unique": math.nan}, PRIOR, "psi", "writes nothing valid"),
        (SOUND | {"entropy": 1.9}, PRIOR, "psi", "hardly varies: 9.5% of the prior's entropy"),
        (SOUND | {"objective": 4.4}, PRIOR, "psi", "worse than no tuning: J 4.4, the prior 5.0"),
        (SOUND | {"unique": 0.39, "entropy": 0.0}, PRIOR, "q",
         "repeats itself: 39.0% distinct, the prior 80.0%; hardly varies: 0.0% of the prior's entropy"),
        (SOUND | {"objective": -50.0}, PRIOR, "rl_only", ""),  # it does not maximise J
        (SOUND | {"task_reward": 0.5}, PRIOR, "rl_only", "worse than no tuning: reward 0.5, the prior 1.0"),
        ({"task_reward": -215.0}, {"task_reward": -200.0}, "psi", ""),  # a tenth of the size, in the same direction
        ({"task_reward": -225.0}, {"task_reward": -200.0}, "psi",
         "worse than no tuning: reward -225.0, the prior -200.0"),
        ({}, PRIOR, "psi", ""), (SOUND, {}, "psi", ""),  # what was not measured is not judged
        ({"unique": 0.1}, {"unique_10k": 0.9}, "q", "repeats itself: 10.0% distinct, the prior 90.0%"),
    ],
)  # fmt: skip
def test_the_alarm(metrics: dict[str, float], prior: dict[str, float], method: str, words: str) -> None:
    """Protects the alarm: it rings for runs that are of no use, says why in numbers, and is silent for the others."""
    assert verdicts.collapsed(metrics, prior, method) == words


def test_each_run_is_compared_with_the_prior_of_its_own_experiment() -> None:
    """Protects the table of alarms: experiments start from different priors."""
    rows = [("a", "prior", math.nan, 0, 1.0), ("a", "psi", 0.5, 7, 0.4), ("a", "psi", 0.5, 8, 0.9)]
    rows += [("b", "prior", math.nan, 0, 0.6), ("b", "psi", 0.5, 7, 0.4)]
    table = long([(*row[:4], "unique", row[4]) for row in rows] + [("c", "psi", 0.5, 7, "held_out_nll", 4.0)])
    alarms = verdicts.alarms(table)
    assert alarms["alarm"].ne("").tolist() == [True, False, False] and alarms["distinct"].tolist() == [0.4, 0.9, 0.4]


def test_the_committed_alarms() -> None:
    """The paper's form on molecules and the authors' schedule collapsed in every method; no reported melody run did."""
    tables = [pd.read_csv(LAPTOP / "tables" / f"{name}.csv") for name in ("music", "molecules")]
    alarms = verdicts.alarms(pd.concat(tables))
    assert alarms.to_csv(index=False, float_format="%.8g") == (LAPTOP / "tables" / "alarms.csv").read_text("utf-8")
    alarm = alarms.set_index("experiment")["alarm"]
    assert (alarm.loc[["as_notated", "rebuilt"]] == "").all() and (alarm.loc[["terminal_plain", "authors"]] != "").all()
