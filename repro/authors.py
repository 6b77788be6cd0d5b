"""The authors' own schedule: one game at a time, single transitions with stored states, one update every five events.

    play      the policy epsilon-greedily, one game after the other; epsilon falls from 1 to .1
    store     (s, a, r, s') with the RNN's states as they were when it was played; they are never brought up to date
    update    every 5 events, 32 transitions from the last 100,000: one step of the RNN from the stored states
    G         its prior is trained with it (`train_prior_with_g`), because its logits are not held fixed in the target

`repro.tutor` differs in all four. What stays as there: the reward and targets (`repro.kl_control`), clipping, the
target network, and no exploration in evaluations. Three things differ from the authors' code on purpose: random events
and priming notes are drawn from all 38 (theirs never draws the highest), epsilon does not fall during evaluations, and
an evaluation does not throw away the game that is being played.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from repro import kl_control
from repro.domain import Domain
from repro.rnn import SequenceRNN, State, Stepper, epsilon_greedy
from repro.settings import METHODS, known, need
from repro.trained_prior import TunedPair, look
from repro.tutor import EVALUATION_SEED, clip_each, start_from


@dataclass(frozen=True)
class AuthorsSettings:
    """How one policy is tuned on the authors' schedule; "authors' code" is the notebook of its paper branch."""

    method: str = "psi"  # paper: q, psi, g; rl_only is its baseline without the prior
    train_prior_with_g: str = "no"  # paper: the prior is fixed; "one_step" is what the authors' code does for g
    c: float = 0.5  # paper: temperature; task rewards are divided by it
    gamma: float = 0.5  # paper: discount; the last event of a game bootstraps like any other (authors' code)
    eta: float = 0.01  # paper: rate of the target network's moving average
    environment_steps: int = 1_000_000  # paper: "iterations"; the authors' code counts events played
    train_every: int = 5  # authors' code: events between two updates
    batch: int = 32  # paper: transitions an update, drawn uniformly without replacement
    replay: int = 100_000  # authors' code: transitions that are kept, the oldest go first
    learning_rate: float = 1e-3  # authors' code: constant, Adam's other numbers at their defaults
    clip: float = 5.0  # paper: gradient norm; each variable on its own (authors' code)
    epsilon_start: float = 1.0  # authors' code: epsilon falls linearly from here
    epsilon_end: float = 0.1  # authors' code
    epsilon_steps: int = 500_000  # authors' code: events until epsilon_end
    start: str = "prior_logits"  # paper: start from the prior's weights; "zero_head" is ours
    evaluate_every: int = 50_000  # authors' code: events between two evaluations
    evaluation_games: int = 512  # ours (authors' code: 100)

    def __post_init__(self) -> None:
        known("method", self.method, METHODS)
        known("train_prior_with_g", self.train_prior_with_g, ("no", "one_step"))
        trains = self.train_prior_with_g != "no"
        need(not trains or self.method == "g", f"method is {self.method!r}: only g has its prior in the target")
        known("start", self.start, ("prior_logits", "zero_head"))
        need(self.c > 0 and math.isfinite(self.c), f"c is {self.c}: task rewards are divided by it")
        for name in ("gamma", "eta", "epsilon_start", "epsilon_end"):
            need(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}: it lies in [0, 1]")
        for name in ("learning_rate", "clip"):
            need(getattr(self, name) > 0, f"{name} is {getattr(self, name)}: it must be above 0")
        for name in ("environment_steps", "train_every", "batch", "epsilon_steps", "evaluate_every"):
            need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}: it must be at least 1")
        need(self.replay >= self.batch, f"replay is {self.replay}: it must hold a batch, {self.batch}")


