"""The ledger as people read it: in the terminal, in README.md, in a notebook, in the report. Standard library only.

All of them show the rows of claims.json and nothing else.
"""

from __future__ import annotations

import html
import json
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]  # one entry of claims.json

ORDER = ("reproduced", "partly", "not reproduced", "fitted, no verdict", "cannot be tested", "not tested here")
GROUPS = {
    "Music, from folk tunes as notated": ("music", ("as_notated", "forgetting", "")),
    "Music, from a corpus with the statistics of the paper's": ("music", ("rebuilt",)),
    "Molecules": ("molecules", ("terminal",)),
    "Problems small enough to write out in full": ("exact", ("exact",)),
}
COLUMNS = ("the paper says", "verdict", "paper", "ours", "tested: our number, mean over seeds [95 % interval]")
AFTER_RUNS = "†"  # marks rows whose threshold came after their runs
NOTE = (
    f"{AFTER_RUNS}: the threshold was set after runs of this experiment had been seen. Unverified: recalled, not "
    "checked against the document, so that only the direction is judged. a -> b / c: the prior, then the tuned models."
)


def read(results: Path) -> list[dict[str, Any]]:
    """The rows of RESULTS/claims.json; none where there is no ledger."""
    path = results / "claims.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def short(verdict: str) -> str:
    """A verdict without its reason."""
    return verdict.partition(":")[0]


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows by group, in the order of the ledger; groups without rows are left out."""
    rows = list(rows)
    members = {
        name: [row for row in rows if row["domain"] == domain and row["experiment"] in experiments]
        for name, (domain, experiments) in GROUPS.items()
    }
    return {name: group for name, group in members.items() if group}


def counts(rows: Iterable[Row]) -> str:
    """How often each verdict occurs, in words."""
    found = Counter(short(row["verdict"]) for row in rows)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in ORDER if found[verdict])


def number(value: float, unit: str = "") -> str:
    """One value as text: percent with the decimals that it needs, or three significant digits."""
    if unit != "%":
        return f"{value:g}" if float(value).is_integer() else f"{value:.3g}" if abs(value) >= 100 else f"{value:#.3g}"
    percent = abs(100 * value)
    decimals = 1 if percent == 0 or percent >= 1 else 2 if percent >= 0.01 else 4
    return f"{100 * value:.{decimals}f} %"


def estimate(row: Row) -> str:
    """A row's number with its interval: 1.80 [1.77, 1.83]; nothing where there is none."""
    ours, low, high = (math.nan if row[key] is None else row[key] for key in ("ours", "low", "high"))
    if math.isnan(ours):
        return ""
    if math.isnan(low):
        return number(ours, row["unit"])
    mean, *bounds = (number(value, row["unit"]).removesuffix(" %") for value in (ours, low, high))
    return f"{mean} [{', '.join(bounds)}] {row['unit']}".strip()


def compact(text: str) -> str:
    """Shares side by side under one percent sign: "95.3, 98.6 %"."""
    return re.sub(r" %(?= /| \[|,|\])", "", text)


def paper(row: Row) -> str:
    """The paper's numbers, with a warning where nobody has checked them."""
    return row["paper"] + (" (unverified)" if row["paper_trust"] == "U" else "")


def cells(row: Row) -> tuple[str, ...]:
    """One row's texts under COLUMNS."""
    quantity, _, threshold = row["rule"].rpartition(": ")
    mark = "" if row["rule_before_runs"] else f" {AFTER_RUNS}"
    tested = f"{quantity}: {estimate(row)}; {threshold}{mark}" if quantity and estimate(row) else row["rule"]
    verdict = row["verdict"] + (f" ({row['comment']})" if row.get("comment") else "")
    return row["sentence"], verdict, paper(row), row["levels"], tested


def as_text(rows: Sequence[Row], width: int = 30) -> str:
    """The ledger for a terminal: id, verdict, ours, paper, in aligned columns of at most `width` characters."""
    lines = []
    for name, group in grouped(rows).items():
        body = [(row["id"], short(row["verdict"]), row["levels"] or estimate(row), paper(row)) for row in group]
        table = [tuple(textwrap.shorten(cell, width, placeholder="...") for cell in line) for line in body]
        table.insert(0, ("id", "verdict", "ours", "paper"))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["", f"{name}: {counts(group)}"]
        lines += ["  ".join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join(lines).strip()


def as_markdown(rows: Sequence[Row]) -> str:
    """The ledger for README.md: a line of counts and a table a group, the first of them open."""
    parts = [f"{len(rows)} rows: {counts(rows)}. {NOTE}"]
    for index, (name, group) in enumerate(grouped(rows).items()):
        opened = " open" if index == 0 else ""
        parts.append(f"<details{opened}>\n<summary><b>{name}</b>: {counts(group)}</summary>\n")
        parts.append("\n".join([
            f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|",
            *(f"| {' | '.join(_escaped(cell) for cell in cells(row))} |" for row in group),
        ]) + "\n\n</details>")  # fmt: skip
    return "\n".join(parts)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("-&gt;", "→")


def as_html(rows: Sequence[Row]) -> str:
    """The ledger for a notebook and for the report: a table a group, all text escaped."""
    parts = []
    for name, group in grouped(rows).items():
        head = "".join(f"<th>{html.escape(column)}</th>" for column in COLUMNS)
        body = "".join(_html_line(row) for row in group)
        parts.append(
            f"<h3>{html.escape(name)}</h3><p>{counts(group)}</p>"
            f'<div class="wide"><table class="verdicts"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    return "\n".join(parts)


def _html_line(row: Row) -> str:
    sentence, verdict, *rest = (html.escape(cell).replace("-&gt;", "→") for cell in cells(row))
    word = html.escape(short(row["verdict"]))
    kind = word.replace(",", "").replace(" ", "-")
    verdict = f'<b class="{kind}">{word}</b>{verdict.removeprefix(word)}'
    texts = zip(COLUMNS[1:], (verdict, *rest), strict=True)
    labelled = "".join(f'<td data-label="{column.partition(":")[0]}">{text}</td>' for column, text in texts)
    return f'<tr id="{html.escape(row["id"])}"><td>{sentence}</td>{labelled}</tr>'


TAGGED = re.compile(r"<!-- claim (\w+) (\w+) -->(.*?)<!-- / -->")


def with_numbers(text: str, rows: Iterable[Row]) -> str:
    """Prose whose tagged numbers are those of the ledger: <!-- claim tonic ours -->82.5 %<!-- / -->.

    The second word is ours (the mean), interval, levels, seeds or verdict.

    Raises:
        KeyError: a tag names a claim or a field that does not exist.
    """
    by_id = {row["id"]: row for row in rows}

    def filled(match: re.Match[str]) -> str:
        row = by_id[match[1]]
        texts = {
            "ours": number(row["ours"], row["unit"]) if row["ours"] is not None else "",
            "interval": estimate(row), "levels": row["levels"].replace("->", "→"), "seeds": str(row["seeds"]),
            "verdict": row["verdict"],
        }  # fmt: skip
        return f"<!-- claim {match[1]} {match[2]} -->{texts[match[2]]}<!-- / -->"

    return TAGGED.sub(filled, text)
