"""Learning against the exact optimum: which domains, which settings, which runs. A notebook asks here.

    python -m repro.experiments.exact    # ships the priors and one policy a method and domain, with their weights

Every run measures the whole distribution of its policy as it learns: KL(pi || p*) and J are sums over all sequences.
"""

from __future__ import annotations

import dataclasses
import time
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from repro import runs
from repro.dueling import Dueling
from repro.ending import EndingTutor
from repro.exact import BRACKETS, TONES, Enumerable, Exact
from repro.experiments import stages
from repro.hyperparameters import DuelingSettings, PriorSettings, TutorSettings, known, need
from repro.rnn import SequenceRNN
from repro.settings import OWN_RESULTS, ROOT, given_values, parsed

Settings = DuelingSettings | TutorSettings
Task = tuple[Enumerable, Settings, int]  # what determines a run: domain, settings, seed
DOMAINS = (BRACKETS, TONES)
C = 0.5  # temperature: the paper's for music; KL(prior || p*) is 3.2 nats on brackets and 2.9 on tones
SMALL_RNN = PriorSettings(
    cells=32, steps=600, windows=128, window_events=7, learning_rate=1e-2, l2=0.0, evaluate_every=100
)
# One gradient step is on 64 new and 64 remembered sequences. Tuned on seeds 0 to 4.
DUELING = DuelingSettings(
    c=C, steps=2000, episodes=64, replayed=64, learning_rate=1e-2, value_learning_rate=5e-3, evaluate_every=20
)
# The same for the form that regresses one number a step: as many new sequences, each trained on as often.
PLAIN = TutorSettings(
    c=C, gamma=1.0, eta=0.1, rounds=2000, games=64, gradient_steps=2, batch_episodes=64, replay_episodes=3200,
    learning_rate=1e-2, temperature=1.0, evaluate_every=20,
)  # fmt: skip
LEARNING = (*stages.TRAINING, "repro.exact")


@dataclass(frozen=True)
class ExactStudy:
    """What the notebook runs: how many runs, how long, at which temperature and discounts."""

    preset: str = "laptop"
    results: Path = ROOT / "results" / "laptop"  # where tables, figures and executed notebooks go
    seeds: tuple[int, ...] = (100, 101, 102, 103, 104)  # tuning used 0 to 2
    steps: int = 2000  # about eight seconds of one core a run
    c: float = C
    gammas: tuple[float, ...] = (0.5, 0.95)  # the paper's discounts, for music and for molecules

    def __post_init__(self) -> None:
        need(len(self.seeds) > 0, "seeds is empty: name at least one, as 100 or 100,101")
        need(len(set(self.seeds)) == len(self.seeds), f"seeds {self.seeds} name one twice")
        need(min(self.seeds) >= 0, f"seed {min(self.seeds)} is below 0")
        need(1.0 not in self.gammas, "gammas are the discounts beside 1, which is always run: leave 1 out")
        for gamma in (1.0, *self.gammas):  # raises for steps, c or a gamma that cannot be
            dataclasses.replace(DUELING, steps=self.steps, c=self.c, gamma=gamma)


PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"seeds": (0,), "steps": 40},
    "laptop": {},
    "paper": {"seeds": tuple(range(100, 110))},
}


def study(preset: str | None = None, **overrides: object) -> ExactStudy:
    """Builds the study from a notebook's parameters; None, as well as an absent name, means the preset's value.

    Args:
        preset: smoke, laptop (the default) or paper.
        **overrides: seeds, results, steps, c, gammas; values may be text, lists as "0,1". Results of changed settings
            go to OWN_RESULTS unless `results` says where.

    Raises:
        SettingsError: a name or value that does not exist; the sentence lists those that do.
    """
    preset = "laptop" if preset is None else str(preset)
    known("preset", preset, tuple(PRESETS))
    kinds = typing.get_type_hints(ExactStudy)
    given = given_values(overrides, tuple(name for name in kinds if name != "preset"))
    own = {name: parsed(name, value, kinds[name]) for name, value in given.items() if name != "results"}
    results = ROOT / str(given.get("results", OWN_RESULTS if own else f"results/{preset}"))
    return ExactStudy(preset=preset, results=results, **(PRESETS[preset] | own))


def prior(domain: Enumerable) -> runs.Record:
    """The prior of a domain, learned from sequences of its Markov chain in seconds."""

    def splits() -> list[list[np.ndarray]]:
        return [domain.corpus(count, seed) for seed, count in enumerate((20_000, 2_000, 2_000))]

    data = runs.digest(name=domain.name, code=runs.source_digest(domain.reward_modules))
    return stages.prior(f"exact-{domain.name}", splits, lambda: domain.vocabulary, SMALL_RNN, data)


def exact(domain: Enumerable, c: float = C) -> Exact:
    """The domain, its prior and a temperature, written out in full."""
    return Exact(domain, prior(domain).rnn(), c)


def settings(form: str, method: str, gamma: float, plan: ExactStudy) -> Settings:
    """The settings of a run in one of the two forms, dueling and plain."""
    if form == "dueling":
        return dataclasses.replace(DUELING, method=method, gamma=gamma, c=plan.c, steps=plan.steps)
    start = "zero_head" if method == "g" else "log_softmax"  # both begin as the prior
    return dataclasses.replace(PLAIN, method=method, gamma=gamma, c=plan.c, rounds=plan.steps, start=start)


