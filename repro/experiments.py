"""Every experiment by name, on melodies, then on molecules: which data, prior, policies. What is finished is read."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from repro import ROOT, processes, runs, store
from repro.authors import AuthorsSettings
from repro.molecules import data
from repro.molecules.domain import AuthorsMolecules, Molecules
from repro.music import corpus
from repro.music.domain import Music
from repro.path import PathSettings
from repro.prior import held_out_scores
from repro.runs import HeldOut, Results, Task
from repro.settings import EventCoding, MoleculeSettings, PriorSettings, TutorSettings
from repro.store import VERSIONS, Record, Spec
from repro.studies import MoleculeStudy, MusicStudy

MUSIC = Music()
SPLITS = ("train", "validation", "test")
FEWER_MELODIES = 20_000  # where many models are measured
WATCHED_TUNES, WATCHED_EVENTS = 200, 64  # ours: held-out tunes that all models read; events of each, as in training
CAUSES = ("event_coding", "speed", "silences")
SPEEDS = {"as written": (1.0, 0.0, 0.0), "quarter": (0.0, 0.0, 1.0)}
HELD_OUT_MOLECULES, WATCHED_MOLECULES = 1_000, 200  # real ones, asked of a tuned policy, and of one along training


def tunes_spec(study: MusicStudy) -> Spec:
    """What determines the melodies that a study learns from."""
    kept = {name: value for name, value in store.plain(study.tunes).items() if not name.startswith("midi")}
    if study.tunes.midi_folder:
        folder = ROOT / Path(study.tunes.midi_folder).expanduser()
        kept = {"collection": folder.resolve().name, "midi_track": study.tunes.midi_track}
    return {"corpus": corpus.source_digest(study.tunes), "version": VERSIONS["corpus"]} | kept


def tunes(study: MusicStudy) -> pd.DataFrame:
    """The folk tunes of music21's installed corpus, or those of a MIDI folder, converted once and cached."""
    return store.cached(tunes_spec(study), lambda: corpus.read(study.tunes))


def note_rnn(study: MusicStudy) -> Record:
    """The Note RNN of tunes as notated; the tunes themselves are asked for only if it has to be trained."""
    return runs.prior(tunes_spec(study), study.prior, lambda: MUSIC.vocabulary, lambda: [
        corpus.of(tunes(study), split) for split in SPLITS])  # fmt: skip


def rebuilt_spec(study: MusicStudy) -> Spec:
    """What determines the rebuilt corpus."""
    return {"tunes": tunes_spec(study), "rebuilt": store.plain(study.rebuilt), "version": VERSIONS["corpus"]}


def rebuilt_windows(study: MusicStudy, split: str) -> list[np.ndarray]:
    """Pieces of tunes (T,), the rebuilt corpus's of one split."""
    made, tuned = study.rebuilt, corpus.of(tunes(study), split)
    return corpus.windows(tuned, made.windows if split == "train" else made.held_out_windows, made, SPLITS.index(split))


def rebuilt_note_rnn(study: MusicStudy) -> Record:
    """The Note RNN of the rebuilt corpus, which has the statistics of the paper's."""
    return runs.prior(rebuilt_spec(study), study.prior, lambda: MUSIC.vocabulary, lambda: [
        rebuilt_windows(study, split) for split in SPLITS])  # fmt: skip


def real_tunes(study: MusicStudy, along: int = 0, at_end: int = 0) -> HeldOut:
    """The held-out tunes that models are asked for: the same ones for every model."""

    def read() -> list[np.ndarray]:
        held_out = corpus.of(tunes(study), "test")
        chosen = np.random.default_rng(0).permutation(len(held_out))[:WATCHED_TUNES]
        return [held_out[place][:WATCHED_EVENTS] for place in sorted(chosen)]

    return HeldOut({"tunes": tunes_spec(study), "events": WATCHED_EVENTS}, read, along, at_end)


def as_notated(study: MusicStudy) -> Results:
    """The four methods from the Note RNN (Table 1, Figure 2); first seeds at the first c are watched: held_out_nll."""
    real = real_tunes(study, along=WATCHED_TUNES)
    return runs.finish_all("as_notated", _music(note_rnn(study), study, study.tutor, real))


