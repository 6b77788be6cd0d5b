"""The authors' schedule: their graph's numbers, when it updates, what it stores, and that runs repeat exactly."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from repro import authors, kl_control
from repro.authors import AuthorsSettings, AuthorsTutor, Transitions, train
from repro.evaluation import evaluate
from repro.experiments import authors as authors_experiments
from repro.music.domain import Music
from repro.rnn import SequenceRNN
from repro.settings import SettingsError, TutorSettings, study
from repro.tables import authors as authors_tables

spec = importlib.util.spec_from_file_location("authors_graph", Path(__file__).with_name("test_kl_control.py"))
assert spec is not None and spec.loader is not None
graph = importlib.util.module_from_spec(spec)  # the authors' networks and batch, as the four methods are tested with
spec.loader.exec_module(graph)

SMALL = {"environment_steps": 150, "epsilon_steps": 100, "replay": 60, "evaluate_every": 75, "evaluation_games": 16}


def small_prior(seed: int = 3) -> SequenceRNN:
    return SequenceRNN(38, 12, seed=seed).eval()


def small_run(prior: SequenceRNN | None = None, **changes: object) -> AuthorsTutor:
    return AuthorsTutor(Music(), prior or small_prior(), AuthorsSettings(**SMALL | changes), 0)  # type: ignore[arg-type]


def bytes_of(rnn: SequenceRNN) -> str:
    return hashlib.sha256(b"".join(w.detach().numpy().tobytes() for w in rnn.parameters())).hexdigest()


def authors_batch() -> dict[str, torch.Tensor]:
    """The graph's eight transitions; their reward is finished, log p included."""
    reward = graph.column("reward").double()
    batch = {"observation": graph.column("obs"), "action": graph.column("action"), "task_reward": reward}
    batch |= {"next_observation": graph.column("new_obs"), "log_prior": torch.zeros_like(reward)}
    states = {"before": "state", "after": "new_state", "prior": "new_reward_state"}
    return batch | {name: torch.stack(graph.state(theirs), dim=1) for name, theirs in states.items()}


@pytest.mark.parametrize(
    ("method", "trained", "steps"),
    [
        ("q", "no", 3),
        ("psi", "no", 3),
        ("rl_only", "no", 3),
        ("g", "no", 1),
        ("g", "one_step", 1),
        ("g", "one_step", 3),
    ],
)
def test_updates_are_the_authors(method: str, trained: str, steps: int) -> None:
    """Protects the whole update against the authors' graph: targets, loss, and after 1 and 3 steps the weights of
    policy, target network and prior, which G alone moves, by up to .003 in three steps (quirk G.3)."""
    expected, meta = graph.GOLDEN["algorithms"][graph.NAMES[method]], graph.GOLDEN["meta"]
    run = small_run(graph.network("reward_rnn"), method=method, train_prior_with_g=trained)
    run.policy.load_state_dict(graph.network("q_network").state_dict())
    run.target.load_state_dict(graph.network("target_q_network").state_dict())
    y, loss = authors.regression(run.method, run.policy, run.target, run.prior, authors_batch(), 0.5)
    theirs = torch.tensor(expected["target"]["future_rewards"]).double().ravel()
    torch.testing.assert_close(y.detach(), theirs, atol=1e-5, rtol=1e-6)
    assert loss.item() == pytest.approx(expected["target"]["prediction_error"], rel=1e-5)
    for step in range(1, steps + 1):
        # TensorFlow adds Adam's epsilon before the bias correction, PyTorch after it
        run.adam.param_groups[0]["eps"] = meta["adam"]["eps"] / math.sqrt(1 - meta["adam"]["beta2"] ** step)
        run.update(authors_batch())
    after = expected[f"after_{steps}_steps"]
    networks = {"q_network": run.policy, "target_q_network": run.target}
    if trained == "one_step":
        networks["reward_rnn"] = run.prior
    for name, ours in networks.items():
        for weight, other in zip(ours.parameters(), graph.authors_network(after[name]).parameters(), strict=True):
            torch.testing.assert_close(weight.detach(), other.detach(), atol=1e-5, rtol=0)
    moved = max(
        (a - b).abs().max().item() for a, b in zip(run.prior.parameters(), run.original.parameters(), strict=True)
    )
    assert moved == (pytest.approx(0.001 * steps, rel=0.01) if trained == "one_step" else 0.0)


def test_updates_happen_when_theirs_do() -> None:
    """Protects the cadence: at step indices 31, 36, 41, as measured in the authors' loop; 199,994 in a million."""
    run, updated = small_run(), []
    for index in range(45):
        before = run.gradient_steps
        run.step()
        if run.gradient_steps > before:
            updated.append(index)
    assert updated == [31, 36, 41]
    assert (1_000_000 - 32) // 5 + 1 == 199_994


