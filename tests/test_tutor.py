"""The training loop on a small domain of its own: determinism, counts, starts, and that it learns."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from repro import kl_control, tutor
from repro.rnn import SequenceRNN, shifted
from repro.settings import METHODS, STARTS, TutorSettings
from repro.tutor import Replay, Tutor, train, visited

SMALL = {
    "rounds": 6,
    "games": 8,
    "batch_episodes": 8,
    "replay_episodes": 16,
    "evaluate_every": 3,
    "evaluation_games": 16,
}


class Coins:
    """Four tosses of a three-sided coin; every 2 is worth 1."""

    name = "coins"
    vocabulary = ("0", "1", "2")
    horizon = 4
    reward_modules: tuple[str, ...] = ()
    measure_modules: tuple[str, ...] = ()

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(3, size=count)

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        return (sequences == 2).astype(float)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        return {"twos": self.step_rewards(sequences)}

    def measures(self, sequences: np.ndarray) -> pd.Series:
        return pd.Series({"twos": float((sequences == 2).mean())})

    def render(self, sequence: np.ndarray, path: Path) -> None:
        path.write_text(" ".join(map(str, sequence)))


def uniform_prior() -> SequenceRNN:
    """An RNN whose every next token has probability 1/3, whatever came before."""
    rnn = SequenceRNN(3, 8, seed=0)
    torch.nn.init.zeros_(rnn.head.weight)
    torch.nn.init.zeros_(rnn.head.bias)
    return rnn


def bytes_of(rnn: SequenceRNN) -> str:
    return hashlib.sha256(b"".join(w.detach().numpy().tobytes() for w in rnn.parameters())).hexdigest()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bytes(method: str) -> None:
    """Protects determinism: weights and curve repeat exactly, another seed gives others, and the prior stays."""
    prior, settings = SequenceRNN(3, 8, seed=4), TutorSettings(method=method, **SMALL)
    before = bytes_of(prior)
    one, two, other = (train(Coins(), prior, settings, seed) for seed in (0, 0, 1))
    assert bytes_of(one.policy) == bytes_of(two.policy) != bytes_of(other.policy)
    pd.testing.assert_frame_equal(one.curve, two.curve, check_exact=True)
    assert bytes_of(prior) == before


def test_another_process_gives_the_same_bytes() -> None:
    """Protects parallel runs: a run in a process of its own, with its own thread count, is the same run."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_tutor as t;"
        "print(t.bytes_of(t.train(t.Coins(), t.SequenceRNN(3, 8, seed=4), t.TutorSettings(**t.SMALL), 0).policy))"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert printed == bytes_of(train(Coins(), SequenceRNN(3, 8, seed=4), TutorSettings(**SMALL), 0).policy)


def test_environment_and_gradient_steps_are_counted_apart() -> None:
    """Protects the two axes of Figure 2; evaluations count as neither."""
    curve = train(Coins(), SequenceRNN(3, 8), TutorSettings(**SMALL, gradient_steps=5), 0).curve
    assert curve["environment_steps"].tolist() == [0, 3 * 8 * 4, 6 * 8 * 4]
    assert curve["gradient_steps"].tolist() == [0, 15, 30]


def test_evaluations_do_not_change_the_training() -> None:
    """Protects the run from being looked at: more evaluations, the same weights."""
    seldom = train(Coins(), SequenceRNN(3, 8), TutorSettings(**SMALL), 0)
    often = train(Coins(), SequenceRNN(3, 8), TutorSettings(**SMALL | {"evaluate_every": 1}), 0)
    assert bytes_of(seldom.policy) == bytes_of(often.policy)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("psi", math.e**2 / (2 + math.e**2)), ("g", math.e**2 / (2 + math.e**2)), ("q", None), ("rl_only", None)],
)
def test_each_method_reaches_its_own_optimum(method: str, expected: float | None) -> None:
    """Protects the whole loop: with independent tosses the optimal share of twos is exp(r/c) / (2 + exp(r/c)).

    gamma is 0, so that Q and Psi alike regress log p + r/c, whose softmax is that share; RL only regresses r/c, which
    differs from it by a constant, because the prior is uniform. All four therefore end at the same policy.
    """
    share = expected or math.e**2 / (2 + math.e**2)
    settings = TutorSettings(
        method=method, c=0.5, gamma=0.0, rounds=150, games=32, batch_episodes=32, replay_episodes=256,
        learning_rate=2e-2, start="zero_head", evaluate_every=150,
    )  # fmt: skip
    tuned = train(Coins(), uniform_prior(), settings, 0)
    with torch.no_grad():
        values = tuned.policy(torch.tensor([[0, 1, 2, 2]]))
        scores = kl_control.METHODS[method].scores(values, torch.full_like(values, -math.log(3)))
    torch.testing.assert_close(scores.softmax(dim=-1)[0, :, 2], torch.full((4,), share), atol=0.02, rtol=0)


