"""The claims as data: complete, with thresholds that stay where they were committed."""

from __future__ import annotations

import math
import subprocess

import pytest

from repro import ROOT
from repro.book import claims
from repro.book.paper import MARKS, TABLE_1
from repro.book.rule import RULES_COMMITS


def test_the_claims_are_complete() -> None:
    """Protects the rules as data: unique ids, a threshold or a reason each, sources with a mark, a commit."""
    assert len({claim.id for claim in claims.CLAIMS}) == len(claims.CLAIMS) >= 30
    for claim in claims.CLAIMS:
        bounded = claim.at_least > -math.inf or claim.at_most < math.inf
        assert bool(claim.untestable) + claim.fitted + bounded == 1, claim.id
        assert bool(claim.number) != bool(claim.untestable) and claim.trust in MARKS, claim.id
        assert claim.sentence and claim.source and claim.paper and claim.rules in RULES_COMMITS, claim.id
        assert claim.trust != "U" or {claim.at_least, claim.at_most} <= {0.0, math.inf, -math.inf}, claim.id


def test_the_paper_s_own_table_corrects_nine_rows() -> None:
    """Protects the threshold of "almost all": nine of eleven is what the published Table 1 itself shows."""
    assert claims.corrected(lambda method, metric: TABLE_1[metric][method]) == 9


def test_first_thresholds_stand_as_they_were_committed() -> None:
    """Protects from thresholds that move after their runs were seen."""
    first = (*claims.FIRST, *claims.FIRST_MOLECULES)
    thresholds = [(claim.id, claim.at_least, claim.at_most) for claim in first]
    up = math.inf
    assert thresholds == [
        ("repetition", -up, 0.001), ("key", -up, 0.01), ("tonic", 0.1, up), ("leaps", 0.0, up), ("motifs", 0.1, up),
        ("repeated_motifs", 0.0, up), ("autocorrelation", 0.0, up), ("unique_min", 0.0, up), ("unique_max", -up, 0.0),
        ("log_p", 0.1, up), ("rl_only_log_p", -3.85, -3.45), ("g_log_p", 0.0, up), ("g_reward", 0.0, up),
        ("rl_only_reward", 0.0, up), ("valid", 0.0, up), ("logp", 0.0, up), ("sa", -up, 0.0), ("rings", 0.0, up),
        ("qed", -up, 0.0), ("exploits", -up, -0.2), ("molecule_log_p", 1.0, up), ("diversity", 0.95, up),
    ]  # fmt: skip
    assert not any(claim.after_runs for claim in first) and {claim.rules for claim in first} == {"music", "molecules"}


def test_the_commits_of_the_rules_exist() -> None:
    """Protects the claim that thresholds came first: each commit named is one of this history, with its subject."""
    for commit in RULES_COMMITS.values():
        command = ["git", "log", "-1", "--format=%h %s", commit[:7]]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if told.returncode:
            pytest.skip("there is no history here: " + told.stderr.strip()[:80])
        assert told.stdout.strip() == commit