class Transitions:
    """The last `capacity` transitions, the oldest overwritten; a state is the RNN's (hidden, cell), stacked."""

    def __init__(self, capacity: int, cells: int) -> None:
        self.tensors = {
            "observation": torch.zeros(capacity, dtype=torch.int64),  # what the RNNs were fed with
            "action": torch.zeros(capacity, dtype=torch.int64),  # what was played
            "next_observation": torch.zeros(capacity, dtype=torch.int64),  # the same, when play is epsilon-greedy
            "task_reward": torch.zeros(capacity),  # r_T / c
            "log_prior": torch.zeros(capacity),  # log p(a|s)
            "before": torch.zeros(capacity, 2, cells),  # the policy's state before the observation
            "after": torch.zeros(capacity, 2, cells),  # and after it
            "prior": torch.zeros(capacity, 2, cells),  # the prior's state after the observation
        }
        self.capacity, self.size, self.next = capacity, 0, 0

    def add(self, **transition: Tensor | int | float) -> None:
        """Stores one transition."""
        for name, value in transition.items():
            self.tensors[name][self.next] = value
        self.next = (self.next + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def latest(self, count: int) -> np.ndarray:
        """The rows of the last `count` transitions, oldest first."""
        return np.arange(self.next - count, self.next) % self.capacity


class AuthorsTutor:
    """One run; `prior` is the acting prior, trained if the settings say so, and `original` the one that stays."""

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: AuthorsSettings, seed: int) -> None:
        self.domain, self.settings, self.seed = domain, settings, seed
        self.method = kl_control.METHODS[settings.method]
        self.original = self.prior = prior.eval().requires_grad_(False)
        self.policy = start_from(prior, settings.start)
        self.target = copy.deepcopy(self.policy).requires_grad_(False)
        if settings.train_prior_with_g == "one_step":
            self.prior = start_from(prior, "prior_logits")
        self.trained = [self.policy] if self.prior is self.original else [self.policy, self.prior]
        weights = [weight for network in self.trained for weight in network.parameters() if weight.requires_grad]
        # Adam's epsilon is added after the bias correction, in TensorFlow before it: no difference that one could see
        self.adam = torch.optim.Adam(weights, lr=settings.learning_rate, fused=True)
        self.replay = Transitions(settings.replay, prior.cells)
        self.play_numbers, self.replay_numbers = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        self.environment_steps, self.gradient_steps, self.loss = 0, 0, math.nan
        self.begin()

    def begin(self) -> None:
        """Begins a game: states of zero and a random first input, which is no part of the game."""
        self.policy_player, self.prior_player = Stepper(self.policy, 1), Stepper(self.prior, 1)
        self.last = torch.from_numpy(self.domain.first_inputs(1, self.play_numbers))
        self.game: list[int] = []

    def step(self) -> None:
        """Plays one event and, every `train_every` events from the first full batch on, makes one update."""
        self.play()
        settings, surplus = self.settings, self.environment_steps - self.settings.batch
        if surplus >= 0 and surplus % settings.train_every == 0:
            self.update(self.draw())
            self.policy_player = moved(self.policy_player, self.policy)
            if self.prior is not self.original:
                self.prior_player = moved(self.prior_player, self.prior)
        if len(self.game) == self.domain.horizon:
            self.pay()
            self.begin()

    @torch.no_grad()
    def play(self) -> None:
        """Plays one event, epsilon-greedily, and stores the transition; its reward is written by `pay`."""
        before = state_of(self.policy_player)
        values = self.policy_player(self.last)
        log_prior = self.prior_player(self.last).log_softmax(dim=-1)
        self.environment_steps += 1
        uniform = torch.from_numpy(self.play_numbers.random(1))
        action = epsilon_greedy(self.method.scores(values, log_prior), uniform, self.epsilon())
        event = int(action)
        self.replay.add(
            observation=self.last[0], action=event, next_observation=event, log_prior=log_prior[0, event],
            before=before, after=state_of(self.policy_player), prior=state_of(self.prior_player),
        )  # fmt: skip
        self.game.append(event)
        self.last = action

    def epsilon(self) -> float:
        """The probability of a random event, at the event that is being played."""
        settings = self.settings
        done = min(1.0, self.environment_steps / settings.epsilon_steps)
        return settings.epsilon_start + done * (settings.epsilon_end - settings.epsilon_start)

    def pay(self) -> None:
        """Writes the rewards of the current game so far: at its end, and when an update draws from it before."""
        reward = self.domain.step_rewards(np.array([self.game]))[0] / self.settings.c
        kept = self.replay.latest(len(self.game))[-self.replay.capacity :]
        self.replay.tensors["task_reward"][kept] = torch.from_numpy(reward[-len(kept) :]).float()

    def draw(self) -> dict[str, Tensor]:
        """Draws different transitions, all equally likely, those of the current game too."""
        replay = self.replay
        rows = self.replay_numbers.choice(replay.size, self.settings.batch, replace=False, shuffle=False)
        # how long ago each was stored
        if ((replay.next - 1 - rows) % replay.capacity).min() < len(self.game):
            self.pay()
        return {name: tensor[rows] for name, tensor in replay.tensors.items()}

    def update(self, batch: dict[str, Tensor]) -> None:
        """One gradient step on single transitions, then one step of the target network's moving average."""
        settings = self.settings
        _, loss = regression(self.method, self.policy, self.target, self.prior, batch, settings.gamma)
        self.adam.zero_grad()
        loss.backward()
        for network in self.trained:
            clip_each(network, settings.clip)
        self.adam.step()
        # theta' <- (1 - eta) theta' + eta theta; the second bias, which is not trained, is the same in both
        weights = [weight.data for weight in self.policy.parameters()]
        torch._foreach_lerp_(list(self.target.parameters()), weights, settings.eta)
        self.gradient_steps += 1
        self.loss = loss.item()

    def evaluate(self) -> dict[str, float]:
        """Plays fresh games without exploration; training does not notice. See `repro.trained_prior.look`."""
        numbers = np.random.default_rng([self.seed, EVALUATION_SEED, self.environment_steps])
        counts = {"environment_steps": self.environment_steps, "gradient_steps": self.gradient_steps, "loss": self.loss}
        count = self.settings.evaluation_games
        return counts | look(self.domain, self.method, self.policy, self.prior, self.original, count, numbers)


