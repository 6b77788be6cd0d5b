"""The authors' own schedule: one game at a time, single transitions with stored states, one update every five events.

Play is epsilon-greedy. A transition (s, a, r, s') is stored with the RNN's states as they were when it was played; they
are never brought up to date. Every 5 events, 32 of the last 100,000 make one step of the RNN from the stored states.
With G its prior may be trained too, as in their code. Clipping, target network and evaluations are those of `tutor`.
Three things differ from the authors' code on purpose: random events and priming notes are drawn from all 38 (theirs
never draws the highest), epsilon does not fall during evaluations, and these do not throw away the game being played.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from repro import kl_control
from repro.domain import Domain, rewards
from repro.rnn import SequenceRNN, Stepper, epsilon_greedy
from repro.settings import Count, Rate, RegressionSettings, need, validated
from repro.tutor import Regression, Replay


@validated
class AuthorsSettings(RegressionSettings):
    """How one policy is tuned on the authors' schedule; "authors' code" is the notebook of its paper branch."""

    environment_steps: Count = 1_000_000  # paper: "iterations"; the authors' code counts events played
    train_every: Count = 5  # authors' code: events between two updates
    batch: Count = 32  # paper: transitions an update, drawn uniformly without replacement
    replay: Count = 100_000  # authors' code: transitions that are kept, the oldest go first
    learning_rate: Rate = 1e-3  # authors' code: constant, Adam's other numbers at their defaults
    epsilon_steps: Count = 500_000  # authors' code: events until epsilon_end
    start: Literal["prior_logits", "zero_head"] = "prior_logits"  # paper: the prior's weights; "zero_head" is ours
    evaluate_every: Count = 50_000  # authors' code: events between two evaluations

    def __post_init__(self) -> None:
        super().__post_init__()
        need(self.replay >= self.batch, f"replay is {self.replay}: it must hold a batch, {self.batch}")


class AuthorsTutor(Regression):
    """One run; a step is an event. `prior` is the acting prior, which may be trained, `original` the one that stays."""

    compare_acting = True

    def __init__(self, domain: Domain, prior: SequenceRNN, settings: AuthorsSettings, seed: int) -> None:
        need(domain.end is None, f"{domain.name} has an end token: the authors' schedule plays games of one length")
        super().__init__(domain, prior, settings, seed)
        self.replay, self.steps = Replay(settings.replay), settings.environment_steps
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
            self.policy_player.read(self.policy)
            self.prior_player.read(self.prior)
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
        # what the RNNs were fed with, what was played (and is fed next), r_T / c, log p(a|s), and states (hidden, cell)
        self.replay.add(
            observation=self.last, action=action, next_observation=action, task_reward=torch.zeros(1),
            log_prior=log_prior[:, int(action)], before=before, after=state_of(self.policy_player),
            prior=state_of(self.prior_player),
        )  # fmt: skip
        self.game.append(int(action))
        self.last = action

    def pay(self) -> None:
        """Writes the rewards of the current game so far: at its end, and when an update draws from it before."""
        reward = rewards(self.domain, np.array([self.game]))[0] / self.settings.c
        kept = self.replay.latest(len(self.game))[-self.replay.capacity :]
        paid = self.replay.tensors["task_reward"]
        paid[kept] = torch.from_numpy(reward[-len(kept) :]).to(paid.dtype)

    def draw(self) -> dict[str, Tensor]:
        """Draws different transitions, all equally likely, those of the current game too."""
        rows = self.replay.rows(self.settings.batch, self.replay_numbers)
        if ((self.replay.next - 1 - rows) % self.replay.capacity).min() < len(self.game):  # how long ago it was stored
            self.pay()
        return self.replay.at(rows)

    def goal(self, batch: dict[str, Tensor]) -> Tensor:
        """The numbers y (B,) that single transitions regress towards."""
        # Only weights that require a gradient get one: the prior's do in the authors' G-learning, whose logits stand
        # in the target as they are; the target network's never do. It goes on from the policy's state (authors' code).
        following = batch["next_observation"]
        with torch.no_grad():
            next_values = one_step(self.target, following, batch["after"])
        # log p(.|s') stands in G's backup alone: for the others, which do not look at it, values fill its place
        next_log_prior = next_values
        if self.method.plays_with_prior:
            next_log_prior = one_step(self.prior, following, batch["prior"]).log_softmax(dim=-1)
        reward, log_prior = batch["task_reward"], batch["log_prior"]
        return kl_control.targets(self.method, reward, log_prior, next_values, next_log_prior, self.settings.gamma)

    def residual(self, batch: dict[str, Tensor]) -> Tensor:
        """The squared Bellman residual of single transitions."""
        values = one_step(self.policy, batch["observation"], batch["before"])
        return kl_control.bellman_loss(values, batch["action"], self.goal(batch))


def state_of(player: Stepper) -> Tensor:
    """The hidden and cell state (1, 2, cells) of one game."""
    return torch.stack((player.hidden, player.cell), dim=1)


def one_step(rnn: SequenceRNN, tokens: Tensor, state: Tensor) -> Tensor:
    """Logits (B, V) after one more token (B,) from stored states (B, 2, cells); with gradients."""
    return rnn.head(torch.lstm_cell(rnn.encoded(tokens), state.unbind(dim=1), *rnn.lstm.all_weights[0])[0])
