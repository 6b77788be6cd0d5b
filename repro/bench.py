"""All methods and roads compared: on melodies, molecules, and the problems of `repro.exact`, whose optimum is known."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from repro import experiments, runs, store
from repro.evaluation import evaluate, importance
from repro.exact import EVERY, PROBLEMS, Enumerable, Exact
from repro.experiments import MUSIC, WATCHED_TUNES
from repro.kl_control import METHODS
from repro.path import PathSettings
from repro.roads import ROADS, RoadSettings
from repro.runs import Results, Run, Task
from repro.settings import PolicySettings, TutorSettings, changed, need
from repro.store import VERSIONS, Made, Record
from repro.studies import MOLECULE_PATHS, ExactStudy, FrontStudy, MoleculeStudy, RoadStudy
from repro.tutor import Learner, Row

SETTINGS: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
EXACT_PATH, EXACT_TUTOR = PathSettings(**SETTINGS["exact_path"]), TutorSettings(**SETTINGS["exact_tutor"])


def start_of(method: str) -> Any:
    """Where learning starts in the paper's form, so that the policy begins as the prior."""
    return "zero_head" if METHODS[method].plays_with_prior else "log_softmax"


def prior(problem: Enumerable) -> Record:
    """The prior of a problem, learned from its corpus in seconds."""
    return runs.prior(problem.spec(), ExactStudy().prior, lambda: problem.vocabulary, lambda: [
        problem.corpus(count, seed) for seed, count in enumerate((20_000, 2_000, 2_000))])  # fmt: skip


@cache
def solved(name: str, c: float) -> Exact:
    """A problem by name, its prior and a temperature, written out in full; once per process."""
    problem = next(problem for problem in EVERY if problem.name == name)
    return Exact(problem, prior(problem).rnn(), c)


def learned(study: ExactStudy) -> Results:
    """Q, Psi and G in the path-consistent form, Psi and G in the paper's, and Psi with discounts."""
    path = replace(EXACT_PATH, c=study.c, steps=study.steps)
    paper = replace(EXACT_TUTOR, c=study.c, rounds=study.steps)
    kinds: list[tuple[str, Any]] = [("path", replace(path, method=method)) for method in ("q", "psi", "g")]
    kinds += [("paper", replace(paper, method=method, start=start_of(method))) for method in ("psi", "g")]
    kinds += [("path", replace(path, method="psi", gamma=gamma)) for gamma in study.gammas]
    return runs.finish_all("exact", [
        Task(problem, prior(problem), settings, seed, row=partial(_distances, short=True), observe="exact",
             labels={"domain": problem.name, "form": form, "gamma": settings.gamma})
        for problem in PROBLEMS for form, settings in kinds for seed in study.seeds])  # fmt: skip


def at_rate(settings: Any, rate: float) -> Any:
    """The same settings with another learning rate, of the LSTM and of the head."""
    alone = isinstance(settings, TutorSettings)
    return replace(settings, learning_rate=rate, **({} if alone else {"head_learning_rate": rate}))


FORMS = {"psi": EXACT_PATH, "g": EXACT_PATH, "q": EXACT_PATH, "psi_paper": EXACT_TUTOR, "g_paper": EXACT_TUTOR}
TUNED: dict[str, PolicySettings] = {name: changed(form, SETTINGS[name]["exact"]) for name, form in FORMS.items()} | {
    name: RoadSettings(method=name, episodes=64, **SETTINGS.get(name, {}).get("exact", {})) for name in ROADS
}
ON_MOLECULES: dict[str, PolicySettings] = {
    name: changed(MOLECULE_PATHS[name], own["molecules"]) if name in FORMS
    else RoadSettings(method=name, remembered=16_000, held=0.5, precision="auto", **own["molecules"])
    for name, own in SETTINGS.items() if "molecules" in own
}  # fmt: skip
MELODY_C = 8.0  # that notebook 09 picks near the prior


def roads(study: RoadStudy) -> Results:
    """Every road on every problem, at every temperature, from its seeds."""
    return runs.finish_all("roads", [task for name in study.roads for task in on_road(name, TUNED[name], study)])


