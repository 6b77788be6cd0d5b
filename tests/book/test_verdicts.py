"""Verdicts, the whole ledger and how people read it; notebook 08's alarm for collapsed runs."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import long_table, of_seeds, run_cells

from repro import ROOT, book
from repro.book import verdicts
from repro.book.claims import CLAIMS
from repro.book.paper import TABLE_1

LAPTOP = ROOT / "results" / "laptop"
AT = {"music": 0.5, "molecules": 0.25, "exact": 0.5}
TOOLS = {"book": book, "partial": partial, "pd": pd, "at": AT}  # what the cells of 08 and 99 import and use


def assembled(results: Path) -> list[dict[str, Any]]:
    return run_cells("99-03a", "99-03b", study=SimpleNamespace(results=results), **TOOLS)["rows"]


def test_every_claim_on_the_experiments_at_hand_is_judged() -> None:
    """Protects a notebook's rows: what its experiment can test is judged, that of other experiments is not shown."""
    metrics = [*TABLE_1, "log_p", "task_reward", "unique", "entropy", "kl"]
    models = dict.fromkeys(("prior", "q", "psi", "g", "rl_only"), [0.1])
    table = pd.concat([of_seeds(models, metric, c) for metric in metrics for c in (0.5, 1.0)])
    rows = verdicts.ledger(table.drop_duplicates(["method", "c", "seed", "metric"]), 0.5)
    here = [claim for claim in CLAIMS if claim.untestable or claim.experiment == "as_notated"]
    assert rows["id"].tolist() == [one.id for one in here] and not rows["verdict"].str.startswith("not tested").any()
    some = verdicts.ledger(table[:5], 0.5, notebook="03_music_training")
    assert some["id"].tolist() == [claim.id for claim in here if claim.notebook == "03_music_training"]


