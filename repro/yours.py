"""Yours in ten lines: a prior and a reward in, a tuned policy out, compared with where it came from.

prior = repro.load_prior("molecules")
domain = repro.Molecules(prior, reward=mine)  # mine(strings) returns one number for each
tuned = repro.tune(domain, prior, c=0.1, steps=400)
tuned.compare()
"""

import dataclasses
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from repro import OWN_RESULTS, ROOT, store
from repro.domain import Domain, must_fit
from repro.evaluation import estimated_optimum, evaluate
from repro.kl_control import METHODS, Policy
from repro.molecules.domain import Molecules
from repro.music.domain import Music
from repro.own_prior import Prior
from repro.runs import TRAINERS
from repro.settings import PathSettings, TutorSettings, changed, need
from repro.studies import EXACT_PATH, EXACT_TUTOR, MOLECULE_PATHS, MOLECULE_TUTOR, FrontStudy
from repro.tutor import Row, train


@dataclass(frozen=True)
class Yours:
    """A tuned policy beside its prior."""

    domain: Domain
    prior: Prior
    policy: Policy
    settings: dict[str, Any]  # form, seed and those of the trainer
    curve: pd.DataFrame

    def sample(self, count: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Sequences of the policy: text, reward, log_p, log_pi (nats)."""
        return sample(self.domain, self.prior, count, seed, self.policy)

    def compare(self, count: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Prior and policy in columns, `count` samples of each; J = E[r / c] - KL and others in nats per sequence.

        log Z, of the optimum p exp(r / c) / Z, and how many samples of it these are worth are estimates from the same
        samples. The domain's own measures stand below.
        """
        c, columns = self.settings["c"], {}
        for name, policy in (("prior", Policy(self.prior.rnn, self.prior.rnn)), ("policy", self.policy)):
            numbers, played = evaluate(self.domain, policy, self.prior.rnn, count, seed, c)
            metrics = numbers["metrics"]
            scale = 1 if self.domain.end is not None else self.domain.horizon  # theirs are means per step
            kl = scale * metrics.pop("kl")
            own = {"reward": metrics.pop("task_reward"), "KL": kl, "J": float(played.task_reward.mean()) / c - kl,
                   "entropy": scale * metrics.pop("entropy"), "log p": scale * metrics.pop("log_p"),
                   "distinct": len({self.domain.text(row) for row in played.tokens}) / count}  # fmt: skip
            best = estimated_optimum(played, c, {})
            columns[name] = own | {"log Z": best["log_z"], "effective samples": best["effective"]} | metrics
        return pd.DataFrame(columns).drop(index=["objective", "log_p_last"], errors="ignore")

    against_prior = compare

    def save(self, name: str) -> Path:
        """Writes results/own/NAME.json and .safetensors; `load` reads them."""
        spec = {"domain": self.domain.name, "vocabulary": self.prior.vocabulary, "tokeniser": self.prior.tokeniser,
                "horizon": self.domain.horizon, "end": self.domain.end, "settings": self.settings}  # fmt: skip
        path = ROOT / OWN_RESULTS / f"{name}.json"
        networks = {"": self.policy.network, "prior.": self.prior.rnn}
        store.keep(path, {"spec": spec, "curve": self.curve.to_dict("records")}, networks)
        return path


def sample(
    domain: Domain, prior: Prior, count: int = 1000, seed: int = 0, policy: Policy | None = None
) -> pd.DataFrame:
    """Sequences of the prior, or of a policy tuned from it: text, reward, log_p, log_pi (nats)."""
    _, played = evaluate(domain, policy or Policy(prior.rnn, prior.rnn), prior.rnn, count, seed, 1.0)
    texts = [domain.text(sequence) for sequence in played.tokens]
    return pd.DataFrame({"text": texts, "reward": played.task_reward, "log_p": played.log_p, "log_pi": played.log_pi})


def tune(domain: Domain, prior: Prior, method: str = "psi", c: float | None = None, steps: int = 400, seed: int = 0,
         form: Literal["path", "paper"] = "path", **settings: Any) -> Yours:  # fmt: skip
    """Tunes the prior towards the domain's reward by KL-control; `c` divides the reward: the smaller, the further away.

    `form` is "path" (path-consistent, stable on long sequences) or "paper"; a step plays a batch and learns from it.
    `settings` are those of `PathSettings` or `TutorSettings`; what is not given was tuned on domains of this kind.
    """
    need(form in ("path", "paper"), f"form is {form!r}: it must be path or paper")
    need(method in METHODS, f"method is {method!r}: it must be one of {', '.join(METHODS)}")
    must_fit(domain, prior.rnn.vocabulary)
    given = {"method": method, "evaluate_every": max(1, steps // 20)} | ({} if c is None else {"c": c}) | settings
    made = changed(_defaults(domain, form, method), given | {"steps" if form == "path" else "rounds": steps})
    learner = TRAINERS[type(made)][1](domain, prior.rnn, made, seed)
    with store.progress(steps, f"tuning by {method}") as bar:

        def heard(row: Row) -> None:
            bar.update()
            bar.set_postfix({"reward": row.get("task_reward", math.nan), "KL": row.get("kl", math.nan)}, refresh=False)

        tuned = train(learner, on_step=heard)
    policy = Policy(tuned.policy, prior.rnn, METHODS[method])
    return Yours(domain, prior, policy, {"form": form, "seed": seed} | dataclasses.asdict(made), tuned.curve)


def load(name: str, domain: Domain | None = None) -> Yours:
    """What `save` wrote. The reward is not in the file: without its domain, samples earn 0."""
    record = store.read(ROOT / OWN_RESULTS / name)
    spec = record.numbers["spec"]
    prior = Prior(record.rnn("prior."), tuple(spec["vocabulary"]), spec["tokeniser"])
    policy = Policy(record.rnn(), prior.rnn, METHODS[spec["settings"]["method"]])
    return Yours(domain or _Unrewarded(spec), prior, policy, spec["settings"], pd.DataFrame(record.numbers["curve"]))


class _Unrewarded(Domain):
    """The sequences of a saved policy, whose reward is not at hand."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.name, self.vocabulary = spec["domain"], tuple(spec["vocabulary"])
        self.horizon, self.end = spec["horizon"], spec["end"]

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """Nothing."""
        return np.zeros(sequences.shape)


def _defaults(domain: Domain, form: str, method: str) -> PathSettings | TutorSettings:
    """Settings that were tuned on domains of this kind: melodies, molecules, or problems small enough to write out."""
    if isinstance(domain, Molecules):
        return MOLECULE_PATHS[method] if form == "path" else MOLECULE_TUTOR
    if isinstance(domain, Music):
        return replace(FrontStudy().path, gamma=1.0) if form == "path" else FrontStudy().tutor
    start: Any = "zero_head" if method == "g" else "log_softmax" if method == "psi" else "prior_logits"
    return EXACT_PATH if form == "path" else replace(EXACT_TUTOR, method=method, start=start)
