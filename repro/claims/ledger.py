"""The whole ledger, put together in one place from the tables and the finished runs of a results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from repro import molecule_settings, settings
from repro.claims.exact import EXACT
from repro.claims.molecules import MOLECULES
from repro.claims.music import MUSIC
from repro.claims.verdicts import Claim, judge
from repro.experiments import exact as exact_experiments
from repro.stats import mean_interval

CLAIMS: tuple[Claim, ...] = (*MUSIC, *MOLECULES, *EXACT)
COLUMNS = ["experiment", "method", "c", "seed", "metric", "value"]


def assemble(results: Path, at: Mapping[str, float], claims: Sequence[Claim] = CLAIMS) -> list[dict[str, Any]]:
    """Every claim with its verdict, from what a results folder holds; a claim whose inputs are missing says so.

    Args:
        results: a folder with tables/DOMAIN.csv and runs.json.
        at: by domain, the c at which its claims are judged, as `temperatures` returns it.
        claims: what to judge.

    Returns:
        The rows of claims.json, in the order of the claims: those of `repro.claims.verdicts.judge`, runs (the digests
        of the experiment's finished runs) and comment.
    """
    tables = {domain: read_table(results, domain) for domain in at}
    digests = read_digests(results)
    comments = {id_: _of_trained_prior(results) for id_ in ("g_poor", "rebuilt_g_poor")}
    rows = []
    for claim in claims:
        table = tables[claim.domain]
        row = judge(claim, table[table["experiment"] == claim.experiment], at[claim.domain])
        runs = digests.get(claim.experiment, []) if row["seeds"] else []
        rows.append(row | {"runs": runs, "comment": comments.get(claim.id, "")})
    return rows


def temperatures(preset: str | None = None, c: object = None) -> dict[str, float]:
    """By domain, the c at which its claims are judged: that of the preset's figures, or for music the one given."""
    molecules = molecule_settings.molecule_study(preset)
    return {
        "music": settings.study(preset, c=c).main_c,
        "molecules": molecules.temperature,
        "exact": exact_experiments.C,
    }


def read_table(results: Path, domain: str) -> pd.DataFrame:
    """A domain's long table; without a row where there is none."""
    path = results / "tables" / f"{domain}.csv"
    if not path.exists():
        return pd.DataFrame({column: [] for column in COLUMNS})
    return pd.read_csv(path)[COLUMNS]


def read_digests(results: Path) -> dict[str, list[str]]:
    """The digests of the finished runs by experiment, from runs.json."""
    path = results / "runs.json"
    found: dict[str, list[str]] = {}
    for digest, run in sorted(json.loads(path.read_text(encoding="utf-8")).items() if path.exists() else ()):
        for experiment in run["experiments"]:
            found.setdefault(experiment, []).append(digest)
    return found


def _of_trained_prior(results: Path) -> str:
    """What G does when its prior is trained along, as in the authors' code; see notebook 14."""
    path = results / "tables" / "trained_prior.csv"
    if not path.exists():
        return ""
    table = pd.read_csv(path)
    out = table[table["metric"] == "not_in_key"].set_index("variant")["value"]
    trained = out[out.index != "prior fixed"]
    if trained.empty:
        return ""
    mean, _, _ = mean_interval(list(trained))
    return (
        f"with a prior that is trained along with G, as in the authors' code, {100 * trained.min():.1f} to "
        f"{100 * trained.max():.1f} % of the notes are out of key, {100 * mean:.1f} % on average of {len(trained)} runs"
    )
