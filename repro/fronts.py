"""How much reward for how much KL: policies over temperatures and discounts, beside methods that train nothing."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from scipy.special import logsumexp

from repro import experiments, runs, store
from repro.domain import Domain, rewards
from repro.evaluation import evaluate, sampled
from repro.experiments import MUSIC, WATCHED_TUNES
from repro.kl_control import METHODS, Policy
from repro.prior import held_out_scores
from repro.rnn import SequenceRNN
from repro.runs import HeldOut, Results, Task
from repro.store import VERSIONS, Made, Record
from repro.studies import FrontStudy

NUMBERS = (2, 10, 100, 1_000, 10_000)  # among how many sequences of the prior the best is chosen
GROUPS = 256  # of n melodies: over so many the weights of importance resampling are averaged


def melodies(study: FrontStudy) -> Results:
    """Policies over c and gamma, from both Note RNNs and in both forms."""
    spec = {**experiments.rebuilt_spec(study), "split": "test"}  # of windows: this corpus has no whole tunes
    windows = HeldOut(spec, partial(experiments.rebuilt_windows, study, "test"), at_end=WATCHED_TUNES)
    priors = {"folk": (experiments.note_rnn(study), experiments.real_tunes(study, at_end=WATCHED_TUNES), study.tutor),
              "rebuilt": (experiments.rebuilt_note_rnn(study), windows, study.rebuilt_tutor)}  # fmt: skip
    few, first = [c for c in study.c if c in study.inner], study.seeds[:1]
    ends = study.gamma[:: max(1, len(study.gamma) - 1)]
    # prior, form, method, and each combination of the rest
    lines: list[tuple[str, str, str, Sequence[float], Sequence[float], Sequence[int]]] = [
        *((name, "paper", "psi", ends, study.c, study.seeds) for name in priors),
        *((name, form, method, ends, study.c, study.seeds if name == "folk" else first)
          for name in priors for form, method in (("paper", "q"), ("paper", "g"), ("path", "psi"))),
        *((name, "paper", method, study.gamma, few, first) for name in priors for method in ("q", "g")),
        *((name, "paper", "psi", (*study.psi_gamma, *study.gamma), study.c, first) for name in priors),
    ]  # fmt: skip
    tasks = [Task(MUSIC, prior, samples=study.melodies, held_out=real, labels={"prior": name})
             for name, (prior, real, _) in priors.items()]  # fmt: skip
    for name, form, method, gammas, temperatures, seeds in lines:
        prior, real, tutor = priors[name]
        for gamma, c, seed in product(gammas, temperatures, seeds) if method in study.methods else ():
            settings = replace(study.path if form == "path" else tutor, method=method, c=c, gamma=gamma)
            labels = {"prior": name, "form": form, "gamma": gamma}
            tasks.append(Task(MUSIC, prior, settings, seed, study.melodies, held_out=real, labels=labels))
    different = {store.key_of(task.measures_spec): task for task in tasks}  # two lines may cross in one point
    return runs.finish_all("fronts", different.values())


def untrained(
    of: Task, seeds: Sequence[int], pool: int, temperatures: Sequence[float] = (), colder: Sequence[float] = ()
) -> Record:
    """Without training: best-of-n, importance resampling at c, the prior `colder`; `of` is the prior's task."""
    # `pool` sequences per seed stand for the prior, so that n goes to a tenth of them; numbers are `rows`: method, n, c
    # or temperature, seed, and the measures; KL per note where all end at one time
    spec = {"untrained": of.prior.weights_digest, "version": VERSIONS["evaluation"], "domain": of.domain.spec(),
            "measures": of.domain.measures_version, "pool": pool, "n": NUMBERS, "c": list(temperatures),
            "groups": GROUPS, "colder": list(colder), "samples": of.samples, "seeds": list(seeds),
            "held_out": of.held_out and of.held_out.spec | {"count": of.held_out.at_end}}  # fmt: skip

    def make() -> Made:
        rnn = of.prior.rnn()
        rows = [row | {"seed": seed} for seed in seeds for row in _among_pool(of.domain, rnn, pool, seed, temperatures)]
        real = list(of.held_out.read())[: min(of.samples, of.held_out.at_end)] if of.held_out else []
        for seed, temperature in product(seeds, colder):
            policy = Policy(cooled(rnn, temperature), rnn, METHODS["psi"])
            metrics = evaluate(of.domain, policy, rnn, of.samples, seed, of.c)[0]["metrics"]
            metrics["held_out_nll"] = held_out_scores(policy, real)["nll"]
            rows.append({"method": "temperature", "temperature": temperature, "seed": seed} | metrics)
        return {"rows": rows}, {}

    return store.finished(spec, make)


def cooled(rnn: SequenceRNN, temperature: float) -> SequenceRNN:
    """The RNN whose logits are divided by a temperature."""
    made = copy.deepcopy(rnn)
    for weight in made.head.parameters():
        weight.data /= temperature
    return made


def _among_pool(
    domain: Domain, rnn: SequenceRNN, pool: int, seed: int, temperatures: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Best-of-n and importance resampling among `pool` sequences of the prior."""
    reward = rewards(domain, sampled(domain, Policy(rnn, rnn), pool, seed)[1]).sum(axis=1)
    rising, generator = np.sort(reward), np.random.default_rng([seed, pool])
    per = domain.horizon if domain.end is None else 1
    for n in (n for n in NUMBERS if n <= pool // 10):
        # the best of n is the i-th of N with probability (i / N)^n - ((i - 1) / N)^n
        share = np.diff((np.arange(pool + 1) / pool) ** n)
        # KL(best of n || p) <= log n - (n - 1) / n, with equality where no two rewards are equal
        bound = np.log(n) - (n - 1) / n
        yield {"method": "best_of_n", "n": n, "task_reward": float(share @ rising), "kl": bound / per}
        for c in temperatures:
            earned, kl = resampled(reward, c, n, generator)
            yield {"method": "resampling", "n": n, "c": c, "task_reward": earned, "kl": kl / per}


def resampled(reward: np.ndarray, c: float, n: int, generator: np.random.Generator) -> tuple[float, float]:
    """Mean reward and KL (nats per sequence) of one of n drawn from p with probability in proportion to exp(r / c)."""
    # The distribution is p(x) E[ n w(x) / (w(x) + w_2 + ... + w_n) ], w = exp(r / c); both are estimated from the
    # rewards of a pool of sequences of p, over GROUPS groups.
    groups = reward[generator.integers(len(reward), size=(GROUPS, n))]
    log_weight = groups / c
    share = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
    others = logsumexp(log_weight[:, 1:], axis=1)  # log(w_2 + ... + w_n) of every group
    place = (share.cumsum(axis=1) < generator.random((GROUPS, 1)) * share.sum(axis=1, keepdims=True)).sum(axis=1)
    of_chosen = log_weight[np.arange(GROUPS), place]
    # log( pi(x) / p(x) ) = log( mean over groups of n w(x) / (w(x) + others) )
    log_ratio = logsumexp(of_chosen[:, None] - np.logaddexp(of_chosen[:, None], others), axis=1) + np.log(n / GROUPS)
    return float((share * groups).sum(axis=1).mean()), float(log_ratio.mean())
