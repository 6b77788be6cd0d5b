"""From a claim and a table of results to a verdict; the ledger of all verdicts; how people read it; an alarm.

*Reproduced*: the number of every seed passes the threshold, and the 95 % interval of their mean lies inside it.
*Partly*: more than half of the seeds pass; no more is said of a number of the paper that nobody has checked.
"""

import html
import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from repro.book.claims import CLAIMS, Claim
from repro.book.tables import mean_interval

ORDER = ("reproduced", "partly", "not reproduced", "fitted, no verdict", "cannot be tested", "not tested here")
REPRODUCED, PARTLY, NOT_REPRODUCED, FITTED, UNTESTABLE, NOT_TESTED = ORDER  # the last two are followed by ": why"
# With which commit thresholds came, before their reported seeds were first run or, if `after_runs`, first judged. The
# interval's part of the rule came last; it can only lower a verdict.
RULES_COMMITS = {
    "music": "db5d189 Rules, measures, corpus, KL-control and its training loop",
    "molecules": "87d6ba5 Molecules: corpus, dueling form, episodes that end, experiments and the rules of their "
    "verdicts; MIDI and SMILES files of one's own; the exact optimum",
    "ledger": "f8f5754 The rules of the verdicts: what is judged, by which threshold, over music, molecules and exact "
    "problems",
}
HERE = jinja2.FileSystemLoader(Path(__file__).parent)
TEMPLATES = jinja2.Environment(loader=HERE, autoescape=True, trim_blocks=True, lstrip_blocks=True)
Entry = Mapping[str, Any]  # one claim with its verdict: what claims.json lists


def ledger(table: pd.DataFrame, c: float, notebook: str = "") -> pd.DataFrame:
    """The verdicts at one c on the claims (of one notebook) about the experiments of a table, one row per claim."""
    there = set(table["experiment"])
    domains = {claim.domain for claim in CLAIMS if claim.experiment in there}
    chosen = [claim for claim in CLAIMS if notebook in ("", claim.notebook) and claim.domain in domains]
    return pd.DataFrame([judge(one, table, c) for one in chosen if one.untestable or one.experiment in there])


def judge(claim: Claim, table: pd.DataFrame, c: float) -> dict[str, Any]:
    """One entry of the ledger: our mean and its 95 % interval over seeds, our means in words, the rule, the verdict."""
    table, numbers, levels = table[table["experiment"] == claim.experiment], [], ""
    verdict = f"{UNTESTABLE}: {claim.untestable}"
    try:
        numbers = _numbers(claim, table, c)
    except KeyError as missing:
        verdict = f"{NOT_TESTED}: {missing.args[0]}"
    mean, low, high = mean_interval(numbers) if numbers and not math.isnan(sum(numbers)) else (math.nan,) * 3
    if numbers:
        passed = [claim.margin(number) >= 0 for number in numbers]
        few = math.isnan(mean) or sum(passed) <= len(passed) / 2  # NaN: a share of nothing
        inside = all(passed) and claim.margin(low) >= 0 and claim.margin(high) >= 0
        same = claim.at_least == low == 0 or claim.at_most == high == 0  # "more" or "less" that touches "the same"
        sure = inside and not same and claim.trust != "U"
        verdict = FITTED if claim.fitted else NOT_REPRODUCED if few else REPRODUCED if sure else PARTLY
    if claim.quantity and not math.isnan(mean):
        rows = table[(table["metric"] == claim.metric) & ((table["c"] == c) | (table["method"] == "prior"))]
        means = {"ours": mean, **rows.groupby("method")["value"].mean()}
        texts = {name: number(value, claim.unit) for name, value in means.items()}
        with suppress(KeyError):  # a method of the sentence was not run; shares side by side share a percent sign
            levels = re.sub(r" %(?= /| \[|,|\])", "", claim.quantity.levels.format_map(texts))
    return {
        "id": claim.id, "domain": claim.domain, "experiment": claim.experiment if claim.quantity else "",
        "sentence": claim.sentence, "source": claim.source, "paper": claim.paper, "paper_trust": claim.trust,
        "ours": mean, "low": low, "high": high, "unit": claim.unit, "levels": levels, "seeds": len(numbers),
        "rule": claim.rule, "rules_commit": RULES_COMMITS[claim.rules], "rule_before_runs": not claim.after_runs,
        "verdict": verdict, "notebook": claim.notebook,
    }  # fmt: skip


