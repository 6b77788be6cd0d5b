"""Samples of a policy, what is measured along them, and what they tell of the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from repro.evaluation import Sample, along, estimated_optimum, evaluate, sampled, smc, uniform_log_p
from repro.exact import BRACKETS, TONES, Exact
from repro.kl_control import METHODS, Policy
from repro.rnn import SequenceRNN

PRIOR, NETWORK = SequenceRNN(4, 16, seed=2).eval(), SequenceRNN(4, 16, seed=5).eval()
TRUTH = Exact(BRACKETS, PRIOR, c=1.0)
REFERENCE = Policy(PRIOR, PRIOR)


@pytest.mark.parametrize("method", [None, "psi", "g"])
def test_sums_along_sequences_are_those_of_the_written_out_problem(method: str | None) -> None:
    """Protects log p, log pi, KL and entropy: the exact numbers of all sequences, without what follows their ends."""
    policy = Policy(NETWORK, PRIOR, METHODS[method]) if method else REFERENCE
    first = np.full(len(TRUTH.sequences), BRACKETS.first)
    walks = list(along(BRACKETS, policy, PRIOR, first, TRUTH.sequences, False))
    sums = {name: np.concatenate([walk[name].sum(dim=1) for walk in walks]) for name in walks[0]}
    log_p, log_pi = TRUTH.along(TRUTH.log_prior), TRUTH.along(TRUTH.policy_of(method, NETWORK if method else PRIOR))
    assert sums["log_p"] == pytest.approx(log_p.numpy(), abs=1e-5)
    assert sums["log_pi"] == pytest.approx(log_pi.numpy(), abs=1e-5)
    # E[sum of KL] = E[log pi(x) - log p(x)], and so for the entropy
    for name, whole in (("kl", log_pi - log_p), ("entropy", -log_pi)):
        assert log_pi.exp().numpy() @ sums[name] == pytest.approx(float(log_pi.exp() @ whole), abs=1e-5)


def test_a_sample_says_what_its_sequences_are_worth() -> None:
    """Protects what importance weights are made of: rewards and log-probabilities of the sequences kept."""
    numbers, sample = evaluate(BRACKETS, REFERENCE, PRIOR, 300, seed=4, c=0.5)
    metrics = numbers["metrics"]
    np.testing.assert_array_equal(sample.task_reward, BRACKETS.step_rewards(sample.tokens).sum(axis=1))
    np.testing.assert_array_equal(sample.log_p, sample.log_pi)
    assert metrics["log_p"] == pytest.approx(sample.log_p.mean())
    assert metrics["objective"] == pytest.approx(sample.task_reward.mean() / 0.5)
    same, other = (sampled(BRACKETS, REFERENCE, 300, seed)[1] for seed in (4, 5))
    assert np.array_equal(sample.tokens, same) and not np.array_equal(same, other)


def test_sequences_of_one_length_are_measured_per_step() -> None:
    """Protects music's numbers: means per step, step by step, and the probabilities that heat maps show."""
    prior = SequenceRNN(5, 8, seed=1)
    numbers, sample = evaluate(TONES, Policy(prior, prior), prior, 5_000, seed=4, c=0.5)
    metrics, by_step = numbers["metrics"], numbers["by_step"]
    assert metrics["log_p"] == pytest.approx(sample.log_p.mean() / 6) == pytest.approx(np.mean(by_step["log_p"]))
    assert metrics["log_p_last"] == pytest.approx(by_step["log_p"][-1], abs=1e-6)
    assert metrics["task_reward"] == pytest.approx(sum(numbers["reward_parts"].values()))
    assert metrics["kl"] == 0 and "objective" not in metrics
    seen = np.stack([np.bincount(step, minlength=5) for step in sample.tokens.T], axis=1) / 5_000
    np.testing.assert_allclose(numbers["probabilities"], seen, atol=0.03)


def test_uniform_play_is_less_likely_than_a_uniform_model_says() -> None:
    """Protects the line in Figure 2: exact where all sequences are listed, and below -ln V unless p is uniform."""
    prior = SequenceRNN(5, 12, seed=3)
    exact = np.mean([float(level.mean()) for level in Exact(TONES, prior, c=1.0).log_prior])
    assert uniform_log_p(TONES, prior, 4_000, seed=0) == pytest.approx(exact, abs=2e-3)
    assert exact < -np.log(5)


