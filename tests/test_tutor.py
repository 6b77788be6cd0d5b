"""The loop of all trainers and the paper's form: counts, starts, masks, the trained prior, and that it learns."""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small import Broken, Coins, Ending, bytes_of, uniform_rnn

from repro import ROOT, tutor
from repro.authors import AuthorsSettings, AuthorsTutor
from repro.domain import Domain, rewards
from repro.kl_control import METHODS, Policy
from repro.path import PathSettings, PathTutor
from repro.rnn import SequenceRNN
from repro.roads import RoadSettings, RoadTutor
from repro.settings import TutorSettings
from repro.tutor import Learner, Tutor, train

SMALL = TutorSettings(rounds=6, games=8, batch_episodes=8, replay_episodes=16, evaluate_every=3, evaluation_games=16)

AUTHORS = AuthorsSettings(environment_steps=40, batch=4, epsilon_steps=20, evaluate_every=20, evaluation_games=4)
FORMS: dict[str, tuple[Callable[..., Learner], Any]] = {
    "tutor": (Tutor, SMALL),
    "tutor, greedy": (Tutor, dataclasses.replace(SMALL, method="g", play="epsilon_greedy")),
    "tutor, trained prior": (Tutor, dataclasses.replace(SMALL, method="g", train_prior=True)),
    "path": (PathTutor, PathSettings(steps=4, episodes=8, replayed=4, remembered=20, evaluate_every=2)),
    "road": (RoadTutor, RoadSettings(method="a2po", steps=4, episodes=8, pool=20, evaluate_every=2)),
    "authors": (AuthorsTutor, AUTHORS),
    "authors, trained prior": (AuthorsTutor, dataclasses.replace(AUTHORS, method="g", train_prior=True)),
}


def formed(form: str, domain: Domain, prior: SequenceRNN, **changes: int) -> Learner:
    kind, settings = FORMS[form]
    return kind(domain, prior, dataclasses.replace(settings, **changes), 0)


def learner(**changes: object) -> Tutor:
    return Tutor(Coins(), SequenceRNN(3, 8, seed=5), dataclasses.replace(SMALL, **changes), 0)  # type: ignore[arg-type]


def test_environment_and_gradient_steps_are_counted_apart() -> None:
    """Protects the two axes of Figure 2; evaluations count as neither."""
    curve = train(learner(gradient_steps=5))
    assert curve["environment_steps"].tolist() == [0, 3 * 8 * 4, 6 * 8 * 4]
    assert curve["gradient_steps"].tolist() == [0, 15, 30]


def test_rows_may_be_observed_or_replaced() -> None:
    """Protects the two hooks: one call per row, what they return stands in the curve, and training does not notice."""
    plain = train(learner())
    seen = train(learner(), observe=lambda learning: {"twos": float((learning.games == 2).mean())})
    assert seen["twos"].between(0, 1).all() and seen.drop(columns="twos").equals(plain)
    own = train(learner(), row=lambda learning, number: {"step": number, "loss": learning.loss})
    assert own["step"].tolist() == [0, 3, 6]
    np.testing.assert_array_equal(own["loss"], plain["loss"])