def _numbers(claim: Claim, table: pd.DataFrame, main_c: float) -> list[float]:
    """The claim's number in every seed (that has both c, if the claim needs two); a KeyError says what is missing."""
    if claim.quantity is None:
        return []
    if table.empty:
        raise KeyError(f"there are no results of the experiment {claim.experiment}")
    values = (
        table.fillna({"c": 0}).set_index(["method", "c", "seed", "metric"])["value"].to_dict()
    )  # the prior has no c

    def of(seed: int, method: str, metric: str = claim.metric, c: float = main_c) -> float:
        key = (method, 0, 0, metric) if method == "prior" else (method, c, seed, metric)
        if key in values:
            return values[key]
        if not any(known[:2] == key[:2] for known in values):
            raise KeyError(f"{method} was not run" + ("" if method == "prior" else f" at c = {c:g}"))
        where = f" in seed {key[2]}" if any(known[3] == metric for known in values) else ""
        raise KeyError(f"{metric} of {method} was not measured{where}")

    both_c = main_c, claim.second_c or main_c
    tuned = [{seed for method, at, seed, _ in values if method != "prior" and at == c} for c in both_c]
    seeds = {0} if claim.fitted else set.intersection(*tuned)  # fitted: about the prior alone
    if not seeds:
        raise KeyError(f"any tuned model was not run at c = {both_c[1]:g}")
    return [claim.quantity.number(partial(of, seed)) for seed in sorted(seeds)]


def assemble(results: Path, at: Mapping[str, float]) -> list[dict[str, Any]]:
    """All entries of claims.json, with runs and comments, from a results folder; `at` holds c by domain."""
    paths = {name: results / "tables" / f"{name}.csv" for name in (*at, "trained_prior")}
    nothing = pd.DataFrame(columns=["experiment", "variant", "metric", "value"])
    tables = {name: pd.read_csv(path) if path.exists() else nothing for name, path in paths.items()}
    runs = json.loads((results / "runs.json").read_bytes()) if (results / "runs.json").exists() else {}
    trained = tables["trained_prior"].query("metric == 'not_in_key' and variant != 'prior fixed'")["value"] * 100
    of_g = (
        f"with a prior that is trained along with G, as in the authors' code, {trained.min():.1f} to "
        f"{trained.max():.1f} % of the notes are out of key, {trained.mean():.1f} % on average of {len(trained)} runs"
    )
    entries = [judge(claim, tables[claim.domain], at[claim.domain]) for claim in CLAIMS]
    for entry in entries:
        experiment = entry["experiment"] if entry["seeds"] else None
        entry["runs"] = [key for key, run in sorted(runs.items()) if experiment in run["experiments"]]
        entry["comment"] = of_g if entry["id"].endswith("g_poor") and len(trained) else ""
    return entries


def collapsed(metrics: Mapping[str, float], of_prior: Mapping[str, float], method: str) -> str:
    """Why a run counts as collapsed, or "": metrics are its measures or a row of its curve; wide thresholds of ours."""
    both, reasons = (metrics, of_prior), ["writes nothing valid"] if metrics.get("valid") == 0 else []
    distinct, before = (row.get("unique_10k", row.get("unique", math.nan)) for row in both)  # NaN is not judged
    if distinct < 0.5 * before:  # most samples are repetitions
        reasons.append(f"repeats itself: {distinct:.1%} distinct, the prior {before:.1%}")
    entropy, before = (row.get("entropy", math.nan) for row in both)
    if entropy < 0.1 * before:  # nearly every token is decided before it is drawn
        reasons.append(f"hardly varies: {entropy / before:.1%} of the prior's entropy")
    by_j = method != "rl_only" and all("objective" in row for row in both)  # RL only is after the reward alone
    reached, before = (row.get("objective" if by_j else "task_reward", math.nan) for row in both)
    if reached < before - 0.1 * abs(before):  # more than the noise of an evaluation
        reasons.append(f"worse than no tuning: {'J' if by_j else 'reward'} {reached:.1f}, the prior {before:.1f}")
    return "; ".join(reasons)


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Every tuned run of a long table that measured variety; entropy as a share of the prior's, alarm: `collapsed`."""
    names, tuned, rows = ["experiment", "method", "c", "seed"], table["method"] != "prior", []
    priors = {name: run.set_index("metric")["value"].to_dict() for name, run in table[~tuned].groupby("experiment")}
    for run, measured in table[tuned].groupby(names, sort=False):
        metrics, of_prior = measured.set_index("metric")["value"].to_dict(), priors.get(run[0], {})
        if {"unique", "unique_10k", "entropy"} & metrics.keys():
            distinct = metrics.get("unique_10k", metrics.get("unique", math.nan))
            entropy = metrics.get("entropy", math.nan) / of_prior.get("entropy", math.nan)
            rows.append((*run, distinct, entropy, collapsed(metrics, of_prior, run[1])))
    return pd.DataFrame(rows, columns=[*names, "distinct", "entropy", "alarm"])


GROUPS = {
    "Music, from folk tunes as notated": ("as_notated", "forgetting", ""),
    "Music, from a corpus with the statistics of the paper's": ("rebuilt",),
    "Molecules": ("terminal",),
    "Problems small enough to write out in full": ("exact",),
}
COLUMNS = ("the paper says", "verdict", "paper", "ours", "tested: our number, mean over seeds [95 % interval]")
NOTE = (
    "†: the threshold was set after runs of this experiment had been seen. Unverified: recalled, not checked against "
    "the document, so that only the direction is judged. a -> b / c: the prior, then the tuned models."
)


