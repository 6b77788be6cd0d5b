"""What the authors' own code does, in two experiments: G with a prior that is trained too, and their schedule.

    original = experiments.rebuilt_note_rnn(study).rnn()
    trained_prior(study, original)            # five seeds: where the paper's poor G may come from
    trained_prior_one_step(study, original)   # two seeds: the same as the authors' code does it
    authors_schedule(study, original)         # one seed: what our faster design of the training changes

Half an hour of a core is too long for the smaller presets: `schedule` gives them the committed numbers of the last one.
All return `Variants`, whose frames are long: variant, seed, environment_steps, metric, value. Policies are measured
against both priors: log_p and kl against the original, log_p_trained and kl_trained against the one they play with.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from repro import authors, kl_control, runs
from repro.authors import AuthorsSettings
from repro.domain import Domain
from repro.evaluation import BATCH, MAPPED, mean_probabilities, measured, sampled
from repro.experiments import stages
from repro.experiments.music import MUSIC
from repro.paper import TABLE_1
from repro.rnn import SequenceRNN
from repro.settings import ROOT, Study
from repro.trained_prior import PriorTrainingSettings, TunedPair, train as train_lockstep, visited_apart
from repro.tutor import players

Settings = PriorTrainingSettings | AuthorsSettings
SHOWN = ("not_in_key", "starts_with_tonic", "leaps_resolved")  # where the paper's G differs most from its Q and Psi
COLUMNS = ["variant", "seed", "environment_steps", "metric", "value"]
COMMITTED = ROOT / "results" / "paper" / "tables"  # where preset paper leaves its tables


@dataclass(frozen=True)
class Variants:
    """Finished runs by variant and seed: training and measures."""

    runs: dict[tuple[str, int], stages.Pair]

    def curves(self) -> pd.DataFrame:
        """Everything that was seen during training, on 512 fresh games an evaluation: COLUMNS."""
        parts = [
            pd.DataFrame(trained.numbers["curve"])
            .melt(id_vars="environment_steps", var_name="metric")
            .assign(variant=variant, seed=seed)
            for (variant, seed), (trained, _) in self.runs.items()
        ]
        return pd.concat(parts, ignore_index=True)[COLUMNS]

    def table(self) -> pd.DataFrame:
        """Every measure of the finished policies, on `Study.melodies` samples: COLUMNS."""
        rows = [
            (variant, seed, trained.numbers["curve"][-1]["environment_steps"], metric, value)
            for (variant, seed), (trained, measured) in self.runs.items()
            for metric, value in measured.numbers["metrics"].items()
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    def ranges(self, metrics: Sequence[str] = SHOWN) -> pd.DataFrame:
        """Over seeds: a row a variant and metric with low, median, high and the number of seeds; last the paper's G."""
        chosen = self.table().query("metric in @metrics")
        groups = chosen.groupby(["variant", "metric"], sort=False)["value"]
        summary = groups.agg(low="min", median="median", high="max", seeds="size").reset_index()
        paper = [{"variant": "paper", "metric": m} | dict.fromkeys(("low", "median", "high"), TABLE_1[m]["g"])
                 for m in metrics if m in TABLE_1]  # fmt: skip
        return pd.concat([summary, pd.DataFrame(paper)], ignore_index=True)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of all runs by digest: what a clone reads instead of training."""
        return {record.digest: record.numbers for pair in self.runs.values() for record in pair}

    def digests(self) -> list[str]:
        """The runs that the numbers were made from."""
        return sorted(record.digest for pair in self.runs.values() for record in pair)


def authors_settings(study: Study, method: str, events: int) -> AuthorsSettings:
    """The authors' schedule in `events` environment steps: epsilon falls over the first half, twenty evaluations."""
    return AuthorsSettings(
        method=method, c=study.main_c, environment_steps=events, epsilon_steps=max(1, events // 2),
        evaluate_every=max(1, events // 20), evaluation_games=study.tutor.evaluation_games,
    )  # fmt: skip


def trained_prior(study: Study, original: SequenceRNN) -> Variants:
    """G whose prior is trained with it through whole episodes, beside G with the fixed prior, from up to five seeds.

    Args:
        study: its tutor settings, first temperature and seeds.
        original: the Note RNN.
    """
    tutor = dataclasses.replace(study.tutor, method="g", c=study.main_c)
    zero_head = dataclasses.replace(tutor, start="zero_head")
    variants: dict[str, Settings] = {
        "prior fixed": PriorTrainingSettings(tutor, "no"),
        "prior trained": PriorTrainingSettings(tutor, "whole_episodes"),
        "prior trained, zero head": PriorTrainingSettings(zero_head, "whole_episodes"),
    }
    _, seeds = study.seeds_at[0]
    return _all(variants, seeds[:5], study, original)


def trained_prior_one_step(study: Study, original: SequenceRNN) -> Variants:
    """The same one step of the RNN at a time, on the authors' schedule, from up to two seeds.

    Args:
        study: its first temperature, seeds and `one_step_events`, in which the effect is there.
        original: the Note RNN.
    """
    plain = authors_settings(study, "g", study.one_step_events)
    alone = dataclasses.replace(plain, train_prior_with_g="one_step")
    variants: dict[str, Settings] = {
        "prior trained one step": dataclasses.replace(alone, start="prior_logits"),
        "prior trained one step, zero head": dataclasses.replace(alone, start="zero_head"),
    }
    _, seeds = study.seeds_at[0]
    return _all(variants, seeds[:2], study, original)


def authors_schedule(study: Study, original: SequenceRNN, events: int = 1_000_000) -> Variants:
    """The four methods on the authors' schedule, and G as their code really trains it; one seed.

    Args:
        study: its first temperature and first seed.
        original: the Note RNN.
        events: environment steps; the authors' million.
    """
    variants: dict[str, Settings] = {method: authors_settings(study, method, events) for method in study.methods}
    if "g" in study.methods:
        plain = authors_settings(study, "g", events)
        variants["g, prior trained"] = dataclasses.replace(plain, train_prior_with_g="one_step")
    _, seeds = study.seeds_at[0]
    return _all(variants, seeds[:1], study, original)


@dataclass(frozen=True)
class Schedule:
    """What the runs of `authors_schedule` gave."""

    table: pd.DataFrame  # COLUMNS, of the finished policies
    curves: pd.DataFrame  # COLUMNS, along training
    numbers: dict[str, dict[str, Any]]  # by digest; empty where the tables were read


def schedule(study: Study, original: SequenceRNN) -> Schedule:
    """The authors' schedule: under preset paper finished runs, or new ones; under any other the committed tables.

    Args:
        study: its preset, and for paper its first temperature and first seed.
        original: the Note RNN.

    Raises:
        FileNotFoundError: the tables are not there, and the preset is not the one that makes them.
    """
    if study.preset == "paper":
        variants = authors_schedule(study, original)
        return Schedule(variants.table(), variants.curves(), variants.numbers())
    table, curves = (pd.read_csv(COMMITTED / f"authors_schedule{end}.csv") for end in ("", "_curves"))
    return Schedule(table, curves, {})


def _all(variants: Mapping[str, Settings], seeds: Sequence[int], study: Study, original: SequenceRNN) -> Variants:
    names = [(variant, seed) for variant in variants for seed in seeds]
    tasks = [(MUSIC, original, variants[variant], seed, study.melodies) for variant, seed in names]
    return Variants(dict(zip(names, runs.many(finished, tasks, "tuning as the authors' code"), strict=True)))


def run_key(domain: Domain, weights: str, settings: Settings, seed: int) -> str:
    """What determines a run: the rules, the original prior's weights, all settings, the seed and the code."""
    own = (
        ("repro.trained_prior", "repro.authors") if isinstance(settings, AuthorsSettings) else ("repro.trained_prior",)
    )
    code = runs.source_digest((*stages.TRAINING, *own, *domain.reward_modules, *domain.measure_modules))
    stage = type(settings).__name__
    return runs.digest(stage=stage, domain=domain.name, prior=weights, settings=settings, seed=seed, code=code)


def tuned(domain: Domain, original: SequenceRNN, settings: Settings, seed: int) -> tuple[runs.Record, runs.Record]:
    """One run and the prior that its policy plays with, both with weights.

    Returns:
        Records; the first one's numbers are `curve` (records), `settings`, `seed` and `core_seconds`.
    """
    key = run_key(domain, runs.weights_digest(original), settings, seed)
    acting_key = runs.digest(stage="acting prior", run=key)
    found, acting = (runs.find(name, with_weights=True) for name in (key, acting_key))
    if found is not None and acting is not None:
        return found, acting
    began = time.process_time()
    pair = _train(domain, original, settings, seed)
    numbers = {
        "settings": settings,
        "seed": seed,
        "curve": pair.curve.to_dict("records"),
        "core_seconds": round(time.process_time() - began, 1),
    }
    folder = runs.cache_folder() / "runs"
    acting = runs.save_record(folder, acting_key, acting_key, {"run": key}, pair.prior)
    return runs.save_record(folder, key, key, numbers, pair.policy), acting


def _train(domain: Domain, original: SequenceRNN, settings: Settings, seed: int) -> TunedPair:
    if isinstance(settings, AuthorsSettings):
        return authors.train(domain, original, settings, seed)
    return train_lockstep(domain, original, settings, seed)


def finished(domain: Domain, original: SequenceRNN, settings: Settings, seed: int, count: int) -> stages.Pair:
    """One run and its measures: the unit of work. Weights are read or made only if something needs them."""
    key = run_key(domain, runs.weights_digest(original), settings, seed)
    modules = (*stages.MEASURING, "repro.trained_prior", *domain.reward_modules, *domain.measure_modules)
    measures_key = runs.digest(stage="measures", run=key, count=count, code=runs.source_digest(modules))
    trained, judged = runs.find(key), runs.find(measures_key)
    if trained is not None and judged is not None:
        return trained, judged
    trained, acting = tuned(domain, original, settings, seed)
    method = settings.method if isinstance(settings, AuthorsSettings) else settings.tutor.method
    numbers = measures(domain, kl_control.METHODS[method], trained.rnn(), acting.rnn(), original, count, seed)
    return trained, runs.save_record(runs.cache_folder() / "runs", measures_key, measures_key, numbers)


def measures(
    domain: Domain,
    method: kl_control.Q,
    policy: SequenceRNN,
    acting: SequenceRNN,
    original: SequenceRNN,
    count: int,
    seed: int,
) -> dict[str, Any]:
    """Samples a policy without exploration, as `repro.evaluation.evaluate`, and judges it by both priors.

    Returns:
        What `evaluate` returns; log_p, log_p_last and kl are against the original prior, and log_p_trained and
        kl_trained against the acting one.
    """
    first, tokens = sampled(domain, players(method, policy, acting), count, seed)
    batches = [slice(start, start + BATCH) for start in range(0, count, BATCH)]
    parts = [visited_apart(method, policy, acting, original, first[b], torch.from_numpy(tokens[b])) for b in batches]
    by_step = {name: torch.cat([part[name] for part in parts]).double().mean(dim=0).numpy() for name in parts[0]}
    probabilities = mean_probabilities(method, policy, acting, first[:MAPPED], tokens[:MAPPED])
    return measured(domain, tokens, by_step, probabilities)
