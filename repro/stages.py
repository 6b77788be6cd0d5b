"""The stages of every domain: a prior, policies tuned from it, and what their samples measure.

Each function returns finished work if there is any and does it otherwise; what counts as the same work is said by the
digests made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from repro import kl_control, runs
from repro.domain import Domain
from repro.prior import held_out_scores
from repro.prior import train as train_prior
from repro.rnn import SequenceRNN, play
from repro.settings import PriorSettings, TutorSettings
from repro.tutor import train, visited

TRAINING = ("repro.rnn", "repro.kl_control", "repro.tutor")  # the modules that a policy depends on
MEASURING = ("repro.rnn", "repro.kl_control")  # and its measures
SAMPLING_SEED = 2_000_003  # samples that are measured draw from other numbers than training
BATCH = 250  # sequences sampled at once: their states stay in the processor's cache


def prior_key(settings: PriorSettings, data: str) -> str:
    """What determines a prior: its settings, the data that it learns from and the code that trains it."""
    code = runs.source_digest(("repro.rnn", "repro.prior"))
    return runs.digest(stage="prior", settings=settings, data=data, code=code)


def prior(
    name: str,
    splits: Callable[[], Sequence[Sequence[np.ndarray]]],
    vocabulary: int,
    settings: PriorSettings,
    data: str,
) -> runs.Record:
    """The prior that these settings and data determine: shipped, finished earlier, or trained now.

    Args:
        name: of the shipped file, as "music-as_notated".
        splits: returns the token arrays to learn from, those for the training curve and those for the reported scores;
            called only if a prior has to be trained.
        vocabulary: V.
        settings: every hyperparameter.
        data: the digest of what the sequences were made from.

    Returns:
        A record with weights; its numbers are `curve` (records), `test` and `test_without_32` (nll, accuracy, events),
        `seconds` and `settings`.
    """
    key = prior_key(settings, data)
    found = runs.find(key, runs.PRIORS, with_weights=True)
    if found is not None:
        return found
    learned, validation, test = splits()
    began = time.perf_counter()
    with runs.progress(settings.steps, f"training the prior {name}") as bar:
        trained = train_prior(learned, validation, vocabulary, settings, on_step=bar.update)
    numbers = {
        "name": name,
        "settings": settings,
        "data": data,
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
        A record whose numbers are `metrics` (the domain's and log_p, log_p_last, task_reward, kl, entropy; nats),
        `reward_parts` (mean per sequence) and `probabilities` (V, T): the policy averaged over the visited states.
    """
    key = measures_key(domain, tuned.digest if tuned else runs.weights_digest(prior_rnn), count)
    found = runs.find(key)
    if found is not None:
        return found
    method = kl_control.METHODS[tuned.numbers["settings"]["method"]] if tuned else None
    network = tuned.rnn() if tuned else prior_rnn
    first, tokens = sampled(
        domain, players(method, network, prior_rnn), count, seed=tuned.numbers["seed"] if tuned else 0
    )
    numbers = {
        "of": tuned.digest if tuned else "prior",
        "samples": count,
        "metrics": dict(domain.measures(tokens)) | against_prior(method, network, prior_rnn, first, tokens),
        "reward_parts": {name: float(part.sum(axis=1).mean()) for name, part in domain.reward_parts(tokens).items()},
        "probabilities": np.round(
            mean_probabilities(method, network, prior_rnn, first[:10_000], tokens[:10_000]), 6
        ).tolist(),
    }
    numbers["metrics"]["task_reward"] = sum(numbers["reward_parts"].values())
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers)


def players(method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN) -> list[SequenceRNN]:
    """The networks whose logits add up to the policy's scores; without a method the network is the prior."""
    return [network, prior_rnn] if method is not None and method.plays_with_prior else [network]


def samples(domain: Domain, prior_rnn: SequenceRNN, tuned: runs.Record | None, count: int, seed: int) -> np.ndarray:
    """`count` sequences (count, T) of a tuned policy, or of the prior; the same seed primes all models alike."""
    method = kl_control.METHODS[tuned.numbers["settings"]["method"]] if tuned else None
    network = tuned.rnn() if tuned else prior_rnn
    return sampled(domain, players(method, network, prior_rnn), count, seed)[1]


