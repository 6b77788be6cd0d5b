"""The mathematics of KL-control: Q, Psi, G and RL only, each as reward, backup, policy and error along a path.

With s the tokens so far, a the next token, p(a|s) the frozen prior, r_T the task reward, c the temperature, f(s, a)
the network's value of an action and f'(s', a') the target network's value one step later, all four regress

    f(s, a)  ->  y = r(s, a) + gamma V(s')

(paper, section 3), and in the path-consistent form, f = log pi + V, sum the errors

    delta_t = r_t + kept_t + gamma V(s_{t+1}) - V(s_t)        (V = 0 after the end)

along a path. They differ in these lines (shapes: values (..., V), everything else (...)):

    method    r(s, a)                V(s')                            policy           kept             V(s') of a path
    Q         log p(a|s) + r_T / c   max_a' f'                        exp f            log p - log pi   V + max log pi
    Psi       log p(a|s) + r_T / c   log sum_a' exp f'                exp f            log p - log pi   V
    G         r_T / c                log sum_a' p(a'|s') exp f'       p(a|s) exp f     log p - log pi   V
    RL only   r_T / c                max_a' f'                        exp f            0                V

Policies are up to a factor. The paper's text plays Q greedily; its code samples from exp f for every evaluation, and so
do we (how games are played in training is a setting). RL only in the path-consistent form is the policy gradient.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from repro.rnn import SequenceRNN


class Q:
    """Q-learning with the prior's log-probability added to the reward."""

    plays_with_prior = False  # whether the prior's logits are part of the scores that the policy samples from

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """r(s, a) = log p(a|s) + r_T / c, of the actions that were played."""
        return log_prior + task_reward

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """V(s') = max_a' Q(s', a'), from f'(s', .) and log p(.|s')."""
        return next_values.amax(dim=-1)

    def scores(self, values: Tensor, log_prior: Tensor) -> Tensor:
        """The policy, unnormalised: log pi = Q(s, a) + const, from f(s, .) and log p(.|s)."""
        return values

    def kept(self, log_prior: Tensor, log_policy: Tensor) -> Tensor:
        """What holds a path near the prior: k = log p(a|s) - log pi(a|s), of the actions that were played."""
        return log_prior - log_policy

    def path_value(self, value: Tensor, best: Tensor) -> Tensor:
        """The next value along a path: max_a' Q(s', a') = V(s') + max_a' log pi(a'|s'), V from the value network."""
        return value + best


class Psi(Q):
    """Psi-learning: as Q, with the soft maximum that KL-control asks for."""

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """The soft maximum: V = log sum_a' exp Psi(s', a')."""
        return next_values.logsumexp(dim=-1)

    def path_value(self, value: Tensor, best: Tensor) -> Tensor:
        """The value network's, by construction: log sum_a' exp Psi(s', a') = V(s')."""
        return value


class G(Psi):
    """G-learning: the prior stands in the policy instead of in the reward."""

    plays_with_prior = True

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """The task reward alone: r = r_T / c."""
        return task_reward

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """The soft maximum, weighted by the prior: V = log sum_a' exp( log p(a'|s') + G(s', a') )."""
        return (next_log_prior + next_values).logsumexp(dim=-1)

    def scores(self, values: Tensor, log_prior: Tensor) -> Tensor:
        """The prior times exp G: log pi = log p(a|s) + G(s, a) + const."""
        return log_prior + values


class RLOnly(Q):
    """The baseline without the prior: plain Q-learning on the task reward, or the policy gradient along paths."""

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """The task reward alone: r = r_T / c."""
        return task_reward

    def kept(self, log_prior: Tensor, log_policy: Tensor) -> Tensor:
        """Nothing: k = 0."""
        return torch.zeros_like(log_policy)

    def path_value(self, value: Tensor, best: Tensor) -> Tensor:
        """V(s'), the baseline of the policy gradient."""
        return value


