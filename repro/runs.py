"""From a task to its finished run: a policy tuned from a prior, and measures of its samples; many runs as frames."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from repro import processes, store
from repro.authors import AuthorsSettings, AuthorsTutor
from repro.checkpoint import Checkpoints
from repro.domain import Domain, told
from repro.evaluation import estimated_optimum, evaluate, sampled
from repro.kl_control import Policy
from repro.path import PathSettings, PathTutor
from repro.prior import held_out_scores, train_prior
from repro.roads import RoadSettings, RoadTutor
from repro.settings import EpisodicSettings, PolicySettings, PriorSettings, TutorSettings, half
from repro.store import VERSIONS, Made, Record, Spec
from repro.tutor import Learner, Row, Tutor, train

TRAINERS: dict[type, tuple[str, Callable[..., Learner]]] = {
    TutorSettings: ("tutor", Tutor), PathSettings: ("path", PathTutor), AuthorsSettings: ("authors", AuthorsTutor),
    RoadSettings: ("road", RoadTutor),
}  # fmt: skip
Splits = Callable[[], Sequence[Sequence[np.ndarray]]]  # sequences to learn from, for the curve, for the scores
STRINGS = 1_000  # sampled sequences that are kept with a model's measures, for pictures and distributions


@dataclass(frozen=True)
class HeldOut:
    """Real sequences that no model has learned from, to see what is forgotten."""

    spec: dict[str, Any]  # which ones, in words
    read: Callable[[], Sequence[np.ndarray]]
    along: int = 0  # how many are asked at every row of the training curve
    at_end: int = 0  # how many of the finished policy


@dataclass(frozen=True)
class Task:
    """One policy to be tuned and measured; without settings, the prior itself."""

    domain: Domain
    prior: Record
    settings: PolicySettings | None = None
    seed: int = 0
    samples: int = 0  # sequences that are measured; 0: none
    c: float = 0.5  # the temperature at which the prior's J is measured
    held_out: HeldOut | None = None
    # a word of the run's name: what its curve has too; "measures": the domain's, and at its end the prior trained along
    observe: str = ""
    row: Callable[[Learner, int], Row] | None = field(default=None, compare=False)  # as in `repro.tutor.train`
    labels: Mapping[str, Any] = field(default_factory=dict)  # beside method, c and seed

    @cached_property
    def spec(self) -> Spec:
        """What determines the policy."""
        assert self.settings is not None
        trainer = TRAINERS[type(self.settings)][0]
        spec: dict[str, Any] = {
            "trainer": trainer, "version": VERSIONS[trainer], "domain": self.domain.spec(),
            "prior": self.prior.weights_digest, "settings": store.plain(self.settings), "seed": self.seed,
        }  # fmt: skip
        observed = {self.observe: self.domain.measures_version} if self.observe else {}
        if self.held_out and self.held_out.along:
            observed |= self.held_out.spec | {"count": self.held_out.along}
        return spec | ({"observed": observed} if observed else {})

    @cached_property
    def measures_spec(self) -> Spec:
        """What determines its measures."""
        policy = store.key_of(self.spec) if self.settings is not None else self.prior.weights_digest
        spec: dict[str, Any] = {"policy": policy, "samples": self.samples, "measures": self.domain.measures_version,
                                "version": VERSIONS["evaluation"]}  # fmt: skip
        if self.settings is None or None in self.domain.spec().values():
            spec["domain"] = self.domain.spec()
        if self.domain.end is not None and self.settings is None:
            spec["c"] = self.c
        if self.held_out and self.held_out.at_end:
            spec["held_out"] = self.held_out.spec | {"count": self.held_out.at_end}
        return spec

    @property
    def label(self) -> dict[str, Any]:
        """What tells this model from the others of an experiment; the prior has seed 0 and no c."""
        tuned = self.settings
        method, c, seed = (tuned.method, tuned.c, self.seed) if tuned is not None else ("prior", np.nan, 0)
        return {"method": method, "c": c, "seed": seed} | dict(self.labels)

    def policy(self, tuned: Record | None) -> Policy:
        """How the probabilities are read off the finished run, or off the prior without one."""
        prior = self.prior.rnn()
        if self.settings is None:
            return Policy(prior, prior)
        assert tuned is not None
        acting = tuned.rnn("prior.") if getattr(self.settings, "train_prior", False) else prior
        return Policy(tuned.rnn(), acting, self.settings.mathematics)

    def tune(self) -> Made:
        """Trains the policy; its numbers are `curve` and `core_seconds`."""
        checkpoints = Checkpoints(self.spec)
        learner = TRAINERS[type(self.settings)][1](self.domain, self.prior.rnn(), self.settings, self.seed)
        real = list(self.held_out.read())[: self.held_out.along] if self.held_out and self.held_out.along else []

        def observe(learner: Learner) -> Row:
            seen = told(self.domain, "measures", learner.games) if self.observe == "measures" else {}
            row = {str(name): float(value) for name, value in seen.items()}
            return row | ({"held_out_nll": held_out_scores(learner.acting, real)["nll"]} if real else {})

        title, done = f"tuning by {learner.settings.method}", max(0, checkpoints.done - 1)  # step 0 makes none
        with processes.progress(learner.steps, title, done) as bar:
            curve = train(learner, observe, self.row, lambda _: bar.update(), checkpoints)
        numbers = {"curve": curve.to_dict("list"), "core_seconds": round(checkpoints.spent(), 1)}
        along = {"prior.": learner.prior} if getattr(self.settings, "train_prior", False) else {}
        return numbers, {"": learner.policy} | along

    def measure(self, tuned: Record | None) -> Made:
        """What samples of the policy measure, or of the prior without one; its numbers are those of `evaluate`."""
        policy, domain = self.policy(tuned), self.domain
        c = self.settings.c if self.settings is not None else self.c
        compare_acting = self.observe == "measures"  # the runs whose prior may be trained
        numbers, sample = evaluate(domain, policy, self.prior.rnn(), self.samples, self.seed, c, compare_acting)
        if self.held_out and self.held_out.at_end:
            # of as many real sequences as are sampled, up to all: tiny runs stay tiny
            real = list(self.held_out.read())[: min(self.samples, self.held_out.at_end)]
            numbers["metrics"]["held_out_nll"] = held_out_scores(policy, real)["nll"]
        if domain.end is not None:
            numbers["strings"] = [domain.text(sequence) for sequence in sample.tokens[:STRINGS]]
        if isinstance(self.settings, EpisodicSettings) and (values := domain.values(sample.tokens)):
            numbers["optimum"] = estimated_optimum(sample, c, values)
        return numbers, {}


def prior(spec: Spec, settings: PriorSettings, vocabulary: Callable[[], Sequence[str]], splits: Splits) -> Record:
    """The prior that settings and data (`spec`, in words) determine: shipped, finished earlier, or trained now."""

    def make() -> Made:  # only then `vocabulary` is asked for the V tokens and `splits` for the sequences
        (learned, validation, test), tokens = splits(), list(vocabulary())
        checkpoints = Checkpoints(prior_spec(spec, settings), time.perf_counter)
        with processes.progress(settings.steps, "training a prior", checkpoints.done) as bar:
            rnn, curve = train_prior(learned, validation, len(tokens), settings, bar.update, checkpoints)
        return {
            "test": held_out_scores(Policy(rnn, rnn), test),
            "test_without_32": held_out_scores(Policy(rnn, rnn), test, skip=32),
            "vocabulary": tokens, "curve": curve.to_dict("list"), "seconds": round(checkpoints.spent(), 1),
            "precision": "bfloat16" if settings.device == "cpu" and half(settings.precision) else "float32",
        }, {"": rnn}  # fmt: skip

    return store.finished(prior_spec(spec, settings), make, with_weights=True)


def prior_spec(data: Spec, settings: PriorSettings) -> Spec:
    """What determines a prior."""
    return {"trainer": "prior", "version": VERSIONS["prior"], "data": data, "settings": store.plain(settings)}


def finish(task: Task, tuned: Record | None = None) -> tuple[Record | None, Record | None]:
    """A task's training (`tuned`, if known) and measures. Networks are read or made only if something needs them."""
    judged = store.find(store.key_of(task.measures_spec)) if task.samples else None
    needed = bool(task.samples) and judged is None
    if task.settings is not None and (tuned is None or (needed and tuned.weights is None)):
        tuned = store.finished(task.spec, task.tune, with_weights=needed)
    return tuned, store.finished(task.measures_spec, partial(task.measure, tuned)) if needed else judged


