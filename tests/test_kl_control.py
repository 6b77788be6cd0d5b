"""The four methods in both forms against hand-worked numbers; against the authors' graph they stand in test_authors."""

from __future__ import annotations

import math

import pytest
import torch

from repro.kl_control import METHODS, path_errors, step_errors, targets


def test_hand_worked_backups() -> None:
    """Protects the formulas with numbers one can check by hand: two actions of value 0 and ln 3, prior 3/4 and 1/4."""
    next_values = torch.tensor([[0.0, math.log(3.0)]])
    next_log_prior = torch.tensor([[0.75, 0.25]]).log()
    expected = {"q": math.log(3.0), "psi": math.log(4.0), "g": math.log(0.75 + 0.75), "rl_only": math.log(3.0)}
    for name, method in METHODS.items():
        assert method.backup(next_values, next_log_prior).item() == pytest.approx(expected[name])
        reward = method.reward(torch.tensor(2.0), torch.tensor(-0.5)).item()
        assert reward == (1.5 if name in ("q", "psi") else 2.0)


def test_terminal_mask_ends_the_bootstrap() -> None:
    """Protects the last step: nothing follows it, so that its target is the reward alone."""
    next_values, log_prior = torch.ones(1, 2, 4), torch.zeros(1, 2, 4)
    reward, terminal = torch.tensor([[1.0, 2.0]]), torch.tensor([[False, True]])
    y = targets(METHODS["rl_only"], reward, torch.zeros(1, 2), next_values, log_prior, 0.5, terminal)
    assert y.tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize(
    ("method", "gamma", "expected"),
    [
        ("psi", 1.0, [0.5, -0.75]),  # 0 - 1 + .5 + 2 - 1 and 3 - 2 + .25 + 0 - 2
        ("g", 1.0, [0.5, -0.75]),
        ("q", 1.0, [0.4, -0.75]),  # the next value is 2 - .1
        ("rl_only", 1.0, [1.0, 1.0]),  # without log p - log pi
        ("psi", 0.5, [-0.5, -0.75]),
    ],
)
def test_step_errors_against_worked_numbers(method: str, gamma: float, expected: list[float]) -> None:
    """Protects the two lines in which the methods differ along a path, and that nothing follows the last step."""
    reward, log_p = torch.tensor([[0.0, 3.0]]), torch.tensor([[-1.0, -2.0]])
    log_pi, best, value = torch.tensor([[-0.5, -0.25]]), torch.tensor([[-0.5, -0.1]]), torch.tensor([[1.0, 2.0]])
    errors = step_errors(METHODS[method], reward, log_p, log_pi, best, value, gamma)
    assert errors[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("trace", "expected"), [(1.0, [7.0, 6.0, 4.0]), (0.5, [3.0, 4.0, 4.0]), (0.0, [1, 2, 4])])
def test_path_errors_are_discounted_sums_to_the_end(trace: float, expected: list[float]) -> None:
    """Protects d_t = delta_t + gamma lambda d_{t+1}."""
    assert path_errors(torch.tensor([[1.0, 2.0, 4.0]]), trace).tolist() == [expected]