def held_out_tunes(study: MusicStudy) -> Record:
    """The Note RNN's own loss on the tunes that policies are asked for: `held_out_nll`, nats per event."""
    trained, real = note_rnn(study), real_tunes(study)
    spec = {"policy": trained.weights_digest, "version": VERSIONS["evaluation"],
            "held_out": real.spec | {"count": WATCHED_TUNES}}  # fmt: skip
    return store.finished(spec, lambda: ({
        "held_out_nll": held_out_scores(Task(MUSIC, trained).policy(None), real.read())["nll"]}, {}))  # fmt: skip


def from_rebuilt(study: MusicStudy, fresh: bool = False) -> Results:
    """Q, Psi, G and RL only, tuned from the Note RNN of the rebuilt corpus: the paper's own conditions."""
    # `fresh`: on seeds that nobody had seen when the settings were chosen
    name, seeds = ("rebuilt_fresh", study.fresh_seeds) if fresh else ("rebuilt", study.seeds[: study.rebuilt_seeds])
    melodies = min(study.melodies, FEWER_MELODIES) if fresh else study.melodies
    few = replace(study, c=study.c[:1], seeds=seeds, melodies=melodies)
    return runs.finish_all(name, _music(rebuilt_note_rnn(study), few, study.rebuilt_tutor))


def papers_choices(study: MusicStudy) -> list[Results]:
    """Q and Psi in our trainer with the paper's learning rate, with its play, and with both; up to two seeds."""
    few = replace(study, methods=("q", "psi"), c=study.c[:1], melodies=min(study.melodies, FEWER_MELODIES),
                  seeds=study.seeds[: min(2, study.rebuilt_seeds)])  # fmt: skip
    rate = replace(study.rebuilt_tutor, learning_rate=1e-3, schedule="constant")
    play, both = (replace(tutor, play="epsilon_greedy") for tutor in (study.rebuilt_tutor, rate))
    chosen = {"rebuilt_rate": rate, "rebuilt_play": play, "rebuilt_rate_and_play": both}
    return [runs.finish_all(name, _music(rebuilt_note_rnn(study), few, each)) for name, each in chosen.items()]


def _music(prior: Record, study: MusicStudy, tutor: TutorSettings, real: HeldOut | None = None) -> list[Task]:
    """The prior and every policy, temperature by temperature."""
    first = {(study.c[0], seed): real for seed in study.seeds[: study.rebuilt_seeds]}
    return [Task(MUSIC, prior, samples=study.melodies)] + [
        Task(MUSIC, prior, replace(tutor, method=method, c=c), seed, study.melodies, held_out=first.get((c, seed)))
        for c in study.c for method in study.methods for seed in study.seeds_at(c)]  # fmt: skip


def path_music(study: MusicStudy) -> Results:
    """Psi and G from the Note RNN in the path-consistent form, at the paper's discount and without one."""
    prior, path = note_rnn(study), replace(study.path, c=study.c[0])
    return runs.finish_all("path_music", [
        Task(MUSIC, prior, replace(path, method=method, gamma=gamma), seed, study.melodies, labels={"gamma": gamma})
        for gamma in (0.5, 1.0) for method in ("psi", "g") for seed in study.seeds])  # fmt: skip


def causes(study: MusicStudy) -> list[Record]:
    """Note RNNs over what may be behind the paper's repetition, eight in all: CAUSES, `test` (held out), `metrics`."""
    choices = [(study, coding, speed, silences)
               for coding in get_args(EventCoding) for speed in SPEEDS for silences in (0.0, 0.4)]  # fmt: skip
    return processes.many(_cause, choices, "training Note RNNs")