def on_road(name: str, settings: PolicySettings, study: RoadStudy, **labels: Any) -> list[Task]:
    """The tasks of one road with these settings, labelled problem and road."""
    steps = "rounds" if isinstance(settings, TutorSettings) else "steps"
    settings = changed(settings, {steps: study.steps, "evaluate_every": max(1, study.steps // 12)})
    return [Task(problem, prior(problem), changed(settings, {"c": c}), seed, row=_distances, observe="distances",
                 labels={"problem": problem.name, "road": name, **labels})
            for problem in EVERY if problem.name in study.problems
            for c in study.c for seed in study.seeds]  # fmt: skip


def _distances(learner: Learner, number: int, short: bool = False) -> Row:
    """How far a policy is from the optimum as it learns, exactly; `short`: step, KL(pi || p*) and J alone."""
    truth = solved(learner.domain.name, learner.settings.c)
    table = truth.policy_of(learner.method, learner.policy)
    row = {"step": number, "kl": truth.kl_to_optimum(table), "objective": truth.objective(table)}
    return row if short else row | {
        "forward_kl": truth.kl_from_optimum(table), "total_variation": truth.total_variation(table),
        "log_z_error": learner.log_z - truth.log_z,
    }  # fmt: skip


def melody_settings(name: str, steps: int) -> Any:
    """Settings of a road on melodies, without a discount; 450 rounds of the paper's form stand for 1,000 steps."""
    tuned, front, own = TUNED[name], FrontStudy(), SETTINGS.get(name, {}).get("melodies", {}) | {"c": MELODY_C}
    if isinstance(tuned, TutorSettings):
        rounds = max(1, 450 * steps // 1_000)
        return changed(front.tutor, own | {"method": tuned.method, "gamma": 1.0, "rounds": rounds})
    if isinstance(tuned, PathSettings):
        return changed(front.path, own | {"method": tuned.method, "steps": steps})
    return changed(tuned, {"replayed": 0, "pool": 0, "steps": steps, "evaluate_every": 100} | own)


def on_melodies(study: RoadStudy, chosen: Mapping[str, PolicySettings] | None = None) -> Results:
    """Roads from the Note RNN of folk tunes, or others `chosen` by name; the curves have the loss on real tunes too."""
    name = "roads_melodies" if chosen is None else "roads_melodies_more"
    chosen = chosen or {name: melody_settings(name, study.long_steps) for name in study.roads}
    prior, real = experiments.note_rnn(FrontStudy()), experiments.real_tunes(FrontStudy(), WATCHED_TUNES, WATCHED_TUNES)
    return runs.finish_all(name, [Task(MUSIC, prior, samples=study.samples, held_out=real)] + [
        Task(MUSIC, prior, settings, seed, study.samples, held_out=real, labels={"road": road})
        for road, settings in chosen.items() for seed in study.seeds[: study.long_seeds]])  # fmt: skip


BETAS = (0.1, 1, 10, 100)  # of quasi-rejection, in units of Z


def on_molecules(study: RoadStudy) -> Results:
    """Roads on molecules that are rewarded at their end, whose log Z can only be bounded; J, validity, diversity."""
    molecules, seeds = MoleculeStudy(samples=study.samples), study.seeds[: study.long_seeds]
    steps = {"steps": study.long_steps, "evaluate_every": max(1, study.long_steps // 20)}
    settings = [changed(ON_MOLECULES[name], steps) for name in study.roads if name in ON_MOLECULES]
    need(settings, f"roads is {', '.join(study.roads)}: on molecules it must be some of {', '.join(ON_MOLECULES)}")
    return experiments.molecule_runs(molecules, "roads_molecules", settings, seeds)


def bounded(run: Run, count: int) -> Record:
    """From new samples of a policy: `log_z`, `upper` and `effective`, and J after quasi-rejection, a row per beta."""
    # where sequences are primed by several tokens, log Z is that of their mean Z, and what is kept chooses among them
    task, c = run.task, run.label["c"]
    spec = {"bounded": store.key_of(task.spec), "samples": count, "beta": BETAS, "version": VERSIONS["evaluation"]}

    def make() -> Made:
        seed = run.label["seed"] + 10_000  # other samples than those of its measures
        sample = evaluate(task.domain, run.policy(), task.prior.rnn(), count, seed, c)[1]
        log_w, rows = sample.log_p + sample.task_reward / c - sample.log_pi, []
        log_z, weight, effective = importance(log_w)
        for beta in BETAS:
            # x is kept with probability min(1, w / (beta Z)), so that q(x) = min(beta Z pi, p exp(r / c)) / normaliser
            log_kept = np.minimum(0.0, log_w - log_z - math.log(beta))
            log_share = float(logsumexp(log_kept)) - math.log(count)
            # J = E_q[ log p + r / c - log q ]
            objective = np.average(log_w - log_kept + log_share, weights=np.exp(log_kept))
            rows.append({"beta": beta, "kept": math.exp(log_share), "objective": objective})
        # E_p*[ log w ] = log Z + KL(p* || pi)
        return {"log_z": log_z, "upper": float(weight @ log_w), "effective": effective, "quasi": rows}, {}

    return store.finished(spec, make)
