"""The ledger: numbers, thresholds, verdicts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from repro.claims import MUSIC, Claim, ledger, shown
from repro.paper import TABLE_1
from repro.settings import METHODS


def frame(values: dict[str, list[float]], metric: str = "log_p", c: float = 0.5) -> pd.DataFrame:
    rows = [
        ("e", m, np.nan if m == "prior" else c, seed, metric, v)
        for m, vs in values.items()
        for seed, v in enumerate(vs)
    ]
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


CLAIM = Claim(
    "x",
    "psi beats the prior",
    "nowhere",
    "P",
    "1",
    "gain",
    lambda v: v("psi", "log_p") - v("prior", "log_p"),
    at_least=1.0,
)


def test_the_verdict_counts_seeds() -> None:
    """Protects the rule: all seeds, more than half, or not."""
    for values, verdict in (([2, 3, 4], "reproduced"), ([2, 3, 0], "partly"), ([2, 0, 0], "not reproduced")):
        row = ledger(frame({"prior": [1.0], "psi": [float(v) for v in values]}), 0.5, (CLAIM,)).iloc[0]
        assert row["verdict"] == verdict and row["seeds"] == 3
        assert row["ours"] == pytest.approx(np.mean(values) - 1) and row["low"] < row["ours"] < row["high"]


def test_half_of_the_seeds_is_not_more_than_half() -> None:
    """Protects the border of "partly"."""
    row = ledger(frame({"prior": [1.0], "psi": [2.0, 0.0]}), 0.5, (CLAIM,)).iloc[0]
    assert row["verdict"] == "not reproduced"


def test_a_method_that_was_not_run_is_no_verdict() -> None:
    """Protects readers of a run with fewer methods from a verdict on what was not done."""
    row = ledger(frame({"prior": [1.0], "q": [2.0]}), 0.5, (CLAIM,)).iloc[0]
    assert row["verdict"] == "not tested here: psi was not run" and math.isnan(row["ours"])


def test_other_temperatures_do_not_count() -> None:
    """Protects the main table from the runs at c = 1."""
    table = pd.concat([frame({"prior": [1.0], "psi": [2.5]}), frame({"psi": [-9.0]}, c=1.0)])
    assert ledger(table, 0.5, (CLAIM,)).iloc[0]["ours"] == 1.5


def test_every_music_claim_is_judged_and_shown() -> None:
    """Protects the ledger itself: ids are unique, each claim has a rule or a reason, all can be worked out."""
    metrics = [*TABLE_1, "log_p", "task_reward"]
    table = pd.concat([frame(dict.fromkeys(("prior", *METHODS), [0.1]), metric) for metric in metrics])
    rows = ledger(table, 0.5)
    assert rows["id"].is_unique and len(rows) == len(MUSIC)
    assert set(rows["verdict"].str.split(":").str[0]) <= {"reproduced", "partly", "not reproduced", "cannot be tested"}
    assert all(claim.untestable or claim.number for claim in MUSIC)
    assert "cannot be tested" in shown(rows).to_html()
