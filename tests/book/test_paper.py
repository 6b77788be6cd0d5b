"""The published numbers: complete, in range, each with its source; the names of the methods."""

import re
import tomllib
from pathlib import Path

import pytest

from repro.book import paper


def test_every_number_has_a_source_and_table_1_is_complete() -> None:
    """Protects the trust marks (a constant without a source would pass for a fact) and fractions from percentages."""
    text = Path(paper.__file__).with_suffix(".toml").read_text(encoding="utf-8")
    marked = re.findall(r"^# ([A-Z]): [^\n]*\n(?:# [^\n]*\n)*\[(\w+)", text, re.MULTILINE)
    assert {name for _, name in marked} == tomllib.loads(text).keys() - {"marks"}
    assert {mark for mark, _ in marked} <= set(paper.MARKS)
    assert list(paper.TABLE_1) == list(paper.TABLE_1_NAMES) == list(paper.TABLE_1_WANTED) and len(paper.TABLE_1) == 11
    for metric, row in paper.TABLE_1.items():
        low = -1 if metric.startswith("autocorrelation") else 0
        assert list(row) == ["prior", "q", "psi", "g"] and all(low <= value <= 1 for value in row.values())
    assert paper.TABLE_1["in_repeated_motif"]["prior"] == pytest.approx(0.007 / 100)


def test_the_digitised_means_follow_from_the_points() -> None:
    """Protects the two constants against drifting apart."""
    points = paper.FIGURE_2A
    assert len(points) == 113 and points["environment_steps"].max() == 2_900_000
    late = points[points["environment_steps"] >= 500_000].groupby("method")["log_p"].mean()
    assert late.to_dict() == pytest.approx(paper.FIGURE_2A_MEANS, abs=0.005)


def test_methods_have_one_order_and_one_of_yours_comes_last() -> None:
    """Protects the order of every table and figure."""
    assert paper.methods_in(["rl_only", "g", "g", "prior"]) == ["prior", "g", "rl_only"]
    assert paper.methods_in(["ppo", "q", "a"]) == ["q", "a", "ppo"]  # a method of yours
    names = [paper.method_name(method, {"prior": "mine"}) for method in ("prior", "psi", "ppo")]
    assert names == ["mine", "Psi", "ppo"]