def state_of(player: Stepper) -> Tensor:
    """The hidden and cell state (2, cells) of one game."""
    return torch.cat((player.hidden, player.cell))


def moved(player: Stepper, rnn: SequenceRNN) -> Stepper:
    """The same game with the network's new weights."""
    follower = Stepper(rnn, 1)
    follower.hidden, follower.cell = player.hidden, player.cell
    return follower


def stored_state(stacked: Tensor) -> State:
    """Hidden and cell state, each (B, cells), from (B, 2, cells)."""
    return stacked[:, 0], stacked[:, 1]


def one_step(rnn: SequenceRNN, tokens: Tensor, state: State) -> Tensor:
    """Logits (B, V) after one more token (B,) from stored states, each (B, cells); with gradients."""
    row = one_hot(tokens, rnn.vocabulary).to(rnn.head.weight.dtype)
    hidden, _ = torch.lstm_cell(row, state, *rnn.lstm.all_weights[0])
    return rnn.head(hidden)


def regression(
    method: kl_control.Q,
    policy: SequenceRNN,
    target: SequenceRNN,
    prior: SequenceRNN,
    batch: dict[str, Tensor],
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """The numbers y (B,) that single transitions regress towards, and the loss.

    Only weights that require a gradient get one: the prior's do in the authors' G-learning, where its logits stand in
    the target as they are; the target network's never do.

    Args:
        method: Q, Psi, G or RL only.
        policy: f.
        target: f', which starts from the policy's state (authors' code), not from one of its own.
        prior: the acting prior.
        batch: what `Transitions` holds, first axis B.
        gamma: discount.
    """
    taken_log_prior, following = batch["log_prior"], batch["next_observation"]
    before, after, prior_state = (stored_state(batch[name]) for name in ("before", "after", "prior"))
    with torch.no_grad():
        next_values = one_step(target, following, after)
    # log p(.|s') stands in G's backup alone
    needed = method.plays_with_prior
    next_log_prior = one_step(prior, following, prior_state).log_softmax(dim=-1) if needed else next_values
    y = kl_control.targets(method, batch["task_reward"], taken_log_prior, next_values, next_log_prior, gamma)
    return y, kl_control.bellman_loss(one_step(policy, batch["observation"], before), batch["action"], y)


def train(
    domain: Domain,
    prior: SequenceRNN,
    settings: AuthorsSettings,
    seed: int,
    on_evaluation: Callable[[], object] | None = None,
) -> TunedPair:
    """Tunes a policy on the authors' schedule; the same seed gives the same bytes.

    Args:
        domain: what is played and what it is worth.
        prior: the maximum-likelihood RNN; it is not changed, a copy of it is where it is trained.
        settings: every hyperparameter.
        seed: of all random numbers of this run.
        on_evaluation: called after each evaluation, for a progress bar.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    torch.set_num_threads(1)
    tutor = AuthorsTutor(domain, prior, settings, seed)
    rows = [tutor.evaluate()]
    for number in range(1, settings.environment_steps + 1):
        tutor.step()
        if number % settings.evaluate_every == 0 or number == settings.environment_steps:
            if tutor.gradient_steps and not math.isfinite(tutor.loss):
                raise FloatingPointError(f"{settings.method}, seed {seed}: the loss is {tutor.loss} at event {number}")
            rows.append(tutor.evaluate())
            if on_evaluation is not None:
                on_evaluation()
    return TunedPair(tutor.policy.eval(), tutor.prior.eval(), pd.DataFrame(rows))
