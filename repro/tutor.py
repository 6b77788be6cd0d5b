"""The training loop of all trainers, and KL-control in the paper's form: games in lockstep, replay, a target network.

A round plays a batch of games with the current policy, asks the domain for their rewards and the prior for its
log-probabilities (both stored with the episode: a frozen prior's never change), and makes a few gradient steps on
episodes drawn from the replay. Every gradient step unrolls the RNN from its initial state, so that all time steps of
all drawn episodes are trained and no stored state is ever stale. Budgets are counted in rounds, never in seconds.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro.checkpoint import Checkpoints
from repro.domain import Domain, alive, must_fit, rewards, told
from repro.evaluation import visited
from repro.kl_control import Policy, bellman_loss, targets
from repro.rnn import SequenceRNN, draw, epsilon_greedy, last_steps, play, shifted
from repro.settings import TutorSettings

EVALUATION_SEED = 1_000_003  # every evaluation of a run plays with fresh random numbers that training never draws
Row = dict[str, float]


class Learner:
    """What `train` drives: the paper's form, learners from whole sequences (`repro.path`), the authors' schedule."""

    policy: SequenceRNN  # the network that learns
    prior: SequenceRNN  # the one that it plays with
    acting: Policy  # how the policy is read off both
    steps: int  # how often `train` calls `step`
    step: Callable[[], None]  # plays and learns once
    row: Callable[[], Row]  # a row of the training curve
    first_row = 0  # the step of the first row of the curve
    loss = math.nan  # of the last gradient step
    log_z = math.nan  # what it takes log Z to be, where it says so
    gradient_steps = sequences = 0  # how many were made, and played in batches

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: Any, seed: int) -> None:
        must_fit(domain, prior.vocabulary)
        self.domain, self.settings, self.seed, self.method = domain, settings, seed, settings.mathematics
        self.play_numbers, self.replay_numbers = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        self.games = np.zeros((0, domain.horizon), np.int64)  # (B, T), the sequences of the last row

    def diverged(self, last: Row) -> Row:
        """The last row of a run whose loss is no number any more; by default an error that says what to lower."""
        raise self.no_number()

    def no_number(self) -> FloatingPointError:
        """What to lower where the loss is no number any more."""
        when = f"after {self.gradient_steps} gradient steps"
        found = f"{self.settings.method} with seed {self.seed}: the loss is {self.loss} {when}"
        return FloatingPointError(f"{found}; a learning_rate below {self.settings.learning_rate} may help")


def train(learner: Learner, observe: Callable[[Learner], Row] = lambda _: {},
          row: Callable[[Learner, int], Row] | None = None,
          on_step: Callable[[Row], object] = lambda _: None,
          checkpoints: Checkpoints | None = None) -> pd.DataFrame:  # fmt: skip
    """Trains to the last step and returns the curve; the same seed gives the same bytes. FloatingPointError: loss nan.

    `observe` is asked at every row of the curve: what it returns stands in that row. `row` is asked, with the number of
    the step, instead of the learner's own, and at step 0 too. Neither may disturb the learner. `on_step` hears the
    latest row after every step. From `checkpoints` an interrupted run goes on, to the same bytes.
    """
    torch.set_num_threads(1)
    rows: list[Row] = []
    first, every = learner.first_row if row is None else 0, learner.settings.evaluate_every
    for number in (checkpoints or Checkpoints()).over(range(learner.steps + 1), {"learner": learner, "rows": rows}):
        if number:
            learner.step()
            on_step(rows[-1] if rows else {})
        if learner.gradient_steps and not math.isfinite(learner.loss):
            rows.append(learner.diverged(rows[-1] if rows else {}))
            break
        if number == first or (number > first and (number % every == 0 or number == learner.steps)):
            rows.append((row(learner, number) if row else learner.row()) | observe(learner))
    for network in (learner.policy, learner.prior):
        network.eval().cpu()
    return pd.DataFrame(rows)


class Replay:
    """The last `capacity` whole episodes or single transitions; the oldest are overwritten."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.size, self.next = capacity, 0, 0
        self.tensors: dict[str, Tensor] = {}

    def add(self, **played: Tensor) -> None:
        """Stores a batch, first axis B."""
        count = len(next(iter(played.values())))
        if not self.tensors:
            self.tensors = {name: rows.new_zeros(self.capacity, *rows.shape[1:]) for name, rows in played.items()}
        self.next = (self.next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)
        rows = torch.from_numpy(self.latest(count))
        for name, tensor in self.tensors.items():
            tensor[rows] = played[name]

    def latest(self, count: int) -> np.ndarray:
        """The rows of the last `count`, oldest first."""
        return np.arange(self.next - count, self.next) % self.capacity

    def rows(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draws the rows of different ones, all equally likely."""
        return generator.choice(self.size, count, replace=False, shuffle=False)

    def at(self, rows: np.ndarray) -> dict[str, Tensor]:
        """What is stored there, first axis B."""
        return {name: tensor[torch.from_numpy(rows)] for name, tensor in self.tensors.items()}


class Regression(Learner):
    """What the paper's form and the authors' schedule share: networks, a target network, and one gradient step."""

    residual: Callable[[dict[str, Tensor]], Tensor]  # the loss of a batch
    compare_acting = False  # whether rows compare with the prior that the policy plays with too

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: Any, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.original = self.prior = copy.deepcopy(prior).eval().requires_grad_(False)
        self.policy = start_from(prior, settings.start)
        self.target = copy.deepcopy(self.policy).requires_grad_(False)
        if settings.train_prior:
            self.prior = start_from(prior, "prior_logits")
        self.trained = [self.policy, self.prior] if settings.train_prior else [self.policy]  # what the loss moves
        # Adam's defaults are the authors': betas .9 and .999, epsilon 1e-8, which TensorFlow adds before the bias
        # correction and PyTorch after it; their optimiser takes all variables
        self.adam = torch.optim.Adam(learning(*self.trained), lr=settings.learning_rate, fused=True)
        self.acting, self.environment_steps = Policy(self.policy, self.prior, self.method), 0

    def update(self, batch: dict[str, Tensor]) -> None:
        """One gradient step, then one step of the target network's moving average."""
        loss = self.residual(batch)
        self.adam.zero_grad()
        loss.backward()
        for network in self.trained:
            inputs, recurrent, bias, _ = network.lstm.all_weights[0]
            # authors' code: each variable on its own; the LSTM's two matrices are one variable
            for variable in ([inputs, recurrent], [bias], [network.head.weight], [network.head.bias]):
                torch.nn.utils.clip_grad_norm_(variable, self.settings.clip)
        self.adam.step()
        with torch.no_grad():
            # theta' <- (1 - eta) theta' + eta theta
            torch._foreach_lerp_(list(self.target.parameters()), list(self.policy.parameters()), self.settings.eta)
        self.gradient_steps += 1
        self.loss = loss.item()

    def epsilon(self) -> float:
        """The probability of a random token: it falls linearly with the environment steps, evaluations not counted."""
        settings = self.settings
        done = min(1.0, self.environment_steps / settings.epsilon_steps) if settings.epsilon_steps else 1.0
        return settings.epsilon_start + done * (settings.epsilon_end - settings.epsilon_start)

    def row(self) -> Row:
        """Plays fresh games without exploration; training does not notice. Means as in `repro.evaluation`."""
        generator = np.random.default_rng([self.seed, EVALUATION_SEED, self.environment_steps])
        first = self.domain.first_inputs(self.settings.evaluation_games, generator)
        tokens = play(self.acting.players(), first, self.domain.horizon, self.domain.end, generator)
        self.games = tokens.numpy()
        steps = visited(self.acting, self.original, first, tokens, self.compare_acting or self.settings.train_prior)
        del steps["log_pi"]
        reward = rewards(self.domain, self.games)
        row = told(self.domain, "watch", self.games) | {"task_reward": float(reward.sum(axis=1).mean())}
        row |= {"environment_steps": self.environment_steps, "loss": self.loss}
        if self.domain.end is None:
            row |= {name: value.mean().item() for name, value in steps.items()}
            row["log_p_last"] = steps["log_p"][:, -1].mean().item()
            return row | {"task_reward_last": float(reward[:, -1].mean()), "gradient_steps": self.gradient_steps}
        belongs = alive(tokens, self.domain.end)
        row |= {name: (value * belongs).sum(dim=1).mean().item() for name, value in steps.items()}
        row["objective"] = row["task_reward"] / self.settings.c - row["kl"]
        row["length"] = float(belongs.sum(dim=1).to(torch.get_default_dtype()).mean())
        return row | {"step": self.gradient_steps, "sequences": self.sequences, "diverged": 0.0}

    def diverged(self, last: Row) -> Row:
        """Long sequences that end are known to diverge in this form: shown, not hidden; elsewhere it is an error."""
        if self.domain.end is None:
            return super().diverged(last)
        return last | {"sequences": self.sequences, "diverged": 1.0}


class Tutor(Regression):
    """One run in the paper's form; a step is a round. Its prior may be trained with G (authors' code does that)."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: TutorSettings, seed: int) -> None:
        super().__init__(domain, prior, settings, seed)
        self.replay, self.steps = Replay(settings.replay_episodes), settings.rounds

    def step(self) -> None:
        """Plays `games` episodes, then makes `gradient_steps` updates."""
        self.play()
        for _ in range(self.settings.gradient_steps):
            self.adam.param_groups[0]["lr"] = self.learning_rate()
            self.update(self.replay.at(self.replay.rows(self.settings.batch_episodes, self.replay_numbers)))

    @torch.no_grad()
    def play(self) -> None:
        """Plays a batch of games with the current policy and stores them with their rewards."""
        settings, domain = self.settings, self.domain
        first = domain.first_inputs(settings.games, self.play_numbers)
        tokens = play(self.acting.players(), first, domain.horizon, domain.end, self.play_numbers, self.choose)
        inputs = shifted(first, tokens)
        logits = self.prior(inputs)
        task_reward = torch.from_numpy(rewards(domain, tokens.numpy())).to(logits.dtype) / settings.c
        log_partition = logits.logsumexp(dim=-1, keepdim=True)
        offset = log_partition if settings.start == "log_softmax" else torch.zeros_like(log_partition)
        # r_T / c, log p(.|s) of the frozen prior, and what is subtracted from the network's outputs
        self.replay.add(inputs=inputs, task_reward=task_reward, log_prior=logits - log_partition, offset=offset)
        self.sequences += len(tokens)
        self.environment_steps += int(alive(tokens, domain.end).sum())

    def choose(self, scores: Tensor, uniform: Tensor) -> Tensor:
        """The next tokens in play, from scores and uniform numbers."""
        if self.settings.play == "epsilon_greedy":
            return epsilon_greedy(scores, uniform, self.epsilon())
        return draw(scores / self.settings.temperature, uniform)

    def residual(self, batch: dict[str, Tensor]) -> Tensor:
        """The squared Bellman residual of whole episodes, averaged over the steps that were played."""
        settings = self.settings
        belongs = alive(batch["inputs"][:, 1:], self.domain.end)
        longest = int(belongs.sum(dim=1).max())
        belongs = belongs[:, :longest]
        inputs, log_prior, offset = (batch[name][:, : longest + 1] for name in ("inputs", "log_prior", "offset"))
        actions = inputs[:, 1:]
        with torch.no_grad():
            next_values = (self.target(inputs) - offset)[:, 1:]
            taken_log_prior = log_prior[:, :-1].gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        if settings.train_prior:  # log p(.|s') of the acting prior with its gradient, where the paper's is fixed
            log_prior = self.prior(inputs).log_softmax(dim=-1)
        y = targets(
            self.method, batch["task_reward"][:, :longest], taken_log_prior, next_values, log_prior[:, 1:],
            settings.gamma, terminal=last_steps(belongs) if settings.terminal_mask else None,
        )  # fmt: skip
        return bellman_loss((self.policy(inputs[:, :-1]) - offset[:, :-1])[belongs], actions[belongs], y[belongs])

    def learning_rate(self) -> float:
        """The learning rate of the next gradient step: constant, or falling to 0 along a half cosine."""
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        total = self.settings.rounds * self.settings.gradient_steps
        return self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, self.gradient_steps / total)))


def start_from(prior: SequenceRNN, start: str) -> SequenceRNN:
    """The network before its first update: the prior's weights, with a head of zeros for `zero_head`."""
    policy = copy.deepcopy(prior)
    for name, weight in policy.named_parameters():
        weight.requires_grad_(name != "lstm.bias_hh_l0")  # the unused second bias of PyTorch's LSTM
    if start == "zero_head":
        torch.nn.init.zeros_(policy.head.weight)
        torch.nn.init.zeros_(policy.head.bias)
    return policy.train()


def learning(*networks: torch.nn.Module) -> list[Tensor]:
    """The weights of networks that require a gradient."""
    return [weight for network in networks for weight in network.parameters() if weight.requires_grad]
