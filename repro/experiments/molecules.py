"""The molecule experiments by name: which strings, which prior, which policies. Notebooks ask here."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from repro import dueling, ending, evaluation, kl_control, optimum, runs
from repro.episodes import play_to_end
from repro.experiments import stages
from repro.forgetting import held_out_nll
from repro.hyperparameters import DuelingSettings, MoleculeSettings, PriorSettings, TutorSettings
from repro.molecule_settings import MoleculeStudy
from repro.molecules import corpus, moses, scores, smiles_file
from repro.molecules.domain import AuthorsMolecules, Molecules
from repro.molecules.tokens import Vocabulary
from repro.rnn import SequenceRNN
from repro.settings import ROOT

Settings = DuelingSettings | TutorSettings
Real = Callable[[], list[np.ndarray]]  # returns real molecules that the prior did not learn from, as token arrays
TUNING = (*stages.TRAINING, "repro.forgetting")  # a policy depends on these, and on those of its form
ESTIMATED = ("valid", "logp", "qed", "sa")  # what the optimum is estimated in
HELD_OUT, WATCHED = 1_000, 200  # real molecules that a policy's forgetting is measured on: tuned, and along training
STRINGS = 1_000  # sampled strings that are kept with a model's measures, for pictures and distributions


def molecules(settings: MoleculeSettings) -> corpus.Molecules:
    """The strings to learn from, and those held out."""
    if settings.smiles_file:

        def make() -> corpus.Molecules:
            own = smiles_file.read(ROOT / Path(settings.smiles_file).expanduser())
            return smiles_file.split(own, settings.tokeniser, settings.molecules, settings.held_out)

        return runs.cached(_data_key(settings), "molecules.json", make, keep=smiles_file.save, load=smiles_file.load)
    return _moses(settings)


@cache
def _moses(settings: MoleculeSettings) -> corpus.Molecules:
    path = moses.wheel(runs.cache_folder() / "data")
    return corpus.part(moses.read(path, "train"), moses.read(path, "test"), settings.molecules, settings.held_out)


def _data_key(settings: MoleculeSettings) -> str:
    if settings.smiles_file:
        path = ROOT / Path(settings.smiles_file).expanduser()
        code = runs.source_digest(("repro.molecules.corpus", "repro.molecules.smiles_file", "repro.molecules.tokens"))
        settings = dataclasses.replace(settings, smiles_file=smiles_file.kind(path))  # its place does not matter
        return runs.digest(collection=smiles_file.source_digest(path), settings=settings, code=code)
    code = runs.source_digest(("repro.molecules.corpus", "repro.molecules.tokens"))
    return runs.digest(collection=moses.SHA256, settings=settings, code=code)


def trained_on(settings: MoleculeSettings) -> frozenset[str]:
    """The strings that the prior learned from: what is not among them is novel."""
    return frozenset(molecules(settings).train)


def held_out(settings: MoleculeSettings, vocabulary: Vocabulary, start_token: bool) -> list[np.ndarray]:
    """Real molecules that the prior did not learn from, as it reads them."""
    sequences = corpus.sequences(molecules(settings).test[:HELD_OUT], vocabulary)
    return sequences if start_token else [tokens[1:] for tokens in sequences]


def smiles_rnn(study: MoleculeStudy) -> tuple[runs.Record, Vocabulary]:
    """The SMILES RNN of a study, and the tokens that it knows; molecules are read only if it has to be trained."""
    return _prior(study.molecules, study.prior, start_token=True)


def of_prior(study: MoleculeStudy) -> pd.DataFrame:
    """What samples of the SMILES RNN measure, long as `stages.table`."""
    return stages.table("terminal", _measured_prior(study), [])


def strings_of_prior(study: MoleculeStudy) -> list[str]:
    """Some of these samples."""
    return _measured_prior(study).numbers["strings"]


def _measured_prior(study: MoleculeStudy) -> runs.Record:
    record, vocabulary = smiles_rnn(study)
    domain = terminal_domain(study, vocabulary)
    real = partial(held_out, study.molecules, vocabulary, True)
    return tuned_and_measured(domain, record.rnn(), None, 0, study.samples, study.temperature, real)[1]


def authors_smiles_rnn(study: MoleculeStudy) -> tuple[runs.Record, Vocabulary]:
    """The authors' SMILES RNN: characters, and no start token, so that the first character is never predicted."""
    settings = dataclasses.replace(study.molecules, tokeniser="characters")
    return _prior(settings, study.authors_prior, start_token=False)


