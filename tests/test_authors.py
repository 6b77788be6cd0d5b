"""The authors' schedule: their graph's numbers, when it updates, and what it stores."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.authors import AuthorsSettings, AuthorsTutor, one_step
from repro.kl_control import METHODS
from repro.music.domain import Music
from repro.rnn import SequenceRNN

GOLDEN = json.loads((Path(__file__).parent / "golden" / "dqn_step.json").read_text())
NAMES = {"q": "q", "psi": "psi", "g": "g", "rl_only": "pure_rl"}
SMALL = {"environment_steps": 150, "epsilon_steps": 100, "replay": 60, "evaluate_every": 75, "evaluation_games": 16}


def authors_network(weights: dict[str, list[float]] | list[list[float]]) -> SequenceRNN:
    """A network of the graph in PyTorch's layout: gates i, j, f, o become i, f, j, o; the forget bias 1 is added."""
    kernel, bias, out_w, out_b = (np.asarray(part, dtype=np.float64).ravel() for part in weights)
    cells, tokens = GOLDEN["meta"]["H"], 38
    order = np.concatenate([np.arange(cells) + gate * cells for gate in (0, 2, 1, 3)])
    kernel = kernel.reshape(tokens + cells, 4 * cells)[:, order]
    bias = bias[order].copy()
    bias[cells : 2 * cells] += 1.0
    rnn = SequenceRNN(tokens, cells).double()
    with torch.no_grad():
        rnn.lstm.weight_ih_l0.copy_(torch.from_numpy(kernel[:tokens].T.copy()))
        rnn.lstm.weight_hh_l0.copy_(torch.from_numpy(kernel[tokens:].T.copy()))
        rnn.lstm.bias_ih_l0.copy_(torch.from_numpy(bias))
        rnn.lstm.bias_hh_l0.zero_()
        rnn.head.weight.copy_(torch.from_numpy(out_w.reshape(cells, tokens).T.copy()))
        rnn.head.bias.copy_(torch.from_numpy(out_b))
    return rnn


def network(name: str) -> SequenceRNN:
    return authors_network(GOLDEN["weights"][name])


def column(name: str) -> torch.Tensor:
    return torch.tensor([step[name] for step in GOLDEN["batch"]])


def authors_batch() -> dict[str, torch.Tensor]:
    """The graph's eight transitions; their reward is finished, log p included."""
    reward = column("reward").double()
    batch = {"observation": column("obs"), "action": column("action"), "task_reward": reward}
    batch |= {"next_observation": column("new_obs"), "log_prior": torch.zeros_like(reward)}
    for ours, theirs in {"before": "state", "after": "new_state", "prior": "new_reward_state"}.items():
        cell, hidden = column(theirs).double().chunk(2, dim=1)  # the graph stores [c, h]
        batch[ours] = torch.stack((hidden, cell), dim=1)
    return batch


def small_run(prior: SequenceRNN | None = None, **changes: object) -> AuthorsTutor:
    prior = prior or SequenceRNN(38, 12, seed=3)
    return AuthorsTutor(Music(), prior, AuthorsSettings(**SMALL | changes), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_acting_distribution_is_the_authors(name: str) -> None:
    """Protects the policy of each method: G alone multiplies by the prior."""
    expected = torch.tensor(GOLDEN["algorithms"][NAMES[name]]["acting"]["action_softmax"], dtype=torch.float64)
    batch = authors_batch()
    log_prior = one_step(network("reward_rnn"), batch["observation"], batch["prior"]).log_softmax(dim=-1)
    scores = METHODS[name].scores(one_step(network("q_network"), batch["observation"], batch["before"]), log_prior)
    torch.testing.assert_close(scores.softmax(dim=-1), expected.reshape(8, 38), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("method", "trained", "steps"),
    [("q", False, 3), ("psi", False, 3), ("rl_only", False, 3), ("g", False, 1), ("g", True, 1), ("g", True, 3)],
)
def test_updates_are_the_authors(method: str, trained: bool, steps: int) -> None:
    """Protects the whole update: targets, loss, and the weights after 1 and 3 steps, the prior's too (quirk G.3)."""
    expected, meta = GOLDEN["algorithms"][NAMES[method]], GOLDEN["meta"]
    run = small_run(network("reward_rnn"), method=method, train_prior=trained)
    run.policy.load_state_dict(network("q_network").state_dict())
    run.target.load_state_dict(network("target_q_network").state_dict())
    assert run.settings.gamma == meta["discount_rate"]
    y, loss = run.goal(authors_batch()), run.residual(authors_batch())
    theirs = torch.tensor(expected["target"]["future_rewards"]).double().ravel()
    torch.testing.assert_close(y.detach(), theirs, atol=1e-5, rtol=1e-6)
    assert loss.item() == pytest.approx(expected["target"]["prediction_error"], rel=1e-5)
    for step in range(1, steps + 1):
        # TensorFlow adds epsilon before the bias correction, PyTorch after it: it shows where a gradient is about 1e-6
        run.adam.param_groups[0]["eps"] = meta["adam"]["eps"] / math.sqrt(1 - meta["adam"]["beta2"] ** step)
        run.update(authors_batch())
    after = expected[f"after_{steps}_steps"]
    networks = {"q_network": run.policy, "target_q_network": run.target} | (
        {"reward_rnn": run.prior} if trained else {}
    )
    for name, ours in networks.items():
        for weight, other in zip(ours.parameters(), authors_network(after[name]).parameters(), strict=True):
            torch.testing.assert_close(weight.detach(), other.detach(), atol=1e-5, rtol=0)
    pairs = zip(run.prior.parameters(), run.original.parameters(), strict=True)
    moved = max((one - other).abs().max().item() for one, other in pairs)
    assert moved == (pytest.approx(0.001 * steps, rel=0.01) if trained else 0.0)


def test_updates_happen_when_theirs_do() -> None:
    """Protects the cadence: at step indices 31, 36, 41, as measured in the authors' loop; 199,994 in a million."""
    run, updated = small_run(), []
    for index in range(45):
        before = run.gradient_steps
        run.step()
        if run.gradient_steps > before:
            updated.append(index)
    assert updated == [31, 36, 41]


def test_what_is_stored_is_what_was_played() -> None:
    """Protects the data: inputs, states from zero on, rewards of the whole game over c, the prior's log p."""
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
        _, (hidden, cell) = run.policy.lstm(run.policy.encoded(inputs))
    torch.testing.assert_close(kept["log_prior"], log_prior, atol=1e-5, rtol=0)
    before, after = (kept[name].reshape(3, 32, 2, 12) for name in ("before", "after"))
    assert not before[:, 0].any() and torch.equal(before[:, 1:], after[:, :-1])
    torch.testing.assert_close(after[:, -1], torch.stack((hidden[0], cell[0]), dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(kept["prior"], kept["after"])  # the policy starts as the prior and was not trained


def test_a_game_that_is_still_played_is_paid_when_drawn() -> None:
    """Protects updates in mid-game: the events so far have their rewards as soon as one of them is drawn."""
    run = small_run(replay=100)
    for _ in range(42):
        run.step()
    rows, expected = run.replay.latest(10), Music().step_rewards(np.array([run.game]))[0] / 0.5
    run.replay.tensors["task_reward"][rows] = torch.nan
    run.draw()  # 32 of 42
    np.testing.assert_allclose(run.replay.tensors["task_reward"][rows], expected, rtol=1e-6)
