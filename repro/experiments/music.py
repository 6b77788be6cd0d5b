"""The experiments of the paper by name: which corpus, which prior, which policies. Notebooks ask here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro import runs
from repro.experiments import stages
from repro.experiments.stages import Tuning
from repro.music import corpus, events, measures, midi, rebuilt
from repro.music.domain import Music
from repro.paper import PRIOR_VALIDATION, TABLE_1
from repro.settings import EVENT_CODINGS, ROOT, Study, TutorSettings

MUSIC = Music()
FEWER_MELODIES = 20_000  # where many models are measured


def _midi_folder(study: Study) -> Path:
    return ROOT / Path(study.tunes.midi_folder).expanduser()


def _tunes_key(study: Study) -> str:
    if study.tunes.midi_folder:
        folder = _midi_folder(study)
        code = runs.source_digest(("repro.music.midi", "repro.music.corpus", "repro.music.events"))
        settings = {"collection": folder.resolve().name, "track": study.tunes.midi_track}
        return runs.digest(settings=settings, files=midi.source_digest(folder), code=code)
    code = runs.source_digest(("repro.music.abc", "repro.music.corpus", "repro.music.events"))
    return runs.digest(settings=study.tunes, files=corpus.source_digest(study.tunes.collections), code=code)


def tunes(study: Study) -> corpus.Tunes:
    """The folk tunes of music21's installed corpus, or those of a MIDI folder, converted once and cached."""
    kept = study.tunes

    def make() -> corpus.Tunes:
        if kept.midi_folder:
            return midi.read(_midi_folder(study), track=kept.midi_track).tunes
        return corpus.read(kept.collections, kept.minimum_in_key, kept.minimum_events)

    return runs.cached(_tunes_key(study), "tunes.npz", make, keep=corpus.save, load=corpus.load)


def note_rnn_key(study: Study) -> str:
    """What determines the Note RNN of a study."""
    return stages.prior_key(study.prior, _tunes_key(study))


def note_rnn(study: Study) -> runs.Record:
    """The Note RNN of tunes as notated; the tunes themselves are asked for only if it has to be trained."""

    def splits() -> list[list[np.ndarray]]:
        melodies = tunes(study)
        return [melodies.of(split) for split in ("train", "validation", "test")]

    return stages.prior("music-as_notated", splits, lambda: MUSIC.vocabulary, study.prior, data=_tunes_key(study))


def as_notated(study: Study) -> Tuning:
    """Q, Psi, G and RL only, tuned from the Note RNN of folk tunes as notated (Table 1, Figure 2)."""
    return _tuned_from("as_notated", note_rnn(study), study)


def _rebuilt_key(study: Study) -> str:
    code = runs.source_digest(("repro.music.rebuilt",))
    return runs.digest(tunes=_tunes_key(study), rebuilt=study.rebuilt, code=code)


def rebuilt_note_rnn_key(study: Study) -> str:
    """What determines the Note RNN of a study's rebuilt corpus."""
    return stages.prior_key(study.prior, _rebuilt_key(study))


def rebuilt_note_rnn(study: Study) -> runs.Record:
    """The Note RNN of the rebuilt corpus, which has the statistics of the paper's."""
    made = study.rebuilt

    def splits() -> list[list[np.ndarray]]:
        melodies = tunes(study)
        counts = {"train": made.windows, "validation": made.held_out_windows, "test": made.held_out_windows}
        return [
            rebuilt.windows(melodies.of(split), count, made, seed) for seed, (split, count) in enumerate(counts.items())
        ]

    return stages.prior("music-rebuilt", splits, lambda: MUSIC.vocabulary, study.prior, data=_rebuilt_key(study))


def from_rebuilt(study: Study) -> Tuning:
    """Q, Psi, G and RL only, tuned from the Note RNN of the rebuilt corpus: the paper's own conditions."""
    return _tuned_from("rebuilt", rebuilt_note_rnn(study), rebuilt_study(study))


def rebuilt_study(study: Study) -> Study:
    """What is tuned from the rebuilt corpus: with settings of its own, and from fewer seeds."""
    return dataclasses.replace(fewer_seeds(study), tutor=study.rebuilt_tutor)


PAPERS_CHOICES: dict[str, dict[str, Any]] = {  # by name of the experiment
    "rebuilt_rate": {"learning_rate": 1e-3, "schedule": "constant"},
    "rebuilt_play": {"play": "epsilon_greedy"},
    "rebuilt_rate_and_play": {"learning_rate": 1e-3, "schedule": "constant", "play": "epsilon_greedy"},
}