def read_ledger(results: Path) -> list[dict[str, Any]]:
    """The entries of RESULTS/claims.json, NaN for a missing number; none where there is no ledger."""
    entries = json.loads((results / "claims.json").read_bytes()) if (results / "claims.json").exists() else []
    return [{key: math.nan if value is None else value for key, value in entry.items()} for entry in entries]


def short(verdict: str) -> str:
    """A verdict without its reason."""
    return verdict.partition(":")[0]


def grouped(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The entries by group of GROUPS, in the order of the ledger; groups without entries are left out."""
    groups = {name: [entry for entry in entries if entry["experiment"] in those] for name, those in GROUPS.items()}
    return {name: group for name, group in groups.items() if group}


def counts(entries: Iterable[Entry]) -> str:
    """How often each verdict occurs, in words."""
    found = [short(entry["verdict"]) for entry in entries]
    return ", ".join(f"{found.count(verdict)} {verdict}" for verdict in ORDER if verdict in found)


def number(value: float, unit: str = "") -> str:
    """One value as text: percent with the decimals that it needs, or three significant digits."""
    if unit != "%":
        return f"{value:g}" if float(value).is_integer() else f"{value:.3g}" if abs(value) >= 100 else f"{value:#.3g}"
    percent = abs(100 * value)
    return f"{100 * value:.{1 if percent == 0 or percent >= 1 else 2 if percent >= 0.01 else 4}f} %"


def estimate(entry: Entry) -> str:
    """An entry's number with its interval: 1.80 [1.77, 1.83]; nothing where there is none."""
    mean, low, high = (number(entry[key], entry["unit"]).removesuffix(" %") for key in ("ours", "low", "high"))
    text = mean if math.isnan(entry["low"]) else f"{mean} [{low}, {high}]"
    return "" if math.isnan(entry["ours"]) else f"{text} {entry['unit']}".strip()


def cells(entry: Entry) -> tuple[str, ...]:
    """One entry's texts under COLUMNS."""
    quantity, _, threshold = entry["rule"].rpartition(": ")
    mark, ours = "" if entry["rule_before_runs"] else " †", estimate(entry)
    tested = f"{quantity}: {ours}; {threshold}{mark}" if quantity and ours else entry["rule"]
    verdict = entry["verdict"] + (f" ({entry['comment']})" if entry.get("comment") else "")
    paper = entry["paper"] + (" (unverified)" if entry["paper_trust"] == "U" else "")
    return entry["sentence"], verdict, paper, entry["levels"], tested


def as_text(entries: Sequence[Entry]) -> str:
    """The ledger for a terminal: a line of counts per group and one per claim, its texts cut to 28 characters."""
    lines, head = [], ("id", "verdict", "ours", "paper")
    for name, group in grouped(entries).items():
        rows = [(one["id"], short(one["verdict"]), one["levels"] or estimate(one), cells(one)[2]) for one in group]
        table = [[f"{textwrap.shorten(text, 28, placeholder='...'):28}" for text in row] for row in (head, *rows)]
        lines += ["", f"{name}: {counts(group)}", *("  ".join(row).rstrip() for row in table)]
    return "\n".join(lines).strip()


def as_markdown(entries: Sequence[Entry]) -> str:
    """The ledger for README.md: a line of counts and a table per group, the first of them open."""
    parts = [f"{len(entries)} rows: {counts(entries)}. {NOTE}"]
    for name, group in grouped(entries).items():
        summary = f"<details{'' if parts[1:] else ' open'}>\n<summary><b>{name}</b>: {counts(group)}</summary>\n"
        escaped = ([html.escape(cell, quote=False).replace("|", "\\|") for cell in cells(entry)] for entry in group)
        rows = [f"| {' | '.join(row)} |".replace("-&gt;", "→") for row in (COLUMNS, *escaped)]
        parts.append("\n".join([summary, rows[0], "|---" * len(COLUMNS) + "|", *rows[1:], "\n</details>"]))
    return "\n".join(parts)


def as_html(entries: Sequence[Entry]) -> str:
    """The ledger for a notebook and for the report: a table per group, all text escaped."""
    shown = {"groups": grouped(entries), "columns": COLUMNS, "cells": cells, "short": short, "counts": counts}
    return TEMPLATES.get_template("ledger.html.jinja").render(shown)


def with_numbers(text: str, entries: Iterable[Entry]) -> str:
    """Prose whose tags, as <!-- claim tonic ours -->82.5 %<!-- / -->, say what the ledger says; KeyError if unknown."""
    texts = {row["id"]: {**row, "ours": estimate({**row, "low": math.nan})} for row in entries}
    tag = r"(<!-- claim (\w+) (\w+) -->).*?(<!-- / -->)"
    return re.sub(tag, lambda found: found[1] + str(texts[found[2]][found[3]]).replace("->", "→") + found[4], text)