def _prior(settings: MoleculeSettings, prior: PriorSettings, start_token: bool) -> tuple[runs.Record, Vocabulary]:
    def vocabulary() -> Vocabulary:
        return Vocabulary.of(molecules(settings).train, settings.tokeniser)

    def splits() -> list[list[np.ndarray]]:
        strings, known = molecules(settings), vocabulary()
        parts = [corpus.sequences(part, known) for part in (strings.train, strings.validation, strings.test)]
        return parts if start_token else [[tokens[1:] for tokens in part] for part in parts]

    source = "own" if settings.smiles_file else "regex" if start_token else "authors"
    name = f"molecules-{settings.tokeniser if source == 'regex' else source}"
    data = _data_key(settings) if start_token else runs.digest(data=_data_key(settings), start_token=False)
    record = stages.prior(name, splits, lambda: vocabulary().tokens, prior, data=data)
    return record, Vocabulary(tuple(record.numbers["vocabulary"]), settings.tokeniser)


def terminal_domain(study: MoleculeStudy, vocabulary: Vocabulary) -> Molecules:
    """Molecules under the reward that a finished molecule earns."""
    return Molecules(vocabulary, study.reward, partial(trained_on, study.molecules))


def terminal(study: MoleculeStudy) -> stages.Tuning:
    """Q, Psi, G and RL only under the terminal reward (Table 2, first block), in the study's form."""
    record, vocabulary = smiles_rnn(study)
    real = partial(held_out, study.molecules, vocabulary, True)
    return _tuned("terminal", record, terminal_domain(study, vocabulary), study.runs(), study.samples, real)


def terminal_plain(study: MoleculeStudy) -> stages.Tuning:
    """The same in the paper's form, one seed a method: how it collapses."""
    record, vocabulary = smiles_rnn(study)
    real = partial(held_out, study.molecules, vocabulary, True)
    return _tuned("terminal_plain", record, terminal_domain(study, vocabulary), study.plain_runs(), study.samples, real)


def authors(study: MoleculeStudy) -> stages.Tuning:
    """Q, Psi, G and RL only under the authors' reward of every character (Table 2, second block)."""
    record, vocabulary = authors_smiles_rnn(study)
    domain = AuthorsMolecules(vocabulary, training=partial(trained_on, study.molecules))
    real = partial(held_out, dataclasses.replace(study.molecules, tokeniser="characters"), vocabulary, False)
    return _tuned("authors", record, domain, study.authors_runs(), study.samples, real)


def _tuned(
    name: str, record: runs.Record, domain: Molecules, tasks: Sequence[tuple[Settings, int]], count: int, real: Real
) -> stages.Tuning:
    rnn = record.rnn()
    of_prior = (domain, rnn, None, 0, count, tasks[0][0].c, real)
    arguments = [of_prior, *((domain, rnn, settings, seed, count, settings.c, real) for settings, seed in tasks)]
    (_, prior_measures), *policies = runs.many(tuned_and_measured, arguments, f"tuning and measuring: {name}")
    return stages.Tuning(name, record, rnn, prior_measures, [(t, m) for t, m in policies if t is not None])


def policy_key(domain: Molecules, weights: str, settings: Settings, seed: int) -> str:
    """What determines a tuned policy: the episode and its reward, the prior's weights, all settings, seed and code."""
    form = stages.DUELING if isinstance(settings, DuelingSettings) else ("repro.ending",)
    code = runs.source_digest((*TUNING, *form, *domain.reward_modules))
    return runs.digest(stage="policy", domain=domain.describe(), prior=weights, settings=settings, seed=seed, code=code)


def policy(
    domain: Molecules, prior_rnn: SequenceRNN, settings: Settings, seed: int, real: Real, with_weights: bool
) -> runs.Record:
    """One tuned policy; its numbers are `curve` (records), `settings`, `precision`, `seed` and `seconds`.

    In the dueling form a row of the curve has `held_out_nll`, nats a token, of some of the real molecules.
    """
    key = policy_key(domain, runs.weights_digest(prior_rnn), settings, seed)
    found = runs.find(key, runs.POLICIES, with_weights=with_weights)
    if found is not None:
        return found
    began = time.process_time()
    if isinstance(settings, DuelingSettings):
        watched, method = real()[:WATCHED], kl_control.METHODS[settings.method]

        def observe(network: SequenceRNN) -> dict[str, float]:
            return {"held_out_nll": held_out_nll(method, network, prior_rnn, watched)}

        tuned = dueling.train(domain, prior_rnn, settings, seed, observe=observe)
    else:
        tuned = ending.train(domain, prior_rnn, settings, seed)
    numbers = {
        "domain": domain.name,
        "settings": settings,
        "seed": seed,
        "curve": tuned.curve.to_dict("records"),
        "seconds": round(time.process_time() - began, 1),
    }
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers, tuned.policy)