@pytest.mark.parametrize(
    ("form", "domain"),
    [*((form, Coins()) for form in FORMS if form != "road"), *((form, Ending()) for form in ("tutor", "path", "road"))],
)
def test_neither_global_random_numbers_nor_a_look_have_a_say(form: str, domain: Domain) -> None:
    """Protects notebooks, where a reader may have drawn anything before, runs from being looked at more often, and the
    prior that a run starts from (what ran before it in its process: test_runs).
    """
    prior = SequenceRNN(3, 12, seed=9)
    before, digests, curves = bytes_of(prior), [], []
    for seed, looks in ((1, {}), (2, {}), (2, {"evaluate_every": 1})):
        np.random.seed(seed)
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        run = formed(form, domain, prior, **looks)
        curves.append(train(run).to_csv())  # floats in full
        assert torch.equal(state, torch.get_rng_state())  # nor does a run move them
        assert bytes_of(prior) == before and (bytes_of(run.prior) == before) == ("trained" not in form)
        digests.append(bytes_of(run.policy, run.prior))
    assert len(set(digests)) == 1 and curves[0] == curves[1] != curves[2]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_reaches_its_own_optimum(method: str) -> None:
    """Protects the whole loop: with independent tosses the optimal share of twos is exp(r/c) / (2 + exp(r/c)).

    gamma is 0 and the prior uniform, so that all four regress r/c but for a constant, and end at the same policy.
    """
    settings = TutorSettings(
        method=method, c=0.5, gamma=0.0, rounds=150, games=32, batch_episodes=32, replay_episodes=256,
        learning_rate=2e-2, start="zero_head", evaluate_every=150,
    )  # fmt: skip
    train(tuned := Tutor(Coins(), uniform_rnn(3), settings, 0))
    with torch.no_grad():
        log_policy = Policy(tuned.policy, tuned.prior, METHODS[method]).log_probabilities(torch.tensor([[0, 1, 2, 2]]))
    share = torch.full((4,), math.e**2 / (2 + math.e**2))
    torch.testing.assert_close(log_policy.exp()[0, :, 2], share, atol=0.02, rtol=0)


@pytest.mark.parametrize("start", ["prior_logits", "log_softmax", "zero_head"])
def test_where_a_policy_starts(start: str) -> None:
    """Protects the three starts: Psi begins as the prior (zero head: uniform), G as p squared (zero head: p)."""
    inputs = torch.tensor([[0, 0, 1, 2], [1, 2, 2, 1]])
    for method in ("psi", "g"):
        run = learner(method=method, start=start)
        log_prior = run.original(inputs).log_softmax(dim=-1)
        scores = torch.zeros_like(log_prior) if start == "zero_head" else log_prior
        expected = (scores + log_prior if method == "g" else scores).log_softmax(dim=-1)
        torch.testing.assert_close(run.acting.log_probabilities(inputs), expected)
        run.play()
        episodes = run.replay.at(run.replay.rows(8, run.replay_numbers))
        if start == "log_softmax":  # what is regressed begins as log p
            values = run.policy(episodes["inputs"]) - episodes["offset"]
            torch.testing.assert_close(values, episodes["log_prior"], atol=1e-5, rtol=0)


def test_rates_and_exploration_fall() -> None:
    """Protects the schedules: a half cosine or constant rates, and epsilon linearly from 1 to .1 as the paper's."""
    run, constant = learner(learning_rate=0.1), learner(learning_rate=0.1, schedule="constant")
    assert run.learning_rate() == pytest.approx(0.1)
    run.gradient_steps = constant.gradient_steps = 12  # of 6 rounds with 4 each
    assert run.learning_rate() == pytest.approx(0.05) and constant.learning_rate() == 0.1
    greedy, seen = learner(play="epsilon_greedy", epsilon_steps=1000), []
    scores, grid = torch.tensor([[0.0, 1.0, 0.0]]).expand(9_000, 3), (torch.arange(9_000) + 0.5) / 9_000
    for steps in (0, 500, 1000, 5000):
        greedy.environment_steps = steps
        seen.append(1.5 * float((greedy.choose(scores, grid) != 1).float().mean()))  # two of three are not the best
    assert seen == pytest.approx([1.0, 0.55, 0.1, 0.1], abs=1e-3)


def test_what_follows_the_end_changes_nothing() -> None:
    """Protects the mask: other tokens, rewards and log-probabilities after the end leave the update as it is."""
    losses = []
    for filler in (0, 2):
        run = Tutor(Ending(), SequenceRNN(3, 6, seed=1), SMALL, seed=2)
        run.play()
        episodes = run.replay.at(run.replay.rows(8, np.random.default_rng(0)))
        ends = episodes["inputs"][:, 1:] == 0
        after = ends.cumsum(dim=1) - ends.long() > 0
        assert after.any()
        episodes["inputs"][:, 1:][after] = filler
        episodes["task_reward"][after] = episodes["log_prior"][:, 1:][after] = float(filler)
        run.update(episodes)
        losses.append(run.loss)
    assert losses[0] == losses[1]


