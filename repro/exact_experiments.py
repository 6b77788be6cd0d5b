"""Learning against the exact optimum: which domains, which settings, which runs. A notebook asks here.

Every run measures the whole distribution of its policy as it learns: KL(pi || p*) and J are sums over all sequences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from repro import runs, stages
from repro.dueling import Dueling
from repro.ending import EndingTutor
from repro.exact import BRACKETS, TONES, Enumerable, Exact
from repro.hyperparameters import DuelingSettings, PriorSettings, TutorSettings, known
from repro.rnn import SequenceRNN

DOMAINS = (BRACKETS, TONES)
GAMMAS = (0.5, 0.95)  # the paper's discounts, for music and for molecules
C = 0.5  # temperature: the paper's for music; KL(prior || p*) is 3.2 nats on brackets and 2.9 on tones
SMALL_RNN = PriorSettings(
    cells=32, steps=600, windows=128, window_events=7, learning_rate=1e-2, l2=0.0, evaluate_every=100
)
# One step is 64 new sequences and two gradient steps, one of them on a batch that is remembered. Tuned on seeds 0 to 2.
DUELING = DuelingSettings(
    c=C, steps=1200, episodes=64, replayed=1, learning_rate=1e-2, value_learning_rate=5e-2, evaluate_every=20
)
# The same for the form that regresses one number a step: as many sequences, gradient steps and remembered batches.
PLAIN = TutorSettings(
    c=C, gamma=1.0, eta=0.1, rounds=1200, games=64, gradient_steps=2, batch_episodes=64, replay_episodes=3200,
    learning_rate=1e-2, temperature=1.0, evaluate_every=20,
)  # fmt: skip
LEARNING = ("repro.rnn", "repro.kl_control", "repro.tutor", "repro.episodes", "repro.exact")


@dataclass(frozen=True)
class ExactStudy:
    """How many runs, and how long."""

    seeds: tuple[int, ...] = (100, 101, 102, 103, 104)  # tuning used 0 to 2
    steps: int = 1200


PRESETS = {
    "smoke": ExactStudy(seeds=(0,), steps=40),
    "laptop": ExactStudy(),
    "paper": ExactStudy(seeds=tuple(range(100, 110))),
}


def study(preset: str | None = None) -> ExactStudy:
    """The study of a preset; without one, of `laptop`.

    Raises:
        SettingsError: no such preset.
    """
    preset = "laptop" if preset is None else preset
    known("preset", preset, tuple(PRESETS))
    return PRESETS[preset]


def prior(domain: Enumerable) -> runs.Record:
    """The prior of a domain, learned from sequences of its Markov chain in seconds."""

    def splits() -> list[list[np.ndarray]]:
        return [domain.corpus(count, seed) for seed, count in enumerate((20_000, 2_000, 2_000))]

    data = runs.digest(name=domain.name, code=runs.source_digest(domain.reward_modules))
    return stages.prior(f"exact-{domain.name}", splits, lambda: domain.vocabulary, SMALL_RNN, data)


def exact(domain: Enumerable) -> Exact:
    """The domain, its prior and the temperature of this study, written out in full."""
    return Exact(domain, prior(domain).rnn(), C)


def settings(form: str, method: str, gamma: float, steps: int) -> DuelingSettings | TutorSettings:
    """The settings of a run in one of the two forms, dueling and plain."""
    if form == "dueling":
        return dataclasses.replace(DUELING, method=method, gamma=gamma, steps=steps)
    start = "zero_head" if method == "g" else "log_softmax"  # both begin as the prior
    return dataclasses.replace(PLAIN, method=method, gamma=gamma, rounds=steps, start=start)


def policy(
    domain: Enumerable, chosen: DuelingSettings | TutorSettings, seed: int, with_weights: bool = False
) -> runs.Record:
    """One tuned policy; its numbers are `curve` (records of step, kl and objective), `settings` and `seed`."""
    start = prior(domain)
    form = "repro.dueling" if isinstance(chosen, DuelingSettings) else "repro.ending"
    code = runs.source_digest((*LEARNING, form))
    key = runs.digest(stage="exact", domain=domain.name, prior=start.digest, settings=chosen, seed=seed, code=code)
    found = runs.find(key, with_weights=with_weights)
    if found is not None:
        return found
    network, curve = train(domain, start.rnn(), chosen, seed)
    numbers = {"domain": domain.name, "settings": chosen, "seed": seed, "curve": curve}
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers, network)


def train(
    domain: Enumerable, start: SequenceRNN, chosen: DuelingSettings | TutorSettings, seed: int
) -> tuple[SequenceRNN, list[dict[str, float]]]:
    """Tunes a policy with the trainers of the other domains; the exact KL and J every `evaluate_every` steps."""
    torch.set_num_threads(1)
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


def tasks(plan: ExactStudy) -> list[tuple[Enumerable, DuelingSettings | TutorSettings, int]]:
    """Every run: Q, Psi and G in the dueling form, Psi and G in the plain one, and Psi with the paper's discounts."""
    kinds = [("dueling", method, 1.0) for method in ("q", "psi", "g")]
    kinds += [("plain", method, 1.0) for method in ("psi", "g")]
    kinds += [("dueling", "psi", gamma) for gamma in GAMMAS]
    return [(domain, settings(*kind, plan.steps), seed) for domain in DOMAINS for kind in kinds for seed in plan.seeds]