def tuned_and_measured(
    domain: Molecules,
    prior_rnn: SequenceRNN,
    settings: Settings | None,
    seed: int,
    count: int,
    c: float,
    real: Real,
) -> tuple[runs.Record | None, runs.Record]:
    """One policy and its measures, or those of the prior without settings: the unit of parallel work."""
    weights = runs.weights_digest(prior_rnn)
    key = weights if settings is None else policy_key(domain, weights, settings, seed)
    modules = (*TUNING, "repro.evaluation", "repro.optimum", *domain.reward_modules, *domain.measure_modules)
    measured_key = runs.digest(
        stage="measures", policy=key, domain=domain.describe(), count=count, c=c, code=runs.source_digest(modules)
    )
    measured = runs.find(measured_key)
    tuned = None if settings is None else policy(domain, prior_rnn, settings, seed, real, measured is None)
    if measured is None:
        method = None if settings is None else kl_control.METHODS[settings.method]
        network = prior_rnn if tuned is None else tuned.rnn()
        numbers, sample = evaluation.evaluate_to_end(domain, method, network, prior_rnn, count, seed, c)
        # of as many real molecules as are sampled, up to all: tiny runs stay tiny
        measures = {"held_out_nll": held_out_nll(method, network, prior_rnn, real()[:count])}
        numbers["metrics"] = dict(numbers["metrics"]) | measures  # type: ignore[call-overload]
        numbers["strings"] = domain.tokens.decode(sample.tokens[:STRINGS])
        if isinstance(settings, DuelingSettings):
            means = {name: domain.last_scores[name].to_numpy(float) for name in ESTIMATED}
            numbers["optimum"] = optimum.estimated(sample.log_p, sample.log_pi, sample.task_reward / c, means, count)
        measured = runs.save_record(runs.cache_folder() / "runs", measured_key, measured_key, numbers)
    return tuned, measured


def optimum_estimates(tuning: stages.Tuning) -> pd.DataFrame:
    """The optimum p exp(r/c) / Z as importance-weighted samples of each Psi and G policy show it: a row a policy.

    Returns:
        method, seed, J (of the policy), log_z, effective (samples), unique (of as many as were drawn), valid, and the
        means of logp, qed and sa.
    """
    rows = [
        {"method": tuned.numbers["settings"]["method"], "seed": tuned.numbers["seed"]}
        | {"J": measured.numbers["metrics"]["objective"]}
        | measured.numbers["optimum"]
        for tuned, measured in tuning.policies
        if tuned.numbers["settings"]["method"] in ("psi", "g") and "optimum" in measured.numbers
    ]
    return pd.DataFrame(rows)


def priming(study: MoleculeStudy, count: int) -> pd.DataFrame:
    """How the first character decides validity: the authors' RNN started in three ways, `count` strings each.

    Returns:
        One row a way: first character, part of the string, valid (share).
    """
    record, vocabulary = authors_smiles_rnn(study)
    domain, rnn = AuthorsMolecules(vocabulary), record.rnn()
    drawn = np.random.default_rng(0).choice(np.array(molecules(study.molecules).test), count)
    by_data = vocabulary.encode([string[0] for string in drawn])[0][:, 0].astype(np.int64)
    uniform = domain.first_inputs(count, np.random.default_rng(0))
    rows = []
    ways = ((uniform, "uniform", False), (uniform, "uniform", True), (by_data, "as in the data", True))
    for first, name, counts in ways:
        tokens = play_to_end([rnn], first, domain.horizon, domain.end, np.random.default_rng(1)).numpy()
        strings = vocabulary.decode(np.concatenate([first[:, None], tokens], axis=1) if counts else tokens)
        valid = np.mean([scores.parse(string)[0] is not None for string in strings])
        rows.append((name, "yes" if counts else "no", float(valid)))
    return pd.DataFrame(rows, columns=["first character", "part of the string", "valid"])
