"""What is exact, and where learning ended, as tables: what the notebook on exact optima shows and writes.

Nothing here learns: exact values come from `repro.exact`, finished runs from `repro.experiments.exact`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from repro.exact import Enumerable, Exact, Table
from repro.experiments.exact import DOMAINS, C, ExactStudy, exact, policy, settings

RESULT = ["experiment", "method", "c", "seed", "metric", "value"]


def described(c: float = C) -> pd.DataFrame:
    """The domains in numbers: sequences, those of the optimum that matter (exp entropy), KL, log Z and rewards."""
    rows = []
    for domain in DOMAINS:
        truth = exact(domain, c)
        reward = c * truth.along(truth.reward)
        start, optimum = truth.along(truth.log_prior), truth.log_optimum
        rows.append({
            "domain": domain.name,
            "sequences": len(truth.sequences),
            "effective under p*": float(torch.exp(-(optimum.exp() * optimum).sum())),
            "KL(prior || p*)": truth.kl_to_optimum(truth.log_prior),
            "log Z": truth.log_z,
            "J of the prior": truth.objective(truth.log_prior),
            "reward of the prior": float((start.exp() * reward).sum()),
            "reward of the optimum": float((optimum.exp() * reward).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def random_policies(truth: Exact, count: int) -> list[Table]:
    """Policies that nobody would want: normal logits, three nats wide, at every prefix."""
    generator = torch.Generator().manual_seed(0)
    return [
        [(3 * torch.randn(level.shape, generator=generator, dtype=torch.float64)).log_softmax(1) for level in table]
        for table in [truth.log_prior] * count
    ]


def identities(c: float = C, gammas: Sequence[float] = (0.0, 0.5, 0.95, 1.0), policies: int = 20) -> pd.DataFrame:
    """The equations of KL-control as numbers: a row an equation, a column a domain, each the largest deviation."""
    columns = {}
    for domain in DOMAINS:
        truth = exact(domain, c)
        # p(x) exp(r(x) / c) / Z, by its definition: a weight for every sequence, divided by their sum
        weights = (truth.along(truth.log_prior) + truth.along(truth.reward)).exp()
        of_g, of_policy = [], []
        for gamma in gammas:
            psi, g = truth.values("psi", gamma), truth.values("g", gamma)
            of_g.append(largest([a - p - b for a, p, b in zip(psi, truth.log_prior, g, strict=True)]))
            pairs = zip(truth.policy("psi", gamma), truth.policy("g", gamma), strict=True)
            of_policy.append(largest([a - b for a, b in pairs]))
        apart = [truth.objective(pi) - truth.log_z + truth.kl_to_optimum(pi) for pi in random_policies(truth, policies)]
        columns[domain.name] = {
            f"Psi* = log p + G*, \u03b3 {gammas[0]:g} to {gammas[-1]:g} (nats)": max(of_g),
            f"log \u03c0 of Psi* = log \u03c0 of G*, \u03b3 {gammas[0]:g} to {gammas[-1]:g} (nats)": max(of_policy),
            "\u03c0*(x) = p(x) exp(r/c) / Z": largest(
                [truth.along(truth.policy("psi")).exp() - weights / weights.sum()]
            ),
            f"J(\u03c0) = log Z - KL(\u03c0||p*), {policies} random policies (nats)": max(map(abs, apart)),
        }
    return pd.DataFrame(columns)


def temperatures(values: Sequence[float] = (0.25, 0.5, 1.0, 10.0, 100.0, 1e6)) -> pd.DataFrame:
    """What the temperature does: domain, c, largest |G*|, KL(prior || p*), log Z, the mean reward of the optimum."""
    rows = []
    for domain in DOMAINS:
        for c in values:
            truth = exact(domain, c)
            reward = float((truth.log_optimum.exp() * truth.along(truth.reward)).sum()) * c
            start = truth.kl_to_optimum(truth.log_prior)
            rows.append((domain.name, c, largest(truth.values("g")), start, truth.log_z, reward))
    return pd.DataFrame(rows, columns=["domain", "c", "largest |G*|", "KL(prior || p*)", "log Z", "reward of p*"])


def decision(domain: Enumerable, prefix: str, c: float = C) -> pd.DataFrame:
    """One choice in full: for every next token p, r / c, the value of what can follow, G*, Psi* and the best policy.

    Args:
        domain: one of DOMAINS.
        prefix: the tokens so far, in letters, none of which ends the sequence; fewer than the horizon.
        c: temperature.

    Raises:
        ValueError: a letter that is no token that goes on, or a prefix as long as a whole sequence.
    """
    truth = exact(domain, c)
    letters = domain.vocabulary[: truth.alive]
    if not set(prefix) <= set(letters) or len(prefix) >= domain.horizon:
        goal = f"fewer than {domain.horizon} letters of {' '.join(letters)}"
        raise ValueError(f"{prefix!r} is no beginning in {domain.name}: it has {goal}")
    level, place = len(prefix), 0
    for letter in prefix:
        place = truth.alive * place + letters.index(letter)
    log_prior, reward = truth.log_prior[level][place], truth.reward[level][place]
    g, psi = truth.values("g")[level][place], truth.values("psi")[level][place]
    columns = {
        "prior p": log_prior.exp(), "r / c": reward, "value of what follows": g - reward, "G*": g, "Psi*": psi,
        "best policy": truth.policy("psi")[level][place].exp(),
    }  # fmt: skip
    table = pd.DataFrame({name: column.numpy() for name, column in columns.items()}, index=list(domain.vocabulary))
    return table.rename(index=_without_dollar)


def discounts(c: float = C, gammas: Sequence[float] = tuple(np.linspace(0, 1, 41))) -> pd.DataFrame:
    """What each method converges to at each gamma, without learning: domain, method, gamma, kl, objective."""
    rows = []
    for domain in DOMAINS:
        truth = exact(domain, c)
        for method in ("q", "psi", "g", "rl_only"):
            for gamma in gammas:
                table = truth.policy(method, gamma)
                rows.append((domain.name, method, gamma, truth.kl_to_optimum(table), truth.objective(table)))
    return pd.DataFrame(rows, columns=["domain", "method", "gamma", "kl", "objective"])


def probabilities(plan: ExactStudy, methods: Sequence[str] = ("psi", "g")) -> pd.DataFrame:
    """Every sequence of every domain with its exact and its learned log-probability, of the first seed.

    Returns:
        domain, method, text, prior, exact, learned; the last three in nats.
    """
    parts = []
    for domain in DOMAINS:
        truth = exact(domain, plan.c)
        texts = [domain.text(sequence) for sequence in truth.sequences]
        for method in methods:
            chosen = settings("dueling", method, 1.0, plan)
            network = policy(domain, chosen, plan.seeds[0], with_weights=True).rnn()
            log_policy = truth.along(truth.policy_of(method, network))
            columns = {"prior": truth.along(truth.log_prior), "exact": truth.log_optimum, "learned": log_policy}
            numbers = {name: column.numpy() for name, column in columns.items()}
            parts.append(pd.DataFrame({"domain": domain.name, "method": method, "text": texts} | numbers))
    return pd.concat(parts, ignore_index=True)


def best(frame: pd.DataFrame, domain: str, c: float = C, count: int = 10) -> pd.DataFrame:
    """The most probable sequences of p*, with what everybody else thinks of them, in per cent.

    Args:
        frame: what `probabilities` returned.
        domain: name of a domain.
        c: temperature of what exact Q-learning would play.
        count: how many.

    Returns:
        text as the index, a dot for the end token; reward; in per cent prior, exact p*, learned ones, exact Q.
    """
    own = frame[frame["domain"] == domain]
    wide = own.pivot(index="text", columns="method", values="learned")
    one = own[own["method"] == own["method"].iloc[0]].set_index("text")
    truth = exact(next(known for known in DOMAINS if known.name == domain), c)
    texts = [truth.domain.text(sequence) for sequence in truth.sequences]  # type: ignore[attr-defined]
    reward = pd.Series(c * truth.along(truth.reward).numpy(), texts)
    hard = pd.Series(truth.along(truth.policy("q")).numpy(), texts)
    logs = {"prior": one["prior"], "exact p*": one["exact"]}
    logs |= {f"learned {method}": wide[method] for method in dict.fromkeys(own["method"])} | {"exact Q": hard}
    table = pd.DataFrame({"reward": reward} | {name: 100 * np.exp(column) for name, column in logs.items()})
    return table.sort_values("exact p*", ascending=False).head(count).rename(index=_without_dollar)


def final(curves: pd.DataFrame, c: float = C) -> pd.DataFrame:
    """Where the runs end: KL(pi || p*) in nats, its mean and extremes over seeds, and what exact values would have.

    Returns:
        domain, form, method, gamma, kl, lowest, highest, exact_limit, seeds.
    """
    last = curves[curves["step"] == curves["step"].max()]
    groups = last.groupby(["domain", "form", "method", "gamma"], sort=False)
    table = groups["kl"].agg(kl="mean", lowest="min", highest="max", seeds="count").reset_index()
    truths = {domain.name: exact(domain, c) for domain in DOMAINS}
    rows = zip(table["domain"], table["method"], table["gamma"], strict=True)
    limits = [truths[name].kl_to_optimum(truths[name].policy(method, gamma)) for name, method, gamma in rows]
    table.insert(7, "exact_limit", limits)
    return table


def results(plan: ExactStudy, curves: pd.DataFrame) -> pd.DataFrame:
    """Where the runs end, long: experiment, method, c, seed, metric, value; the prior has seed 0 and no c.

    The experiments exact_DOMAIN, and those with _plain or _gammaG behind it, hold kl_to_optimum and objective. `exact`
    holds what is judged: the larger KL of the domains, as kl, and in the plain form as kl_paper_form.
    """
    last = curves[curves["step"] == curves["step"].max()]
    start = []
    for domain in DOMAINS:
        truth = exact(domain, plan.c)
        numbers = truth.kl_to_optimum(truth.log_prior), truth.objective(truth.log_prior)
        start.append((domain.name, "dueling", "prior", 1.0, 0, *numbers))
    names = ["domain", "form", "method", "gamma", "seed", "kl", "objective"]
    rows = pd.concat([last[names], pd.DataFrame(start, columns=names)], ignore_index=True)
    rows["c"] = np.where(rows["method"] == "prior", np.nan, plan.c)
    worst = rows[rows["gamma"] == 1].groupby(["form", "method", "c", "seed"], dropna=False)["kl"].max().reset_index()
    worst["metric"] = np.where(worst["form"] == "plain", "kl_paper_form", "kl")
    judged = worst.rename(columns={"kl": "value"}).assign(experiment="exact")
    suffix = np.where(rows["form"] == "plain", "_plain", "")
    discounted = [f"_gamma{gamma:g}" if gamma < 1 else "" for gamma in rows["gamma"]]
    rows["experiment"] = "exact_" + rows["domain"] + suffix + discounted
    each = rows.rename(columns={"kl": "kl_to_optimum"}).melt(RESULT[:4], ["kl_to_optimum", "objective"], "metric")
    return pd.concat([judged[RESULT], each[RESULT]], ignore_index=True)


def _without_dollar(text: str) -> str:
    """Notebooks take what stands between two dollar signs for a formula."""
    return text.replace("$", ".")


def largest(table: Table) -> float:
    """The largest size of any number in a table."""
    return max(float(level.abs().max()) for level in table)