def test_what_is_stored_is_what_was_played() -> None:
    """Protects the data: each transition continues the one before it, from states of zero at a game's first event, with
    the rewards of the whole game over c and the prior's log-probabilities."""
    run = small_run(train_every=1_000_000, replay=100)
    run.update = lambda batch: None  # type: ignore[method-assign, assignment]
    for _ in range(96):
        run.step()
    kept = {name: tensor[run.replay.latest(96)] for name, tensor in run.replay.tensors.items()}
    games = kept["action"].reshape(3, 32)
    rewards = torch.from_numpy(Music().step_rewards(games.numpy())).float().ravel() / 0.5
    torch.testing.assert_close(kept["task_reward"], rewards)
    inputs = kept["observation"].reshape(3, 32)
    assert torch.equal(inputs[:, 1:], games[:, :-1]) and torch.equal(kept["next_observation"], kept["action"])
    with torch.no_grad():
        log_prior = run.original(inputs).log_softmax(dim=-1).gather(-1, games.unsqueeze(-1)).ravel()
        _, (hidden, cell) = run.policy.lstm(torch.nn.functional.one_hot(inputs, 38).float())
    torch.testing.assert_close(kept["log_prior"], log_prior, atol=1e-5, rtol=0)
    before, after = (kept[name].reshape(3, 32, 2, 12) for name in ("before", "after"))
    assert not before[:, 0].any() and torch.equal(before[:, 1:], after[:, :-1])
    torch.testing.assert_close(after[:, -1], torch.stack((hidden[0], cell[0]), dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(kept["prior"], kept["after"])  # the policy starts as the prior and was not trained


def test_a_game_that_is_still_played_is_paid_when_drawn() -> None:
    """Protects updates in mid-game: the events so far have their rewards, which stay the same when the game goes on."""
    run = small_run(replay=100)
    for _ in range(42):
        run.step()
    batch = run.draw()
    assert len(run.game) == 10 and len(batch["action"]) == 32
    rows, expected = run.replay.latest(10), Music().step_rewards(np.array([run.game]))[0] / 0.5
    run.replay.tensors["task_reward"][rows] = torch.nan
    while not (run.draw()["task_reward"].isnan().any() or run.replay.tensors["task_reward"][rows].isfinite().all()):
        pass
    np.testing.assert_allclose(run.replay.tensors["task_reward"][rows], expected, rtol=1e-6)


def test_the_oldest_transition_goes_first() -> None:
    """Protects the ring: capacity, order, and that draws come from what is stored."""
    kept = Transitions(3, 2)
    for action in range(5):
        kept.add(action=action)
    assert kept.size == 3 and kept.tensors["action"][kept.latest(3)].tolist() == [2, 3, 4]


@pytest.mark.parametrize(("method", "trained"), [("psi", "no"), ("g", "one_step")])
def test_the_same_seed_gives_the_same_bytes(method: str, trained: str) -> None:
    """Protects determinism: weights, acting prior and curve repeat, the original stays, looking changes nothing."""
    prior, small = small_prior(), SMALL | {"method": method, "train_prior_with_g": trained}
    settings = AuthorsSettings(**small)  # type: ignore[arg-type]
    before = bytes_of(prior)
    one, two, other = (train(Music(), prior, settings, seed) for seed in (0, 0, 1))
    often = train(Music(), prior, AuthorsSettings(**small | {"evaluate_every": 20}), 0)  # type: ignore[arg-type]
    assert bytes_of(one.policy) == bytes_of(two.policy) == bytes_of(often.policy) != bytes_of(other.policy)
    assert bytes_of(one.prior) == bytes_of(two.prior)
    assert (bytes_of(one.prior) == before) == (trained == "no") and bytes_of(prior) == before
    pd.testing.assert_frame_equal(one.curve, two.curve, check_exact=True)
    assert one.curve["environment_steps"].tolist() == [0, 75, 150] and one.curve["gradient_steps"].tolist()[-1] == 24


def test_epsilon_falls_over_the_first_half() -> None:
    """Protects the exploration of the authors' code: linear from 1 to .1, then constant."""
    run, seen = small_run(epsilon_steps=500_000), []
    for steps in (0, 250_000, 500_000, 1_000_000):
        run.environment_steps = steps
        seen.append(run.epsilon())
    assert seen == pytest.approx([1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "psi", "train_prior_with_g": "one_step"}, "only g has its prior in the target"),
        ({"train_prior_with_g": "yes"}, "must be one of no, one_step"),
        ({"start": "log_softmax"}, "must be one of prior_logits, zero_head"),
        ({"replay": 31}, "replay is 31"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], sentence: str) -> None:
    """Protects from a run that is not the one asked for."""
    with pytest.raises(SettingsError, match=sentence):
        AuthorsSettings(**changes)  # type: ignore[arg-type]


TINY = TutorSettings(rounds=2, games=16, batch_episodes=8, replay_episodes=32, evaluate_every=1, evaluation_games=8)


def test_experiments_are_long_frames_and_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the notebook: one value a row, both log p, the paper's row in the ranges, and nothing done twice."""
    monkeypatch.setenv("REPRO_JOBS", "1")
    tiny = study(
        "smoke", seeds="5", melodies=300, methods="psi,g", **{k: v for k, v in TINY.__dict__.items() if k != "method"}
    )
    prior = small_prior()
    both = [
        authors_experiments.trained_prior(tiny, prior),
        authors_experiments.trained_prior_one_step(dataclasses.replace(tiny, one_step_events=64), prior),
        authors_experiments.authors_schedule(tiny, prior, events=64),
    ]
    monkeypatch.setattr(authors_experiments, "tuned", lambda *arguments: pytest.fail("a finished run was done again"))
    again = authors_experiments.trained_prior(tiny, prior)
    assert again.digests() == both[0].digests()
    for variants, count in zip(both, (3, 2, 3), strict=True):
        for frame in (variants.curves(), variants.table()):
            assert frame.columns.tolist() == ["variant", "seed", "environment_steps", "metric", "value"]
            assert not frame.duplicated(["variant", "seed", "environment_steps", "metric"]).any()
            assert frame["variant"].nunique() == count
            assert {"log_p", "log_p_trained", "not_in_key", "leaps_resolved"} <= set(frame["metric"])
        assert set(variants.ranges()["variant"]) == {variant for variant, _ in variants.runs} | {"paper"}


def test_log_p_is_against_the_original_prior() -> None:
    """Protects the reading of log p: against the acting prior it has a name of its own; the rest is `evaluate`'s."""
    policy, acting, original = (small_prior(seed) for seed in (1, 2, 3))
    g = kl_control.METHODS["g"]
    numbers = authors_experiments.measures(Music(), g, policy, acting, original, 300, 0)
    plain = evaluate(Music(), g, policy, acting, 300, 0)
    ours, theirs = numbers["metrics"], dict(plain["metrics"])  # type: ignore[call-overload]
    for name, other in {"log_p_trained": "log_p", "kl_trained": "kl"}.items():
        assert ours[name] == pytest.approx(theirs.pop(other), abs=1e-6)
        assert ours[other] != pytest.approx(ours[name], abs=1e-4)
    del theirs["log_p_last"]
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-6)
    for name in ("samples", "reward_parts", "probabilities"):
        assert numbers[name] == plain[name]


