"""The ledger of all verdicts, which come from `repro.book.claims`; how people read it."""

import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from pandas.io.formats.style import Styler

from repro import store
from repro.book.claims import CLAIMS, LEDGER, ORDER, judge
from repro.book.paper import METHOD_NAMES, methods_in
from repro.book.tables import number

HERE = jinja2.FileSystemLoader(Path(__file__).parent)
TEMPLATES = jinja2.Environment(loader=HERE, autoescape=True, trim_blocks=True, lstrip_blocks=True)
RUN = ("experiment", "method", "c", "seed")  # what names a run in a table
Entry = Mapping[str, Any]  # one claim with its verdict: what claims.json lists
COLUMNS: list[str] = LEDGER["columns"]
NOTE: str = LEDGER["note"]
GROUPS: dict[str, list[str]] = LEDGER["groups"]


def ledger(table: pd.DataFrame, c: float, notebook: str = "") -> pd.DataFrame:
    """The verdicts at one c on the claims (of one notebook) about the experiments of a table, one row per claim."""
    there = set(table["experiment"])
    domains = {claim.domain for claim in CLAIMS if claim.experiment in there}
    chosen = [claim for claim in CLAIMS if notebook in ("", claim.notebook) and claim.domain in domains]
    return pd.DataFrame([judge(one, table, c) for one in chosen if one.untestable or one.experiment in there])