def test_log_p_is_against_the_original_prior() -> None:
    """Protects the reading of log p where the prior was trained too: against that one it has a name of its own."""
    network, acting, original = (SequenceRNN(5, 12, seed=seed) for seed in (1, 2, 3))
    policy = Policy(network, acting, METHODS["g"])
    ours = evaluate(TONES, policy, original, 300, 0, 0.5, compare_acting=True)[0]["metrics"]
    plain = evaluate(TONES, policy, acting, 300, 0, 0.5)[0]["metrics"]
    for name, other in {"log_p_trained": "log_p", "kl_trained": "kl"}.items():
        assert ours[name] == pytest.approx(plain[other], abs=1e-6)
        assert ours[other] != pytest.approx(ours[name], abs=1e-4)
    assert ours["entropy"] == plain["entropy"], "the same samples of the same policy"


def test_the_optimum_is_estimated_from_samples_of_the_prior() -> None:
    """Protects log Z, weighted means and the expected share of different sequences, against sums over all."""
    _, sample = evaluate(BRACKETS, REFERENCE, PRIOR, 10_000, seed=1, c=1.0)
    length = (np.cumsum(sample.tokens == 3, axis=1) == 0).sum(axis=1).astype(float)
    ours = estimated_optimum(sample, 1.0, {"length": length, "reward": sample.task_reward})
    best = TRUTH.log_optimum.exp().numpy()
    true_length = (np.cumsum(TRUTH.sequences == 3, axis=1) == 0).sum(axis=1)
    assert ours["log_z"] == pytest.approx(TRUTH.log_z, abs=0.05)
    assert ours["length"] == pytest.approx((best * true_length).sum(), abs=0.1)
    assert ours["reward"] == pytest.approx((best * TRUTH.along(TRUTH.reward).numpy()).sum(), abs=0.05)
    assert ours["unique"] == pytest.approx((1 - (1 - best) ** 10_000).sum() / 10_000, abs=0.02)


def test_samples_of_the_optimum_itself_need_no_weights() -> None:
    """Protects the effective number: all samples count where the policy is the optimum, and log Z is exact."""
    log_prior, reward = np.log([0.2, 0.3, 0.5]), np.array([1.0, 0.0, 2.0])
    log_z = np.log(np.exp(log_prior + reward / 2).sum())
    sample = Sample(np.zeros((3, 1), np.int64), log_prior, log_prior + reward / 2 - log_z, reward)
    ours = estimated_optimum(sample, 2.0, {"score": np.array([1.0, np.nan, 3.0])})
    assert ours["log_z"] == pytest.approx(log_z)
    assert ours["effective"] == pytest.approx(3)
    assert ours["score"] == pytest.approx(2.0), "what has no score is left out"


@pytest.mark.parametrize("policy", [REFERENCE, *(Policy(NETWORK, PRIOR, METHODS[name]) for name in ("psi", "g"))])
def test_smc_against_enumeration(policy: Policy) -> None:
    """Protects samples on top of a policy, one per run so that they are independent (chi-squared), and log Z unbiased.

    The same test rejects the first two tokens of the prior itself.
    """
    optimum = TRUTH.log_optimum.numpy()

    def p_value(sequences: np.ndarray, log_shares: np.ndarray) -> float:
        wanted = np.bincount(TRUTH.sequences[:, :2] @ (4, 1), np.exp(log_shares), minlength=16)
        counts, likely = np.bincount(sequences[:, :2] @ (4, 1), minlength=16), wanted >= 0.02
        return float(chisquare(counts[likely], wanted[likely] * counts[likely].sum() / wanted[likely].sum()).pvalue)

    runs = [smc(BRACKETS, policy, 1.0, 50, np.random.default_rng(seed)) for seed in range(300)]
    one_of_each = np.array([tokens[seed % 50] for seed, (tokens, _) in enumerate(runs)])
    assert p_value(one_of_each, optimum) > 1e-3 > p_value(one_of_each, TRUTH.along(TRUTH.log_prior).numpy())
    estimates = np.exp([log_z - TRUTH.log_z for _, log_z in runs])
    assert abs(estimates.mean() - 1) < 4 * estimates.std() / np.sqrt(len(runs))
