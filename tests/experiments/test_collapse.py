"""The alarm rings for runs that are of no use, and only for those."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from repro.experiments import collapse
from repro.settings import ROOT

PRIOR = {"unique": 0.8, "entropy": 20.0, "objective": 5.0, "task_reward": 1.0}
SOUND = {"unique": 0.6, "entropy": 10.0, "objective": 9.0, "task_reward": 3.0}


def test_a_sound_run_and_the_prior_itself_are_not_marked() -> None:
    """Protects the reported runs: losing some variety for reward is what tuning is for."""
    assert collapse.collapsed(SOUND, PRIOR, "psi") == ""
    assert collapse.collapsed(PRIOR, PRIOR, "psi") == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"unique": 0.39}, "repeats itself: 39.0% distinct, the prior 80.0%"),
        ({"valid": 0.0, "unique": math.nan}, "writes nothing valid"),
        ({"entropy": 1.9}, "hardly varies: 9.5% of the prior's entropy"),
        ({"objective": 4.4}, "worse than no tuning: J 4.4, the prior 5.0"),
        ({"unique": 0.01, "entropy": 0.0}, "repeats itself: 1.0% distinct, the prior 80.0%; "
                                           "hardly varies: 0.0% of the prior's entropy"),
    ],
)  # fmt: skip
def test_each_sign_alone_and_together(changed: dict[str, float], words: str) -> None:
    """Protects each threshold: just beyond it the alarm says what is wrong, in numbers."""
    assert collapse.collapsed(SOUND | changed, PRIOR, "psi") == words


def test_just_inside_the_thresholds_it_is_silent() -> None:
    """The other side of each threshold: half of the distinct samples, a tenth of the entropy, a tenth less J."""
    assert collapse.collapsed({"unique": 0.41, "entropy": 2.1, "objective": 4.6}, PRIOR, "psi") == ""


def test_rl_only_is_judged_by_its_reward() -> None:
    """RL only does not maximise J: falling below the prior's J is what the paper expects of it, and no collapse."""
    low_objective = SOUND | {"objective": -50.0}
    assert collapse.collapsed(low_objective, PRIOR, "rl_only") == ""
    assert "J -50.0" in collapse.collapsed(low_objective, PRIOR, "g")
    assert "reward 0.5" in collapse.collapsed(SOUND | {"task_reward": 0.5}, PRIOR, "rl_only")


def test_negative_goals_are_compared_by_size() -> None:
    """Melodies of the prior earn less than nothing: a tenth of its size is allowed, in the same direction."""
    prior = {"task_reward": -200.0}
    assert collapse.collapsed({"task_reward": -215.0}, prior, "psi") == ""
    assert collapse.collapsed({"task_reward": -225.0}, prior, "psi") != ""


def test_what_was_not_measured_is_not_judged() -> None:
    """Older runs and curves lack columns: no error and no false alarm."""
    assert collapse.collapsed({}, PRIOR, "psi") == collapse.collapsed(SOUND, {}, "psi") == ""
    assert collapse.collapsed({"unique": math.nan, "entropy": math.nan}, PRIOR, "psi") == ""
    assert "repeats" in collapse.collapsed({"unique": 0.1}, {"unique_10k": 0.9}, "q")  # a curve's row against a table's


def test_since_is_the_beginning_of_the_last_unbroken_alarm() -> None:
    """A passing dip is none: G starts as the square of the prior and recovers."""
    rewards = [0.0, 3.0, 0.5, 0.5, 3.0, 0.2, 0.1]
    curve = pd.DataFrame({"step": range(7), "task_reward": rewards})
    assert collapse.since(curve, PRIOR, "g", "step") == 5
    assert math.isnan(collapse.since(curve.iloc[:5], PRIOR, "g", "step"))
    assert collapse.since(curve.iloc[2:4], PRIOR, "g", "step") == 2


def long(rows: list[tuple[str, str, float, int, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


def test_each_run_is_compared_with_the_prior_of_its_own_experiment() -> None:
    """Protects the table: experiments start from different priors."""
    table = long([
        ("a", "prior", math.nan, 0, "unique", 1.0),
        ("a", "psi", 0.5, 7, "unique", 0.4), ("a", "psi", 0.5, 8, "unique", 0.9),
        ("b", "prior", math.nan, 0, "unique", 0.6), ("b", "psi", 0.5, 7, "unique", 0.4),
        ("c", "psi", 0.5, 7, "held_out_nll", 4.0),
    ])  # fmt: skip
    judged = collapse.alarms(table)
    assert judged["alarm"].ne("").tolist() == [True, False, False]
    assert judged["distinct"].tolist() == [0.4, 0.9, 0.4]
    brief = collapse.summary(judged)
    assert brief[["experiment", "runs", "marked"]].to_numpy().tolist() == [["a", 2, 1], ["b", 1, 0]]
    assert brief["alarm"].tolist() == ["repeats itself: 40.0% distinct, the prior 100.0%", ""]


def test_the_committed_runs() -> None:
    """The paper's form on molecules and the authors' schedule collapsed in every method; no reported melody run did."""
    tables = [pd.read_csv(ROOT / "results" / "laptop" / "tables" / f"{name}.csv") for name in ("music", "molecules")]
    judged = collapse.alarms(pd.concat(tables)).set_index("experiment")["alarm"]
    assert (judged.loc[["as_notated", "rebuilt"]] == "").all()
    assert (judged.loc[["terminal_plain", "authors"]] != "").all()
