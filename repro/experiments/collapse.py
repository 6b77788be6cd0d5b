"""An alarm for collapsed runs: policies that repeat themselves, no longer vary, or fell below what they started from.

    collapsed(metrics, of_prior, "psi")   # the reasons in words, or ""
    alarms(table)                         # every run of a long table of measures
    since(curve, of_prior, "psi", "sequences")   # from when on, along training

The thresholds are wide on purpose: a policy that gives up half of its prior's variety may still be what was asked for,
and is not marked; what is marked is of no use for anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

# ours: a policy whose samples are mostly repetitions shows fewer melodies or molecules than it has samples to spare
LEAST_DISTINCT = 0.5  # distinct samples, as a share of the prior's
# ours: at a tenth of the prior's entropy nearly every token is decided before it is drawn, whatever is counted as equal
LEAST_ENTROPY = 0.1  # of the prior's
# ours: more than the noise of an evaluation; the untuned prior would be the better policy for its own goal
GOAL_LOST = 0.1  # of the size of the prior's


def collapsed(metrics: Mapping[str, float], of_prior: Mapping[str, float], method: str) -> str:
    """Why a run counts as collapsed.

    Args:
        metrics: what samples of the policy measure, or one row of its training curve: unique or unique_10k, entropy,
            valid, and what it was tuned for, objective (J = E[r / c] - KL) or task_reward. What is missing is not
            judged.
        of_prior: the same of the prior.
        method: RL only is judged by its reward, the others by J where it is known. KL is never negative, so that a
            reward below the prior's means a J below the prior's too.

    Returns:
        The reasons, joined by "; ", or "" for a run in order.
    """
    reasons = ["writes nothing valid"] if metrics.get("valid") == 0 else []
    distinct, before = _distinct(metrics), _distinct(of_prior)
    if distinct < LEAST_DISTINCT * before:
        reasons.append(f"repeats itself: {distinct:.1%} distinct, the prior {before:.1%}")
    entropy, before = (row.get("entropy", math.nan) for row in (metrics, of_prior))
    if entropy < LEAST_ENTROPY * before:
        reasons.append(f"hardly varies: {entropy / before:.1%} of the prior's entropy")
    goal = _goal(metrics, of_prior, method)
    reached, before = (row.get(goal, math.nan) for row in (metrics, of_prior))
    if reached < before - GOAL_LOST * abs(before):
        name = "J" if goal == "objective" else "reward"
        reasons.append(f"worse than no tuning: {name} {reached:.1f}, the prior {before:.1f}")
    return "; ".join(reasons)


def _distinct(row: Mapping[str, float]) -> float:
    return row.get("unique_10k", row.get("unique", math.nan))


def _goal(metrics: Mapping[str, float], of_prior: Mapping[str, float], method: str) -> str:
    return "objective" if method != "rl_only" and "objective" in metrics and "objective" in of_prior else "task_reward"


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Every tuned run of a table, judged.

    Args:
        table: experiment, method, c, seed, metric, value; each experiment with its prior's rows.

    Returns:
        One row a run: experiment, method, c, seed, distinct, entropy (as a share of the prior's), alarm ("" for a run
        in order). Runs of which neither was measured are left out.
    """
    rows = []
    for experiment, measured in table.groupby("experiment", sort=False):
        of_prior = measured[measured["method"] == "prior"].set_index("metric")["value"].to_dict()
        tuned = measured[measured["method"] != "prior"]
        for (method, c, seed), run in tuned.groupby(["method", "c", "seed"], sort=False):
            metrics = run.set_index("metric")["value"].to_dict()
            if not {"unique", "unique_10k", "entropy"} & metrics.keys():
                continue
            entropy = metrics.get("entropy", math.nan) / of_prior.get("entropy", math.nan)
            reason = collapsed(metrics, of_prior, method)
            rows.append((experiment, method, c, seed, _distinct(metrics), entropy, reason))
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "distinct", "entropy", "alarm"])


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """What `alarms` returns, a row an experiment and method: runs, marked, the least of both shares, one reason."""
    groups = judged.groupby(["experiment", "method"], sort=False)
    return groups.agg(
        runs=("alarm", "size"),
        marked=("alarm", lambda reasons: int((reasons != "").sum())),
        distinct=("distinct", "min"),
        entropy=("entropy", "min"),
        alarm=("alarm", lambda reasons: next(filter(None, reasons), "")),
    ).reset_index()


def since(curve: pd.DataFrame, of_prior: Mapping[str, float], method: str, steps: str) -> float:
    """From which evaluation on the alarm rings until the end of training, in `steps`; NaN if it is silent at the end.

    Args:
        curve: the training curve of one run, one row an evaluation in the order of time.
        of_prior: the measures of the prior, as for `collapsed`.
        method: the run's.
        steps: the column of the curve that counts training.
    """
    rings = [collapsed(row, of_prior, method) != "" for row in curve.to_dict("records")]
    first = math.nan
    for ringing, step in zip(reversed(rings), reversed(curve[steps].tolist()), strict=True):
        if not ringing:
            break
        first = step
    return first