def sampled(domain: Domain, networks: list[SequenceRNN], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First inputs (count,) and sequences (count, T), drawn from the policy without exploration."""
    torch.set_num_threads(1)  # sums in another order would draw other melodies
    generator = np.random.default_rng([seed, SAMPLING_SEED])
    first = domain.first_inputs(count, generator)
    tokens = np.empty((count, domain.horizon), dtype=np.int64)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        tokens[part] = play(networks, first[part], domain.horizon, generator).numpy()
    return first, tokens


def against_prior(
    method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, first: np.ndarray, tokens: np.ndarray
) -> dict[str, float]:
    """log_p, log_p_last, kl and entropy, means over all steps (log_p_last: the last step), in nats."""
    sums = dict.fromkeys(("log_p", "log_p_last", "kl", "entropy"), 0.0)
    for start in range(0, len(tokens), BATCH):
        part = slice(start, start + BATCH)
        steps = visited(method, network, prior_rnn, first[part], torch.from_numpy(tokens[part]))
        for name, value in (steps | {"log_p_last": steps["log_p"][:, -1:]}).items():
            sums[name] += value.mean(dim=1).double().sum().item()
    return {name: total / len(tokens) for name, total in sums.items()}


@torch.no_grad()
def mean_probabilities(
    method: kl_control.Q | None, network: SequenceRNN, prior_rnn: SequenceRNN, first: np.ndarray, tokens: np.ndarray
) -> np.ndarray:
    """The policy's probability of every token at every step, averaged over the sequences: (V, T)."""
    inputs = torch.from_numpy(np.concatenate([first[:, None], tokens[:, :-1]], axis=1))
    total = torch.zeros(network.vocabulary, tokens.shape[1], dtype=torch.float64)
    for part in inputs.split(BATCH):
        values = network(part)
        scores = values if method is None else method.scores(values, prior_rnn(part))
        total += scores.softmax(dim=-1).sum(dim=0).T
    return (total / len(tokens)).numpy()


def tuned_and_measured(
    domain: Domain, prior_rnn: SequenceRNN, settings: TutorSettings, seed: int, count: int
) -> tuple[runs.Record, runs.Record]:
    """One policy and its measures: the unit of parallel work. Weights are read or made only if something needs them."""
    key = policy_key(domain, runs.weights_digest(prior_rnn), settings, seed)
    measured = runs.find(measures_key(domain, key, count))
    tuned = policy(domain, prior_rnn, settings, seed, with_weights=measured is None)
    return tuned, measured or measures(domain, prior_rnn, count, tuned)


def policies(
    domain: Domain, prior_rnn: SequenceRNN, tasks: Sequence[tuple[TutorSettings, int]], count: int
) -> list[tuple[runs.Record, runs.Record]]:
    """Every policy of a study and its measures, in the order of the tasks; what is missing is trained in parallel."""
    arguments = [(domain, prior_rnn, settings, seed, count) for settings, seed in tasks]
    return runs.many(tuned_and_measured, arguments, "tuning and measuring")


def curves(policies_: Sequence[tuple[runs.Record, runs.Record]]) -> pd.DataFrame:
    """The training curves of all policies: method, c, seed and the columns of `Tutor.evaluate`."""
    parts = []
    for tuned, _ in policies_:
        method, c, seed = _model(tuned)
        parts.append(pd.DataFrame(tuned.numbers["curve"]).assign(method=method, c=c, seed=seed))
    return pd.concat(parts, ignore_index=True)


def table(
    experiment: str, prior_measures: runs.Record, policies_: Sequence[tuple[runs.Record, runs.Record]]
) -> pd.DataFrame:
    """The measures of all models, long: experiment, method, c, seed, metric, value; the prior has seed 0 and no c."""
    rows = [(experiment, "prior", np.nan, 0, name, value) for name, value in prior_measures.numbers["metrics"].items()]
    for tuned, measured in policies_:
        rows += [(experiment, *_model(tuned), name, value) for name, value in measured.numbers["metrics"].items()]
    return pd.DataFrame(rows, columns=["experiment", "method", "c", "seed", "metric", "value"])


def reward_parts(prior_measures: runs.Record, policies_: Sequence[tuple[runs.Record, runs.Record]]) -> pd.DataFrame:
    """What each model earns rule by rule: method, c, seed, rule, value (mean reward a sequence)."""
    rows = [("prior", np.nan, 0, rule, value) for rule, value in prior_measures.numbers["reward_parts"].items()]
    for tuned, measured in policies_:
        rows += [(*_model(tuned), rule, value) for rule, value in measured.numbers["reward_parts"].items()]
    return pd.DataFrame(rows, columns=["method", "c", "seed", "rule", "value"])


def _model(tuned: runs.Record) -> tuple[str, float, int]:
    """Method, c and seed: what distinguishes the policies of one experiment."""
    settings = tuned.numbers["settings"]
    return settings["method"], settings["c"], tuned.numbers["seed"]