@pytest.mark.parametrize("start", STARTS)
def test_where_a_policy_starts(start: str) -> None:
    """Protects the three starts: Psi begins as the prior (zero head: uniform), G as p squared (zero head: p)."""
    prior = SequenceRNN(3, 8, seed=5)
    with torch.no_grad():
        prior.head.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    first, tokens = np.array([0, 1]), torch.tensor([[0, 1, 2, 0], [2, 2, 1, 1]])
    log_prior = prior(shifted(torch.from_numpy(first), tokens)[:, :-1]).log_softmax(dim=-1)
    for method in ("psi", "g"):
        run = Tutor(Coins(), prior, TutorSettings(method=method, start=start, **SMALL), 0)
        kl = visited(run.method, run.policy, prior, first, tokens)["kl"]
        if start == "zero_head":
            policy = torch.zeros_like(log_prior) if method == "psi" else log_prior
        else:
            policy = log_prior if method == "psi" else 2 * log_prior
        expected = kl_control.kl_divergence(policy.log_softmax(dim=-1), log_prior)
        torch.testing.assert_close(kl, expected, atol=1e-5, rtol=1e-4)


def test_log_softmax_start_subtracts_the_prior_s_partition() -> None:
    """Protects that start: the values that are regressed begin as log p, so that log sum exp of them is 0."""
    run = Tutor(Coins(), SequenceRNN(3, 8, seed=5), TutorSettings(start="log_softmax", **SMALL), 0)
    run.play()
    episodes = run.replay.draw(8, run.replay_numbers)
    values = run.policy(episodes["inputs"]) - episodes["offset"]
    torch.testing.assert_close(values, episodes["log_prior"], atol=1e-5, rtol=0)


def test_replay_keeps_the_latest_whole_episodes() -> None:
    """Protects the ring: the oldest are overwritten, and a draw never returns an episode twice."""
    replay = Replay(5, 2, 3)
    for batch in ([0, 1, 2], [3, 4, 5]):
        inputs = torch.tensor(batch)[:, None].expand(3, 3)
        replay.add(
            inputs=inputs, task_reward=torch.zeros(3, 2), log_prior=torch.zeros(3, 3, 3), offset=torch.zeros(3, 3, 1)
        )
    drawn = replay.draw(5, np.random.default_rng(0))["inputs"][:, 0]
    assert sorted(drawn.tolist()) == [1, 2, 3, 4, 5]


def test_learning_rate_falls_along_a_half_cosine() -> None:
    """Protects the schedule: full at first, half in the middle, and constant when asked."""
    run = Tutor(Coins(), SequenceRNN(3, 8), TutorSettings(learning_rate=0.1, **SMALL), 0)
    assert run.learning_rate() == pytest.approx(0.1)
    run.gradient_steps = 12  # of 6 rounds with 4 each
    assert run.learning_rate() == pytest.approx(0.05)
    constant = Tutor(Coins(), SequenceRNN(3, 8), TutorSettings(learning_rate=0.1, schedule="constant", **SMALL), 0)
    constant.gradient_steps = 12
    assert constant.learning_rate() == 0.1


def test_epsilon_falls_with_environment_steps() -> None:
    """Protects the paper's exploration: linear from 1 to .1, then constant."""
    run = Tutor(Coins(), SequenceRNN(3, 8), TutorSettings(play="epsilon_greedy", epsilon_steps=1000, **SMALL), 0)
    seen = []
    for steps in (0, 500, 1000, 5000):
        run.environment_steps = steps
        seen.append(run.choice().keywords["epsilon"])  # type: ignore[attr-defined]
    assert seen == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_a_diverged_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the results from a run that has become NaN."""
    monkeypatch.setattr(tutor.kl_control, "bellman_loss", lambda values, actions, y: values.sum() * math.nan)
    with pytest.raises(FloatingPointError, match="psi with seed 0: the loss is nan after 4 gradient steps"):
        train(Coins(), SequenceRNN(3, 8), TutorSettings(**SMALL), 0)