def read_table(results: Path, name: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """A table of the folder that has the columns `by`, or none of its rows."""
    empty = pd.DataFrame(columns=[*RUN, "metric", "value", "variant", "form", "gamma"])
    types = {"c": float, "seed": int, "value": float}  # anything else there is damage, as is a row without its metric
    return store.results_in(
        results / "tables" / f"{name}.csv", empty,
        lambda table: {*by} <= {*table} and ("form" in table or {"metric", "value"} <= {*table}
        and table["metric"].notna().all() and table.columns[0] in (RUN[0], "variant", "problem")),
        lambda content: pd.read_csv(io.BytesIO(content), dtype=types),
    )  # fmt: skip


def read_ledger(results: Path) -> list[dict[str, Any]]:
    """The entries of RESULTS/claims.json, NaN for a missing number; none where there is no ledger."""
    return store.results_in(
        results / "claims.json", [],
        lambda rows: counts(rows) != "" and all("".join([row["id"], row["experiment"], *cells(row)]) for row in rows),
        partial(json.loads, object_hook=lambda read: {key: math.nan if x is None else x for key, x in read.items()}),
    )  # fmt: skip


def read_runs(results: Path) -> dict[str, dict[str, Any]]:
    """RESULTS/runs.json: the numbers of all runs by key; none where there are no runs."""
    return store.results_in(results / "runs.json", {}, lambda runs: all("experiments" in run for run in runs.values()))


def short(verdict: str) -> str:
    """A verdict without its reason."""
    return verdict.partition(":")[0]


def grouped(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The entries by group of GROUPS, in the order of the ledger; groups without entries are left out."""
    groups = {name: [entry for entry in entries if entry["experiment"] in those] for name, those in GROUPS.items()}
    return {name: group for name, group in groups.items() if group}


def counts(entries: Iterable[Entry]) -> str:
    """How many sentences the rows say, each once, and how often each verdict occurs, in words."""
    rows = list(entries)
    said = {row["says"] for row in rows}
    theirs = {row["says"] for row in rows if row["source"] != "ours"}
    about = f"sentence{'s' * (len(said) != 1)}" + (f", {len(said - theirs)} of them ours" if said - theirs else "")
    found = [short(row["verdict"]) for row in rows]
    verdicts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in ORDER if verdict in found)
    return f"{len(rows)} row{'s' * (len(rows) != 1)} on {len(said)} {about}: {verdicts}"


def estimate(entry: Entry) -> str:
    """An entry's number with its interval: 1.80 [1.77, 1.83]; nothing where there is none."""
    if math.isnan(entry["ours"]):
        return ""
    unit = entry["unit"]
    mean, low, high = (number(entry[key], unit).removesuffix(f" {unit}") for key in ("ours", "low", "high"))
    interval = "" if math.isnan(entry["low"]) else f" [{low}, {high}]"
    return f"{mean}{interval} {unit}".strip()  # no unit: no space either


def remarks(entry: Entry) -> str:
    """What stands in brackets after a verdict: the verdict before, fresh seeds, who passes too, a comment."""
    before, fresh, unit, parts = entry["before"], entry["confirmed"], entry["unit"], list[str]()
    if before:
        parts.append(f"before: {before['verdict']}, {number(before['ours'], unit)}")
    if fresh:
        parts.append(f"on {fresh['seeds']:g} fresh seeds: {fresh['verdict']}, {estimate({'unit': unit, **fresh})}")
    parts += [LEDGER["passes"][method] for method in entry["passes_too"]]
    return "; ".join([*parts, *filter(None, [entry["comment"]])])


def predicted(entry: Entry) -> str:
    """Where one further seed of each method would lie, in words; "" where sizes are not judged."""
    unit = "%" if entry["unit"] == "points" else entry["unit"]
    ends = {method: [number(end, unit) for end in bounds] for method, bounds in entry["predicted"].items()}
    bounds = [f"{METHOD_NAMES[m]} {ends[m][0].removesuffix(f' {unit}')} to {ends[m][1]}" for m in methods_in(ends)]
    return f"; a further seed: {', '.join(bounds)}" if bounds else ""


def cells(entry: Entry) -> tuple[str, ...]:
    """One entry's texts under COLUMNS."""
    sentence = entry["sentence"] + (" (ours)" if entry["source"] == "ours" else "")
    remark = remarks(entry)
    verdict = entry["verdict"] + (" ‡" if entry["before"] else "") + (f" ({remark})" if remark else "")
    paper = entry["paper"] + (" (unverified)" if entry["paper_trust"] == "U" else "")
    if entry["predicted"]:
        paper += f"; size {entry['size']}"
    # `Claim.rule` puts a colon between quantity and threshold; our number goes between them
    quantity, _, threshold = entry["rule"].rpartition(": ")
    ours, tested = estimate(entry), entry["rule"]
    if quantity and ours:
        tested = f"{quantity}: {ours}; {threshold}" + ("" if entry["rule_before_runs"] else " †")
    return sentence, verdict, paper, entry["levels"], tested + predicted(entry)


def shown(rows: pd.DataFrame) -> Styler:
    """Rows of `ledger` as a notebook shows them."""
    texts = pd.DataFrame([cells(entry) for entry in rows.to_dict("records")], columns=COLUMNS)
    return texts.style.hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})


def rendered(template: str, entries: Sequence[Entry], **more: Any) -> str:
    """The ledger, a table per group, in one of the templates, which escape all text."""
    own = {"entries": entries, "groups": grouped(entries), "columns": COLUMNS, "note": NOTE}
    functions = {"cells": cells, "short": short, "counts": counts}
    return TEMPLATES.get_template(f"{template}.jinja").render(own | functions | more)


def with_numbers(text: str, entries: Iterable[Entry]) -> str:
    """Prose whose tags, as <!-- claim tonic ours -->82.5 %<!-- / -->, say what the ledger says; KeyError if unknown."""
    rows = list(entries)
    texts = {row["id"]: {**row, "ours": estimate({**row, "low": math.nan})} for row in rows}  # without its interval
    texts["ledger"] = {"counts": counts(rows)}

    def renewed(tag: re.Match[str]) -> str:
        begins, claim, field, ends = tag.groups()
        return begins + str(texts[claim][field]).replace("->", "→") + ends

    return re.sub(r"(<!-- claim (\w+) (\w+) -->).*?(<!-- / -->)", renewed, text)