def _cause(choice: tuple[MusicStudy, Any, str, float]) -> Record:
    study, coding, speed, silences = choice
    steps, count = study.comparison_steps, min(study.melodies, FEWER_MELODIES)
    prior = replace(study.prior, steps=steps, evaluate_every=steps)
    made = replace(study.rebuilt, event_coding=coding, speeds=SPEEDS[speed], silences=silences,
                   windows=min(study.rebuilt.windows, steps * prior.windows))  # fmt: skip
    one = replace(study, prior=prior, rebuilt=made)

    def make() -> store.Made:
        trained = rebuilt_note_rnn(one)
        measured, _ = Task(MUSIC, trained, samples=count).measure(None)
        numbers = {"test": trained.numbers["test"], "metrics": measured["metrics"]}
        return dict(zip(CAUSES, choice[1:], strict=True)) | numbers, {}

    spec = {"policy": store.key_of(runs.prior_spec(rebuilt_spec(one), prior)), "samples": count,
            "measures": MUSIC.measures_version, "version": VERSIONS["evaluation"]}  # fmt: skip
    return store.finished(spec, make)


def _variants(name: str, study: MusicStudy, variants: dict[str, Any], seeds: int) -> Results:
    prior = rebuilt_note_rnn(study)
    return runs.finish_all(name, [
        Task(MUSIC, prior, settings, seed, study.melodies, observe="measures", labels={"variant": kind})
        for kind, settings in variants.items() for seed in study.seeds[:seeds]])  # fmt: skip


def trained_prior(study: MusicStudy) -> Results:
    """G whose prior is trained with it through whole episodes, beside G with the fixed prior, from up to five seeds."""
    fixed = replace(study.tutor, method="g", c=study.c[0])
    variants = {"prior fixed": fixed, "prior trained": replace(fixed, train_prior=True),
                "prior trained, zero head": replace(fixed, train_prior=True, start="zero_head")}  # fmt: skip
    return _variants("trained_prior", study, variants, 5)


