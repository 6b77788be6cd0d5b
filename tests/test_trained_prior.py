"""G with a trained prior through whole episodes: which weights move, by which gradient, and what log p means."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch

from repro import kl_control, tutor
from repro.music.domain import Music
from repro.rnn import SequenceRNN
from repro.settings import SettingsError, TutorSettings
from repro.trained_prior import PriorTrainingSettings, PriorTrainingTutor, look, train, visited_apart

SMALL = TutorSettings(
    method="g", rounds=3, games=8, batch_episodes=8, replay_episodes=16, evaluate_every=2, evaluation_games=8
)


def small_prior(seed: int = 3) -> SequenceRNN:
    return SequenceRNN(38, 12, seed=seed).eval()


def bytes_of(rnn: SequenceRNN) -> str:
    return hashlib.sha256(b"".join(w.detach().numpy().tobytes() for w in rnn.parameters())).hexdigest()


def test_without_the_quirk_it_is_the_tutor() -> None:
    """Protects the comparison: with a fixed prior the run is the lockstep tutor's, byte for byte."""
    ours, theirs = train(Music(), small_prior(), PriorTrainingSettings(SMALL, "no"), 0), None
    theirs = tutor.train(Music(), small_prior(), SMALL, 0)
    assert bytes_of(ours.policy) == bytes_of(theirs.policy) and bytes_of(ours.prior) == bytes_of(small_prior())
    shared = list(theirs.curve.columns)
    pd.testing.assert_frame_equal(ours.curve[shared], theirs.curve, rtol=1e-5)


@pytest.mark.parametrize("start", ["prior_logits", "zero_head"])
def test_the_acting_prior_moves_and_the_original_stays(start: str) -> None:
    """Protects both priors, and determinism: policy, acting prior and curve repeat for the same seed."""
    settings = PriorTrainingSettings(TutorSettings(**SMALL.__dict__ | {"start": start}))
    prior, before = small_prior(), bytes_of(small_prior())
    one, two = (train(Music(), prior, settings, 0) for _ in range(2))
    assert bytes_of(one.policy) == bytes_of(two.policy) and bytes_of(one.prior) == bytes_of(two.prior)
    pd.testing.assert_frame_equal(one.curve, two.curve, check_exact=True)
    assert bytes_of(one.prior) != before == bytes_of(prior)
    assert one.curve["log_p"].iloc[0] == one.curve["log_p_trained"].iloc[0]
    assert one.curve["log_p"].iloc[-1] != one.curve["log_p_trained"].iloc[-1]


def test_the_prior_s_gradient_worked_by_hand() -> None:
    """Protects the quirk itself: dL/dl(s') = -2 gamma mean (f - y) (softmax(l + f') - softmax(l)), none at the end."""
    settings = PriorTrainingSettings(TutorSettings(**SMALL.__dict__ | {"clip": 1e9}))
    run = PriorTrainingTutor(Music(), small_prior(), settings, 0)
    run.play()
    episodes = run.replay.draw(8, run.replay_numbers)
    inputs = episodes["inputs"]
    actions = inputs[:, 1:]
    with torch.no_grad():
        logits, followed = run.prior(inputs)[:, 1:], run.target(inputs)[:, 1:]
        value = (logits.log_softmax(dim=-1) + followed).logsumexp(dim=-1)
        value[:, -1] = 0.0
        y = episodes["task_reward"] + 0.5 * value
        error = run.policy(inputs[:, :-1]).gather(-1, actions.unsqueeze(-1)).squeeze(-1) - y
        pull = (logits + followed).softmax(dim=-1) - logits.softmax(dim=-1)
        pull[:, -1] = 0.0
        expected = -2 * 0.5 * (error.unsqueeze(-1) * pull).sum(dim=(0, 1)) / error.numel()
    run.update(episodes)
    assert run.prior.head.bias.grad is not None
    torch.testing.assert_close(run.prior.head.bias.grad, expected, rtol=1e-3, atol=1e-5)
    assert run.loss == pytest.approx(error.square().mean().item(), rel=1e-4)


def test_one_prior_for_both_is_the_tutor_s_reading() -> None:
    """Protects log p and kl: with one prior they are `visited`'s; another acting one does not move log p."""
    policy, acting, original = (small_prior(seed) for seed in (1, 2, 3))
    first, tokens = np.array([3, 30]), torch.randint(38, (2, 32), generator=torch.Generator().manual_seed(0))
    g = kl_control.METHODS["g"]
    expected = tutor.visited(g, policy, original, first, tokens)
    same = visited_apart(g, policy, original, original, first, tokens)
    apart = visited_apart(g, policy, acting, original, first, tokens)
    for name in ("log_p", "kl", "entropy"):
        torch.testing.assert_close(same[name], expected[name])
    torch.testing.assert_close(apart["log_p"], expected["log_p"])
    torch.testing.assert_close(apart["kl_trained"], tutor.visited(g, policy, acting, first, tokens)["kl"])
    assert not torch.allclose(apart["kl"], expected["kl"])


def test_a_zero_head_plays_the_acting_prior() -> None:
    """Protects the policy that is played and evaluated: p exp G with the acting p, so with G = 0 it is that p."""
    original, acting = small_prior(1), small_prior(2)
    policy = tutor.start_from(original, "zero_head")
    row = look(Music(), kl_control.METHODS["g"], policy, acting, original, 64, np.random.default_rng(0))
    assert row["kl_trained"] == pytest.approx(0.0, abs=1e-6) and row["kl"] > 0.001
    assert {"not_in_key", "starts_with_tonic", "leaps_resolved", "task_reward"} <= set(row)


def test_bad_settings_are_refused() -> None:
    """Protects from a run that is not the one asked for."""
    with pytest.raises(SettingsError, match="must be one of no, whole_episodes"):
        PriorTrainingSettings(SMALL, "one_step")
    with pytest.raises(SettingsError, match="only g has its prior in the target"):
        PriorTrainingSettings(TutorSettings(method="psi"))
    with pytest.raises(SettingsError, match="start is 'log_softmax'"):
        PriorTrainingSettings(TutorSettings(method="g", start="log_softmax"))