def learned(plan: ExactStudy) -> pd.DataFrame:
    """All learning curves: domain, form, method, gamma, seed, step, kl (nats), objective."""
    for domain in DOMAINS:
        prior(domain)  # before the processes, so that it is made once
    wanted = tasks(plan)
    parts = []
    for (domain, chosen, seed), record in zip(wanted, runs.many(policy, wanted, "learning"), strict=True):
        form = "dueling" if isinstance(chosen, DuelingSettings) else "plain"
        names = {"domain": domain.name, "form": form, "method": chosen.method, "gamma": chosen.gamma, "seed": seed}
        parts.append(pd.DataFrame(record.numbers["curve"]).assign(**names))
    return pd.concat(parts, ignore_index=True)[["domain", "form", "method", "gamma", "seed", "step", "kl", "objective"]]


def final(curves: pd.DataFrame) -> pd.DataFrame:
    """Where the runs end: KL(pi || p*) in nats, the mean and both extremes over seeds, and the mean of J."""
    last = curves[curves["step"] == curves["step"].max()]
    groups = last.groupby(["domain", "form", "method", "gamma"], sort=False)
    return groups.agg(
        kl=("kl", "mean"), lowest=("kl", "min"), highest=("kl", "max"), objective=("objective", "mean"),
        seeds=("seed", "nunique"),
    ).reset_index()  # fmt: skip


def described() -> pd.DataFrame:
    """The domains in numbers: sequences, those of the optimum that matter (exp entropy), KL, log Z and rewards."""
    rows = []
    for domain in DOMAINS:
        truth = exact(domain)
        best, reward = truth.policy("psi"), C * truth.along(truth.reward)
        start, optimum = truth.along(truth.log_prior), truth.log_optimum
        rows.append({
            "domain": domain.name,
            "sequences": len(truth.sequences),
            "effective under p*": float(torch.exp(-(optimum.exp() * optimum).sum())),
            "KL(prior || p*)": truth.kl_to_optimum(truth.log_prior),
            "log Z": truth.log_z,
            "J of the prior": truth.objective(truth.log_prior),
            "J of the optimum": truth.objective(best),
            "reward of the prior": float((start.exp() * reward).sum()),
            "reward of the optimum": float((optimum.exp() * reward).sum()),
            "largest |log pi - log p*|": float((truth.along(best) - optimum).abs().max()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def discounts(gammas: Sequence[float] = tuple(np.linspace(0, 1, 41))) -> pd.DataFrame:
    """What each method converges to at each gamma, without learning: domain, method, gamma, kl, objective."""
    rows = []
    for domain in DOMAINS:
        truth = exact(domain)
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
        truth = exact(domain)
        texts = [domain.text(sequence) for sequence in truth.sequences]
        for method in methods:
            chosen = settings("dueling", method, 1.0, plan.steps)
            network = policy(domain, chosen, plan.seeds[0], with_weights=True).rnn()
            log_policy = truth.along(truth.policy_of(method, network))
            columns = {"prior": truth.along(truth.log_prior), "exact": truth.log_optimum, "learned": log_policy}
            numbers = {name: column.numpy() for name, column in columns.items()}
            parts.append(pd.DataFrame({"domain": domain.name, "method": method, "text": texts} | numbers))
    return pd.concat(parts, ignore_index=True)