def trained_prior_one_step(study: MusicStudy) -> Results:
    """The same one step of the RNN at a time, on the authors' schedule, from up to two seeds."""
    events = study.one_step_events  # epsilon falls over the first half of them
    plain = AuthorsSettings(
        method="g", c=study.c[0], train_prior=True, environment_steps=events, epsilon_steps=max(1, events // 2),
        evaluate_every=max(1, events // 20), evaluation_games=study.tutor.evaluation_games)  # fmt: skip
    variants = {"prior trained one step": plain, "prior trained one step, zero head": replace(plain, start="zero_head")}
    return _variants("trained_prior_one_step", study, variants, 2)


def authors_schedule(study: MusicStudy) -> Results:
    """The four methods on the authors' schedule, and G as their code really trains it, from up to three seeds."""
    base = AuthorsSettings(c=study.c[0], evaluation_games=study.tutor.evaluation_games)
    variants = {method: replace(base, method=method) for method in study.methods}
    if "g" in variants:
        variants["g, prior trained"] = replace(variants["g"], train_prior=True)
    return _variants("authors_schedule", study, variants, 3)


def molecules_spec(settings: MoleculeSettings) -> Spec:
    """What determines the strings that a SMILES RNN learns from."""
    kept = {"molecules": settings.molecules, "held_out": settings.held_out, "tokeniser": settings.tokeniser}
    return {"corpus": data.source_digest(settings), "version": VERSIONS["corpus"]} | kept


@cache
def molecules(settings: MoleculeSettings) -> pd.DataFrame:
    """The strings to learn from and those held out: smiles, split."""
    return store.cached(molecules_spec(settings), lambda: data.read(settings, store.cache_folder() / "data"))


@cache
def strings(settings: MoleculeSettings, split: str) -> list[str]:
    """Those of one split."""
    return molecules(settings).query("split == @split")["smiles"].tolist()


def smiles_rnn(study: MoleculeStudy) -> tuple[Record, data.Vocabulary]:
    """The SMILES RNN of a study, and the tokens that it knows; molecules are read only if it has to be trained."""
    return _smiles_rnn(study.molecules, study.prior, start=True)


def authors_smiles_rnn(study: MoleculeStudy) -> tuple[Record, data.Vocabulary]:
    """The authors' SMILES RNN: characters, and no start token, so that the first character is never predicted."""
    return _smiles_rnn(replace(study.molecules, tokeniser="characters"), study.authors_prior, start=False)


def _smiles_rnn(settings: MoleculeSettings, prior: PriorSettings, start: bool) -> tuple[Record, data.Vocabulary]:
    def vocabulary() -> data.Vocabulary:
        return data.Vocabulary.of(strings(settings, "train"), settings.tokeniser)

    spec = dict(molecules_spec(settings)) | ({} if start else {"start_token": "none"})
    record = runs.prior(spec, prior, lambda: vocabulary().tokens, lambda: [
        _sequences(settings, split, vocabulary(), start) for split in SPLITS])  # fmt: skip
    return record, data.Vocabulary(tuple(record.numbers["vocabulary"]), settings.tokeniser)


def _sequences(settings: MoleculeSettings, split: str, vocabulary: data.Vocabulary, start: bool) -> list[np.ndarray]:
    return [tokens[0 if start else 1 :] for tokens in vocabulary.encode(strings(settings, split))]


def molecule_runs(study: MoleculeStudy, name: str, settings: Sequence[Any], seeds: Sequence[int]) -> Results:
    """The SMILES RNN and policies tuned from it under the reward that a finished molecule earns."""
    (prior, vocabulary), of = smiles_rnn(study), study.molecules
    # the most tokens of a molecule: those of MOSES, or as many as an own file needs
    horizon = data.horizon(molecules(of)["smiles"], of)[0] if of.smiles_file else data.HORIZON
    domain = Molecules(vocabulary, study.reward, lambda: frozenset(strings(of, "train")), horizon=horizon)
    read = partial(_sequences, of, "test", vocabulary, True)
    of_prior = HeldOut({"molecules": molecules_spec(of)}, read, at_end=HELD_OUT_MOLECULES)
    watched = replace(of_prior, along=WATCHED_MOLECULES)
    tasks = [Task(domain, prior, samples=study.samples, c=study.tuning(study.methods[0]).c, held_out=of_prior)]
    tasks += [Task(domain, prior, each, seed, study.samples,
                   held_out=watched if isinstance(each, PathSettings) else of_prior)
              for each in settings for seed in seeds]  # fmt: skip
    return runs.finish_all(name, tasks)


def of_smiles_rnn(study: MoleculeStudy) -> Results:
    """What samples of the SMILES RNN measure."""
    return molecule_runs(study, "terminal", [], [])


def terminal(study: MoleculeStudy, fresh: bool = False, paper_form: bool = False) -> Results:
    """Q, Psi, G and RL only under the terminal reward (Table 2, first block), in the study's form or in the paper's."""
    # `fresh`: on seeds that nobody had seen when the settings were chosen
    name, of = ("terminal_plain", replace(study, form="paper")) if paper_form else ("terminal", study)
    name, seeds = (f"{name}_fresh", study.fresh_seeds) if fresh else (name, study.seeds)
    return molecule_runs(study, name, [of.tuning(method) for method in study.methods], seeds)


def terminal_over_c(study: MoleculeStudy) -> Results:
    """Q, Psi and G at further temperatures, from the first seed: how much reward for how much KL."""
    settings = [replace(study.tuning(method), c=c) for method in study.methods for c in study.further_c
                if method != "rl_only" and c != study.tuning(method).c]  # fmt: skip
    return molecule_runs(study, "terminal_c", settings, study.seeds[:1])


def authors_molecules(study: MoleculeStudy) -> Results:
    """Q, Psi, G and RL only under the authors' reward of every character (Table 2); one seed."""
    prior, vocabulary = authors_smiles_rnn(study)
    domain = AuthorsMolecules(vocabulary, training=lambda: frozenset(strings(study.molecules, "train")))
    of = replace(study.molecules, tokeniser="characters")
    read = partial(_sequences, of, "test", vocabulary, False)
    real = HeldOut({"molecules": molecules_spec(of)}, read, at_end=HELD_OUT_MOLECULES)
    tasks = [Task(domain, prior, samples=study.samples, c=study.authors.c, held_out=real)]
    tasks += [Task(domain, prior, replace(study.authors, method=method), seed, study.samples, held_out=real)
              for method in study.methods for seed in study.seeds[:1]]  # fmt: skip
    return runs.finish_all("authors", tasks)
