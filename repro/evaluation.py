"""A policy against its prior, along samples that are drawn without exploration: what they measure, in nats.

Where all sequences have one length, means are per step (per note); where sequences end, per sequence.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.domain import Domain, alive, rewards, told
from repro.kl_control import METHODS, Policy, entropy, kl_divergence
from repro.rnn import SequenceRNN, Stepper, draw, play, shifted

SAMPLING_SEED = 2_000_003  # samples that are measured draw from other random numbers than training
BATCH = 250  # sequences sampled at once: their states stay in the processor's cache
MAPPED = 10_000  # sequences that the mean probabilities are taken over


class Sample(NamedTuple):
    """Sequences that a policy has played, and what each is worth."""

    tokens: np.ndarray  # (B, T)
    log_p: np.ndarray  # (B,), log p(x) under the prior, nats
    log_pi: np.ndarray  # (B,), log pi(x), nats
    task_reward: np.ndarray  # (B,), r(x)


@torch.no_grad()
def evaluate(
    domain: Domain, policy: Policy, original: SequenceRNN, count: int, seed: int, c: float, compare_acting: bool = False
) -> tuple[dict[str, Any], Sample]:
    """Samples a policy, `count` sequences, and measures them against the frozen prior, `original`; returns both.

    `metrics` are the domain's, log_p, kl, entropy and task_reward; `reward_parts` means per sequence. Sequences of one
    length also have log_p_last, `by_step` and `probabilities` (V, T), those that end J = E[r / c] - KL(pi || p), their
    objective. With `compare_acting` the prior that the policy plays with is compared too: log_p_trained, kl_trained.
    """
    first, tokens = sampled(domain, policy, count, seed)
    walks = list(along(domain, policy, original, first, tokens, compare_acting))
    totals = {name: np.concatenate([walk[name].sum(dim=1).numpy() for walk in walks]) for name in walks[0]}
    compared = [name for name in totals if name != "log_pi"]  # the others are measures
    belongs = alive(tokens, domain.end)
    parts = {name: np.where(belongs, part, 0) for name, part in domain.reward_parts(tokens).items()}
    reward_parts = {name: float(part.sum(axis=1).mean()) for name, part in parts.items()}
    reward = sum(reward_parts.values())
    metrics: dict[str, float] = told(domain, "measures", tokens)
    numbers: dict[str, Any] = {"samples": count, "metrics": metrics, "reward_parts": reward_parts}
    if domain.end is None:
        by_step = {name: np.sum([walk[name].sum(dim=0).numpy() for walk in walks], axis=0) / count for name in compared}
        metrics |= {name: float(value.mean()) for name, value in by_step.items()}
        metrics |= {"log_p_last": float(by_step["log_p"][-1]), "task_reward": reward}
        numbers["by_step"] = {name: value.round(6).tolist() for name, value in by_step.items()}
        inputs = shifted(first, torch.from_numpy(tokens))[:MAPPED, :-1]
        sums = [policy.log_probabilities(part).exp().double().sum(dim=0).T for part in inputs.split(BATCH)]
        numbers["probabilities"] = (torch.stack(sums).sum(dim=0) / len(inputs)).numpy().round(6).tolist()
    else:
        metrics |= {name: float(totals[name].mean()) for name in compared} | {"task_reward": reward}
        # J(pi) = E_pi[r / c] - KL(pi || p)
        metrics["objective"] = reward / c - metrics["kl"]
    earned = np.sum(list(parts.values()), axis=0).sum(axis=1)
    return numbers, Sample(tokens, totals["log_p"], totals["log_pi"], earned)


def sampled(domain: Domain, policy: Policy, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First inputs (count,) and sequences (count, T), drawn from the policy; a seed primes all models alike."""
    torch.set_num_threads(1)  # sums in another order would draw other sequences
    generator = np.random.default_rng([seed, SAMPLING_SEED])
    first = domain.first_inputs(count, generator)
    tokens = np.empty((count, domain.horizon), dtype=np.int64)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        tokens[part] = play(policy.players(), first[part], domain.horizon, domain.end, generator).numpy()
    return first, tokens


def along(
    domain: Domain, policy: Policy, original: SequenceRNN, first: np.ndarray, tokens: np.ndarray, compare_acting: bool
) -> Iterator[dict[str, Tensor]]:
    """What `visited` returns along sequences (B, T), BATCH at a time, in double precision and 0 after the end."""
    for start in range(0, len(tokens), BATCH):
        part = torch.from_numpy(tokens[start : start + BATCH])
        belongs = alive(part, domain.end)
        longest = int(belongs.sum(dim=1).max())
        steps = visited(policy, original, first[start : start + BATCH], part[:, :longest], compare_acting)
        yield {name: value.double() * belongs[:, :longest] for name, value in steps.items()}


@torch.no_grad()
def visited(
    policy: Policy, original: SequenceRNN, first_inputs: np.ndarray, tokens: Tensor, compare_acting: bool = False
) -> dict[str, Tensor]:
    """Policy against prior at every state that sequences (B, T) visit, in nats, each (B, T)."""
    # log_p, log_pi: of the played tokens; kl: KL(pi(.|s) || p(.|s)), exact over the vocabulary; entropy: of pi(.|s).
    # With `compare_acting` also log_p_trained and kl_trained, against the prior that the policy plays with.
    inputs = shifted(first_inputs, tokens)[:, :-1]
    log_prior = original(inputs).log_softmax(dim=-1)
    log_acting = log_prior if policy.prior is original else policy.prior(inputs).log_softmax(dim=-1)
    log_policy = policy.log_probabilities(inputs, log_acting)
    taken = tokens.unsqueeze(-1)
    steps = {
        "log_p": log_prior.gather(-1, taken).squeeze(-1), "log_pi": log_policy.gather(-1, taken).squeeze(-1),
        "kl": kl_divergence(log_policy, log_prior), "entropy": entropy(log_policy),
    }  # fmt: skip
    if compare_acting:
        steps["log_p_trained"] = log_acting.gather(-1, taken).squeeze(-1)
        steps["kl_trained"] = kl_divergence(log_policy, log_acting)
    return steps


