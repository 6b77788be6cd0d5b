"""The ledger: numbers, thresholds, verdicts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from repro.claims import molecules as molecule_claims, verdicts
from repro.claims.exact import EXACT
from repro.claims.molecules import MOLECULES
from repro.claims.music import FIRST, MUSIC, Claim, corrected, ledger, shown
from repro.paper import MARKS, TABLE_1
from repro.settings import METHODS


def frame(values: dict[str, list[float]], metric: str = "log_p", c: float = 0.5) -> pd.DataFrame:
    rows = [
        ("as_notated", m, np.nan if m == "prior" else c, seed, metric, v)
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


def judged(values: list[float], claim: Claim = CLAIM) -> str:
    """The verdict where the prior has 1 and the seeds of Psi have these values."""
    return ledger(frame({"prior": [1.0], "psi": values}), 0.5, (claim,)).iloc[0]["verdict"]


def test_the_verdict_counts_seeds() -> None:
    """Protects the rule: all seeds, more than half, or not; half is not more than half."""
    rows = ledger(frame({"prior": [1.0], "psi": [3.0, 3.1, 3.2]}), 0.5, (CLAIM,))
    assert rows.iloc[0]["verdict"] == "reproduced" and rows.iloc[0]["seeds"] == 3
    assert rows.iloc[0]["ours"] == pytest.approx(2.1) and rows.iloc[0]["low"] < 2.1 < rows.iloc[0]["high"]
    assert judged([3.0, 3.1, 0.0]) == "partly"
    assert judged([3.0, 0.0]) == judged([3.0, 0.0, 0.0]) == "not reproduced"


def test_an_interval_that_reaches_the_threshold_is_partly() -> None:
    """Protects readers from seeds that agree by chance: gains of 1, 2 and 3 have the interval 2 +- 2.48."""
    assert judged([2.0, 3.0, 4.0]) == "partly"
    assert judged([3.0]) == "partly"  # one seed has no interval


def test_no_difference_is_no_direction() -> None:
    """Protects "more" and "less": a threshold of 0 has to be left behind, any other may be met."""
    more = dataclasses.replace(CLAIM, at_least=0.0)
    assert judged([1.0, 1.0, 1.0], more) == "partly" and judged([1.1, 1.1, 1.1], more) == "reproduced"
    assert judged([2.0, 2.0, 2.0]) == "reproduced"


def test_unverified_numbers_are_at_most_partly() -> None:
    """Protects what nobody has checked against the paper from a verdict on its digits."""
    unverified = dataclasses.replace(CLAIM, trust="U")
    assert judged([3.0, 3.1, 3.2], unverified) == "partly" and judged([0.0, 0.1], unverified) == "not reproduced"


def test_what_was_fitted_has_no_verdict() -> None:
    """Protects from praise for agreement by construction."""
    fitted = dataclasses.replace(CLAIM, fitted=True, number=lambda value: value("prior", "log_p"))
    row = ledger(frame({"prior": [1.0]}), 0.5, (fitted,)).iloc[0]
    assert row["verdict"] == "fitted, no verdict" and row["ours"] == 1.0


def test_what_is_missing_is_no_verdict() -> None:
    """Protects readers of a run with fewer methods, temperatures or measures from a verdict on what was not done."""
    row = ledger(frame({"prior": [1.0], "q": [2.0]}), 0.5, (CLAIM,)).iloc[0]
    assert row["verdict"] == "not tested here: psi was not run at c = 0.5" and math.isnan(row["ours"])
    row = ledger(frame({"prior": [1.0], "psi": [2.0]}, "kl"), 0.5, (CLAIM,)).iloc[0]
    assert row["verdict"] == "not tested here: log_p of psi was not measured"
    row = ledger(frame({"prior": [1.0], "psi": [2.0]}, c=2.0), 0.5, (CLAIM,)).iloc[0]
    assert row["verdict"] == "not tested here: any tuned model was not run at c = 0.5"


def test_temperatures_stay_apart() -> None:
    """Protects the main table from the runs at c = 1, and a claim about both from seeds that have one alone."""
    table = pd.concat([frame({"prior": [1.0], "psi": [2.5, 3.5, 9.0]}), frame({"psi": [4.0, 5.0]}, c=1.0)])
    assert ledger(table, 0.5, (CLAIM,)).iloc[0]["ours"] == pytest.approx(4.0)
    both = dataclasses.replace(CLAIM, number=lambda v: v("psi", "log_p", 1.0) - v("psi", "log_p"), second_c=1.0)
    row = ledger(table, 0.5, (both,)).iloc[0]
    assert row["ours"] == 1.5 and row["seeds"] == 2 and row["verdict"] == "reproduced"


def test_every_music_claim_is_judged_and_shown() -> None:
    """Protects the ledger itself: what the experiment at hand can test is judged, the rest is not shown."""
    metrics = [*TABLE_1, "log_p", "task_reward", "unique"]
    models = dict.fromkeys(("prior", *METHODS), [0.1])
    table = pd.concat([frame(models, metric, c) for metric in metrics for c in (0.5, 1.0)])
    rows = ledger(table.drop_duplicates(["method", "c", "seed", "metric"]), 0.5)
    wanted = [claim.id for claim in MUSIC if claim.untestable or claim.experiment == "as_notated"]
    assert rows["id"].tolist() == wanted and not rows["verdict"].str.startswith("not tested").any()
    assert "cannot be tested" in shown(rows).to_html()


def test_the_claims_are_complete() -> None:
    """Protects the rules as data: unique ids, a threshold or a reason each, sources with a mark, a commit."""
    claims = (*MUSIC, *MOLECULES, *EXACT)
    assert len({claim.id for claim in claims}) == len(claims) >= 30
    for claim in claims:
        bounded = claim.at_least > -math.inf or claim.at_most < math.inf
        assert bool(claim.untestable) + claim.fitted + bounded == 1, claim.id
        assert bool(claim.number) != bool(claim.untestable) and claim.trust in MARKS, claim.id
        assert claim.sentence and claim.source and claim.paper and claim.rules in verdicts.RULES_COMMITS, claim.id
        assert claim.trust != "U" or {claim.at_least, claim.at_most} <= {0.0, math.inf, -math.inf}, claim.id


def test_the_paper_s_own_table_corrects_nine_rows() -> None:
    """Protects the threshold of "almost all": nine of eleven is what the published Table 1 itself shows."""
    assert corrected(lambda method, metric, c=None: TABLE_1[metric][method]) == 9


def test_first_thresholds_stand_as_they_were_committed() -> None:
    """Protects from thresholds that move after their runs were seen."""
    thresholds = [(claim.id, claim.at_least, claim.at_most) for claim in (*FIRST, *molecule_claims.FIRST)]
    up = math.inf
    assert thresholds == [
        ("repetition", -up, 0.001), ("key", -up, 0.01), ("tonic", 0.1, up), ("leaps", 0.0, up), ("motifs", 0.1, up),
        ("repeated_motifs", 0.0, up), ("autocorrelation", 0.0, up), ("unique_min", 0.0, up), ("unique_max", -up, 0.0),
        ("log_p", 0.1, up), ("rl_only_uniform", -3.85, -3.45), ("g_log_p", 0.0, up), ("g_reward", 0.0, up),
        ("rl_only_reward", 0.0, up), ("valid", 0.0, up), ("logp", 0.0, up), ("sa", -up, 0.0), ("rings", 0.0, up),
        ("qed", -up, 0.0), ("exploits", -up, -0.2), ("molecule_log_p", 1.0, up), ("diversity", 0.95, up),
    ]  # fmt: skip
