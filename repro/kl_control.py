"""The mathematics of KL-control: Q, Psi, G and RL only, each as a reward, a backup and a policy.

With s the tokens so far, a the next token, p(a|s) the frozen prior, r_T the task reward, c the temperature, f(s, a)
the network's value of an action and f'(s', a') the target network's value one step later, all four regress

    f(s, a)  ->  y = r(s, a) + gamma V(s')

and differ in three lines (paper, section 3; shapes: values (..., V), everything else (...)):

    method    r(s, a)                  V(s')                              policy
    Q         log p(a|s) + r_T / c     max_a' f'                          exp f
    Psi       log p(a|s) + r_T / c     log sum_a' exp f'                  exp f
    G         r_T / c                  log sum_a' p(a'|s') exp f'         p(a|s) exp f
    RL only   r_T / c                  max_a' f'                          exp f

Policies are up to a factor. The paper's text plays Q greedily; its code plays epsilon-greedy and samples from exp f
for every evaluation, and so do we.
"""

from __future__ import annotations

from torch import Tensor


class Q:
    """Q-learning with the prior's log-probability added to the reward."""

    name = "q"
    plays_with_prior = False  # whether the prior's logits are part of the scores that the policy samples from

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """r(s, a), from r_T / c and log p(a|s) of the actions that were played."""
        # r = log p(a|s) + r_T / c
        return log_prior + task_reward

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """V(s'), from f'(s', .) and log p(.|s')."""
        # V = max_a' Q(s', a')
        return next_values.amax(dim=-1)

    def scores(self, values: Tensor, log_prior: Tensor) -> Tensor:
        """The policy's unnormalised log-probabilities, from f(s, .) and log p(.|s)."""
        # log pi = Q(s, a) + const
        return values


class Psi(Q):
    """Psi-learning: as Q, with the soft maximum that KL-control asks for."""

    name = "psi"

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """The soft maximum."""
        # V = log sum_a' exp Psi(s', a')
        return next_values.logsumexp(dim=-1)


class G(Q):
    """G-learning: the prior stands in the policy instead of in the reward."""

    name = "g"
    plays_with_prior = True

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """The task reward alone."""
        # r = r_T / c
        return task_reward

    def backup(self, next_values: Tensor, next_log_prior: Tensor) -> Tensor:
        """The soft maximum, weighted by the prior."""
        # V = log sum_a' exp( log p(a'|s') + G(s', a') )
        return (next_log_prior + next_values).logsumexp(dim=-1)

    def scores(self, values: Tensor, log_prior: Tensor) -> Tensor:
        """The prior times exp G."""
        # log pi = log p(a|s) + G(s, a) + const
        return log_prior + values


class RLOnly(Q):
    """The baseline without the prior: plain Q-learning on the task reward."""

    name = "rl_only"

    def reward(self, task_reward: Tensor, log_prior: Tensor) -> Tensor:
        """The task reward alone."""
        # r = r_T / c
        return task_reward


METHODS: dict[str, Q] = {method.name: method for method in (Q(), Psi(), G(), RLOnly())}


def targets(
    method: Q,
    task_reward: Tensor,
    log_prior: Tensor,
    next_values: Tensor,
    next_log_prior: Tensor,
    gamma: float,
    terminal: Tensor | None = None,
) -> Tensor:
    """The numbers y (...) towards which f(s, a) is regressed.

    Args:
        method: Q, Psi, G or RL only.
        task_reward: (...), r_T / c of the played actions.
        log_prior: (...), log p(a|s) of the played actions.
        next_values: (..., V), the target network's f'(s', .).
        next_log_prior: (..., V), log p(.|s').
        gamma: discount in [0, 1].
        terminal: (...), True where nothing follows and V(s') = 0; without it every step bootstraps.
    """
    value = method.backup(next_values, next_log_prior)
    if terminal is not None:
        value = value.masked_fill(terminal, 0.0)
    # y = r(s, a) + gamma V(s')
    return method.reward(task_reward, log_prior) + gamma * value


def bellman_loss(values: Tensor, actions: Tensor, target: Tensor) -> Tensor:
    """The squared Bellman residual, averaged over all steps: mean (f(s, a) - y)^2.

    Args:
        values: (..., V), f(s, .) with gradients.
        actions: (...), int64, the actions that were played.
        target: (...), from `targets`, without gradients.
    """
    taken = values.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return (taken - target).square().mean()


def kl_divergence(log_policy: Tensor, log_prior: Tensor) -> Tensor:
    """KL(pi || p) in nats at every state, summed over the actions: (..., V), (..., V) -> (...)."""
    # KL = sum_a pi(a|s) (log pi(a|s) - log p(a|s))
    return (log_policy.exp() * (log_policy - log_prior)).sum(dim=-1)


def entropy(log_policy: Tensor) -> Tensor:
    """The policy's entropy in nats at every state: (..., V) -> (...)."""
    return -(log_policy.exp() * log_policy).sum(dim=-1)
