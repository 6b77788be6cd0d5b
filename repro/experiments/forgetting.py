"""The experiment `forgetting`: the policies of `experiments.as_notated` once more, watched while they forget the tunes.

    watched = forgetting(study)
    watched.curves()   # method, c, seed, what `Tutor.evaluate` returns, unique and held_out_nll, a row an evaluation
    watched.table()    # held_out_nll of the prior and of the final policies, long

Settings and seeds are those of the reported runs, and looking does not disturb training, so that the policies are the
same to the last bit. What is new is asked of each: how many of its games differ, and how well it predicts real tunes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from repro import runs
from repro.experiments import music as experiments, stages
from repro.experiments.music import MUSIC
from repro.forgetting import held_out_nll
from repro.rnn import SequenceRNN, play
from repro.settings import Study, TutorSettings
from repro.tutor import EVALUATION_SEED, Tutor

NAME = "forgetting"
TUNES = 200  # ours: held-out test tunes, drawn once; all models of all seeds read the same
EVENTS = 64  # ours: of each tune, from its first event on, as many as a training window of the Note RNN has
CODE = ("repro.forgetting", "repro.experiments.forgetting")
COLUMNS = ["experiment", "method", "c", "seed", "metric", "value"]


@dataclass(frozen=True)
class Forgetting:
    """The Note RNN and the watched runs; the numbers of a run are `curve` (records), `settings`, `seed`, `seconds`."""

    prior: runs.Record
    policies: list[runs.Record]

    def curves(self) -> pd.DataFrame:
        """All evaluations of all runs."""
        parts = [
            pd.DataFrame(run.numbers["curve"]).assign(
                method=run.numbers["settings"]["method"], c=run.numbers["settings"]["c"], seed=run.numbers["seed"]
            )
            for run in self.policies
        ]
        return pd.concat(parts, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """Held-out likelihood of the prior and the final policies: COLUMNS, nats an event; the prior has seed 0."""
        rows = [(NAME, "prior", np.nan, 0, "held_out_nll", self.prior.numbers["held_out_nll"])]
        for run in self.policies:
            settings = run.numbers["settings"]
            final = run.numbers["curve"][-1]["held_out_nll"]
            rows.append((NAME, settings["method"], settings["c"], run.numbers["seed"], "held_out_nll", final))
        return pd.DataFrame(rows, columns=COLUMNS)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of all runs by digest: what a clone reads instead of training."""
        return {run.digest: run.numbers for run in (self.prior, *self.policies)}

    def digests(self) -> list[str]:
        """The runs that the numbers were made from."""
        return sorted(run.digest for run in (self.prior, *self.policies))


def forgetting(study: Study) -> Forgetting:
    """Watches every method at the first temperature, on as many seeds as start from the rebuilt corpus (three)."""
    fewer = experiments.fewer_seeds(study)
    rnn = experiments.note_rnn(study).rnn()
    tasks = [(fewer, rnn, settings, seed) for settings, seed in fewer.runs()]
    return Forgetting(_of_prior(fewer, rnn), runs.many(_watched, tasks, "watching what is forgotten"))


def real_tunes(study: Study) -> list[np.ndarray]:
    """The held-out tunes that are read: the same ones for every model."""
    held_out = experiments.tunes(study).of("test")
    chosen = np.random.default_rng(0).permutation(len(held_out))[:TUNES]
    return [held_out[place][:EVENTS] for place in sorted(chosen)]


def watch(
    prior_rnn: SequenceRNN, settings: TutorSettings, seed: int, look: Callable[[Tutor], dict[str, float]]
) -> tuple[Tutor, pd.DataFrame]:
    """Tunes as `repro.tutor.train` does, and looks at the policy whenever that evaluates it."""
    torch.set_num_threads(1)
    tutor = Tutor(MUSIC, prior_rnn, settings, seed)
    rows = [tutor.evaluate() | look(tutor)]
    for number in range(1, settings.rounds + 1):
        tutor.round()
        if number % settings.evaluate_every == 0 or number == settings.rounds:
            rows.append(tutor.evaluate() | look(tutor))
    return tutor, pd.DataFrame(rows)


def looked(tutor: Tutor, real: Sequence[np.ndarray]) -> dict[str, float]:
    """What evaluations do not say: the share of distinct games, and how well the policy predicts real tunes.

    Returns:
        unique: of the very games that `Tutor.evaluate` plays, in (0, 1]; held_out_nll: nats an event.
    """
    numbers = np.random.default_rng([tutor.seed, EVALUATION_SEED, tutor.environment_steps])
    first = MUSIC.first_inputs(tutor.settings.evaluation_games, numbers)
    games = play(tutor.players(), first, MUSIC.horizon, numbers).numpy()
    return {
        "unique": len(np.unique(games, axis=0)) / len(games),
        "held_out_nll": held_out_nll(tutor.method, tutor.policy, tutor.prior, real),
    }


def _key(study: Study, policy: str) -> str:
    """What determines a watched run: the policy, the tunes that it is asked for, and the code that asks."""
    read = {"corpus": experiments.note_rnn_key(study), "tunes": TUNES, "events": EVENTS}
    return runs.digest(stage=NAME, policy=policy, read=read, code=runs.source_digest(CODE))


def _watched(study: Study, prior_rnn: SequenceRNN, settings: TutorSettings, seed: int) -> runs.Record:
    """One watched run: the unit of work. Tunes are read only if it has to be trained."""
    key = _key(study, stages.policy_key(MUSIC, runs.weights_digest(prior_rnn), settings, seed))
    found = runs.find(key)
    if found is not None:
        return found
    real = real_tunes(study)
    began = time.process_time()
    _, curve = watch(prior_rnn, settings, seed, lambda tutor: looked(tutor, real))
    numbers = {
        "settings": settings,
        "seed": seed,
        "curve": curve.round(6).to_dict("records"),
        "seconds": round(time.process_time() - began, 1),
    }
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers)


def _of_prior(study: Study, prior_rnn: SequenceRNN) -> runs.Record:
    key = _key(study, runs.weights_digest(prior_rnn))
    found = runs.find(key)
    if found is not None:
        return found
    numbers = {"held_out_nll": round(held_out_nll(None, prior_rnn, prior_rnn, real_tunes(study)), 6)}
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers)