METHODS: dict[str, Q] = {"q": Q(), "psi": Psi(), "g": G(), "rl_only": RLOnly()}


class Policy(NamedTuple):
    """How probabilities are read off: a network, the prior that it plays with, and the method that says how."""

    network: SequenceRNN
    prior: SequenceRNN
    method: Q | None = None  # None: the network is the prior itself

    def players(self) -> list[SequenceRNN]:
        """The networks whose logits add up to the policy's scores."""
        with_prior = self.method is not None and self.method.plays_with_prior
        return [self.network, self.prior] if with_prior else [self.network]

    def log_probabilities(self, inputs: Tensor, log_prior: Tensor | None = None) -> Tensor:
        """Log pi (B, T, V) after inputs (B, T); log p of the prior that it plays with saves a pass, if given."""
        if self.method is None:
            return self.network(inputs).log_softmax(dim=-1) if log_prior is None else log_prior
        values = self.network(inputs)
        if log_prior is None:
            # scores without the prior look at no log p: then values fill its place, which saves a pass
            log_prior = self.prior(inputs).log_softmax(dim=-1) if self.method.plays_with_prior else values
        return self.method.scores(values, log_prior).log_softmax(dim=-1)


def targets(method: Q, task_reward: Tensor, log_prior: Tensor, next_values: Tensor, next_log_prior: Tensor,
            gamma: float, terminal: Tensor | None = None) -> Tensor:  # fmt: skip
    """The numbers y (...) towards which f(s, a) is regressed.

    From r_T / c and log p(a|s) of the played actions (...), the target network's f'(s', .) and log p(.|s') (..., V).
    `terminal` (...) is True where nothing follows and V(s') = 0; without it every step bootstraps.
    """
    value = method.backup(next_values, next_log_prior)
    if terminal is not None:
        value = value.masked_fill(terminal, 0.0)
    # y = r(s, a) + gamma V(s')
    return method.reward(task_reward, log_prior) + gamma * value


def bellman_loss(values: Tensor, actions: Tensor, target: Tensor) -> Tensor:
    """Mean (f(s, a) - y)^2 over all steps, from f(s, .) (..., V), actions (...) and y (...) of `targets`."""
    return (values.gather(-1, actions.unsqueeze(-1)).squeeze(-1) - target).square().mean()


def step_errors(
    method: Q, reward: Tensor, log_prior: Tensor, log_policy: Tensor, best: Tensor, value: Tensor, gamma: float
) -> Tensor:
    """delta_t of every step, (B, T) as all arguments, in which what lies after the end has to be zero."""
    # from r_t / c (less the centre), log p and log pi of the actions taken, max_a log pi(a|s) and V(s)
    following = pad(method.path_value(value, best)[:, 1:], (0, 1))
    # delta_t = r_t + kept_t + gamma V_{t+1} - V_t
    return reward + method.kept(log_prior, log_policy) + gamma * following - value


def path_errors(delta: Tensor, decay: float) -> Tensor:
    """d_t = delta_t + gamma lambda d_{t+1} along every path, (B, T) -> (B, T); `decay` is gamma lambda."""
    errors, following = torch.empty_like(delta), torch.zeros_like(delta[:, 0])
    for step in range(delta.shape[1] - 1, -1, -1):
        # d_t = delta_t + gamma lambda d_{t+1}
        following = delta[:, step] + decay * following
        errors[:, step] = following
    return errors


def kl_divergence(log_policy: Tensor, log_prior: Tensor) -> Tensor:
    """KL(pi || p) in nats at every state, summed over the actions: (..., V), (..., V) -> (...)."""
    # KL = sum_a pi(a|s) (log pi(a|s) - log p(a|s))
    return (log_policy.exp() * (log_policy - log_prior)).sum(dim=-1)


def entropy(log_policy: Tensor) -> Tensor:
    """The policy's entropy in nats at every state: (..., V) -> (...)."""
    return -(log_policy.exp() * log_policy).sum(dim=-1)