def papers_choices(study: Study) -> list[Tuning]:
    """Q and Psi in our trainer with the paper's learning rate, with its play, and with both; up to two seeds."""
    base = rebuilt_study(study)
    c, seeds = base.seeds_at[0]
    few = dataclasses.replace(
        base, methods=("q", "psi"), seeds_at=((c, seeds[:2]),), melodies=min(base.melodies, FEWER_MELODIES)
    )
    trained = rebuilt_note_rnn(study)
    return [
        _tuned_from(name, trained, dataclasses.replace(few, tutor=dataclasses.replace(few.tutor, **changes)))
        for name, changes in PAPERS_CHOICES.items()
    ]


def choices_table(tunings: Sequence[Tuning]) -> pd.DataFrame:
    """Q and Psi of several experiments, means over seeds, a row each; last the paper's.

    Returns:
        Columns experiment, method, seeds and six measures.
    """
    metrics = ["repeated", "in_motif", "leaps_resolved", "starts_with_tonic", "autocorrelation_1", "log_p"]
    rows = []
    for tuning in tunings:
        table = tuning.table().query("method in ('q', 'psi')")
        for method, values in table.groupby("method", sort=False):
            means = values.groupby("metric")["value"].mean()
            seeds = values["seed"].nunique()
            rows.append({"experiment": tuning.name, "method": method, "seeds": seeds, **means[metrics]})
    published = {method: {metric: TABLE_1[metric][method] for metric in metrics[:-1]} for method in ("q", "psi")}
    rows += [{"experiment": "paper", "method": method, **values} for method, values in published.items()]
    return pd.DataFrame(rows, columns=["experiment", "method", "seeds", *metrics])


def fewer_seeds(study: Study) -> Study:
    """The same study with its first temperature alone, and as many seeds as start from the rebuilt corpus."""
    c, seeds = study.seeds_at[0]
    return dataclasses.replace(study, seeds_at=((c, seeds[: study.rebuilt_seeds]),))


def _tuned_from(name: str, trained: runs.Record, study: Study) -> Tuning:
    rnn = trained.rnn()
    prior_measures = stages.measures(MUSIC, rnn, study.melodies)
    return Tuning(name, trained, rnn, prior_measures, stages.policies(MUSIC, rnn, study.runs(), study.melodies))


def same_start(tuning: Tuning, c: float, seed: int, count: int) -> dict[str, np.ndarray]:
    """`count` melodies of every model (count, 32), all from the same priming notes and the same random numbers."""
    melodies = {"prior": stages.samples(MUSIC, tuning.rnn, None, count, seed)}
    for tuned, _ in tuning.policies:
        settings = tuned.numbers["settings"]
        if (settings["c"], tuned.numbers["seed"]) == (c, seed):
            weights = stages.policy(MUSIC, tuning.rnn, TutorSettings(**settings), seed, with_weights=True)
            melodies[settings["method"]] = stages.samples(MUSIC, tuning.rnn, weights, count, seed)
    return melodies


def at(frame: pd.DataFrame, c: float) -> pd.DataFrame:
    """The rows of one temperature, and the prior's, which has none."""
    return frame[(frame["c"] == c) | (frame["method"] == "prior")]