class Run(NamedTuple):
    """A finished task."""

    task: Task
    trained: Record | None  # None: the prior
    measured: Record | None

    @property
    def label(self) -> dict[str, Any]:
        """As that of its task."""
        return self.task.label

    def with_network(self) -> Record:
        """The training with its network, which is made anew where only its numbers were shipped."""
        return store.finished(self.task.spec, self.task.tune, with_weights=True)

    def policy(self) -> Policy:
        """The finished policy, or the prior."""
        return self.task.policy(self.with_network() if self.trained is not None else None)


@dataclass(frozen=True)
class Results:
    """One experiment: its finished runs, the prior's among them, as frames."""

    name: str
    runs: tuple[Run, ...] = field(repr=False)

    def __iter__(self) -> Iterator[Run]:
        """The tuned policies, without the prior."""
        return (run for run in self.runs if run.trained is not None)

    def table(self) -> pd.DataFrame:
        """Every measure of every model, one value per row: experiment, method, c, seed, own labels, metric, value."""
        return pd.DataFrame([{"experiment": self.name} | run.label | {"metric": metric, "value": value}
                             for run in self.runs if run.measured
                             for metric, value in run.measured.numbers["metrics"].items()])  # fmt: skip

    def curves(self) -> pd.DataFrame:
        """The training curves of all policies, a row per evaluation, with their labels."""
        if bare := [run for run in self if run.trained and "curve" not in run.trained.numbers]:
            raise FileNotFoundError(f"{self.name}: {len(bare)} runs are shipped without curves; --fresh makes them")
        frames = [pd.DataFrame(run.trained.numbers["curve"]).assign(**run.label) for run in self if run.trained]
        return pd.concat(frames, ignore_index=True)

    def at(self, c: float, seed: int) -> "Results":
        """The prior's run and those of one temperature and seed."""
        chosen = [run for run in self.runs if run.trained is None or (run.label["c"], run.label["seed"]) == (c, seed)]
        return Results(self.name, tuple(chosen))

    def samples(self, seed: int, count: int) -> dict[str, np.ndarray]:
        """By method, `count` sequences (count, T), all from the same priming tokens and the same random numbers."""
        return {run.label["method"]: sampled(run.task.domain, run.policy(), count, seed)[1] for run in self.runs}

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of all runs by key: what a clone reads instead of training."""
        return {each.key: each.numbers for run in self.runs for each in (run.trained, run.measured) if each is not None}


def finish_all(name: str, tasks: Iterable[Task]) -> Results:
    """All tasks of an experiment, finished; what is missing is made in parallel."""
    found = []
    for task in tasks:
        tuned = store.find(store.key_of(task.spec)) if task.settings is not None else None
        judged = store.find(store.key_of(task.measures_spec)) if task.samples else None
        found.append((task, tuned, judged, (tuned or not task.settings) and (judged or not task.samples)))
    missing = [(task, tuned) for task, tuned, _, whole in found if not whole]
    made = iter(processes.many(lambda known: finish(*known), missing, name) if missing else ())
    return Results(name, tuple(Run(task, *((tuned, judged) if whole else map(store.received, next(made))))
                               for task, tuned, judged, whole in found))  # fmt: skip
