"""Your own tuning in ten lines: a prior and a reward in, a tuned policy out, compared with its prior."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from repro import OWN_RESULTS, ROOT, processes, store
from repro.bench import EXACT_PATH, EXACT_TUTOR, start_of
from repro.domain import Domain, must, rewards
from repro.evaluation import along, estimated_optimum, evaluate, sampled
from repro.kl_control import METHODS, Policy
from repro.molecules.domain import Molecules
from repro.music.domain import Music
from repro.own_inputs import Prior, must_know, tried, whole
from repro.path import PathSettings
from repro.roads import ROADS, RoadSettings
from repro.runs import TRAINERS
from repro.settings import EpisodicSettings, TutorSettings, changed, need
from repro.studies import FrontStudy, MoleculeStudy
from repro.tutor import Row, train


class Saved(Domain):
    """The sequences of a saved policy, whose reward is not at hand."""

    name = "saved"

    def __init__(self, spec: dict[str, Any]) -> None:
        self.vocabulary, self.horizon, self.end = tuple(spec["vocabulary"]), spec["horizon"], spec["end"]
        self.firsts, self.tokeniser = spec["first"], spec["tokeniser"]

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Any of those that were seen when the policy was saved."""
        return generator.choice(self.firsts, size=count)


@dataclasses.dataclass(frozen=True)
class Yours:
    """A tuned policy beside its prior."""

    domain: Domain
    prior: Prior
    policy: Policy
    settings: dict[str, Any]  # form, seed and those of the trainer
    curve: pd.DataFrame

    def __repr__(self) -> str:
        method, form, c, seed = (self.settings[name] for name in ("method", "form", "c", "seed"))
        return f"Yours({self.domain.name}, {method}, form {form}, c {c:g}, seed {seed})"

    def sample(self, count: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Sequences of the policy: text, reward, log_p, log_pi (nats)."""
        count, seed = whole("count", count), whole("seed", seed, 0)
        first, tokens = sampled(self.domain, self.policy, count, seed)
        known = not isinstance(self.domain, Saved)
        paid = rewards(self.domain, tokens).sum(axis=1) if known else np.full(count, np.nan)
        walks = list(along(self.domain, self.policy, self.prior.rnn, first, tokens, compare_acting=False))
        logs = {name: np.concatenate([walk[name].sum(dim=1).numpy() for walk in walks]) for name in ("log_p", "log_pi")}
        return pd.DataFrame({"text": [self.domain.text(sequence) for sequence in tokens], "reward": paid} | logs)

    def compare(self, count: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Prior and policy in columns, `count` samples of each, in nats per sequence; J = E[r / c] - KL.

        `distinct` is the share of different ones among all of them, invalid or not. log Z, of the optimum
        p exp(r / c) / Z, and `effective`, how many of its samples these are worth, are estimates.
        """
        count, seed, c, columns = whole("count", count), whole("seed", seed, 0), self.settings["c"], {}
        must(not isinstance(self.domain, Saved), "the reward is not saved with a policy: give `load` its domain")
        tried(self.domain, self.prior)
        for name, policy in (("prior", self.prior.policy), ("policy", self.policy)):
            numbers, played = evaluate(self.domain, policy, self.prior.rnn, count, seed, c)
            metrics = numbers["metrics"]
            scale = 1 if self.domain.end is not None else self.domain.horizon  # theirs are means per step
            row = {"reward": metrics.pop("task_reward")}
            row |= {name: scale * metrics.pop(name) for name in ("kl", "entropy", "log_p")}
            row["J"] = row["reward"] / c - row["kl"]
            row["distinct"] = len({self.domain.text(sequence) for sequence in played.tokens}) / count
            best = estimated_optimum(played, c, {})
            columns[name] = row | {"log_z": best["log_z"], "effective": best["effective"]} | metrics
        said = ["objective", "log_p_last", "unique", "unique_1k", "unique_10k"]  # above already
        table = pd.DataFrame(columns).drop(index=said, errors="ignore").dropna(how="all")
        return table.rename({"logp": "octanol_logp"})  # log_p is a log-probability

    against_prior = compare  # both names are promised

    def save(self, name: str) -> Path:
        """Writes results/own/policies/NAME.json and .safetensors; `load` reads them."""
        first = self.domain.first_inputs(10_000, np.random.default_rng(0))
        spec = {"vocabulary": self.prior.vocabulary, "tokeniser": self.prior.tokeniser, "settings": self.settings,
                "horizon": self.domain.horizon, "end": self.domain.end, "first": np.unique(first).tolist()}  # fmt: skip
        fits = isinstance(name, str) and re.fullmatch(r"\w[\w.,=+ -]{0,99}", name)
        need(fits, f"the name is {name!r}: 1 to 100 letters, digits and .,=+- make it")
        path = ROOT / OWN_RESULTS / "policies" / f"{name}.json"
        networks = {"": self.policy.network, "prior.": self.prior.rnn}
        store.keep(path, {"spec": spec, "curve": self.curve.to_dict("list")}, networks)
        return path


def sample(domain: Domain, prior: Prior, count: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Sequences of the prior: text, reward, log_p, log_pi (nats)."""
    must_know(domain, prior)
    return Yours(domain, prior, prior.policy, {}, pd.DataFrame()).sample(count, seed)


def tune(domain: Domain, prior: Prior, method: str = "psi", c: float | None = None, steps: int | None = None,
         seed: int = 0, form: Literal["path", "paper"] = "path", **settings: Any) -> Yours:  # fmt: skip
    """Tunes the prior towards the domain's reward by KL-control; `c` divides the reward: a smaller c goes further.

    `method` is one of the paper's (q, psi, g, rl_only), or of notebook 10: tb, tb_var, tbrm, a2po, reinvent,
    reinforce_kl, reinforce_kl_loss, grpo, dpg. `form`, of the paper's, is "path" (path-consistent, stable on long
    sequences) or "paper"; a step plays a batch and learns from it. `settings` are those of `PathSettings`,
    `TutorSettings` or `RoadSettings`, by default as tuned for melodies, for molecules, or else for a dozen tokens and a
    prior of 32 cells: a lower `learning_rate` suits a larger one.
    """
    need(form in ("path", "paper"), f"form is {form!r}: it must be path or paper")
    known = METHODS | ROADS
    need(str(method) in known, f"method is {method!r}: it must be one of {', '.join(known)}")
    need(form == "path" or method in METHODS, f"form is 'paper': {method} learns from whole sequences alone")
    base = _defaults(domain, form, method)
    length = "steps" if form == "path" else "rounds"
    need(length not in settings, f"{length} is not a setting here: give steps")
    seed, count = whole("seed", seed, 0), getattr(base, length) if steps is None else whole("steps", steps)
    given = {"method": method, "evaluate_every": max(1, count // 20)} | ({} if c is None else {"c": c}) | settings
    made = changed(base, given | {length: count})
    gamma = getattr(made, "gamma", 1.0)
    _, paid = tried(domain, prior)  # before an hour of tuning
    if gamma < 1 and (domain.end is not None or not paid[:, :-1].any()):
        far = f"{domain.horizon} tokens later a reward counts {gamma**domain.horizon:.1g} times as much"
        warnings.warn(f"gamma is {gamma:g}: {far}; where the end is paid, 1 is right", stacklevel=2)
    learner = TRAINERS[type(made)][1](domain, prior.rnn, made, seed)
    with processes.progress(count, f"tuning by {method}") as bar:

        def heard(row: Row) -> None:
            bar.update()
            bar.set_postfix({name: row[name] for name in ("task_reward", "kl") if name in row}, refresh=False)

        try:
            curve = train(learner, on_step=heard)
        except KeyboardInterrupt:
            after = f"interrupted after {bar.n} of {count} steps: nothing is kept, give fewer steps to see some of it"
            raise KeyboardInterrupt(after) from None
    if curve.get("diverged", pd.Series(0)).any():  # the paper's form shows it; here it is an error
        raise learner.no_number()
    policy = Policy(learner.policy, prior.rnn, made.mathematics)
    return Yours(domain, prior, policy, {"form": form, "seed": seed} | dataclasses.asdict(made), curve)


def load(name: str, domain: Domain | None = None) -> Yours:
    """What `save` wrote. Rewards are in no file: without the domain, samples have none and nothing can be compared."""
    record = store.read_record(ROOT / OWN_RESULTS / "policies" / str(name))
    spec = record.numbers["spec"]
    prior = Prior(record.rnn("prior."), tuple(spec["vocabulary"]), spec["tokeniser"])
    domain = Saved(spec) if domain is None else domain
    must_know(domain, prior)
    unlike = [f"the {what} {spec[what]}" for what in ("horizon", "end") if getattr(domain, what) != spec[what]]
    must(not unlike, f"the policy {name!r} was tuned with {' and '.join(unlike)}, which {domain.name!r} does not have")
    policy = Policy(record.rnn(), prior.rnn, (METHODS | ROADS)[spec["settings"]["method"]])
    return Yours(domain, prior, policy, spec["settings"], pd.DataFrame(record.numbers["curve"]))


def _defaults(domain: Domain, form: str, method: str) -> PathSettings | TutorSettings | RoadSettings:
    """Settings that were tuned on domains of this kind, all without a discount; a road has those of Psi there."""
    if method in ROADS:
        of_psi, road = dataclasses.asdict(_defaults(domain, form, "psi")), ROADS[method]
        shared = {field.name: of_psi[field.name] for field in dataclasses.fields(cast(Any, EpisodicSettings))}
        own = {"replayed": shared["replayed"] * road.from_memory, "pool": 3_200 * (road.z == "prior")}
        return RoadSettings(method=method, **shared | own)
    if isinstance(domain, Molecules):
        return MoleculeStudy(form=cast(Any, form)).tuning(method)
    if isinstance(domain, Music):
        return dataclasses.replace(FrontStudy().path if form == "path" else FrontStudy().tutor, gamma=1.0, c=1.0)
    return EXACT_PATH if form == "path" else dataclasses.replace(EXACT_TUTOR, start=start_of(method))
