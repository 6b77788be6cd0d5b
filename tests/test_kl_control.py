"""The four methods against the authors' TensorFlow graph, and against hand-worked numbers."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from repro import kl_control
from repro.rnn import SequenceRNN
from repro.tutor import clip_each

GOLDEN = json.loads((Path(__file__).parent / "golden" / "dqn_step.json").read_text())
NAMES = {"q": "q", "psi": "psi", "g": "g", "rl_only": "pure_rl"}
TOLERANCE = 1e-5


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


def state(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    cell, hidden = column(name).double().chunk(2, dim=1)  # the graph stores [c, h]
    return hidden, cell


def values(rnn: SequenceRNN, observation: str, state_name: str) -> torch.Tensor:
    return rnn(column(observation).unsqueeze(1), state(state_name))[:, 0]


def regression(name: str, online: SequenceRNN, target: SequenceRNN) -> tuple[torch.Tensor, torch.Tensor]:
    """The graph's y and loss for its batch, rewards as given."""
    method = kl_control.METHODS[name]
    log_prior = values(network("reward_rnn"), "new_obs", "new_reward_state").log_softmax(dim=-1).detach()
    next_values = values(target, "new_obs", "new_state").detach()
    # the batch holds the finished reward, log p included: nothing is added to it here
    rewards = column("reward").double()
    y = kl_control.targets(
        method, rewards, torch.zeros_like(rewards), next_values, log_prior, GOLDEN["meta"]["discount_rate"]
    )
    return y, kl_control.bellman_loss(values(online, "obs", "state"), column("action"), y)


@pytest.mark.parametrize("name", NAMES)
def test_acting_distribution_is_the_authors(name: str) -> None:
    """Protects the policy of each method: G alone multiplies by the prior."""
    expected = torch.tensor(GOLDEN["algorithms"][NAMES[name]]["acting"]["action_softmax"], dtype=torch.float64)
    log_prior = values(network("reward_rnn"), "obs", "new_reward_state").log_softmax(dim=-1)
    scores = kl_control.METHODS[name].scores(values(network("q_network"), "obs", "state"), log_prior)
    torch.testing.assert_close(scores.softmax(dim=-1), expected.reshape(8, 38), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_targets_and_loss_are_the_authors(name: str) -> None:
    """Protects every backup: y to 1e-5, and the loss to 1e-5 of its size (about 1,270, given to 9 digits)."""
    expected = GOLDEN["algorithms"][NAMES[name]]["target"]
    y, loss = regression(name, network("q_network"), network("target_q_network"))
    torch.testing.assert_close(y, torch.tensor(expected["future_rewards"]).double().ravel(), atol=TOLERANCE, rtol=1e-6)
    assert loss.item() == pytest.approx(expected["prediction_error"], rel=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_clipping_adam_and_target_network_are_the_authors(name: str) -> None:
    """Protects the update: after one Adam step with each variable clipped at 5, all weights agree with the graph's."""
    meta, expected = GOLDEN["meta"], GOLDEN["algorithms"][NAMES[name]]
    online, target = network("q_network"), network("target_q_network")
    trained = [weight for weight in online.parameters() if weight.requires_grad]
    adam = torch.optim.Adam(trained, lr=meta["adam"]["lr"])
    steps = 1 if name == "g" else 3  # the graph's G also trains its prior, which shows from the second step on
    for step in range(1, steps + 1):
        # TensorFlow adds epsilon before the bias correction, PyTorch after it: it shows where a gradient is about 1e-6
        adam.param_groups[0]["eps"] = meta["adam"]["eps"] / math.sqrt(1 - meta["adam"]["beta2"] ** step)
        _, loss = regression(name, online, target)
        adam.zero_grad()
        loss.backward()
        clip_each(online, 5.0)
        adam.step()
        followed = [weight for weight in target.parameters() if weight.requires_grad]
        torch._foreach_lerp_([w.data for w in followed], [w.data for w in trained], meta["target_network_update_rate"])
    after = expected[f"after_{steps}_steps"]
    for ours, theirs in ((online, after["q_network"]), (target, after["target_q_network"])):
        reference = authors_network(theirs)
        for weight, other in zip(ours.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(weight.detach(), other.detach(), atol=TOLERANCE, rtol=0)


def test_hand_worked_backups() -> None:
    """Protects the formulas with numbers one can check by hand: two actions of value 0 and ln 3, prior 3/4 and 1/4."""
    next_values = torch.tensor([[0.0, math.log(3.0)]])
    next_log_prior = torch.tensor([[0.75, 0.25]]).log()
    expected = {"q": math.log(3.0), "psi": math.log(4.0), "g": math.log(0.75 + 0.75), "rl_only": math.log(3.0)}
    for name, method in kl_control.METHODS.items():
        assert method.backup(next_values, next_log_prior).item() == pytest.approx(expected[name])
        reward = method.reward(torch.tensor(2.0), torch.tensor(-0.5)).item()
        assert reward == (1.5 if name in ("q", "psi") else 2.0)


def test_terminal_mask_ends_the_bootstrap() -> None:
    """Protects the last step: nothing follows it, so that its target is the reward alone."""
    next_values, log_prior = torch.ones(1, 2, 4), torch.zeros(1, 2, 4)
    reward, terminal = torch.tensor([[1.0, 2.0]]), torch.tensor([[False, True]])
    y = kl_control.targets(
        kl_control.METHODS["rl_only"], reward, torch.zeros(1, 2), next_values, log_prior, 0.5, terminal
    )
    assert y.tolist() == [[1.5, 2.0]]


def test_psi_is_log_prior_plus_g() -> None:
    """Protects the paper's identity Psi(s, a) = log p(a|s) + G(s, a): same policy, same value of every state."""
    numbers = torch.Generator().manual_seed(0)
    log_prior = torch.randn(5, 38, generator=numbers).log_softmax(dim=-1)
    g_values = torch.randn(5, 38, generator=numbers)
    psi, g = kl_control.METHODS["psi"], kl_control.METHODS["g"]
    torch.testing.assert_close(psi.backup(log_prior + g_values, log_prior), g.backup(g_values, log_prior))
    torch.testing.assert_close(psi.scores(log_prior + g_values, log_prior), g.scores(g_values, log_prior))


def test_kl_and_entropy_of_known_distributions() -> None:
    """Protects the two measures: a fair coin against 3/4, 1/4, worked by hand."""
    fair, biased = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
    assert kl_control.kl_divergence(fair, biased).item() == pytest.approx(
        0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(2.0)
    )
    assert kl_control.entropy(fair).item() == pytest.approx(math.log(2.0))
    assert kl_control.kl_divergence(copy.copy(biased), biased).item() == pytest.approx(0.0, abs=1e-7)
