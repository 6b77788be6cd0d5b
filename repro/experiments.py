"""The experiments of the paper by name: which corpus, which prior, which policies. Notebooks ask here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from repro import runs, stages
from repro.music import corpus
from repro.music.domain import Music
from repro.rnn import SequenceRNN
from repro.settings import Study, TutorSettings

MUSIC = Music()


@dataclass(frozen=True)
class Tuning:
    """One experiment: a prior, the policies tuned from it, and the measures of all of them."""

    name: str
    prior: runs.Record
    rnn: SequenceRNN  # the prior's network
    prior_measures: runs.Record
    policies: list[tuple[runs.Record, runs.Record]]  # training and measures, in the order of `Study.runs`

    def table(self) -> pd.DataFrame:
        """Every measure of every model, one value a row."""
        return stages.table(self.name, self.prior_measures, self.policies)

    def curves(self) -> pd.DataFrame:
        """The training curves of all policies."""
        return stages.curves(self.policies)

    def reward_parts(self) -> pd.DataFrame:
        """What each model earns rule by rule."""
        return stages.reward_parts(self.prior_measures, self.policies)

    def find(self, method: str, c: float, seed: int) -> tuple[runs.Record, runs.Record]:
        """The training and measures of one policy."""
        for tuned, measured in self.policies:
            settings = tuned.numbers["settings"]
            if (settings["method"], settings["c"], tuned.numbers["seed"]) == (method, c, seed):
                return tuned, measured
        raise KeyError(f"{self.name} has no run of {method} at c = {c} with seed {seed}")

    def probabilities(self, c: float, seed: int) -> dict[str, np.ndarray]:
        """Mean probability of each event at each step (38, 32), one array a model."""
        methods = dict.fromkeys(tuned.numbers["settings"]["method"] for tuned, _ in self.policies)
        shown = {"prior": np.array(self.prior_measures.numbers["probabilities"])}
        return shown | {m: np.array(self.find(m, c, seed)[1].numbers["probabilities"]) for m in methods}


def tunes(study: Study) -> corpus.Tunes:
    """The folk tunes of music21's installed corpus in the 38-event coding, converted once and cached."""
    code = runs.source_digest(("repro.music.corpus",))
    key = runs.digest(settings=study.tunes, files=corpus.source_digest(study.tunes.collections), code=code)
    return runs.cached(key, "tunes.npz", lambda: corpus.read(study.tunes), corpus.save, corpus.load)


def note_rnn(study: Study) -> runs.Record:
    """The Note RNN of tunes as notated."""
    melodies = tunes(study)
    return stages.prior(
        "music-as_notated", melodies.of("train"), melodies.of("validation"), melodies.of("test"),
        len(MUSIC.vocabulary), study.prior, data=melodies.digest(),
    )  # fmt: skip


def as_notated(study: Study) -> Tuning:
    """Q, Psi, G and RL only, tuned from the Note RNN of folk tunes as notated (Table 1, Figure 2)."""
    trained = note_rnn(study)
    rnn = trained.rnn()
    prior_measures = stages.measures(MUSIC, rnn, study.melodies)
    policies = stages.policies(MUSIC, rnn, study.runs(), study.melodies)
    return Tuning("as_notated", trained, rnn, prior_measures, policies)


def same_start(tuning: Tuning, c: float, seed: int, count: int) -> dict[str, np.ndarray]:
    """`count` melodies of every model (count, 32), all from the same priming notes and the same random numbers."""
    melodies = {"prior": stages.samples(MUSIC, tuning.rnn, None, count, seed)}
    for tuned, _ in tuning.policies:
        settings = tuned.numbers["settings"]
        if (settings["c"], tuned.numbers["seed"]) == (c, seed):
            weights = stages.policy(MUSIC, tuning.rnn, TutorSettings(**settings), seed, with_weights=True)
            melodies[settings["method"]] = stages.samples(MUSIC, tuning.rnn, weights, count, seed)
    return melodies