def policy_key(domain: Enumerable, chosen: Settings, seed: int) -> str:
    """What determines a run: the domain, the prior's weights, all settings, the seed and the code."""
    form = stages.DUELING if isinstance(chosen, DuelingSettings) else ("repro.ending",)
    weights, code = runs.weights_digest(prior(domain).rnn()), runs.source_digest((*LEARNING, *form))
    return runs.digest(stage="exact", domain=domain.name, prior=weights, settings=chosen, seed=seed, code=code)


def policy(domain: Enumerable, chosen: Settings, seed: int, with_weights: bool = False) -> runs.Record:
    """One tuned policy; its numbers are `curve` (step, kl, objective), `settings`, `seed` and `core_seconds`."""
    key = policy_key(domain, chosen, seed)
    found = runs.find(key, runs.POLICIES, with_weights=with_weights)
    if found is not None:
        return found
    torch.set_num_threads(1)
    began = time.process_time()
    network, curve = train(domain, prior(domain).rnn(), chosen, seed)
    spent = round(time.process_time() - began, 1)
    numbers = {"domain": domain.name, "settings": chosen, "seed": seed, "curve": curve, "core_seconds": spent}
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers, network)


def train(
    domain: Enumerable, start: SequenceRNN, chosen: Settings, seed: int
) -> tuple[SequenceRNN, list[dict[str, float]]]:
    """Tunes a policy with the trainers of the other domains; the exact KL and J every `evaluate_every` steps."""
    truth = Exact(domain, start, chosen.c)
    run: Dueling | EndingTutor
    advance: Callable[[], object]
    if isinstance(chosen, DuelingSettings):
        run, steps = Dueling(domain, start, chosen, seed), chosen.steps
        advance = run.step
    else:
        run, steps = EndingTutor(domain, start, chosen, seed), chosen.rounds
        advance = run.round
    rows = []
    for step in range(steps + 1):
        if step:
            advance()
        if step % chosen.evaluate_every == 0 or step == steps:
            table = truth.policy_of(chosen.method, run.policy)
            rows.append({"step": step, "kl": truth.kl_to_optimum(table), "objective": truth.objective(table)})
    return run.policy.eval(), rows


def tasks(plan: ExactStudy) -> list[Task]:
    """Every run: Q, Psi and G in the dueling form, Psi and G in the plain one, and Psi with discounts."""
    kinds = [("dueling", method, 1.0) for method in ("q", "psi", "g")]
    kinds += [("plain", method, 1.0) for method in ("psi", "g")]
    kinds += [("dueling", "psi", gamma) for gamma in plan.gammas]
    return [(domain, settings(*kind, plan), seed) for domain in DOMAINS for kind in kinds for seed in plan.seeds]


@dataclass(frozen=True)
class Learned:
    """The finished runs of a study."""

    plan: ExactStudy
    records: list[runs.Record] = field(repr=False)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of all runs by digest, as `repro.report.write_runs_of` takes them."""
        return {record.digest: record.numbers for record in self.records}

    def curves(self) -> pd.DataFrame:
        """All learning curves: domain, form, method, gamma, seed, step, kl (nats), objective."""
        parts = []
        for (domain, chosen, seed), record in zip(tasks(self.plan), self.records, strict=True):
            form = "dueling" if isinstance(chosen, DuelingSettings) else "plain"
            names = {"domain": domain.name, "form": form, "method": chosen.method, "gamma": chosen.gamma, "seed": seed}
            parts.append(pd.DataFrame(record.numbers["curve"]).assign(**names))
        columns = ["domain", "form", "method", "gamma", "seed", "step", "kl", "objective"]
        return pd.concat(parts, ignore_index=True)[columns]

    def core_seconds(self) -> float:
        """What the slowest run took of one core."""
        return max(record.numbers["core_seconds"] for record in self.records)


def learned(plan: ExactStudy) -> Learned:
    """All runs of a study; those that are missing are made in parallel."""
    for domain in DOMAINS:
        prior(domain)  # before the processes, so that it is made once
    wanted = tasks(plan)
    found = [runs.find(policy_key(*task), runs.POLICIES) for task in wanted]
    missing = [task for task, record in zip(wanted, found, strict=True) if record is None]
    made = iter(runs.many(policy, missing, "learning") if missing else ())
    return Learned(plan, [record or next(made) for record in found])


def ship(plan: ExactStudy) -> list[Path]:
    """Copies the priors and one policy of Psi and G a domain, with weights, to results/priors and results/policies."""
    shipped = []
    for domain in DOMAINS:
        shipped.append(runs.ship(prior(domain), runs.PRIORS, f"exact-{domain.name}"))
        for method in ("psi", "g"):
            record = policy(domain, settings("dueling", method, 1.0, plan), plan.seeds[0], with_weights=True)
            name = f"exact-{domain.name}-{method}-c{plan.c:g}-seed{plan.seeds[0]}"
            shipped.append(runs.ship(record, runs.POLICIES, name))
    return shipped


if __name__ == "__main__":
    for path in ship(study("laptop")):
        print(f"shipped {path.relative_to(ROOT)}")
