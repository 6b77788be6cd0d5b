"""The stages of every domain: a prior, policies tuned from it, and what their samples measure.

Each function returns finished work if there is any and does it otherwise; what counts as the same work is said by the
digests made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repro import kl_control, runs
from repro.domain import Domain
from repro.evaluation import evaluate, sampled
from repro.prior import held_out_scores, precision, train as train_prior
from repro.rnn import SequenceRNN
from repro.settings import PriorSettings, TutorSettings
from repro.tutor import players, train

Pair = tuple[runs.Record, runs.Record]  # a policy's training and its measures
TRAINING = ("repro.rnn", "repro.kl_control", "repro.episodes", "repro.tutor")  # the modules that a policy depends on
DUELING = ("repro.dueling", "repro.memory")  # what the dueling form adds to them
MEASURING = (*TRAINING, "repro.evaluation")  # and its measures


def prior_key(settings: PriorSettings, data: str) -> str:
    """What determines a prior: its settings, the data that it learns from and the code that trains it."""
    code = runs.source_digest(("repro.rnn", "repro.prior"))
    return runs.digest(stage="prior", settings=settings, data=data, code=code)


def prior(
    name: str,
    splits: Callable[[], Sequence[Sequence[np.ndarray]]],
    vocabulary: Callable[[], Sequence[str]],
    settings: PriorSettings,
    data: str,
) -> runs.Record:
    """The prior that these settings and data determine: shipped, finished earlier, or trained now.

    Args:
        name: of the shipped file, as "music-as_notated".
        splits: returns the token arrays to learn from, those for the training curve and those for the reported scores;
            called only if a prior has to be trained.
        vocabulary: returns the V tokens; called only if a prior has to be trained.
        settings: every hyperparameter.
        data: the digest of what the sequences were made from.

    Returns:
        A record with weights; its numbers are `curve` (records), `test` and `test_without_32` (nll, accuracy, events),
        `vocabulary` (V tokens), `precision`, `seconds` and `settings`.
    """
    key = prior_key(settings, data)
    found = runs.find(key, runs.PRIORS, with_weights=True)
    if found is not None:
        return found
    learned, validation, test = splits()
    tokens = list(vocabulary())
    began = time.perf_counter()
    with runs.progress(settings.steps, f"training the prior {name}") as bar:
        trained = train_prior(learned, validation, len(tokens), settings, on_step=bar.update)
    numbers = {
        "name": name,
        "settings": settings,
        "precision": precision(settings),
        "data": data,
        "vocabulary": tokens,
        "curve": trained.curve.to_dict("records"),
        "test": held_out_scores(trained.rnn, test),
        "test_without_32": held_out_scores(trained.rnn, test, skip=32),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers, trained.rnn)


def policy_key(domain: Domain, weights: str, settings: TutorSettings, seed: int) -> str:
    """What determines a tuned policy: the domain's rules, the prior's weights, all settings and the seed."""
    code = runs.source_digest(TRAINING + domain.reward_modules)
    return runs.digest(stage="policy", domain=domain.name, prior=weights, settings=settings, seed=seed, code=code)


def measures_key(domain: Domain, key: str, count: int) -> str:
    """What determines the measures of a policy (or a prior, named by its weights)."""
    code = runs.source_digest(MEASURING + domain.reward_modules + domain.measure_modules)
    return runs.digest(stage="measures", policy=key, count=count, code=code)


def policy(
    domain: Domain, prior_rnn: SequenceRNN, settings: TutorSettings, seed: int, with_weights: bool
) -> runs.Record:
    """One tuned policy; its numbers are `curve` (records), `settings`, `seed` and `seconds`."""
    key = policy_key(domain, runs.weights_digest(prior_rnn), settings, seed)
    found = runs.find(key, runs.POLICIES, with_weights=with_weights)
    if found is not None:
        return found
    began = time.perf_counter()
    tuned = train(domain, prior_rnn, settings, seed)
    numbers = {
        "domain": domain.name,
        "settings": settings,
        "seed": seed,
        "curve": tuned.curve.to_dict("records"),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers, tuned.policy)


def measures(domain: Domain, prior_rnn: SequenceRNN, count: int, tuned: runs.Record | None = None) -> runs.Record:
    """What `count` samples of a policy, or of the prior itself, measure.

    Returns:
        A record whose numbers are those of `repro.evaluation.evaluate`.
    """
    key = measures_key(domain, tuned.digest if tuned else runs.weights_digest(prior_rnn), count)
    found = runs.find(key)
    if found is not None:
        return found
    numbers = evaluate(domain, *read_policy(prior_rnn, tuned), prior_rnn, count, tuned.numbers["seed"] if tuned else 0)
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers)


def read_policy(prior_rnn: SequenceRNN, tuned: runs.Record | None) -> tuple[kl_control.Q | None, SequenceRNN]:
    """The method and network of a tuned policy; without one, no method and the prior itself."""
    if tuned is None:
        return None, prior_rnn
    return kl_control.METHODS[tuned.numbers["settings"]["method"]], tuned.rnn()


def samples(domain: Domain, prior_rnn: SequenceRNN, tuned: runs.Record | None, count: int, seed: int) -> np.ndarray:
    """`count` sequences (count, T) of a tuned policy, or of the prior; the same seed primes all models alike."""
    return sampled(domain, players(*read_policy(prior_rnn, tuned), prior_rnn), count, seed)[1]


def tuned_and_measured(domain: Domain, prior_rnn: SequenceRNN, settings: TutorSettings, seed: int, count: int) -> Pair:
    """One policy and its measures: the unit of parallel work. Weights are read or made only if something needs them."""
    key = policy_key(domain, runs.weights_digest(prior_rnn), settings, seed)
    measured = runs.find(measures_key(domain, key, count))
    tuned = policy(domain, prior_rnn, settings, seed, with_weights=measured is None)
    return tuned, measured or measures(domain, prior_rnn, count, tuned)


def policies(
    domain: Domain, prior_rnn: SequenceRNN, tasks: Sequence[tuple[TutorSettings, int]], count: int
) -> list[Pair]:
    """Every policy of a study and its measures, in the order of the tasks; what is missing is trained in parallel."""
    arguments = [(domain, prior_rnn, settings, seed, count) for settings, seed in tasks]
    return runs.many(tuned_and_measured, arguments, "tuning and measuring")


def curves(policies_: Sequence[Pair]) -> pd.DataFrame:
    """The training curves of all policies: method, c, seed and the columns of `Tutor.evaluate`."""
    parts = []
    for tuned, _ in policies_:
        method, c, seed = _model(tuned)
        parts.append(pd.DataFrame(tuned.numbers["curve"]).assign(method=method, c=c, seed=seed))
    return pd.concat(parts, ignore_index=True)


def table(experiment: str, prior_measures: runs.Record, policies_: Sequence[Pair]) -> pd.DataFrame:
    """The measures of all models, long: experiment, method, c, seed, metric, value; the prior has seed 0 and no c."""
    models = _models(prior_measures, policies_)
    rows = [
        (experiment, *model, name, value) for model, numbers in models for name, value in numbers["metrics"].items()
    ]
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


def reward_parts(prior_measures: runs.Record, policies_: Sequence[Pair]) -> pd.DataFrame:
    """What each model earns part by part: method, c, seed, rule, value (mean reward a sequence)."""
    models = _models(prior_measures, policies_)
    rows = [(*model, rule, value) for model, numbers in models for rule, value in numbers["reward_parts"].items()]
    return pd.DataFrame(rows, columns=["method", "c", "seed", "rule", "value"])


def by_step(quantity: str, prior_measures: runs.Record, policies_: Sequence[Pair]) -> pd.DataFrame:
    """One of log_p, kl and entropy at every step of the sequence: method, c, seed, step (from 1), value in nats."""
    models = _models(prior_measures, policies_)
    rows = [
        (*model, step, value) for model, numbers in models for step, value in enumerate(numbers["by_step"][quantity], 1)
    ]
    return pd.DataFrame(rows, columns=["method", "c", "seed", "step", "value"])


def _models(
    prior_measures: runs.Record, policies_: Sequence[Pair]
) -> list[tuple[tuple[str, float, int], dict[str, Any]]]:
    """Every model as method, c and seed with the numbers that it measured; the prior has seed 0 and no c."""
    tuned = [(_model(tuned), measured.numbers) for tuned, measured in policies_]
    return [(("prior", np.nan, 0), prior_measures.numbers), *tuned]


def _model(tuned: runs.Record) -> tuple[str, float, int]:
    settings = tuned.numbers["settings"]
    return settings["method"], settings["c"], tuned.numbers["seed"]


@dataclass(frozen=True)
class Tuning:
    """One experiment: a prior, the policies tuned from it, and the measures of all of them."""

    name: str
    prior: runs.Record
    rnn: SequenceRNN  # the prior's network
    prior_measures: runs.Record
    policies: list[Pair]  # training and measures, in the order of `Study.runs`

    def table(self) -> pd.DataFrame:
        """Every measure of every model, one value a row."""
        return table(self.name, self.prior_measures, self.policies)

    def by_step(self, quantity: str) -> pd.DataFrame:
        """log_p, kl or entropy at every step of the melody."""
        return by_step(quantity, self.prior_measures, self.policies)

    def curves(self) -> pd.DataFrame:
        """The training curves of all policies."""
        return curves(self.policies)

    def reward_parts(self) -> pd.DataFrame:
        """What each model earns rule by rule."""
        return reward_parts(self.prior_measures, self.policies)

    def find(self, method: str, c: float, seed: int) -> tuple[runs.Record, runs.Record]:
        """The training and measures of one policy."""
        for tuned, measured in self.policies:
            settings = tuned.numbers["settings"]
            if (settings["method"], settings["c"], tuned.numbers["seed"]) == (method, c, seed):
                return tuned, measured
        raise KeyError(f"{self.name} has no run of {method} at c = {c} with seed {seed}")

    def digests(self) -> list[str]:
        """The runs that the numbers of this experiment were made from."""
        return sorted(record.digest for pair in [(self.prior, self.prior_measures), *self.policies] for record in pair)

    def probabilities(self, c: float, seed: int) -> dict[str, np.ndarray]:
        """Mean probability of each event at each step (38, 32), one array a model."""
        methods = dict.fromkeys(tuned.numbers["settings"]["method"] for tuned, _ in self.policies)
        shown = {"prior": np.array(self.prior_measures.numbers["probabilities"])}
        return shown | {m: np.array(self.find(m, c, seed)[1].numbers["probabilities"]) for m in methods}