def test_a_folder_is_judged(tmp_path: Path) -> None:
    """Protects the way from files to entries: experiment, runs, comment; an empty folder says what is missing."""
    empty = assembled(tmp_path)
    assert {verdicts.short(row["verdict"]) for row in empty} == {"not tested here", "cannot be tested"}
    assert sum(map(len, verdicts.grouped(empty).values())) == len(empty) == len(CLAIMS)
    values = {"prior": [0.001], "q": [0.002] * 3, "psi": [0.002] * 3, "g": [0.002] * 3}
    rebuilt = of_seeds(values, "not_in_key").assign(experiment="rebuilt")
    other = rebuilt[rebuilt["method"] != "prior"].assign(experiment="other", value=0.9)
    (tmp_path / "tables").mkdir()
    pd.concat([rebuilt, other]).to_csv(tmp_path / "tables" / "music.csv", index=False)
    for name, variants in (
        ("trained_prior", {"prior fixed": 0.0, "prior trained": 0.1, "prior trained, zero head": 0.3}),
        ("trained_prior_one_step", {"prior trained one step": 0.02}),
        ("authors_schedule", {"g": 0.9, "g, prior trained": 0.06}),
    ):
        trained = pd.DataFrame({"variant": variants.keys(), "metric": "not_in_key", "value": variants.values()})
        trained.to_csv(tmp_path / "tables" / f"{name}.csv", index=False)
    runs = {f"key of {name}": {"experiments": [name]} for name in ("rebuilt", "other")}
    (tmp_path / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
    entries = {row["id"]: row for row in assembled(tmp_path)}
    key, poor = entries["rebuilt_key"], entries["rebuilt_g_poor"]
    assert key["verdict"] == "reproduced" and key["levels"] == "0.10 % -> 0.20 / 0.20 %" and key["seeds"] == 3
    assert key["runs"] == ["key of rebuilt"] and poor["verdict"] == "not reproduced"
    assert "10.0 to 30.0 % in our trainer (mean of 2 runs 20.0 %)" in poor["comment"]
    assert poor["comment"].endswith("(mean of 2 runs 4.0 %), mean of all 4 runs 12.0 %")
    assert entries["key"]["verdict"] == "not tested here: there are no results of the experiment as_notated"
    assert entries["rebuilt_tonic"]["verdict"] == "not tested here: starts_with_tonic of q was not measured"


def test_the_committed_ledger_is_that_of_the_tables() -> None:
    """Protects claims.json: its numbers and verdicts follow from the committed tables by the committed rules."""
    words = ["id", "says", "verdict", "rule", "levels", "seeds", "comment", "rules_commit", "notebook", "runs"]
    words += ["source", "size", "passes_too", "before", "confirmed", "predicted"]
    committed, made = verdicts.read_ledger(LAPTOP), assembled(LAPTOP)
    assert [[row[word] for word in words] for row in committed] == [[row[word] for word in words] for row in made]
    old, new = ([[row[number] for number in ("ours", "low", "high")] for row in rows] for rows in (committed, made))
    np.testing.assert_allclose(old, new, rtol=1e-6, atol=1e-12)


ENTRY: dict[str, Any] = {
    "id": "tonic", "domain": "music", "experiment": "as_notated", "sentence": "more tonic | <b>",
    "paper": ".9 % -> 29 %", "paper_trust": "U", "ours": 0.8252, "low": 0.82, "high": 0.83, "unit": "points",
    "levels": "1.3 % -> 84.0 / 84.1 %", "seeds": 5, "rule": "gain over the Note RNN: at least 10 points in every seed",
    "rule_before_runs": False, "verdict": "partly: seeds disagree", "comment": "", "says": "tonic", "source": "Table 1",
    "size": "outside", "predicted": {"psi": [0.83, 0.85], "q": [0.82, 0.851]}, "passes_too": ["prior"],
    "before": {"verdict": "not reproduced", "ours": 0.02}, "confirmed": {},
}  # fmt: skip
UNKNOWN = dict.fromkeys(("ours", "low", "high"), math.nan) | {"predicted": {}, "passes_too": [], "before": {}}
REFUSED = ENTRY | UNKNOWN | {"says": "heard", "source": "ours", "id": "heard", "experiment": "terminal", "levels": "",
                             "verdict": "cannot be tested: it needs listeners", "rule": "no test"}  # fmt: skip


def test_numbers_keep_three_digits() -> None:
    """Protects readers from digits that mean nothing, from a small share that prints as zero, and from no number."""
    shares = {0.8252: "82.5 %", 0.00123: "0.12 %", 0.0000076: "0.0008 %", 0.0: "0.0 %"}
    others = {9.0: "9", -2.5: "-2.50", 0.0164: "0.0164", 105.97: "106"}
    assert [verdicts.number(value, "%") for value in shares] == list(shares.values())
    assert [verdicts.number(value) for value in others] == list(others.values())
    entries = (ENTRY, ENTRY | {"low": math.nan, "high": math.nan}, REFUSED)
    assert [verdicts.estimate(entry) for entry in entries] == ["82.5 [82.0, 83.0] points", "82.5 points", ""]


def test_tables_say_the_same() -> None:
    """Protects VERDICTS.md and the report from different verdicts; text from users is escaped."""
    markdown, html = (verdicts.rendered(kind, [ENTRY, REFUSED], tables={}) for kind in ("verdicts.md", "ledger.html"))
    verdict = "partly: seeds disagree ‡ (before: not reproduced, 2.0 points; the untuned prior passes too)"
    paper = ".9 % → 29 % (unverified); size outside"
    assert f"| more tonic \\| &lt;b&gt; | {verdict} | {paper} | 1.3 % → 84.0 / 84.1 % |" in markdown
    assert "gain over the Note RNN: 82.5 [82.0, 83.0] points; at least 10 points in every seed †" in markdown
    assert "a further seed: Q 82.0 to 85.1 %, Psi 83.0 to 85.0 % |" in markdown
    assert "more tonic | &lt;b&gt;" in html and '<b class="partly">partly</b>: seeds disagree ‡' in html
    assert "cannot be tested</b>: it needs listeners" in html
    assert all(shown.count("1 partly") == shown.count("1 cannot be tested") >= 1 for shown in (markdown, html))


def test_a_sentence_counts_once_and_fresh_seeds_are_shown() -> None:
    """Protects the counts from rows that say one sentence twice, and a marked row's second verdict from being lost;
    sentences: a tagged number is the ledger's, and a tag without a claim is an error.
    """
    again = ENTRY | {"id": "tonic_again", "verdict": "reproduced"}
    words = "3 rows on 2 sentences, 1 of them ours: 1 reproduced, 1 partly, 1 cannot be tested"
    assert verdicts.counts([ENTRY, again, REFUSED]) == words and "1 row on 1 sentence: " in verdicts.counts([ENTRY])
    fresh = {"verdict": "reproduced", "ours": 0.8, "low": 0.7, "high": 0.85, "seeds": 3}
    assert "on 3 fresh seeds: reproduced, 80.0 [70.0, 85.0] points" in verdicts.cells(ENTRY | {"confirmed": fresh})[1]

    tagged = "x <!-- claim tonic ours -->9 %<!-- / -->, <!-- claim tonic verdict --><!-- / --> y"
    filled = tagged.replace(">9 %<", ">82.5 points<").replace("--><!-- /", "-->partly: seeds disagree<!-- /")
    assert verdicts.with_numbers(tagged, [ENTRY]) == filled
    with pytest.raises(KeyError):
        verdicts.with_numbers(tagged.replace("tonic", "toxic"), [ENTRY])


PRIOR = {"distinct": 0.8, "entropy": 20.0, "objective": 5.0, "task_reward": 1.0}
SOUND = {"distinct": 0.6, "entropy": 10.0, "objective": 9.0, "task_reward": 3.0}


@pytest.mark.parametrize(
    ("metrics", "prior", "method", "words"),
    [
        (SOUND, PRIOR, "psi", ""), (PRIOR, PRIOR, "psi", ""),
        ({"distinct": 0.41, "entropy": 2.1, "objective": 4.6}, PRIOR, "psi", ""),  # just inside each threshold
        (SOUND | {"distinct": 0.39}, PRIOR, "psi", "repeats itself: 39.0% distinct, the prior 80.0%"),
        (SOUND | {"valid": 0.0, "distinct": math.nan}, PRIOR, "psi", "writes nothing valid"),
        (SOUND | {"entropy": 1.9}, PRIOR, "psi", "hardly varies: 9.5% of the prior's entropy"),
        (SOUND | {"objective": 4.4}, PRIOR, "psi", "worse than no tuning: J 4.4, the prior 5.0"),
        (SOUND | {"distinct": 0.39, "entropy": 0.0}, PRIOR, "q",
         "repeats itself: 39.0% distinct, the prior 80.0%; hardly varies: 0.0% of the prior's entropy"),
        (SOUND | {"objective": -50.0}, PRIOR, "rl_only", ""),  # it does not maximise J
        (SOUND | {"task_reward": 0.5}, PRIOR, "rl_only", "worse than no tuning: reward 0.5, the prior 1.0"),
        ({"task_reward": -215.0}, {"task_reward": -200.0}, "psi", ""),  # a tenth of the size, in the same direction
        ({"task_reward": -225.0}, {"task_reward": -200.0}, "psi",
         "worse than no tuning: reward -225.0, the prior -200.0"),
        ({}, PRIOR, "psi", ""), (SOUND, {}, "psi", ""),  # what was not measured is not judged
    ],
)  # fmt: skip
def test_the_alarm(metrics: dict[str, float], prior: dict[str, float], method: str, words: str) -> None:
    """Protects the alarm: it rings for runs that are of no use, says why in numbers, and is silent for the others."""
    space = run_cells("08-22c", **TOOLS)
    run, of_prior = (pd.Series(found, space["MEASURED"], float) for found in (metrics, prior))
    assert space["collapsed"](run, of_prior, method) == words


def test_each_run_is_compared_with_the_prior_of_its_own_experiment() -> None:
    """Protects the table of alarms: experiments start from different priors."""
    rows = [("a", "prior", math.nan, 0, 1.0), ("a", "psi", 0.5, 7, 0.4), ("a", "psi", 0.5, 8, 0.9)]
    rows += [("b", "prior", math.nan, 0, 0.6), ("b", "psi", 0.5, 7, 0.4)]
    table = long_table([(*row[:4], "unique", row[4]) for row in rows] + [("c", "psi", 0.5, 7, "held_out_nll", 4.0)])
    made = run_cells("08-22c", "08-22d", **TOOLS)["alarms"]
    alarms = made(table)
    assert alarms["alarm"].ne("").tolist() == [True, False, False] and alarms["distinct"].tolist() == [0.4, 0.9, 0.4]
    with pytest.raises(ValueError, match="the prior of a is missing"):
        made(table[table["method"] != "prior"])
    two = long_table([("a", "prior", math.nan, 0, "unique_10k", 0.9), ("a", "q", 0.5, 7, "unique", 0.1)])
    assert made(two)["alarm"].tolist() == ["repeats itself: 10.0% distinct, the prior 90.0%"]


def test_the_committed_alarms() -> None:
    """The paper's form on molecules and the authors' schedule collapsed in every method, no reported melody run did; no
    table is left out, and the committed alarms are those of the notebook's cells, run on the committed tables.
    """
    study = SimpleNamespace(results=LAPTOP, c=(AT["music"],))
    space = run_cells("08-22a", "08-22b", "08-22c", "08-22d", study=study, **TOOLS)
    made = space["alarms"](space["every_run"])
    assert made.to_csv(index=False, float_format="%.8g") == (LAPTOP / "tables" / "alarms.csv").read_text("utf-8")
    alarms = pd.read_csv(LAPTOP / "tables" / "alarms.csv", keep_default_na=False).set_index("experiment")["alarm"]
    assert (alarms.groupby(level=0).size()[["trained_prior", "trained_prior_one_step", "authors_schedule"]] > 3).all()
    assert (alarms["music in the path form, gamma 1"] != "").all() and (alarms["trained_prior"] != "").any()
    assert (alarms[["as_notated", "rebuilt"]] == "").all() and (alarms[["terminal_plain", "authors"]] != "").all()