@torch.no_grad()
def uniform_log_p(domain: Domain, prior: SequenceRNN, count: int, seed: int) -> float:
    """Log p of uniform play under a prior, -(ln V + KL(U || p)), nats per step; a uniform *model* has -ln V instead."""
    # the mean over all V tokens at the states of `count` sequences (T,) that are drawn uniformly
    torch.set_num_threads(1)
    generator = np.random.default_rng([seed, SAMPLING_SEED])
    first = domain.first_inputs(count, generator)
    tokens = generator.integers(len(domain.vocabulary), size=(count, domain.horizon))
    return float(prior(shifted(first, torch.from_numpy(tokens))[:, :-1]).log_softmax(dim=-1).double().mean())


def importance(log_weights: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Log Z = log E_pi[ w(x) ], the weights (B,), normalised to 1, and how many samples would tell as much (Kish)."""
    largest = log_weights.max()
    weight = np.exp(log_weights - largest)
    normalised = weight / weight.sum()
    return float(np.log(weight.mean()) + largest), normalised, float(1 / np.square(normalised).sum())


def estimated_optimum(sample: Sample, c: float, values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the optimum p*(x) = p(x) exp(r(x) / c) / Z looks like, by importance sampling from a policy's sample."""
    # log_z; effective, the number of samples of p* that would tell as much (Kish); unique, the expected share of
    # different sequences among B draws from p*; and the mean of each of `values` (B,), NaN left out
    # the nearer the policy is to p*, the more even the weights w(x) = p(x) exp(r(x) / c) / pi(x)
    reward = sample.task_reward / c
    log_z, weight, effective = importance(sample.log_p + reward - sample.log_pi)
    # n distinct = sum_x 1 - (1 - p*(x))^n = E_p*[ (1 - (1 - p*(x))^n) / p*(x) ]
    among = len(reward)
    optimum = np.exp(np.minimum(sample.log_p + reward - log_z, 0.0))  # p*(x), at most 1 whatever the estimate of Z
    # bounded away from 1 and 0, where the logarithm and the quotient have no value
    distinct = -np.expm1(among * np.log1p(-np.minimum(optimum, 1 - 1e-12))) / np.maximum(optimum, 1e-300)
    unique = float((weight * distinct).sum() / among)
    estimates = {"log_z": log_z, "effective": effective, "unique": unique}
    for name, value in values.items():
        known = ~np.isnan(value)
        estimates[name] = float(np.average(value[known], weights=weight[known]))
    return estimates


@torch.no_grad()
def smc(
    domain: Domain, policy: Policy, c: float, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Twisted sequential Monte Carlo (Zhao et al. 2024, 2404.17546): `count` sequences of about p*, (B, T), and log Z.

    A policy of the paper's form proposes; V, its method's backup, is the twist. A step weighs exp(log p + r / c +
    V(s') - V(s) - log pi), so 1 where V is exact: the exponent is Bellman's error. First inputs are resampled too.
    """
    method = METHODS["psi"] if policy.method is None else policy.method
    steppers = Stepper(policy.network, count), Stepper(policy.prior, count)

    def look(last: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # log pi and log p of what follows, and V
        values, log_p = steppers[0](last), steppers[1](last).log_softmax(dim=1)
        values = log_p if policy.method is None else values  # the prior proposes: V = 0
        return method.scores(values, log_p).log_softmax(dim=1), log_p, method.backup(values, log_p).double()

    tokens = torch.full((count, domain.horizon), domain.end or 0)
    log_pi, log_p, value = look(torch.from_numpy(domain.first_inputs(count, generator)))
    log_weight, log_z, going = value.clone(), 0.0, torch.ones(count, dtype=torch.bool)
    for step in range(domain.horizon):
        last = draw(log_pi, torch.from_numpy(generator.random(count, dtype=np.float32)))
        tokens[going, step] = last[going]
        ratio = (log_p - log_pi).gather(1, last.unsqueeze(1)).squeeze(1)
        earned = torch.from_numpy(rewards(domain, tokens.numpy())[:, step]) / c
        goes_on = (last != (-1 if domain.end is None else domain.end)) & (step + 1 < domain.horizon)
        before, played, going = value, going, going & goes_on
        log_pi, log_p, value = look(last)
        value = value * going  # 0 after the end
        # log w += log p - log pi + r / c + V(s') - V(s)
        log_weight += (ratio + earned + value - before) * played
        share = log_weight.softmax(dim=0)
        if step + 1 == domain.horizon or share.square().sum() * count > 2:  # fewer than half would tell as much
            log_z += float(log_weight.logsumexp(dim=0)) - math.log(count)
            places = (np.arange(count) + generator.random()) / count  # systematic resampling
            chosen = torch.from_numpy(np.searchsorted(share.cumsum(dim=0).numpy(), places).clip(max=count - 1))
            log_weight.zero_()
            tokens, log_pi, log_p, value, going = (part[chosen] for part in (tokens, log_pi, log_p, value, going))
            for stepper in steppers:
                stepper.hidden, stepper.cell = stepper.hidden[chosen], stepper.cell[chosen]
    return tokens.numpy(), log_z
