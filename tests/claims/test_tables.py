"""The ledger as people read it: every table shows the same rows, escaped."""

from __future__ import annotations

from typing import Any

import pytest

from repro.claims import tables as verdict_tables

ROW: dict[str, Any] = {
    "id": "tonic", "domain": "music", "experiment": "as_notated", "sentence": "more tonic | <b>",
    "paper": ".9 % -> 29 %", "paper_trust": "U", "ours": 0.8252, "low": 0.82, "high": 0.83, "unit": "%",
    "levels": "1.3 % -> 84.0 / 84.1 %",
    "seeds": 5, "rule": "gain over the Note RNN: at least 10 % in every seed", "rule_before_runs": False,
    "verdict": "partly", "comment": "",
}  # fmt: skip
REFUSED = ROW | {
    "id": "heard", "domain": "molecules", "experiment": "terminal", "ours": None, "low": None, "high": None,
    "levels": "", "verdict": "cannot be tested: it needs listeners", "rule": "no test",
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8252, "%", "82.5 %"), (0.00123, "%", "0.12 %"), (0.0000076, "%", "0.0008 %"), (0.0, "%", "0.0 %"),
        (9.0, "", "9"), (-2.5, "", "-2.50"), (0.0164, "", "0.0164"), (105.97, "", "106"),
    ],
)  # fmt: skip
def test_numbers_keep_three_digits(value: float, unit: str, text: str) -> None:
    """Protects readers from digits that mean nothing, and from a small share that prints as zero."""
    assert verdict_tables.number(value, unit) == text


def test_estimates() -> None:
    """Protects what stands for a number: its interval where there is one, nothing where there is no number."""
    assert verdict_tables.estimate(ROW) == "82.5 [82.0, 83.0] %"
    assert verdict_tables.estimate(ROW | {"low": None, "high": None}) == "82.5 %"
    assert verdict_tables.estimate(REFUSED) == ""


def test_tables_say_the_same() -> None:
    """Protects the terminal, README.md and the report from different verdicts; text from users is escaped."""
    text, markdown, html = (
        show([ROW, REFUSED])
        for show in (verdict_tables.as_text, verdict_tables.as_markdown, verdict_tables.as_html)
    )  # fmt: skip
    assert [line.split()[:2] for line in text.splitlines() if line.startswith(("tonic", "heard"))] == [
        ["tonic", "partly"],
        ["heard", "cannot"],
    ]
    assert max(map(len, text.splitlines())) <= 120
    assert "| more tonic \\| &lt;b&gt; | partly | .9 % → 29 % (unverified) | 1.3 % → 84.0 / 84.1 % |" in markdown
    assert "gain over the Note RNN: 82.5 [82.0, 83.0] %; at least 10 % in every seed †" in markdown
    assert "more tonic | &lt;b&gt;" in html and '<b class="partly">partly</b>' in html
    assert "cannot be tested</b>: it needs listeners" in html
    for shown in (markdown, html):
        assert shown.count("1 partly") == shown.count("1 cannot be tested") >= 1


def test_tagged_numbers_in_prose() -> None:
    """Protects sentences: a tagged number is the ledger's, and a tag without a claim is an error."""
    tagged = "x <!-- claim tonic ours -->9 %<!-- / -->, <!-- claim tonic verdict --><!-- / --> y"
    assert verdict_tables.with_numbers(tagged, [ROW]) == (
        "x <!-- claim tonic ours -->82.5 %<!-- / -->, <!-- claim tonic verdict -->partly<!-- / --> y"
    )
    with pytest.raises(KeyError):
        verdict_tables.with_numbers(tagged.replace("tonic", "toxic"), [ROW])