def test_a_run_that_diverges_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects results from NaN: an error, but where sequences end, where this form is known for it, a last row."""
    monkeypatch.setattr("repro.domain.LARGEST", math.inf)
    curve = train(Tutor(Broken(), SequenceRNN(3, 6), SMALL, 0))
    assert curve["diverged"].tolist() == [0.0, 1.0]
    monkeypatch.setattr(tutor, "bellman_loss", lambda values, actions, y: values.sum() * math.nan)
    with pytest.raises(FloatingPointError, match="psi with seed 0: the loss is nan after 4 gradient steps"):
        train(learner())
    with pytest.raises(FloatingPointError, match=r"psi with seed 0: .* a learning_rate below 0.0001 may help"):
        train(formed("path", Broken(), SequenceRNN(3, 4)))


def test_the_trained_prior_s_gradient_worked_by_hand() -> None:
    """Protects the quirk of G: dL/dl(s') = -2 gamma mean (f - y) (softmax(l + f') - softmax(l)), none at the end."""
    run = learner(method="g", train_prior=True, clip=1e9)
    run.play()
    episodes = run.replay.at(run.replay.rows(8, run.replay_numbers))
    inputs = episodes["inputs"]
    with torch.no_grad():
        logits, followed = run.prior(inputs)[:, 1:], run.target(inputs)[:, 1:]
        value = (logits.log_softmax(dim=-1) + followed).logsumexp(dim=-1)
        pull = (logits + followed).softmax(dim=-1) - logits.softmax(dim=-1)
        value[:, -1] = pull[:, -1] = 0.0
        y = episodes["task_reward"] + 0.5 * value
        error = run.policy(inputs[:, :-1]).gather(-1, inputs[:, 1:].unsqueeze(-1)).squeeze(-1) - y
        expected = -2 * 0.5 * (error.unsqueeze(-1) * pull).sum(dim=(0, 1)) / error.numel()
    run.update(episodes)
    torch.testing.assert_close(run.prior.head.bias.grad, expected, rtol=1e-3, atol=1e-5)
    assert run.loss == pytest.approx(error.square().mean().item(), rel=1e-4)
    curve = train(learner(method="g", train_prior=True))
    apart = (curve["log_p"] - curve["log_p_trained"]).abs()
    assert apart.iloc[0] < 1e-5 < 1e-3 < apart.iloc[-1]


@pytest.mark.parametrize(("form", "walk"), [("tutor", 3), ("path", 4), ("authors", 3)])
def test_the_walk_to_the_gradient_step_is_short(form: str, walk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects whoever follows a run: from a cell that calls `train` to the gradient at most four functions of ours."""
    made, seen, backward = formed(form, Coins(), uniform_rnn(3)), [], torch.Tensor.backward

    def noted(loss: torch.Tensor) -> None:
        seen.append([frame.name for frame in traceback.extract_stack() if str(ROOT / "repro") in frame.filename])
        backward(loss)

    monkeypatch.setattr(torch.Tensor, "backward", noted)
    train(made)
    assert {len(frames) for frames in seen} == {walk} and seen[0][:2] == ["train", "step"]


def test_a_reward_sees_a_copy_and_is_paid_up_to_the_end() -> None:
    """Protects both forms: a reward that sorts its argument in place harms nothing, after the end nothing is paid."""

    class Sorting(Ending):
        def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
            sequences.sort(axis=1)
            return np.ones(sequences.shape)

    played = np.array([[2, 1, 0, 0, 0], [1, 1, 2, 1, 1]])
    assert rewards(Sorting(), played).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert played[0].tolist() == [2, 1, 0, 0, 0]