def describe(melodies: corpus.Tunes) -> pd.DataFrame:
    """One row a collection and one for all: melodies, events, mean length, shares of rests, holds and notes in key."""
    groups = {
        name: [e for e, own in zip(melodies.events, melodies.collection, strict=True) if own == name]
        for name in dict.fromkeys(melodies.collection)
    }
    rows = []
    for name, kept in (groups | {"all": list(melodies.events)}).items():
        played = np.concatenate(kept)
        pitches = played[played >= events.FIRST_PITCH] + events.LOWEST_MIDI - events.FIRST_PITCH
        rows.append({
            "collection": name,
            "melodies": len(kept),
            "events": len(played),
            "mean length": len(played) / len(kept),
            "rests": float((played == events.REST).mean()),
            "holds": float((played == events.HOLD).mean()),
            "notes in key": float(np.isin(pitches % 12, events.C_MAJOR).mean()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def two_causes(samples: np.ndarray) -> pd.DataFrame:
    """Repetition and motifs of a Note RNN's samples, slowed, in both readings of events 0 and 1; last the paper's."""
    rows = {}
    for times in (1, 2, 3, 4):
        slow = rebuilt.slowed(samples, times)[:, : events.HORIZON]
        as_written, exchanged = (measures.rule_counts(m) for m in (slow, rebuilt.swap_rest_and_hold(slow)))
        rows[f"{times} x"] = (as_written["repeated"], exchanged["repeated"], exchanged["in_motif"])
    rows["paper"] = (np.nan, TABLE_1["repeated"]["prior"], TABLE_1["in_motif"]["prior"])
    columns = ["repeated, as the paper says", "repeated, rest and hold exchanged", "in motif, in both readings"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("slowed")


CAUSES = ("event_coding", "speed", "silences")
SPEEDS = {"as written": (1.0, 0.0, 0.0), "quarter": (0.0, 0.0, 1.0)}


def cause(study: Study, event_coding: str, speed: str, silences: float) -> runs.Record:
    """A Note RNN of `comparison_steps` that learned from tunes in one coding, at one speed, with silences or none.

    Returns:
        A record whose numbers are CAUSES, `test` (held-out scores) and `metrics` (of its samples).
    """
    steps, count = study.comparison_steps, min(study.melodies, FEWER_MELODIES)
    prior = dataclasses.replace(study.prior, steps=steps, evaluate_every=steps)
    made = dataclasses.replace(
        study.rebuilt, event_coding=event_coding, speeds=SPEEDS[speed], silences=silences,
        windows=min(study.rebuilt.windows, steps * prior.windows),
    )  # fmt: skip
    one = dataclasses.replace(study, prior=prior, rebuilt=made)
    code = runs.source_digest((*stages.MEASURING, *MUSIC.reward_modules, *MUSIC.measure_modules))
    key = runs.digest(stage="cause", prior=rebuilt_note_rnn_key(one), count=count, code=code)
    found = runs.find(key)
    if found is not None:
        return found
    trained = rebuilt_note_rnn(one)
    numbers = {"event_coding": event_coding, "speed": speed, "silences": silences, "test": trained.numbers["test"]}
    numbers["metrics"] = stages.measures(MUSIC, trained.rnn(), count).numbers["metrics"]
    return runs.save_record(runs.cache_folder() / "runs", key, key, numbers)


def causes(study: Study) -> list[runs.Record]:
    """Note RNNs over everything that may be behind the paper's repetition: coding x speed x silences, eight in all."""
    choices = [(study, c, speed, silences) for c in EVENT_CODINGS for speed in SPEEDS for silences in (0.0, 0.4)]
    return runs.many(cause, choices, "training Note RNNs")


def causes_table(found: Sequence[runs.Record]) -> pd.DataFrame:
    """What each Note RNN of `causes` plays and how well it predicts, a row each; last the paper's."""
    metrics = ("repeated", "in_motif", "autocorrelation_1", "autocorrelation_2", "autocorrelation_3")
    rows = [
        {name: one.numbers[name] for name in CAUSES}
        | {metric: one.numbers["metrics"][metric] for metric in metrics}
        | {score: one.numbers["test"][score] for score in ("accuracy", "nll")}
        for one in found
    ]
    paper = {metric: TABLE_1[metric]["prior"] for metric in metrics}
    paper |= {score: PRIOR_VALIDATION[f"validation_{score}"] for score in ("accuracy", "nll")}
    return pd.DataFrame([*rows, {"event_coding": "the paper's Note RNN", **paper}])


def event_frequencies(melodies: Sequence[np.ndarray], source: str) -> pd.DataFrame:
    """How often each event occurs: source, event, share."""
    counts = np.bincount(np.concatenate(list(melodies)), minlength=events.NUM_EVENTS)
    return pd.DataFrame({"source": source, "event": np.arange(events.NUM_EVENTS), "share": counts / counts.sum()})


def readings(curves: pd.DataFrame, published: Mapping[str, float]) -> pd.DataFrame:
    """Both readings of Figure 2a beside the published curve: means over seeds and training's last fifth, in nats."""
    late = curves[curves["environment_steps"] >= 0.8 * curves["environment_steps"].max()]
    means = late.groupby("method")[["log_p", "log_p_last"]].mean()
    means["published"] = pd.Series(dict(published))
    names = {"log_p": "mean over all notes", "log_p_last": "last note only"}
    return means.rename(columns=names).reset_index()


def final_values(tuning: Tuning) -> pd.DataFrame:
    """What the final policies measure, means over seeds: a row a method and temperature."""
    metrics = ["log_p", "kl", "entropy", "task_reward"]
    chosen = tuning.table().query("metric in @metrics")
    wide = chosen.pivot_table(index=["method", "c"], columns="metric", values="value", dropna=False)
    return wide[metrics].dropna(how="all").reset_index()