def test_only_preset_paper_runs_the_schedule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Protects the smaller presets from half an hour of training: they read the committed tables, or say what is
    missing."""
    monkeypatch.setattr(
        authors_experiments, "authors_schedule", lambda *arguments: pytest.fail("a small preset trained")
    )
    for preset in ("smoke", "laptop"):
        read = authors_experiments.schedule(study(preset), small_prior())
        assert set(read.table["variant"]) == {"q", "psi", "g", "rl_only", "g, prior trained"} and not read.numbers
        assert read.curves["environment_steps"].max() == 1_000_000
        assert read.table.columns.tolist() == read.curves.columns.tolist() == authors_experiments.COLUMNS
    made = authors_experiments.Variants({})
    monkeypatch.setattr(made.__class__, "table", lambda self: "the table")
    monkeypatch.setattr(made.__class__, "curves", lambda self: "the curves")
    monkeypatch.setattr(authors_experiments, "authors_schedule", lambda *arguments: made)
    assert authors_experiments.schedule(study("paper"), small_prior()).table == "the table"  # type: ignore[comparison-overlap]
    monkeypatch.setattr(authors_experiments, "COMMITTED", tmp_path)
    with pytest.raises(FileNotFoundError, match="authors_schedule.csv"):
        authors_experiments.schedule(study("smoke"), small_prior())


def test_three_columns_stand_beside_each_other() -> None:
    """Protects the table: theirs, the mean of ours and the paper's value of the same method on one line."""
    theirs = [
        (v, 100, 9, m, x) for v, x in (("g", 0.25), ("g, prior trained", 0.5)) for m in ("repeated", "kl_trained")
    ]
    ours = [(method, 0.5, seed, "repeated", 0.1 * seed) for method in ("g", "rl_only") for seed in (1, 3)]
    table = authors_tables.beside(
        pd.DataFrame(theirs, columns=authors_experiments.COLUMNS),
        pd.DataFrame(ours, columns=["method", "c", "seed", "metric", "value"]),
    )
    expected = {("G", "their schedule"): "25.0 %", ("G", "ours"): "20.0 %", ("G", "paper"): "0.03 %"}
    assert table.loc["notes excessively repeated"].to_dict() == expected | {
        ("G, prior trained", "their schedule"): "50.0 %"
    }
